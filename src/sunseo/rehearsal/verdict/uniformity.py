"""Whether a draw was a draw: that nobody's number had to do with when she registered. Pure.

Two tests of a permutation, each with a probability that a fair draw looks so odd. Kendall's tau
finds a trend, as where the first to come get the better numbers. A grid of equally many places
by equally many numbers, with Pearson's chi-square, finds what has no direction, as where every
second number goes to friends who came together. What neither can find is a draw that favours
people by something else than their moment, nor one that is fair to the crowd and rigged for a few.
"""

from collections import Counter
from collections.abc import Sequence
from math import erfc, exp, isqrt, sqrt

import msgspec

from sunseo.rehearsal.verdict.fairness import fairness_of

FALSE_ALARMS = 1e-6
"""So often a fair draw is called unfair: once in a million rehearsals."""

DRAWN_MIN = 10  # of fewer nothing can be said at that rate
CELL_MIN, SIDE_MAX = 5, 21  # entrants expected in a cell of the grid, and its cells a side


class Uniformity(msgspec.Struct, frozen=True):
    """
    Attributes:
        tau: Kendall's, of numbers against the order of registering.
        trend_p: how often a fair draw has a tau at least so far from zero.
        grid_p: how often a fair draw has a grid at least so uneven; 1 where there are too few.
    """

    drawn: int
    tau: float
    trend_p: float
    grid_p: float

    @property
    def is_doubtful(self) -> bool:
        """Each test may take half of the false alarms."""
        return min(self.trend_p, self.grid_p) < FALSE_ALARMS / 2


def uniformity_of(numbers: Sequence[int]) -> Uniformity:
    """Of drawn numbers, each one once, in the order in which their owners registered."""
    count = len(numbers)
    if count < DRAWN_MIN:
        return Uniformity(count, 0.0, 1.0, 1.0)
    tau = fairness_of(numbers).tau
    spread = sqrt(2 * (2 * count + 5) / (9 * count * (count - 1)))
    return Uniformity(count, tau, erfc(abs(tau) / spread / sqrt(2)), _grid_p(numbers))


def _grid_p(numbers: Sequence[int]) -> float:
    """Pearson's chi-square; rows and columns are fixed, hence the correction by (n - 1) / n."""
    count = len(numbers)
    side = min(SIDE_MAX, isqrt(count // CELL_MIN))
    side -= 1 - side % 2  # odd, so that its degrees of freedom are even
    if side < 3:
        return 1.0
    ranks = {number: rank for rank, number in enumerate(sorted(numbers))}
    cells = Counter(
        (place * side // count, ranks[number] * side // count)
        for place, number in enumerate(numbers)
    )
    sizes = Counter(place * side // count for place in range(count))
    unevenness = sum(
        (cells[row, column] - expected) ** 2 / expected
        for row in range(side)
        for column in range(side)
        if (expected := sizes[row] * sizes[column] / count)
    )
    return _chi_square_above(unevenness * (count - 1) / count, (side - 1) ** 2)


def _chi_square_above(value: float, freedom: int) -> float:
    """The upper tail for even degrees of freedom, where it is a sum of Poisson's terms."""
    half = value / 2
    term = total = exp(-half)
    for step in range(1, freedom // 2):
        term *= half / step
        total += term
    return min(1.0, total)
