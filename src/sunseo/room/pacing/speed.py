"""How fast the line moves, and how long a visitor will therefore wait.

A full room admits as many as leave it. So the speed is not read off `serving`, which jumps while
a room fills and stands still while it drains, but estimated from what it is made of:

    people leaving per second and person inside  x  C_eff  /  show-up rate

The first factor is departures over person-seconds (Little's law read backwards), from as many of
the latest windows as hold `ENOUGH` departures: a large room looks back a minute, a small one up to
ten. v10 and v90 are the same with the tenth and the ninetieth percentile of the windows' factors,
so that a service which lately swung has a wide range, and one that slows down falls out of it
downwards first.
"""

from math import ceil, isfinite, sqrt

import msgspec

WINDOW_S = 30.0
WINDOWS_MAX = 20  # ten minutes
ENOUGH = 400.0  # departures: a standard error of 5 %
WARM_UP = 0.25  # of the room must have been replaced before windows are kept for comparison
FIRST_WORD = 0.5  # of the room, likewise, before anything is said: until then nobody can know
FIRST = 20.0  # departures, likewise: an error of 22 %
YOUNG = 0.4  # of the middle is added to both ends at first: the quick have left, the slow have not
YOUNG_UNTIL = 2.0  # turnovers: less and less up to here
TURNOVER_MAX = 10.0
TREND_MAX = 2.0  # a change is not carried on beyond double or half
CERTAIN = 1.2816  # standard errors on each side that hold eight of ten


class Speed(msgspec.Struct, frozen=True):
    """Numbers admitted per second: the slow end, the middle and the fast end of the estimate."""

    v10: float
    v50: float
    v90: float


class DepartureWindow(msgspec.Struct, frozen=True, array_like=True):
    departed: float
    stayed_s: float  # person-seconds
    span_s: float


class Leaving(msgspec.Struct, frozen=True):
    """How people left, in windows of half a minute; the last one is still being filled."""

    windows: tuple[DepartureWindow, ...] = ()
    turnover: float = 0.0  # how many times the whole room has been replaced, up to ten


def observe(leaving: Leaving, departed: int, live: int, elapsed_s: float) -> Leaving:
    """Add a tick: so many left, while so many were inside.

    A long time in which nobody was is as many windows as if it had been seen in single ticks.
    """
    while departed == live == 0 and elapsed_s > (unfilled_s := _unfilled_s(leaving)):
        leaving = _observed(leaving, 0, 0, unfilled_s)
        elapsed_s -= unfilled_s
    return _observed(leaving, departed, live, elapsed_s)


def _unfilled_s(leaving: Leaving) -> float:
    """How much of the window to which the next moment belongs is still to come."""
    span_s = leaving.windows[-1].span_s if leaving.windows else 0.0
    return WINDOW_S - span_s if span_s < WINDOW_S else WINDOW_S


def _observed(leaving: Leaving, departed: int, live: int, elapsed_s: float) -> Leaving:
    last = leaving.windows[-1] if leaving.windows else DepartureWindow(0.0, 0.0, 0.0)
    full = last.span_s >= WINDOW_S
    kept = leaving.windows if full else leaving.windows[:-1]
    if full:
        last = DepartureWindow(0.0, 0.0, 0.0)
    inside = live + departed / 2  # those who left stayed for half of the tick
    grown = DepartureWindow(
        last.departed + departed,
        round(last.stayed_s + inside * elapsed_s, 3),
        round(last.span_s + elapsed_s, 3),
    )
    turnover = leaving.turnover + departed / max(1.0, inside)
    keep = WINDOWS_MAX if turnover >= WARM_UP else 2
    return Leaving((*kept, grown)[-keep:], round(min(TURNOVER_MAX, turnover), 6))


def estimate(leaving: Leaving, capacity: int, show_up: float, rate_max: float) -> Speed | None:
    """The speed of a full room, or none while too few have left to say."""
    recent = _recent(leaving)
    if leaving.turnover < FIRST_WORD or recent.departed < FIRST or recent.stayed_s <= 0.0:
        return None
    if capacity <= 0 or show_up <= 0.0:
        return None
    middle = recent.departed / recent.stayed_s
    slow, fast = _range(leaving, recent)

    def numbers_per_s(factor: float) -> float:
        return round(min(rate_max, factor * capacity) / show_up, 4)

    v50 = numbers_per_s(middle)
    return Speed(min(v50, numbers_per_s(slow)), v50, max(v50, numbers_per_s(fast)))


def eta(number: int, serving: int, speed: Speed | None) -> tuple[float, float] | None:
    """Seconds from now, from and to, in which the number is called; none: cannot be said."""
    ahead = max(0, number - serving)
    if ahead == 0:
        return 0.0, 0.0
    if speed is None or not speed.v10 > 0.0 or not isfinite(speed.v90):
        return None
    return ahead / speed.v90, ahead / speed.v10


def with_trend(speed: Speed, usual_v: float) -> Speed:
    """Widen the range by what would follow if the latest change went on for as long again.

    Only the range: to move the middle as well made the estimate worse wherever nothing changed,
    and hardly better where something did.
    """
    if usual_v <= 0.0:
        return speed
    change = min(TREND_MAX, max(1 / TREND_MAX, speed.v50 / usual_v))
    slow, fast = speed.v10 * min(1.0, change), speed.v90 * max(1.0, change)
    return Speed(round(slow, 4), speed.v50, round(fast, 4))


def _recent(leaving: Leaving) -> DepartureWindow:
    """The latest windows, together, back to where they hold enough."""
    departed = stayed_s = span_s = 0.0
    for window in reversed(leaving.windows):
        departed += window.departed
        stayed_s += window.stayed_s
        span_s += window.span_s
        if departed >= ENOUGH:
            break
    return DepartureWindow(departed, stayed_s, span_s)


def _range(leaving: Leaving, recent: DepartureWindow) -> tuple[float, float]:
    """Factors at the tenth and ninetieth percentile; never narrower than chance makes them."""
    middle = recent.departed / recent.stayed_s
    error = CERTAIN * middle / sqrt(recent.departed)
    error += YOUNG * middle * max(0.0, 1.0 - leaving.turnover / YOUNG_UNTIL)
    slow, fast = max(0.1 * middle, middle - error), middle + error
    factors = sorted(w.departed / w.stayed_s for w in leaving.windows if w.stayed_s > 0.0)
    if len(factors) >= 4:
        slow = min(slow, max(0.1 * middle, factors[len(factors) // 10]))
        fast = max(fast, factors[ceil(0.9 * len(factors)) - 1])
    return slow, fast
