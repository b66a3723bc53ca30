"""The pictures of a simulation: line, occupancy, serving, waits. To SVG, HTML or PNG.

SVG and HTML need nothing, and load nothing from anywhere. PNG needs pixels: the extra
`sunseo[plot]` brings resvg (one wheel of 1.4 MB, no NumPy, no system library), which renders the
very same SVG; a plotting library would have been a second drawing of each picture.
"""

from collections.abc import Iterator
from html import escape
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sunseo.core.outputs import Output, OutputError, check_outputs
from sunseo.room.simulation.chart import Panel, SimulationCurve, draw_svg
from sunseo.room.simulation.figures import on_joining, quantile
from sunseo.room.simulation.record import SimulatedVisit, SimulationRecord
from sunseo.room.simulation.scenario import SimulationScenario

SUFFIXES = (".png", ".html", ".svg")
BLUE, GREEN, GREY, RED, AMBER = "#2563eb", "#15803d", "#94a3b8", "#dc2626", "#d97706"
PNG_ZOOM = 2  # so that it is sharp on today's screens


class PlotError(ValueError):
    """The picture cannot be written; the message is one line."""


def check_plot(path: Path) -> None:
    """Say before the simulation what would fail after it; raises `PlotError`."""
    try:
        check_outputs(Output("--plot", path, SUFFIXES))
    except OutputError as error:
        raise PlotError(str(error)) from None
    if path.suffix.lower() == ".png":
        _resvg()


def write_plot(path: Path, scenario: SimulationScenario, record: SimulationRecord) -> None:
    svg = plot_svg(scenario, record)
    if path.suffix.lower() == ".png":
        path.write_bytes(_png(svg))
    elif path.suffix.lower() == ".html":
        path.write_text(_page(svg, _title(scenario)), "utf-8")
    else:
        path.write_text(svg, "utf-8")


def plot_svg(scenario: SimulationScenario, record: SimulationRecord) -> str:
    return draw_svg(
        _title(scenario), [_line(record), _room(record), _numbers(record), _waits(record)]
    )


def _title(scenario: SimulationScenario) -> str:
    return (
        f"{scenario.visitors:,} visitors, capacity {scenario.room.capacity:,},"
        f" {1 - scenario.people.show_up:.0%} stay away (seed {scenario.seed})"
    )


def _line(record: SimulationRecord) -> Panel:
    line = [(m.at_s / 60, float(max(0, m.issued - m.serving))) for m in record.moments]
    return Panel("Line: numbers not yet called", [SimulationCurve("waiting", BLUE, line)])


def _room(record: SimulationRecord) -> Panel:
    inside = [(m.at_s / 60, float(m.live)) for m in record.moments]
    capacity = [(m.at_s / 60, float(m.capacity)) for m in record.moments]
    curves = [
        SimulationCurve("inside", GREEN, inside),
        SimulationCurve("C_eff", RED, capacity, dashed=True),
    ]
    return Panel("Occupancy: people inside", curves)


def _numbers(record: SimulationRecord) -> Panel:
    issued = [(m.at_s / 60, float(m.issued)) for m in record.moments]
    serving = [(m.at_s / 60, float(m.serving)) for m in record.moments]
    curves = [SimulationCurve("issued", GREY, issued), SimulationCurve("serving", BLUE, serving)]
    return Panel("Numbers given and called", curves)


def _waits(record: SimulationRecord) -> Panel:
    """By the minute of entering: how long they had waited, and what they were told at first."""
    waited = [(minute, _median(_waited(visits))) for minute, visits in _by_minute(record)]
    told = [(minute, _median(_told(record, visits))) for minute, visits in _by_minute(record)]
    curves = [
        SimulationCurve("waited", BLUE, [(m, w) for m, w in waited if w is not None]),
        SimulationCurve(
            "told when joining", AMBER, [(m, w) for m, w in told if w is not None], dashed=True
        ),
    ]
    return Panel("Waits in minutes, median, by minute of entering", curves)


def _by_minute(record: SimulationRecord) -> Iterator[tuple[float, list[SimulatedVisit]]]:
    minutes: dict[int, list[SimulatedVisit]] = {}
    for visit in record.visits:
        if visit.entered_s is not None:
            minutes.setdefault(int(visit.entered_s // 60), []).append(visit)
    for minute in sorted(minutes):
        yield minute + 0.5, minutes[minute]


def _waited(visits: list[SimulatedVisit]) -> list[float]:
    return [(visit.entered_s or 0.0) - visit.joined_s for visit in visits]


def _told(record: SimulationRecord, visits: list[SimulatedVisit]) -> list[float]:
    told = []
    for visit in visits:
        moment = on_joining(record, visit)
        if (
            moment is not None
            and moment.speed is not None
            and moment.at_s <= (visit.entered_s or 0)
        ):
            ahead = max(0, visit.number - moment.serving)
            told.append(ahead / moment.speed.v50 + max(0.0, moment.at_s - visit.joined_s))
    return told


def _median(seconds: list[float]) -> float | None:
    middle = quantile(sorted(seconds), 0.5)
    return None if middle is None else middle / 60


def _page(svg: str, title: str) -> str:
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title></head>\n"
        f"<body style='margin:2rem auto;max-width:60rem'>\n{svg}</body></html>\n"
    )


def _png(svg: str) -> bytes:
    return bytes(_resvg().svg_to_bytes(svg_string=svg, zoom=PNG_ZOOM))


def _resvg() -> ModuleType:
    try:
        return import_module("resvg_py")
    except ImportError as error:
        raise PlotError('PNG needs the extra: pip install "sunseo[plot]"; or use .html') from error
