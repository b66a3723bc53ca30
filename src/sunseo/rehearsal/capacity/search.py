"""Finds the highest rate that holds: doubling until one does not, then bisection. Pure.

A rate counts as too high when it fails twice, so that one hiccup of the machine decides nothing,
and as found when it has held twice. Between the highest that holds and the lowest that fails the
next one is their geometric mean, since rates are compared by their ratio.
"""

from math import sqrt

GROWTH = 2.0
PRECISION = 0.1
LOWEST_PART = 1 / 64  # of the first rate: below that the server holds nothing at all
TRIES = 2  # to fail, or to hold, before it is believed


class Search:
    """
    Args:
        first: the rate to begin with.
        ceiling: never try a higher one.
        precision: stop when the rate that fails is higher than the one found by this part.
    """

    def __init__(self, first: float, ceiling: float, precision: float = PRECISION) -> None:
        if not 0 < first <= ceiling:
            raise ValueError("the first rate lies above zero and not above the highest")
        if precision <= 0:
            raise ValueError("precision is positive")
        self._first = first
        self._ceiling = ceiling
        self._precision = precision
        self._held: dict[float, int] = {}
        self._failed: dict[float, int] = {}
        self._again: float | None = None

    @property
    def highest_held(self) -> float | None:
        """Below every rate that has failed for good."""
        bound = self.lowest_failed
        rates = [rate for rate in self._held if bound is None or rate < bound]
        return max(rates, default=None)

    @property
    def lowest_failed(self) -> float | None:
        return min((rate for rate, times in self._failed.items() if times >= TRIES), default=None)

    @property
    def found(self) -> float | None:
        """The answer, once `next_rate` has nothing more to ask; none where nothing held."""
        return self.highest_held

    def note(self, rate: float, *, held: bool) -> None:
        """What came of trying this rate."""
        results = self._held if held else self._failed
        results[rate] = results.get(rate, 0) + 1
        failed_once = not held and self._failed[rate] < TRIES
        self._again = rate if failed_once else None

    def next_rate(self) -> float | None:
        """What to try next; none when the answer is known."""
        if self._again is not None:
            return self._again
        low, high = self.highest_held, self.lowest_failed
        if low is None:
            return self._lower(high)
        if high is None and low < self._ceiling:
            return min(self._ceiling, low * GROWTH)
        if high is not None and high / low > 1 + self._precision:
            return sqrt(low * high)
        return low if self._held[low] < TRIES else None

    def _lower(self, high: float | None) -> float | None:
        if high is None:
            return self._first
        lower = high / GROWTH
        return lower if lower >= self._first * LOWEST_PART else None
