"""The command line as a whole: one word means one thing, and help names what there is."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import typer.main
from sqlalchemy.exc import SQLAlchemyError
from typer.testing import CliRunner

from sunseo.cli.main import app, main
from sunseo.commands import Commands, first_paragraph
from sunseo.core.version import VERSION
from sunseo.postgres.address.existing import UnreachableDatabaseError
from sunseo.settings import SettingsError

HEAVY = {
    *("alembic", "asyncpg", "psycopg", "sqlalchemy"),
    *("aiohttp", "httptools", "starlette", "uvicorn", "uvloop"),
    *("cryptography", "jinja2", "prometheus_client", "rich", "structlog"),
}

ASKED = """
import sys
from sunseo.cli.main import main
sys.argv[0] = "sunseo"
try:
    main()
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""

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


@pytest.mark.parametrize("path", [path for path, one in ALL.items() if hasattr(one, "commands")])
def test_a_group_says_of_each_command_what_it_says_itself(path: tuple[str, ...]) -> None:
    """What is told of a command before it is imported is the first paragraph of its own help."""
    group = ALL[path].commands

    assert isinstance(group, Commands)
    told = {name: group.help_of(name) for name in group}
    assert told == {name: first_paragraph(command.help) for name, command in group.items()}
    assert all(told.values())


@pytest.mark.parametrize("words", ["--help", "version", "sale pause --help", "verify --help"])
def test_help_imports_nothing_that_commands_need(words: str) -> None:
    """What there is and how it is used is told before database, server and pages are in reach."""
    done = subprocess.run(
        [sys.executable, "-c", ASKED, *words.split()], capture_output=True, text=True, check=True
    )

    imported = done.stderr.split()
    assert {"sunseo", "typer"} <= set(imported)
    assert HEAVY.isdisjoint(imported)
    assert done.stdout.startswith(("Usage: sunseo ", VERSION))


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SettingsError("port: not a number"), 2, "sunseo: port: not a number\n"),
        (UnreachableDatabaseError("away"), 3, "sunseo: away\n"),
        (asyncpg.PostgresError("gone\nDETAIL: for good"), 2, "sunseo: the database: gone\n"),
        (SQLAlchemyError("gone"), 2, "sunseo: the database: gone\n"),
        (FileNotFoundError(2, "No such file", "a.toml"), 2, "sunseo: a.toml: No such file\n"),
    ],
)
def test_what_a_command_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    said: str,
) -> None:
    """The line goes to standard error, and the exit code says of which kind it is."""

    def fail() -> None:
        raise error

    monkeypatch.setattr("sunseo.cli.main.app", fail)
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == code
    assert capsys.readouterr() == ("", said)


def test_version_is_an_option_and_a_command() -> None:
    """Either way of asking gets the same line."""
    for words in (["--version"], ["version"]):
        ended = CliRunner().invoke(app, words)
        assert (ended.exit_code, ended.stdout) == (0, f"{VERSION}\n")
