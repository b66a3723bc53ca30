"""What the live page shows: the story so far, as figures and pictures. Pure but for its memory.

Pictures are drawn here by the report's own hand, so that both look alike and the page's script has
nothing to do but to put them in their places.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from sunseo.rehearsal.driver import DriverProgress
from sunseo.rehearsal.observe.eta import Eta
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.report.chart import Curve, Points, draw

Phase = Literal["preparing", "playing", "judging", "done", "failed"]

CHARTS: dict[str, tuple[tuple[str, int], ...]] = {
    "arrivals": (("arrivals", 1),),
    "line": (("issued", 2), ("serving", 1)),
    "occupancy": (("capacity", 0), ("live", 1)),
    "stock": (("sold", 1), ("held", 3)),
    "requests": (("requests", 1),),
    "latency": (("join", 1), ("state", 2), ("enter", 3), ("hold", 4), ("order", 5)),
    "cores": (("server", 1), ("database", 3), ("crowd", 2)),
    "connections": (("connections", 1),),
}
"""The pictures and their curves, each with its tone."""

NONE = (0.0, 1.0)  # a span of time in which nothing was seen
KEPT_EVERY_S = 1.0  # of progress, which comes twice as often


class LiveFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a page is given each second."""

    phase: Phase
    at_s: float
    remaining_s: float | None
    bars: dict[str, tuple[int, int]]
    figures: dict[str, str]
    charts: dict[str, str]
    standing: str
    trouble: str


class LiveView:
    """
    Args:
        visitors: who will come.
        units: on sale; 0 where nothing can sell out.
        last_arrival_s: when the last visitor comes, after T0.
    """

    def __init__(self, visitors: int, units: int, last_arrival_s: float) -> None:
        self._visitors = visitors
        self._units = units
        self._last_arrival_s = last_arrival_s
        self._eta = Eta(visitors, units, last_arrival_s)
        self._told: list[DriverProgress] = []
        self._latest: DriverProgress | None = None
        self._samples: list[Sample] = []
        self.phase: Phase = "preparing"
        self.standing = ""
        self.trouble = ""

    def note_sample(self, sample: Sample) -> None:
        self._samples.append(sample)

    def note_progress(self, progress: DriverProgress) -> None:
        self.phase = "playing"
        self._latest = progress
        self._eta.note(progress.at_s, progress.gone, self._sold)
        if self._told and progress.at_s - self._told[-1].at_s < KEPT_EVERY_S:
            return
        self._told.append(progress)

    @property
    def _sold(self) -> int:
        return self._samples[-1].sold if self._samples else 0

    @property
    def remaining_s(self) -> float | None:
        return self._eta.remaining_s if self.phase == "playing" else None

    def figures(self) -> LiveFigures:
        told = self._latest
        sample = self._samples[-1] if self._samples else None
        at_s = told.at_s if told is not None else 0.0
        return LiveFigures(
            phase=self.phase,
            at_s=at_s,
            remaining_s=self.remaining_s,
            bars={
                "came": (told.arrived if told else 0, self._visitors),
                "gone": (told.gone if told else 0, self._visitors),
                "sold": (self._sold, self._units),
            },
            figures=_figures(told, sample),
            charts=self._charts(at_s),
            standing=self.standing,
            trouble=self.trouble,
        )

    def _charts(self, at_s: float) -> dict[str, str]:
        moments = [*(one.at_s for one in self._told), *(one.at_s for one in self._samples)]
        span = (min(0.0, *moments), max(self._last_arrival_s, at_s, *moments)) if moments else NONE
        return {
            name: draw(name, [Curve(c, tone, self._points(name, c)) for c, tone in curves], span)
            for name, curves in CHARTS.items()
        }

    def _points(self, chart: str, curve: str) -> Points:
        match chart:
            case "arrivals":
                return _growth([(one.at_s, one.arrived) for one in self._told])
            case "requests":
                return _growth([(one.at_s, one.requests) for one in self._told])
            case "latency":
                return [(one.at_s, one.p99_ms.get(curve, 0.0)) for one in self._told]
            case "cores":
                used = [(s.at_s, s.uses[curve].cores) for s in self._samples if curve in s.uses]
                return used[1:]  # the first look has nothing to count from
            case _:
                return [(s.at_s, float(getattr(s, curve) or 0)) for s in self._samples]


def _figures(told: DriverProgress | None, sample: Sample | None) -> dict[str, str]:
    figures: dict[str, str] = {}
    if told is not None:
        figures |= {
            "in_line": f"{told.in_line:,}",
            "inside": f"{told.inside:,}",
            "orders": f"{told.orders:,}",
            "requests": f"{told.requests:,}",
            "hold_p99": f"{told.p99_ms.get('hold', 0.0):,.0f} ms",
        }
    if sample is not None and sample.connections is not None:
        figures["connections"] = f"{sample.connections:,}"
    return figures


def _growth(counted: Sequence[tuple[float, int]]) -> Points:
    return [
        (later, (high - low) / max(1e-3, later - earlier))
        for (earlier, low), (later, high) in pairwise(counted)
    ]
