"""What was found: figures with their targets, as JSON, as a table, and as Markdown."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

TABLES_BEGIN = "<!-- tables: begin -->\n"
TABLES_END = "<!-- tables: end -->"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one run of the benchmark.

    Attributes:
        section: what it was found with: polls, nginx, disk, visits, gate, memory, draw or wait.
        value: the median of `each`, where there is more than one.
        at_least, at_most: the target, if there is one.
        beside: what it is compared with, measured in turns with it.
        note: what a reader has to know, in one line.
        details: what else was seen.
    """

    section: str
    name: str
    unit: str
    value: float
    each: list[float] = []
    at_least: float | None = None
    at_most: float | None = None
    beside: str | None = None
    beside_value: float | None = None
    beside_each: list[float] = []
    note: str = ""
    details: dict[str, Any] = {}

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f">= {shown(self.at_least)}"
        return "" if self.at_most is None else f"<= {shown(self.at_most)}"

    @property
    def is_met(self) -> bool | None:
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    @property
    def ratio(self) -> float | None:
        return self.value / self.beside_value if self.beside_value else None


class Report(msgspec.Struct, frozen=True):
    """One whole run of the benchmark."""

    settings: dict[str, Any]
    figures: list[Figure]


def of(each: Sequence[float], **named: Any) -> Figure:
    """The median of several runs, with those that it is compared with under `beside_each`."""
    beside = named.pop("beside_each", [])
    return Figure(
        value=median(each),
        each=[round(value, 4) for value in each],
        beside_value=median(beside) if beside else None,
        beside_each=[round(value, 4) for value in beside],
        **named,
    )


def write(path: Path, report: Report) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def read(path: Path) -> Report:
    return msgspec.json.decode(path.read_bytes(), type=Report)


def show(console: Console, figures: Sequence[Figure]) -> None:
    table = Table(title="The waiting room, medians", title_justify="left")
    for column in ("", "figure"):
        table.add_column(column)
    for column in ("measured", "target", "met", "beside it", "ratio", "runs"):
        table.add_column(column, justify="right")
    for figure in figures:
        table.add_row(figure.section, figure.name, *cells(figure))
    console.print(table)
    for figure in figures:
        if figure.note:
            console.print(f"  {figure.name}: {figure.note}")


def markdown(report: Report) -> str:
    """The tables of docs/reports/waiting-room.md: one a section, then the settings."""
    lines: list[str] = []
    for section in dict.fromkeys(figure.section for figure in report.figures):
        lines += [f"### {section}", "", *_markdown_table(report.figures, section), ""]
        noted = [f for f in report.figures if f.section == section and f.note]
        lines += [f"- {figure.name}: {figure.note}" for figure in noted]
        lines += [""] if noted else []
    lines += ["### settings", "", "| | |", "|---|---|"]
    for name, value in report.settings.items():
        told = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        lines.append(f"| {name} | {told} |")
    return "\n".join(lines) + "\n"


def put_into(page: Path, told: str) -> None:
    """Put tables into a page, in place of those that stand between its two marks."""
    before, begin, rest = page.read_text("utf-8").partition(TABLES_BEGIN)
    _, end, after = rest.partition(TABLES_END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for tables")
    page.write_text(f"{before}{begin}\n{told}{end}{after}", "utf-8")


def _markdown_table(figures: Sequence[Figure], section: str) -> list[str]:
    lines = [
        "| figure | measured | target | met | beside it | ratio | runs |",
        "|---|--:|--:|:-:|--:|--:|--:|",
    ]
    lines += [
        f"| {figure.name} | " + " | ".join(cells(figure)) + " |"
        for figure in figures
        if figure.section == section
    ]
    return lines


def cells(figure: Figure) -> list[str]:
    met = {None: "", True: "yes", False: "NO"}[figure.is_met]
    beside = figure.beside or ""
    if figure.beside_value is not None:
        beside = f"{beside}: {shown(figure.beside_value)}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    measured = f"{shown(figure.value)} {figure.unit}".strip()
    return [measured, figure.target, met, beside, ratio, str(len(figure.each) or 1)]


def shown(value: float) -> str:
    """Three digits that count, or all of a larger number's."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"
