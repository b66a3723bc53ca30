"""Commands in documents exist, with the options that they are shown with."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from sunseo.cli.main import app
from tests.docs.pages import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ROOT_COMMAND: Any = typer.main.get_command(app)
BLOCK = re.compile(r"^```(?:sh|console|bash|ini)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BEGINS = re.compile(r"(?:^|(?<!-U)[\s(;&|])(?:\S*bin/)?(?:sunseo|python3? -m sunseo) (?=[a-z-])")


def shown(page: Path) -> list[str]:
    """What follows `sunseo` in blocks for the shell, a line each, and in the text's own words."""
    text = page.read_text("utf-8")
    lines = "\n".join(BLOCK.findall(text)).replace("\\\n", " ").split("\n")
    lines += [f"{one}" for one in re.findall(r"`((?:\S+ )*sunseo [a-z][^`]*)`", text)]
    return [rest for line in lines for rest in BEGINS.split(line)[1:]]


def unknown(words: list[str]) -> str | None:
    """The first word that is neither a command nor an option of it."""
    command, path = ROOT_COMMAND, "sunseo"
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        if words[0] not in command.commands:
            if path != "sunseo rehearse":  # where the name of a scenario may stand
                return f"{path} {words[0]}"
            words = ["run", *words]
        path = f"{path} {words[0]}"
        command = command.commands[words.pop(0)]
    options = {name for option in command.params for name in option.opts} | {"--help"}
    options |= {name for option in command.params for name in option.secondary_opts}
    if "--" in words:  # the command of another tool
        words = words[: words.index("--")]
    wrong = [word for word in words if word.startswith("--") and word.split("=")[0] not in options]
    return f"{path} {wrong[0]}" if wrong else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_with_their_options(page: Path) -> None:
    """Whoever types what stands there gets no usage line for an answer."""
    wrong = []
    for rest in shown(page):
        cut = re.split(r"[|;&)<>#…]|\$\(", rest)[0]
        try:
            words = shlex.split(cut)
        except ValueError:  # a quotation that goes on, or was cut off
            words = cut.split()
        wrong.append(unknown(words))
    assert [one for one in wrong if one is not None] == []
