"""The figures of a simulation for a person at a terminal."""

from rich.console import Console
from rich.table import Table

from sunseo.room.simulation.figures import EtaError, SimulationFigures


def show_figures(figures: SimulationFigures, console: Console) -> None:
    table = Table(title="The room in figures", title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("figure", justify="right")
    for what, figure in _rows(figures):
        table.add_row(what, figure)
    console.print(table)


def _rows(figures: SimulationFigures) -> list[tuple[str, str]]:
    rows = [
        ("Visitors, and of them entered", f"{figures.visitors:,} / {figures.entered:,}"),
        ("All called after", _minutes(figures.line_empty_s)),
        ("Wait of those who entered: median / p90", _waits(figures)),
        ("Use of C_eff after two minutes", _percent(figures.utilisation)),
        ("Overshoot of C_eff on entering", f"{figures.overshoot:,}"),
        ("Came to a full door at least once", _percent(figures.turned_back_share)),
        ("From being called until inside: p90", f"{figures.door_wait_p90_s:.1f} s"),
        ("Polls a visitor: mean / most", f"{figures.polls_mean:g} / {figures.polls_max:,}"),
        ("Estimate off on joining: median / p90", _errors(figures.eta_joining)),
        ("Estimate off half way: median / p90", _errors(figures.eta_half_way)),
        ("Real wait inside the range told: joining / half way", _ranges(figures)),
        ("Below capacity for health", _minutes(figures.unhealthy_s)),
    ]
    if figures.gave_up:
        rows.append(("Went home uncalled", f"{figures.gave_up:,}"))
    if figures.full_again_s is not None:
        rows.append(("Full again after a pause, at the longest", f"{figures.full_again_s:.0f} s"))
    if figures.units_left is not None:
        rows += [
            ("Sold out after", _minutes(figures.sold_out_s)),
            ("Line told so after another", _seconds(figures.told_sold_out_after_s)),
            ("Entered and found nothing", f"{figures.entered_in_vain:,}"),
            ("Entered after the last unit went", f"{figures.entered_after_sold_out:,}"),
        ]
    return rows


def _waits(figures: SimulationFigures) -> str:
    return f"{figures.wait_median_s / 60:.1f} / {figures.wait_p90_s / 60:.1f} min"


def _errors(error: EtaError) -> str:
    return f"{_percent(error.median)} / {_percent(error.p90)}"


def _ranges(figures: SimulationFigures) -> str:
    joining, half_way = figures.eta_joining, figures.eta_half_way
    return f"{_percent(joining.inside_range)} / {_percent(half_way.inside_range)}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _minutes(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds / 60:.1f} min"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"
