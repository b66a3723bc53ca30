"""The guide of exported crowds names every option, every variable and every line of the log."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from sunseo.rehearsal.command import rehearse
from sunseo.rehearsal.export.log import CrowdLog
from sunseo.rehearsal.export.plan import WORDS, CrowdPlan
from sunseo.rehearsal.export.staged import Staged
from sunseo.rehearsal.observe.ledger import Operation
from sunseo.rehearsal.report.result import Options
from sunseo.rehearsal.scenes.scenario import read_scenario
from sunseo.rehearsal.target.operator import Setup
from tests.docs.pages import text_of

OPTIONAL = {"found", "retry_after", "products"}  # which no script of ours tells
GUIDE = "docs/guides/exported-crowds.md"


def options() -> list[tuple[str, str]]:
    group = get_command(rehearse).commands  # type: ignore[attr-defined]  # a group
    return [
        (command, option)
        for command in ("export", "stage", "judge")
        for param in group[command].params
        for option in param.opts
        if option.startswith("--")
    ]


@pytest.mark.parametrize(("command", "option"), options())
def test_option_is_described(command: str, option: str) -> None:
    """Each option stands in a table of its own command."""
    table = text_of(GUIDE).split(f"| option of `{command}` |")[1].split("\n\n")[0]

    assert f"`{option}`" in table


def test_variables_are_described() -> None:
    """Whatever a script is told has a row."""
    staged = Staged(
        url="http://127.0.0.1:8000",
        setup=Setup([1], 2),
        opens_at=0.0,
        started_at="",
        options=Options(name="concert", scenario=read_scenario("concert"), seed=1),
    )

    for name in staged.variables(Path("told.jsonl")):
        assert f"`{name}`" in text_of(GUIDE)


def test_lines_of_the_log_are_described() -> None:
    """Each kind that a judge reads has a row with its fields, and each operation is named."""
    for kind, (struct, _) in CrowdLog()._kinds.items():
        row = next(
            line for line in text_of(GUIDE).splitlines() if line.startswith(f'| `["{kind}",')
        )
        line = row.split("`")[1].replace("[[product, quantity], …]", "products")
        told = line.replace("[seat, …]", "seats").strip("[]").split(", ")[1:]
        assert told == [name for name in struct.__struct_fields__ if name != "retry_after"]
    for operation in set(Operation) - {Operation.PAGE}:  # scripts visit no other site
        assert f"`{operation.value}`" in text_of(GUIDE)


def test_plan_is_described() -> None:
    """Each field of a plan has a row, but for the words that a script says in its head."""
    table = text_of(GUIDE).split("| of the plan |")[1].split("\n\n")[0]

    assert {*CrowdPlan.__struct_fields__} - {*WORDS, "visitors"} == set(
        re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    )
