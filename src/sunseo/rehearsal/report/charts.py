"""The pictures of a report: which there are, and what their curves are made of."""

from collections.abc import Callable, Iterator
from typing import Any

from sunseo.rehearsal.observe.readings import readings_of
from sunseo.rehearsal.report.chart import Curve, Points, draw, rates
from sunseo.rehearsal.report.result import Result

NamedChart = tuple[str, list[Curve]]
"""The name of a picture, and what is in it."""

LATENCIES = (("join", 1), ("state", 2), ("enter", 3), ("hold", 4), ("order", 5), ("page", 4))
GROUPS = (("server", 1), ("database", 3), ("crowd", 2))


def charts_of(result: Result, text: Callable[[str], str]) -> list[dict[str, Any]]:
    """Every picture that has something to show."""
    span = _span(result)
    return [
        {
            "title": text(f"chart.{name}"),
            "legend": [(text(f"curve.{curve.name}"), curve.tone) for curve in curves],
            "svg": draw(text(f"chart.{name}"), curves, span),
        }
        for name, drawn in _drawn(result)
        if (curves := [curve for curve in drawn if any(y for _, y in curve.points)])
    ]


def _drawn(result: Result) -> Iterator[NamedChart]:
    def seen(name: str, tone: int) -> Curve:
        points = [(s.at_s, float(getattr(s, name) or 0)) for s in result.samples]
        return Curve(name, tone, points)

    arrivals = [(second + 0.5, float(count)) for second, count in result.arrivals]
    yield "arrivals", [Curve("arrivals", 1, arrivals)]
    yield "line", [seen("issued", 2), seen("serving", 1)]
    yield "occupancy", [seen("capacity", 0), seen("live", 1)]
    yield "stock", [seen("sold", 1), seen("held", 3)]
    yield "requests", [Curve("requests", 1, _requests(result)), _polls(result)]
    yield "latency", [_waited(result, name, tone, "p99") for name, tone in LATENCIES]
    yield "median", [_waited(result, name, tone, "p50") for name, tone in LATENCIES]
    yield "lanes", _lanes(result)
    yield "cores", [_used(result, name, tone) for name, tone in GROUPS]
    yield "connections", [seen("connections", 1)]


def _span(result: Result) -> tuple[float, float]:
    moments = [sample.at_s for sample in result.samples]
    moments += [float(second) for second, _ in result.arrivals]
    return min(moments, default=0.0), max(moments, default=1.0)


def _waited(result: Result, operation: str, tone: int, quantile: str) -> Curve:
    moments = result.moments.get(operation, [])
    return Curve(operation, tone, [(one.at_s + 0.5, getattr(one, quantile)) for one in moments])


def _used(result: Result, group: str, tone: int) -> Curve:
    """The first look has nothing to count from."""
    used = [(s.at_s, s.uses[group].cores) for s in result.samples[1:] if group in s.uses]
    return Curve(group, tone, used)


def _polls(result: Result) -> Curve:
    polls = [(s.at_s, s.metrics["polls"]) for s in result.samples if "polls" in s.metrics]
    return Curve("polls", 2, rates(polls))


def _lanes(result: Result) -> list[Curve]:
    readings = readings_of(result.samples)
    return [
        Curve("lane_wait", 1, [(one.to_s, one.lane_wait_ms) for one in readings]),
        Curve("flush", 3, [(one.to_s, one.flush_ms) for one in readings]),
    ]


def _requests(result: Result) -> Points:
    seconds: dict[int, int] = {}
    for moments in result.moments.values():
        for moment in moments:
            seconds[moment.at_s] = seconds.get(moment.at_s, 0) + moment.count
    return [(second + 0.5, float(count)) for second, count in sorted(seconds.items())]
