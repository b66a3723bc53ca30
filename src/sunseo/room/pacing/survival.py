"""When do people who were let in really come? Estimated from everyone who was let in lately.

A number that is released either enters after some delay or never does. Cohorts that were released
a moment ago have not yet shown all they will, but they have shown something: nobody older than
their age can say better how many come *early*. The estimate is Kaplan and Meier's (1958), with
ages grouped: for each age, of those still missing at that age, which share entered during it. A
cohort that is half through an age counts there for half of its people (the life table's rule), so
the young are in it as censored from their first second on.

An age that few have seen leans on the age before it, with the weight of `LEAN` people; where
pages may not even have polled yet, and fewer than `ENOUGH` people have shown what they do, it leans
on everybody's coming. A new room therefore releases too few rather than too many: whoever is
called in vain stands at a full door.

What was seen is forgotten by time, and by people: of those seen before, no more count than the
caller says. When a line has gone home, so many of its numbers called in vain are enough to know
it, however many came before (docs/adr/0011).
"""

from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property, lru_cache
from itertools import pairwise
from math import exp, log

import msgspec

FINE_S = 8  # ages up to here are grouped by the second: most enter at a poll of 2 to 2.6 s
WIDENING = 1.2  # later groups are so much wider each, since less happens in them
AGES_MAX = 64  # groups; the last one ends after more than two days
LEAN = 4.0  # people: what the age before weighs in the estimate of an age
ENOUGH = 10.0  # people who have reached an age, to believe what they did
PATIENCE_S = 20.0  # by then each page has polled: 15 s x 1.3 while the wait is not known
FIRST_GUESS_PER_S = 0.2  # of the missing enter each second until then, unless seen otherwise
HALF_LIFE_S = 600.0  # what was seen ten minutes ago weighs half


def _edges() -> tuple[float, ...]:
    edges = [float(second) for second in range(FINE_S + 1)]
    while len(edges) <= AGES_MAX:
        edges.append(round(edges[-1] * WIDENING, 1))
    return tuple(edges)


EDGES = _edges()
"""Where the groups of ages begin, in seconds since release; the grid is the same for every room."""


def age_group(age_s: float) -> int:
    return min(AGES_MAX - 1, max(0, bisect_right(EDGES, age_s) - 1))


class Survival(msgspec.Struct, frozen=True):
    """What was seen, by group of age: people at risk of entering, and those who did."""

    at_risk: tuple[float, ...] = ()
    entered: tuple[float, ...] = ()


class SurvivalTally:
    """A `Survival` while it is being written: what is old fades, then there is more.

    Args:
        people_max: of those seen before, so many still count at each age.
    """

    def __init__(
        self, seen: Survival, horizon_s: float, elapsed_s: float, people_max: float
    ) -> None:
        self._ages = age_group(horizon_s) + 1
        faded = 0.5 ** (elapsed_s / HALF_LIFE_S)
        keep = [min(faded, people_max / max(1.0, at_risk)) for at_risk in seen.at_risk]
        self.at_risk = self._resized(seen.at_risk, keep)
        self.entered = self._resized(seen.entered, keep)

    def _resized(self, values: Iterable[float], keep: Iterable[float]) -> list[float]:
        kept = [value * share for value, share in zip(values, keep, strict=False)][: self._ages]
        return kept + [0.0] * (self._ages - len(kept))

    def stayed(self, people: int, from_age_s: float, to_age_s: float) -> None:
        """So many were missing at the first age and still are at the second."""
        if people > 0:
            self._expose(people, from_age_s, to_age_s)

    def came(self, from_age_s: float, age_s: float) -> None:
        """One was missing at the first age and entered at the second.

        Such a person counts as at risk up to the end of the group, as all who began it do.
        """
        group = age_group(age_s)
        if group < self._ages:
            self._expose(1, from_age_s, EDGES[group + 1])
            self.entered[group] += 1

    def _expose(self, people: int, from_age_s: float, to_age_s: float) -> None:
        for group in range(age_group(from_age_s), self._ages):
            begin, end = EDGES[group], EDGES[group + 1]
            if begin >= to_age_s:
                break
            seen_s = min(end, to_age_s) - max(begin, from_age_s)
            self.at_risk[group] += people * max(0.0, seen_s) / (end - begin)

    @property
    def survival(self) -> Survival:
        return Survival(_rounded(self.at_risk), _rounded(self.entered))


class ComingCurve:
    """The estimate: which share is still missing at each age, and what follows from that."""

    def __init__(self, seen: Survival, horizon_s: float) -> None:
        self.horizon_s = horizon_s
        self.missing = list(_missing(seen, horizon_s))

    @property
    def show_up(self) -> float:
        """The share of those released who enter before the horizon."""
        return 1.0 - self.missing[-1]

    def chance(self, age_s: float) -> float:
        """That one who has not entered at this age still will, before the horizon."""
        if age_s >= self.horizon_s:
            return 0.0
        missing = self._missing_at(age_s)
        return 1.0 - self.missing[-1] / missing if missing > 0.0 else 0.0

    @cached_property
    def delay_s(self) -> float:
        """The mean age at which those enter who do."""
        if self.show_up <= 0.0:
            return 0.0
        waited = sum(
            ((before + after) / 2 - self.missing[-1]) * (EDGES[group + 1] - EDGES[group])
            for group, (before, after) in enumerate(pairwise(self.missing))
        )
        return waited / self.show_up

    def _missing_at(self, age_s: float) -> float:
        group = min(age_group(age_s), len(self.missing) - 2)
        begin, end = EDGES[group], EDGES[group + 1]
        part = min(1.0, max(0.0, (age_s - begin) / (end - begin)))
        return self.missing[group] * (1 - part) + self.missing[group + 1] * part


@lru_cache(maxsize=64)
def coming_curve(seen: Survival, horizon_s: float) -> ComingCurve:
    """The curve of what was seen: the same one in all rooms to which nobody has come yet."""
    return ComingCurve(seen, horizon_s)


def _missing(seen: Survival, horizon_s: float) -> Iterable[float]:
    """The product-limit estimate at each edge, from 1 downwards."""
    missing, rate = 1.0, FIRST_GUESS_PER_S
    yield missing
    for group in range(age_group(horizon_s) + 1):
        width = EDGES[group + 1] - EDGES[group]
        at_risk = seen.at_risk[group] if group < len(seen.at_risk) else 0.0
        entered = seen.entered[group] if group < len(seen.entered) else 0.0
        if EDGES[group] < PATIENCE_S and at_risk < ENOUGH:
            rate = max(rate, FIRST_GUESS_PER_S)
        carried = 1.0 - exp(-rate * width)
        share = min(1.0, (entered + LEAN * carried) / (max(at_risk, entered) + LEAN))
        missing *= 1.0 - share
        rate = -log(max(1e-9, 1.0 - share)) / width
        yield missing


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(value, 3) for value in values)
