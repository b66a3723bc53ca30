"""Curves over time as SVG: drawn by hand, coloured by the page's own style sheet."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

import msgspec

WIDTH, HEIGHT = 440, 200  # small enough for its letters to be read on a phone
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 26
POINTS_MAX = 320  # along a curve; more cannot be told apart
TICKS = 4

Points = Sequence[tuple[float, float]]


class Curve(msgspec.Struct, frozen=True):
    """One line. `tone` 1 to 5 is its colour, 0 a dashed bound."""

    name: str
    tone: int
    points: Points


def draw(title: str, curves: Sequence[Curve], span: tuple[float, float]) -> str:
    """One picture; `span` is the time it shows, the same for all of a page."""
    top = round_up(max((y for curve in curves for _, y in curve.points), default=1.0))
    parts = [
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{escape(title)}'>",
        *_grid(span, top),
    ]
    parts += [_line(curve, span, top) for curve in curves if curve.points]
    return "\n".join([*parts, "</svg>"])


def _grid(span: tuple[float, float], top: float) -> list[str]:
    parts = []
    for step in range(TICKS + 1):
        value = top * step / TICKS
        y = _y(value, top)
        parts.append(
            f"<path class='grid' d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}'/>"
            f"<text x='{LEFT - 6}' y='{y + 4:.1f}' text-anchor='end'>{value:,g}</text>"
        )
    for second in _marks(span):
        x = _x(second, span)
        line = f"<path class='zero' d='M{x:.1f} {TOP}V{HEIGHT - BOTTOM}'/>" if not second else ""
        parts.append(
            f"{line}<text x='{x:.1f}' y='{HEIGHT - 8}' text-anchor='middle'>{second:g}</text>"
        )
    return parts


def _marks(span: tuple[float, float]) -> list[float]:
    """Round seconds along the axis, zero among them."""
    step = round_up((span[1] - span[0]) / 7)
    return [step * n for n in range(ceil(span[0] / step), floor(span[1] / step) + 1)]


def _line(curve: Curve, span: tuple[float, float], top: float) -> str:
    every = max(1, ceil(len(curve.points) / POINTS_MAX))
    kept = [*curve.points[::every], curve.points[-1]]
    path = " ".join(f"{_x(x, span):.1f},{_y(y, top):.1f}" for x, y in kept)
    return f"<polyline class='tone{curve.tone}' points='{path}'/>"


def _x(second: float, span: tuple[float, float]) -> float:
    share = (second - span[0]) / max(1e-9, span[1] - span[0])
    return LEFT + (WIDTH - LEFT - RIGHT) * share


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def round_up(value: float) -> float:
    """The next round number, which divides by four without a long fraction."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** floor(log10(value))
    return next(power * part for part in (1, 2, 4, 5, 6, 8, 10) if power * part >= value * 0.999)


def rates(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """From a counter over time, its growth per second; a counter that falls began anew."""
    return [
        (later, max(0.0, high - low) / max(1e-3, later - earlier))
        for (earlier, low), (later, high) in pairwise(points)
    ]
