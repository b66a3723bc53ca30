"""When visitors come: pure and seeded, so that the same crowd can come again.

Seconds are counted from T0, the opening, and are negative before it. A kind of arrivals says how a
crowd of any size is spread; how many they are is the scenario's.
"""

from itertools import pairwise
from math import expm1, log1p, sqrt
from random import Random
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from sunseo.rehearsal.crowd.recorded import DAY_S, RecordError, moment_of, moments_of

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Duration = Annotated[float, Meta(ge=1, le=86_400)]


class Arrivals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all kinds have in common: nobody comes later than `duration_s` after T0."""

    duration_s: Duration = 60.0

    @property
    def early_from_s(self) -> float:
        """So long before T0 the first one may come."""
        return 0.0

    @property
    def openings_s(self) -> tuple[float, ...]:
        """When there is something to come for."""
        return (0.0,)

    def opening_for(self, _at_s: float) -> int:
        """Which of the openings somebody comes for who comes then."""
        return 0

    def stretched(self, duration_s: float) -> Self:
        """The same crowd over another time: every moment moves in proportion."""
        factor = duration_s / self.duration_s
        return msgspec.structs.replace(
            self,
            **{
                name: value * factor
                if isinstance(value, float)
                else tuple(moment * factor for moment in value)
                for name, value in msgspec.structs.asdict(self).items()
                if name.endswith("_s")
            },
        )

    def times(self, visitors: int, dice: Random) -> list[float]:
        """When each of them comes, in any order."""
        raise NotImplementedError


class Herd(Arrivals, frozen=True, kw_only=True, tag_field="kind", tag="herd"):
    """An opening: early birds gather before it, the herd comes at T0, others hear of it later.

    Attributes:
        early_s: the first early bird comes at most so long before; more of them the nearer it is.
        early_share, herd_share: parts of the crowd. Whoever is left comes by chance all the time.
        herd_mean_s: how late after T0 one of the herd is on average; most in the first seconds.
    """

    early_s: Seconds = 10.0
    early_share: Share = 0.12
    herd_share: Share = 0.63
    herd_mean_s: Annotated[float, Meta(gt=0, le=86_400)] = 12.0

    def __post_init__(self) -> None:
        if self.early_share + self.herd_share > 1:
            raise ValueError(
                "early_share and herd_share are parts of one crowd: at most 1 together"
            )

    @property
    def early_from_s(self) -> float:
        return self.early_s

    def times(self, visitors: int, dice: Random) -> list[float]:
        early = round(visitors * self.early_share)
        herd = min(visitors - early, round(visitors * self.herd_share))
        times = [-self.early_s * (1 - sqrt(dice.random())) for _ in range(early)]
        times += [self._herd(dice) for _ in range(herd)]
        # Given their number, the arrivals of a Poisson process are uniform in time.
        return times + _uniform(visitors - early - herd, self.duration_s, dice)

    def _herd(self, dice: Random) -> float:
        """Exponential, cut at the duration without piling up there."""
        share_in_time = -expm1(-self.duration_s / self.herd_mean_s)
        return -self.herd_mean_s * log1p(-dice.random() * share_in_time)


class Poisson(Arrivals, frozen=True, kw_only=True, tag_field="kind", tag="poisson"):
    """By chance all the time, at one mean rate."""

    def times(self, visitors: int, dice: Random) -> list[float]:
        return _uniform(visitors, self.duration_s, dice)


class Ramp(Arrivals, frozen=True, kw_only=True, tag_field="kind", tag="ramp"):
    """Ever more, evenly, from the rate at the beginning to that at the end.

    Attributes:
        growth: the last rate over the first one.
    """

    growth: Annotated[float, Meta(ge=1, le=10_000)] = 10.0

    def times(self, visitors: int, dice: Random) -> list[float]:
        # The density is 1 + slope t on [0, 1]; its distribution function is a quadratic one.
        slope = self.growth - 1
        if slope == 0:
            return _uniform(visitors, self.duration_s, dice)
        drawn = (dice.random() * (1 + slope / 2) for _ in range(visitors))
        return [self.duration_s * (sqrt(1 + 2 * slope * part) - 1) / slope for part in drawn]


class Steps(Arrivals, frozen=True, kw_only=True, tag_field="kind", tag="steps"):
    """A low rate all the time, and at each of some moments a step up for a while.

    Attributes:
        steps_at_s: when the rate jumps; there something opens.
        step_s: how long it stays up.
        growth: how many times as many come then.
    """

    steps_at_s: Annotated[tuple[Seconds, ...], Meta(min_length=1, max_length=100)] = (0.0,)
    step_s: Annotated[float, Meta(gt=0, le=86_400)] = 10.0
    growth: Annotated[float, Meta(ge=1, le=10_000)] = 10.0

    def __post_init__(self) -> None:
        ends = [*self.steps_at_s, self.duration_s]
        if any(later - earlier < self.step_s for earlier, later in pairwise(ends)):
            raise ValueError(
                "steps_at_s must be in order, each at least step_s before the next one,"
                " and the last one before the end of duration_s"
            )

    @property
    def openings_s(self) -> tuple[float, ...]:
        return self.steps_at_s

    def opening_for(self, at_s: float) -> int:
        """The one whose crowd is still coming, or the next one."""
        ends = (at + self.step_s for at in self.steps_at_s)
        return next(
            (place for place, end in enumerate(ends) if at_s < end), len(self.steps_at_s) - 1
        )

    def times(self, visitors: int, dice: Random) -> list[float]:
        bounds = [0.0]
        for at_s in self.steps_at_s:
            bounds += [at_s, at_s + self.step_s]
        bounds.append(self.duration_s)
        spans = list(pairwise(bounds))
        # Every second span is a step.
        weights = [
            (end - start) * (self.growth if place % 2 else 1.0)
            for place, (start, end) in enumerate(spans)
        ]
        return [dice.uniform(*span) for span in dice.choices(spans, weights, k=visitors)]


class Replay(Arrivals, frozen=True, kw_only=True, tag_field="kind", tag="replay"):
    """As it was recorded on another day.

    Attributes:
        file: a CSV of moments or a common access log; its path, as seen from the scenario.
        opens_at: which recorded moment is T0; the first arrival if not given.
        moments_s: what was recorded, seconds from T0; read from the file where there is one.
        within_s: whoever was recorded to the whole second came somewhere in it.
    """

    file: str | None = None
    opens_at: str | None = None
    moments_s: tuple[float, ...] = ()
    within_s: Seconds = 0.0

    @property
    def early_from_s(self) -> float:
        return max(0.0, -min(self.moments_s, default=0.0))

    def read(self, text: str) -> "Replay":
        """With what was recorded.

        Raises:
            RecordError: it cannot be read.
        """
        moments = moments_of(text)
        zero = moments[0] if self.opens_at is None else moment_of(self.opens_at)
        if zero is None:
            raise RecordError(f"opens_at: {self.opens_at!r} is no moment")
        if not moments[-1] - DAY_S <= zero <= moments[0] + DAY_S:
            raise RecordError(f"opens_at: {self.opens_at!r} is more than a day from what it has")
        whole = all(moment.is_integer() for moment in moments)
        recorded = tuple(round(moment - zero, 3) for moment in moments)
        within_s = 1.0 if whole else 0.0
        return Replay(
            duration_s=max(1.0, recorded[-1] + within_s),
            file=self.file,
            opens_at=self.opens_at,
            moments_s=recorded,
            within_s=within_s,
        )

    def times(self, visitors: int, dice: Random) -> list[float]:
        """All who were recorded, or some of them; where more are wanted, some come twice."""
        if not self.moments_s:
            raise ValueError("nothing was recorded")
        rounds, rest = divmod(visitors, len(self.moments_s))
        chosen = [*self.moments_s * rounds, *dice.sample(self.moments_s, rest)]
        return [at + dice.random() * self.within_s for at in chosen]


ArrivalKind = Herd | Poisson | Ramp | Steps | Replay


def arrival_times(arrivals: ArrivalKind, visitors: int, seed: int) -> list[float]:
    """When each visitor comes, the first one first."""
    dice = Random(f"arrivals/{seed}")  # noqa: S311 - a crowd is no secret
    return sorted(arrivals.times(visitors, dice))


def _uniform(visitors: int, duration_s: float, dice: Random) -> list[float]:
    return [dice.uniform(0.0, duration_s) for _ in range(visitors)]
