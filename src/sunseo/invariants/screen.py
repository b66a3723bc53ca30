"""A report for people: a table of what is not well, or of all, and the rows at fault below it."""

from collections import defaultdict
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from sunseo.invariants.entries import INVARIANTS
from sunseo.invariants.report import NotChecked, Report, Violation

ROW_CHARACTERS_MAX = 400  # of one row at fault; all of it is in the JSON


def show(report: Report, console: Console, *, whole: bool = False) -> None:
    console.print(render(report, whole=whole))


def render(report: Report, *, whole: bool = False) -> RenderableType:
    """What is not well, and the verdict; all invariants, if the whole of it is wanted."""
    details = [_details(violation) for violation in report.violations]
    table = [_table(report, whole=whole)] if whole or not report.clean else []
    return Group(*table, *details, *_reasons(report.not_checked), _verdict(report))


def _table(report: Report, *, whole: bool) -> Table:
    found: dict[str, list[Violation]] = defaultdict(list)
    for violation in report.violations:
        found[violation.invariant].append(violation)
    missed = {entry.invariant for entry in report.not_checked}

    table = Table(title=f"Invariants of {_count(report.sales, 'sale')}", title_justify="left")
    table.add_column("Invariant", no_wrap=True)
    table.add_column("Result", no_wrap=True)
    table.add_column("Rows at fault", justify="right")
    table.add_column("What must hold", ratio=1)
    for invariant in INVARIANTS:
        violations = found[invariant.name]
        if violations:
            result = Text("VIOLATED", style="bold red")
        elif invariant.name in missed:
            result = Text("NOT CHECKED", style="bold yellow")
        elif whole and invariant.name in report.checked:
            result = Text("holds", style="green")
        else:
            continue  # it was not asked for, or is well
        at_fault = sum(violation.total for violation in violations)
        table.add_row(invariant.name, result, f"{at_fault:,}", invariant.sentence)
    return table


def _details(violation: Violation) -> RenderableType:
    where = "the organisation" if violation.sale is None else f"sale {violation.sale}"
    lines = Text.assemble(
        "\n", (f"{violation.invariant} in {where}: ", "bold red"), violation.sentence
    )
    for row in violation.rows:
        lines.append(f"\n  {_line(row)}")
    if (more := violation.total - len(violation.rows)) > 0:
        lines.append(f"\n  … and {more:,} more")
    return lines


def _reasons(not_checked: list[NotChecked]) -> list[Text]:
    return [
        Text.assemble(
            "\n",
            (f"{entry.invariant} was not checked", "bold yellow"),
            f" in {_count(len(entry.sales), 'sale')}" if entry.sales else "",
            f": {entry.reason}",
        )
        for entry in not_checked
    ]


def _verdict(report: Report) -> Text:
    sales = _count(report.sales, "sale")
    if report.clean:
        verdict = (f"Clean: {len(report.checked)} invariants hold in {sales}", "bold green")
    elif report.violations:
        broken = len({violation.invariant for violation in report.violations})
        verdict = (f"NOT clean: {_count(broken, 'invariant')} violated", "bold red")
    else:
        verdict = ("NOT clean: not everything could be checked", "bold yellow")
    return Text.assemble("\n", verdict, f" ({report.seconds:.1f} s)")


def _line(row: dict[str, Any]) -> str:
    line = ", ".join(f"{name}={_value(value)}" for name, value in row.items())
    return line if len(line) <= ROW_CHARACTERS_MAX else f"{line[:ROW_CHARACTERS_MAX]}…"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
