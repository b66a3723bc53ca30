"""What a search for capacity shows while it runs, and what it says at the end."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sunseo.rehearsal.capacity.measured import Probe
from sunseo.rehearsal.capacity.result import CapacityResult, SearchTerms
from sunseo.rehearsal.capacity.texts import CATALOGUES
from sunseo.rehearsal.capacity.wording import (
    SHOWN,
    advice_row,
    binding,
    headline,
    law_row,
    lead,
    probe_row,
)
from sunseo.rehearsal.driver import DriverProgress

ENGLISH = CATALOGUES["en"]


def _say(key: str, **given: object) -> str:
    return ENGLISH[key].format(**given)


class Screen:
    """On a terminal the probe that runs is a line that changes; elsewhere only its end is told."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._probe_s = 1.0
        self._rate = 0.0
        self._bracket = ""
        self._number = 0

    def say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def begin(
        self, rate: float, terms: SearchTerms, held: float | None, failed: float | None
    ) -> None:
        self._number += 1
        self._rate, self._probe_s = rate, terms.probe_s
        low = "-" if held is None else f"{held:,.1f}"
        high = "-" if failed is None else f"{failed:,.1f}"
        self._bracket = f"holds {low}, fails {high}"

    def show(self, progress: DriverProgress) -> None:
        if not self._console.is_terminal:
            return
        done = min(1.0, max(0.0, progress.at_s / self._probe_s))
        bar = "━" * round(24 * done)
        line = (
            f"\r  {self._number:>2}  {self._rate:>8,.1f}/s  {bar:<24}  {self._bracket};"
            f" {progress.inside:,} inside, p99 of holds {progress.p99_ms.get('hold', 0):,.0f} ms "
        )
        self._console.file.write(line)
        self._console.file.flush()

    def end(self, probe: Probe) -> None:
        if self._console.is_terminal:
            self._console.file.write("\r\x1b[2K")
        _, ending = probe_row(probe, _say)
        self.say(
            f"  {self._number:>2}  {probe.rate:>8,.1f}/s  {probe.requests_per_s:>8,.0f} requests/s"
            f"  p99 of holds {probe.p99_ms.get('hold', 0):>6,.0f} ms  {ending}"
        )

    def conclude(self, capacity: CapacityResult, report: Path | None) -> None:
        """The end screen."""
        console = self._console
        console.print()
        style = "bold green" if capacity.found is not None else "bold red"
        console.print(Text(headline(capacity, _say), style=style))
        for sentence in lead(capacity, _say):
            self.say(sentence)
        if capacity.probes:
            self.say(f"{ENGLISH['binding']}: {binding(capacity, _say)}")
        console.print()
        console.print(_probes(capacity))
        if capacity.best is not None:
            console.print(_laws(capacity.best))
            console.print(_advice(capacity))
        if report is not None:
            self.say(f"Report: {report}")
        self.say(f"Again:  {capacity.command}")


def _probes(capacity: CapacityResult) -> Table:
    table = Table(title=f"{ENGLISH['probes']} (p99 in ms)", title_justify="left")
    for name in ("rate", "requests", "cores"):
        table.add_column(ENGLISH[f"probe.{name}"], justify="right")
    for name in SHOWN:
        table.add_column(name, justify="right")
    table.add_column("")
    for probe in sorted(capacity.probes, key=lambda one: one.rate):
        figures, _ = probe_row(probe, _say)
        table.add_row(*figures, _mark(probe))
    return table


def _mark(probe: Probe) -> Text:
    return Text("✓", style="green") if probe.held else Text("✗", style="bold red")


def _laws(best: Probe) -> Table:
    table = Table(title=ENGLISH["law"], title_justify="left")
    table.add_column(ENGLISH["law.station"])
    for name in ("rate", "wait", "product", "seen"):
        table.add_column(ENGLISH[f"law.{name}"], justify="right")
    for law in best.laws:
        table.add_row(*law_row(law, _say))
    return table


def _advice(capacity: CapacityResult) -> Table:
    table = Table(title=ENGLISH["advice"], title_justify="left")
    table.add_column(ENGLISH["advice.setting"])
    table.add_column(ENGLISH["advice.value"], justify="right")
    table.add_column(ENGLISH["advice.why"])
    for setting in capacity.advice:
        table.add_row(*advice_row(setting, _say))
    return table
