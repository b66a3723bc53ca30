"""The command line as a whole: one word means one thing, and help names what there is."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from sunseo.cli import app
from sunseo.core.version import VERSION

ONE_OR_MANY = {"--sale"}
"""`verify` takes several, everything else works on one."""


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))
OPTIONS = [
    (path, spelling, option)
    for path, command in ALL.items()
    for option in command.params
    for spelling in option.opts
    if spelling.startswith("--") and spelling != "--version"
]


def test_an_option_is_spelt_and_used_the_same_everywhere() -> None:
    """A flag is a flag in every command, and what has a second name has it wherever it is."""
    shapes: dict[str, set[Any]] = {}
    for _, spelling, option in OPTIONS:
        many = option.multiple and spelling not in ONE_OR_MANY
        shapes.setdefault(spelling, set()).add((option.is_flag, many, tuple(option.opts)))

    assert {name: found for name, found in shapes.items() if len(found) > 1} == {}


def test_json_prints_and_json_file_writes() -> None:
    """`--json` is a flag; who can have figures in a file can have them on the screen, too."""
    kinds = {spelling: option.is_flag for _, spelling, option in OPTIONS if "json" in spelling}
    having = {
        name: {path for path, spelling, _ in OPTIONS if spelling == name}
        for name in ("--json", "--json-file")
    }

    assert kinds == {"--json": True, "--json-file": False}
    assert having["--json-file"] <= having["--json"]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_usage_names_a_command_that_help_lists(path: tuple[str, ...]) -> None:
    """What a mistake is answered with can be typed, and is found in the help above it."""
    ended = CliRunner().invoke(app, [*path, "--no-such-option"], prog_name="sunseo")

    usage = ended.stderr.splitlines()[0]
    assert ended.exit_code == 2
    assert usage.startswith(f"Usage: {' '.join(('sunseo', *path))} ")
    assert not getattr(ALL[path], "hidden", False)


def test_version_is_an_option_and_a_command() -> None:
    """Either way of asking gets the same line."""
    for words in (["--version"], ["version"]):
        ended = CliRunner().invoke(app, words)
        assert (ended.exit_code, ended.stdout) == (0, f"{VERSION}\n")
