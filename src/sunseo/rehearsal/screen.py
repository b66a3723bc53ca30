"""What the person at the terminal sees: progress while it runs, then verdict and figures."""

from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sunseo.invariants.screen import render as render_report
from sunseo.rehearsal.driver import Window
from sunseo.rehearsal.figures import Figures, Latency, Operation
from sunseo.rehearsal.result import Result

LINE_EVERY_S = 2.0  # where there is no terminal to draw on
LATEST = 2_000  # answers that the latency on display is taken from
BAR_WIDTH = 40


class ProgressScreen:
    """Draws on a terminal; elsewhere it prints a line now and then; or nothing at all."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._live: Live | None = None
        self._next_line_s = 0.0

    def say(self, line: str) -> None:
        if not self._quiet:
            self._console.print(
                line, highlight=False, markup=False, soft_wrap=not self._console.is_terminal
            )

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, window: Window, figures: Figures, elapsed_s: float) -> None:
        if self._live is not None:
            self._live.update(_display(window, figures, elapsed_s), refresh=True)
        elif elapsed_s >= self._next_line_s:
            self._next_line_s = elapsed_s + LINE_EVERY_S
            self.say(_line(window, figures, elapsed_s))


def _display(window: Window, figures: Figures, elapsed_s: float) -> RenderableType:
    bars = Table.grid(padding=(0, 2))
    for shelf in window.shelves:
        done = shelf.sold == shelf.capacity
        bars.add_row(
            shelf.name,
            ProgressBar(total=shelf.capacity, completed=shelf.sold, width=BAR_WIDTH),
            Text(f"{shelf.sold:,} of {shelf.capacity:,} sold", justify="right"),
            Text("sold out", style="bold green") if done else Text(f"{shelf.held:,} held"),
        )
    return Group("", bars, "", _numbers(figures, elapsed_s), "", _moment(window))


def _numbers(figures: Figures, elapsed_s: float) -> RenderableType:
    hold = figures.latency(Operation.HOLD, LATEST)
    numbers = Table.grid(padding=(0, 3))
    numbers.add_row(
        f"{elapsed_s:5.1f} s",
        f"{figures.buyers:,} buyers",
        f"{recent_holds(figures, elapsed_s):,} hold requests/s",
        f"p50 {hold.p50:,.0f} ms  p99 {hold.p99:,.0f} ms",
    )
    numbers.add_row(
        "",
        f"{len(figures.orders):,} orders",
        f"{figures.count(Operation.HOLD, 'seat_taken'):,} times “seat taken”",
        f"{figures.replays:,} replays",
    )
    return numbers


def _moment(window: Window) -> Text:
    """What is going on, where the bars alone would look stuck."""
    view = window.view
    if view.free or not view.held:
        return Text("")
    return Text(
        f"All is taken. {view.held:,} units were left behind by people who went away;"
        " they are for sale again when those holds expire.",
        style="dim",
    )


def _line(window: Window, figures: Figures, elapsed_s: float) -> str:
    view = window.view
    return (
        f"{elapsed_s:5.1f} s  {view.sold:,} sold, {view.held:,} held, {view.free:,} free;"
        f" {figures.buyers:,} buyers, {recent_holds(figures, elapsed_s):,} hold requests/s,"
        f" {figures.count(Operation.HOLD, 'seat_taken'):,} seat taken,"
        f" p99 {figures.latency(Operation.HOLD, LATEST).p99:,.0f} ms"
    )


def recent_holds(figures: Figures, elapsed_s: float) -> int:
    """Hold requests answered in the last whole second."""
    return figures.holds_by_second[max(0, int(elapsed_s) - 1)]


def show_result(result: Result, console: Console) -> None:
    console.print()
    console.print(_figures(result))
    console.print()
    if not result.verify.clean:
        console.print(render_report(result.verify))
        console.print()
    console.print(_verdict(result))


def _figures(result: Result) -> Table:
    table = Table(title="The sale in figures", title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("figure", justify="right")
    for what, figure in _rows(result):
        table.add_row(what, figure)
    return table


def _rows(result: Result) -> list[tuple[str, str]]:
    return [
        ("Units sold, of all", f"{result.sold:,} of {result.capacity:,}"),
        ("Nine tenths sold after", _seconds(result.nine_tenths_s)),
        ("All sold after", _seconds(result.sell_out_s)),
        ("Buyers (at once)", f"{result.buyers:,} ({result.visitors:,})"),
        ("Requests (a second)", f"{result.requests:,} ({result.requests_per_s:,.0f})"),
        ("Looks at availability", f"{result.looks:,}"),
        (
            "Hold requests (in the busiest second)",
            f"{result.hold_requests:,} ({result.hold_requests_per_s_busiest:,})",
        ),
        ("Holds placed", f"{result.holds_placed:,}"),
        ("Refused: seat taken", f"{result.seat_taken:,}"),
        ("Refused: standing sold out", f"{result.stock_sold_out:,}"),
        ("Refused: over a limit", f"{result.limit_reached:,}"),
        ("Told to come later", f"{result.told_to_come_later:,}"),
        ("Answers lost on the way, asked again", f"{result.answers_lost:,}"),
        ("Replays of what was done before", f"{result.replays:,}"),
        ("Holds released", f"{result.released:,}"),
        ("Orders confirmed to buyers", f"{result.orders_told:,}"),
        ("Orders in the database", f"{result.orders_stored:,}"),
        ("Hold: p50 / p99", _latency(result.hold_latency)),
        ("Order: p50 / p99", _latency(result.order_latency)),
        ("Connections to PostgreSQL, at most", f"{result.database_connections_max:,}"),
    ]


def _seconds(seconds: float | None) -> str:
    return f"{seconds:,.1f} s" if seconds is not None else "never"


def _latency(latency: Latency) -> str:
    return f"{latency.p50:,.0f} / {latency.p99:,.0f} ms"


def _verdict(result: Result) -> Text:
    if result.is_good:
        verify = result.verify
        return Text(
            f"Sold out: {result.sold:,} units in {result.orders_told:,} orders, no unit twice.\n"
            "Every order that a buyer was told of is in the database.\n"
            f"sunseo verify: clean, {len(verify.checked)} invariants hold"
            f" ({verify.seconds:.1f} s).",
            style="bold green",
        )
    faults = []
    if not result.sold_out:
        faults.append(f"{result.sold:,} of {result.capacity:,} units were sold")
    if result.orders_missing:
        faults.append(f"{result.orders_missing:,} orders are not stored as buyers were told")
    if not result.verify.clean:
        faults.append("invariants do not hold, or could not be checked")
    return Text(f"Not as it must be: {'; '.join(faults)}.", style="bold red")
