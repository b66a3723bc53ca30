"""Figures of two sides, run by run, and what they make together."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

MICRO = 1e6
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one workload, as both sides had it in each of the alternating runs."""

    workload: str
    figure: str
    unit: str
    base_each: tuple[float, ...]
    here_each: tuple[float, ...]

    @property
    def base(self) -> float:
        return median(self.base_each)

    @property
    def here(self) -> float:
        return median(self.here_each)

    @property
    def ratio(self) -> float | None:
        """Here to base, by medians; None where there is nothing to divide by."""
        return self.here / self.base if self.base else None

    @property
    def range(self) -> tuple[float, float] | None:
        """The least and the largest ratio of two runs that followed each other."""
        pairs = zip(self.here_each, self.base_each, strict=True)
        ratios = [here / base for here, base in pairs if base]
        return (min(ratios), max(ratios)) if ratios else None

    def told(self) -> dict[str, Any]:
        """The row for a file."""
        return {
            "workload": self.workload,
            "figure": self.figure,
            "unit": self.unit,
            "base": rounded(self.base),
            "here": rounded(self.here),
            "ratio": None if self.ratio is None else rounded(self.ratio),
            "range": None if self.range is None else [rounded(end) for end in self.range],
            "base_each": [rounded(value) for value in self.base_each],
            "here_each": [rounded(value) for value in self.here_each],
        }


Figures = dict[tuple[str, str], float]
"""What one run of one side found, by figure and unit."""


def rows(workload: str, base: Sequence[Figures], here: Sequence[Figures]) -> list[Row]:
    """Put the runs of both sides together; a figure that one of them has not is left out."""
    every = [*base, *here]
    names = [name for name in base[0] if all(name in run for run in every)]
    return [
        Row(
            workload,
            *name,
            tuple(run[name] for run in base),
            tuple(run[name] for run in here),
        )
        for name in names
    ]


def rounded(value: float) -> float:
    """To so many digits that count."""
    return float(f"{value:.{DIGITS}g}") if abs(value) < 10**DIGITS else round(value)


def show(console: Console, found: Sequence[Row], base: str) -> None:
    table = Table(title=f"This checkout against {base}, medians", title_justify="left")
    for column in ("workload", "figure", "unit"):
        table.add_column(column)
    for column in ("base", "here", "ratio", "range"):
        table.add_column(column, justify="right")
    last = None
    for row in found:
        shown = "" if row.workload == last else row.workload
        last = row.workload
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        ends = "-" if row.range is None else f"{row.range[0]:.2f} to {row.range[1]:.2f}"
        values = (
            f"{value:,.5g}" if value < 1_000 else f"{value:,.0f}" for value in (row.base, row.here)
        )
        table.add_row(shown, row.figure, row.unit, *values, ratio, ends)
    console.print(table)
