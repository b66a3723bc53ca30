"""Charts as SVG, by hand: lines over time, panels under each other. No library, no other host."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

import msgspec

WIDTH, PANEL, GAP = 880, 190, 56
LEFT, RIGHT, TOP = 70, 20, 64
POINTS_MAX = 240  # along a line; more cannot be told apart
INK, GRID = "#334155", "#e2e8f0"
FONT = "font-family='DejaVu Sans, Noto Sans, Arial, Liberation Sans, Helvetica, sans-serif'"


class SimulationCurve(msgspec.Struct, frozen=True):
    name: str
    colour: str
    points: Sequence[tuple[float, float]]  # minutes, value
    dashed: bool = False


class Panel(msgspec.Struct, frozen=True):
    title: str
    curves: Sequence[SimulationCurve]


def draw_svg(title: str, panels: Sequence[Panel]) -> str:
    """One picture: all panels share the axis of minutes."""
    height = TOP + len(panels) * (PANEL + GAP)
    minutes = _top(max((x for panel in panels for x in _xs(panel)), default=1.0))
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' {FONT}"
    parts = [
        f"{head} font-size='12' fill='{INK}' role='img'>",
        f"<title>{escape(title)}</title>",
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
        f"<text x='{LEFT}' y='26' font-size='16' font-weight='600'>{escape(title)}</text>",
    ]
    for index, panel in enumerate(panels):
        parts += _panel(panel, TOP + index * (PANEL + GAP), minutes)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, top: float, minutes: float) -> list[str]:
    values = [y for curve in panel.curves for _, y in curve.points]
    value_max = _top(max(values, default=1.0))
    parts = [f"<text x='{LEFT}' y='{top - 10}' font-weight='600'>{escape(panel.title)}</text>"]
    parts += _legend(panel.curves, top - 10)
    parts += _axes(top, minutes, value_max)
    for curve in panel.curves:
        if curve.points:
            parts.append(_line(curve, top, minutes, value_max))
    return parts


def _axes(top: float, minutes: float, value_max: float) -> list[str]:
    parts = []
    for step in range(5):
        y = top + PANEL * (1 - step / 4)
        parts.append(
            f"<path d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}' stroke='{GRID}'/>"
            f"<text x='{LEFT - 8}' y='{y + 4:.1f}' text-anchor='end'>"
            f"{value_max * step / 4:,g}</text>"
        )
    for step in range(6):
        x = LEFT + (WIDTH - LEFT - RIGHT) * step / 5
        label = f"{minutes * step / 5:g}{' min' if step == 5 else ''}"
        anchor = "end" if step == 5 else "middle"
        parts.append(
            f"<text x='{x:.1f}' y='{top + PANEL + 16}' text-anchor='{anchor}'>{label}</text>"
        )
    return parts


def _legend(curves: Sequence[SimulationCurve], y: float) -> list[str]:
    parts, x = [], float(WIDTH - RIGHT)
    for curve in reversed(curves):
        x -= 6.6 * len(curve.name)
        parts.append(f"<text x='{x:.0f}' y='{y}'>{escape(curve.name)}</text>")
        parts.append(
            f"<path d='M{x - 22:.0f} {y - 4}h16' stroke='{curve.colour}' stroke-width='2'"
            f"{_dash(curve)}/>"
        )
        x -= 36
    return parts


def _line(curve: SimulationCurve, top: float, minutes: float, value_max: float) -> str:
    wide = WIDTH - LEFT - RIGHT
    every = max(1, ceil(len(curve.points) / POINTS_MAX))
    points = [*curve.points[::every], curve.points[-1]]
    path = " ".join(
        f"{LEFT + wide * x / minutes:.1f},{top + PANEL * (1 - y / value_max):.1f}"
        for x, y in points
    )
    return (
        f"<polyline points='{path}' fill='none' stroke='{curve.colour}' stroke-width='1.6'"
        f"{_dash(curve)}/>"
    )


def _dash(curve: SimulationCurve) -> str:
    return " stroke-dasharray='5 4'" if curve.dashed else ""


def _xs(panel: Panel) -> list[float]:
    return [x for curve in panel.curves for x, _ in curve.points]


def _top(value: float) -> float:
    """The next round number upwards, which divides well by four and by five."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(power * part for part in (1, 2, 4, 5, 6, 8, 10) if power * part >= value)
