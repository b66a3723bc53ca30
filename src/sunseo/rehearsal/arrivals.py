"""When visitors come: pure and seeded, so that the same crowd can come again.

Three streams make an opening. Early birds gather before it, more of them the nearer it is. The
herd comes at T0, most in the first seconds. The tail arrives by chance all the time, as people
hear of it.
"""

from math import expm1, log1p
from random import Random

import msgspec


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """How a crowd is spread around T0; seconds are counted from there, negative before.

    Attributes:
        visitors: all of them.
        early_s: the first early bird comes at most so long before.
        herd_mean_s: how late after T0 one of the herd is on average.
        duration_s: nobody comes later than that.
        early_share, herd_share: parts of the crowd; whoever is left is the tail.
    """

    visitors: int
    early_s: float = 10.0
    herd_mean_s: float = 12.0
    duration_s: float = 60.0
    early_share: float = 0.12
    herd_share: float = 0.63

    def __post_init__(self) -> None:
        if min(self.early_share, self.herd_share) < 0 or self.early_share + self.herd_share > 1:
            raise ValueError("shares of the crowd are parts of one")
        if min(self.herd_mean_s, self.duration_s) <= 0 or self.early_s < 0:
            raise ValueError("times of arrival are positive")


def arrival_times(arrivals: Arrivals, seed: int) -> list[float]:
    """When each visitor comes, the first one first."""
    dice = Random(f"arrivals/{seed}")  # noqa: S311 - a crowd is no secret
    early = round(arrivals.visitors * arrivals.early_share)
    herd = round(arrivals.visitors * arrivals.herd_share)
    times = [-arrivals.early_s * (1 - dice.random() ** 0.5) for _ in range(early)]
    times += [_herd(arrivals, dice) for _ in range(herd)]
    # Given their number, the arrivals of a Poisson process are uniform in time.
    tail = arrivals.visitors - early - herd
    times += [dice.uniform(0.0, arrivals.duration_s) for _ in range(tail)]
    return sorted(times)


def _herd(arrivals: Arrivals, dice: Random) -> float:
    """Exponential, cut at the duration without piling up there."""
    share_in_time = -expm1(-arrivals.duration_s / arrivals.herd_mean_s)
    return -arrivals.herd_mean_s * log1p(-dice.random() * share_in_time)
