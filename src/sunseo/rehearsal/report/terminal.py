"""What a rehearsal shows while it runs, and what it says at the end.

On a terminal one picture is redrawn; into a file or pipe goes a line every few seconds.
"""

import time
from pathlib import Path
from typing import Literal, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sunseo.rehearsal.driver import DriverProgress
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.readings import connections_max
from sunseo.rehearsal.report.compare import Comparison
from sunseo.rehearsal.report.findings import change_row, changed, slow_moments
from sunseo.rehearsal.report.live.view import LiveView
from sunseo.rehearsal.report.result import Options, Result
from sunseo.rehearsal.report.texts import CATALOGUES
from sunseo.rehearsal.verdict.judge import Check
from sunseo.rehearsal.verdict.waits import Waits

LINE_EVERY_S = 5.0
BAR_WIDTH = 40
MOMENTS_SHOWN = 3  # of the slowest; the report has more
ENGLISH = CATALOGUES["en"]
MARKS = {"held": ("✓", "green"), "broken": ("✗", "bold red"), "not_checked": ("?", "yellow")}


class Terminal:
    """
    Attributes:
        tick_s: how often to show.
        view: what is shown, also for the live page.
    """

    tick_s = 0.5

    def __init__(self, console: Console, options: Options) -> None:
        self.console = console
        self._options = options
        self._live: Live | None = None
        self._next_line = 0.0
        self._sample: Sample | None = None
        played = options.scenario
        self.view = LiveView(played.visitors, played.units, played.duration_s)

    def say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        options, played = self._options, self._options.scenario
        wanted = f" for {played.units:,} units" if played.units else ""
        inside = f", {played.capacity:,} inside at once" if played.capacity else ""
        self.say(
            f"{played.visitors:,} visitors{wanted}{inside}, seed {options.seed}."
            " Ctrl-C ends it with a partial report."
        )
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def note_sample(self, sample: Sample) -> None:
        self._sample = sample
        self.view.note_sample(sample)

    def show(self, progress: DriverProgress | None) -> None:
        if progress is None:
            return
        self.view.note_progress(progress)
        if self._live is not None:
            self._live.update(self._picture(progress), refresh=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_EVERY_S
            self.say(_line(progress, self._sample) + _remaining(self.view.remaining_s, "; "))

    def _picture(self, progress: DriverProgress) -> RenderableType:
        played, sample = self._options.scenario, self._sample
        bars = Table.grid(padding=(0, 2))
        sold = sample.sold if sample is not None else 0
        for name, done, total in (
            ("came", progress.arrived, played.visitors),
            ("gone home", progress.gone, played.visitors),
            ("sold", sold, played.units),
        ):
            bar = ProgressBar(total=total, completed=done, width=BAR_WIDTH)
            bars.add_row(name, bar, Text(f"{done:,} of {total:,}", justify="right"))
        remaining = Text(_remaining(self.view.remaining_s), style="dim")
        return Group("", bars, remaining, "", _figures(progress, sample), "")

    def conclude(self, result: Result, report: Path | None) -> None:
        """The end screen."""
        console = self.console
        console.print()
        console.print(_summary(result))
        console.print()
        console.print(_checks(result))
        if result.slos:
            console.print(_slos(result))
        console.print()
        for moment in slow_moments(result, _say)[:MOMENTS_SHOWN]:
            console.print(f"Slow: {moment['when']}. {moment['causes'][0]}", highlight=False)
        if result.comparison is not None:
            console.print()
            console.print(_comparison(result.comparison))
        for incident in result.incidents:
            self.say(incident.line)
        console.print()
        console.print(_verdict(result))
        if report is not None:
            self.say(f"Report: {report}")
        self.say(f"Again:  {result.options.command}")


def _figures(progress: DriverProgress, sample: Sample | None) -> RenderableType:
    table = Table.grid(padding=(0, 3))
    table.add_row(
        f"T{progress.at_s:+.0f} s",
        f"{progress.in_line:,} in line",
        f"{progress.inside:,} inside",
        f"{progress.orders:,} orders",
        f"{progress.requests:,} requests",
    )
    waits = "  ".join(f"{name} {value:,.0f}" for name, value in progress.p99_ms.items() if value)
    parts = [f"p99 ms: {waits}" if waits else ""]
    if sample is not None:
        parts.append(f"serving {sample.serving:,} of {sample.issued:,}")
        if sample.connections is not None:
            parts.append(f"{sample.connections} database connections")
        parts.append(
            "cores: " + ", ".join(f"{name} {use.cores:.2f}" for name, use in sample.uses.items())
        )
    return Group(table, Text("   ".join(filter(None, parts)), style="dim"))


def _remaining(seconds: float | None, before: str = "") -> str:
    return "" if seconds is None else f"{before}about {seconds:,.0f} s to go"


def _line(progress: DriverProgress, sample: Sample | None) -> str:
    seen = "" if sample is None else f"; {sample.sold:,} sold, serving {sample.serving:,}"
    return (
        f"T{progress.at_s:+.0f} s  {progress.arrived:,} came, {progress.in_line:,} in line,"
        f" {progress.inside:,} inside, {progress.orders:,} orders, {progress.gone:,} gone"
        f"{seen}; {progress.requests:,} requests"
    )


def _summary(result: Result) -> RenderableType:
    table = Table(show_header=False, title="The rehearsal in figures", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for what, figure in _rows(result):
        table.add_row(what, figure)
    return table


def _rows(result: Result) -> list[tuple[str, str]]:
    funnel = result.funnel
    rows = [
        (
            "Visitors; in line; entered" if "entered" in funnel else "Visitors; held something",
            "; ".join(
                f"{funnel[name]:,}"
                for name in ("came", "in_line", "entered" if "entered" in funnel else "held")
                if name in funnel
            ),
        ),
        *_sold(result),
        (
            "Requests (a second; busiest second)",
            (
                f"{result.requests:,}"
                f" ({result.requests_per_s:,.0f}; {result.requests_per_s_busiest:,})"
            ),
        ),
        ("Sent again after 429, 503 or silence", f"{result.retries:,}"),
        ("Answers lost on purpose", f"{result.lost_answers:,}"),
    ]
    for name in ("join", "state", "enter", "look", "hold", "order", "page"):
        latency = result.latencies.get(name)
        if latency is not None:
            rows.append((f"{name}: p50 / p99", f"{latency.p50:,.0f} / {latency.p99:,.0f} ms"))
    rows += _waited(result.waits)
    if result.fairness is not None and result.fairness.pairs:
        rows.append(("Kendall's tau of entering", f"{result.fairness.tau:.3f}"))
    if (connections := connections_max(result.samples)) is not None:
        rows.append(("Connections to PostgreSQL, at most", f"{connections}"))
    rows.append(
        (
            "Driver late: p50 / p99",
            f"{result.driving.late_p50_ms:,.0f} / {result.driving.late_p99_ms:,.0f} ms",
        )
    )
    return rows


def _waited(waits: Waits | None) -> list[tuple[str, str]]:
    if waits is None:
        return []
    rows = [
        (
            "Waited in line: median / nine in ten / longest",
            f"{waits.p50:,.0f} / {waits.p90:,.0f} / {waits.longest:,.0f} s",
        )
    ]
    if waits.told:
        rows += [
            (
                "Told to wait: median / nine in ten",
                f"{waits.told_p50:,.0f} / {waits.told_p90:,.0f} s",
            ),
            (
                "… and from then on waited; longer than told at worst",
                (
                    f"{waits.real_p50:,.0f} / {waits.real_p90:,.0f} s;"
                    f" {waits.longer:,} of {waits.told:,}"
                ),
            ),
        ]
    return rows


def _sold(result: Result) -> list[tuple[str, str]]:
    units = result.options.scenario.units
    if not units:
        return []
    return [
        ("Sold, of all", f"{result.sold:,} of {units:,}"),
        ("Orders (found by asking again)", f"{result.orders:,} ({result.orders_found:,})"),
        ("Nine tenths sold; sold out", f"{_s(result.nine_tenths_s)}; {_s(result.sold_out_s)}"),
    ]


def _s(seconds: float | None) -> str:
    return "never" if seconds is None else f"T+{seconds:,.0f} s"


def _checks(result: Result) -> RenderableType:
    table = Table(show_header=False, box=None, padding=(0, 1))
    for check in result.checks:
        mark, style = MARKS[check.standing]
        table.add_row(Text(mark, style=style), ENGLISH[f"check.{check.name}"], _count(check))
        for example in check.examples:
            facts = ", ".join(f"{name} {value}" for name, value in example.items())
            table.add_row("", Text(facts, style="red"), "")
    return table


def _slos(result: Result) -> RenderableType:
    table = Table(show_header=False, box=None, padding=(0, 1))
    for kept in result.slos:
        mark, style = MARKS[kept.standing]
        table.add_row(
            Text(mark, style=style), Text(kept.slo), Text(kept.measured or "not measured")
        )
    return table


def _count(check: Check) -> Text:
    if check.standing == "not_checked":
        return Text("not checked", style="yellow")
    if check.faults:
        return Text(f"{check.faults:,} faults", style="bold red")
    return Text(f"{check.looked_at:,}", style="dim", justify="right")


def _say(key: str, **given: object) -> str:
    return ENGLISH[key].format(**given)


def _comparison(comparison: Comparison) -> RenderableType:
    kind = "same" if comparison.is_same_rehearsal else "other"
    said = _say(f"comparison.{kind}", started=comparison.earlier_started_at)
    others = [
        Text(f"  {one.name}: {one.earlier}, now {one.now}", style="yellow")
        for one in (*comparison.settings, *comparison.surroundings)
    ]
    table = Table(box=None, padding=(0, 2))
    for name in ("figure", "earlier", "now", "turn"):
        justify: Literal["left", "right"] = "left" if name == "figure" else "right"
        table.add_column(ENGLISH[f"comparison.{name}"], justify=justify)
    styles = {"better": "green", "worse": "bold red", "other": ""}
    for change in changed(comparison):
        row = change_row(change, _say)
        verdict = Text(row["verdict"], style=styles[row["turn"]])
        table.add_row(row["name"], row["earlier"], row["now"], verdict)
    same = Text(_say("comparison.same_figures", count=comparison.count("same")), style="dim")
    return Group(Text(said), *others, "", table, same)


def _verdict(result: Result) -> Text:
    style = {
        "held": "bold green",
        "partly": "bold yellow",
        "broken": "bold red",
        "incomplete": "bold yellow",
    }
    return Text(ENGLISH[f"verdict.{result.standing}"], style=style[result.standing])
