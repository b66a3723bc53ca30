"""Those who were called and have not come yet, by the time since they were called.

A cohort is a run of numbers released at about the same moment. Cohorts of the same group of age
(`survival.EDGES`) are merged, and those beyond the grace are forgotten, so that there are never
more than there are groups, whatever the rate. What is forgotten is a reservation, never a right.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import isfinite

import msgspec

from sunseo.room.pacing.survival import ComingCurve, Survival, SurvivalTally, age_group


class Cohort(msgspec.Struct, frozen=True, array_like=True):
    first: int
    upto: int
    missing: int  # of them, not yet entered
    age_s: float  # of the release, not a moment: ages survive a clock that is set


def reconciled(cohorts: Iterable[Cohort], believed: int, stored: int) -> list[Cohort]:
    """The cohorts as the stored `serving` has them: it alone says what was really released."""
    kept = [_up_to(cohort, stored) for cohort in cohorts if cohort.first <= stored]
    if stored > believed:
        kept.append(Cohort(believed + 1, stored, stored - believed, 0.0))
    return kept


def _up_to(cohort: Cohort, stored: int) -> Cohort:
    if cohort.upto <= stored:
        return cohort
    size = stored - cohort.first + 1
    return Cohort(cohort.first, stored, min(cohort.missing, size), cohort.age_s)


def aged(
    cohorts: Sequence[Cohort],
    seen: Survival,
    entered: Iterable[tuple[int, float]],
    *,
    now_s: float,
    elapsed_s: float,
    grace_s: float,
    people_max: float,
) -> tuple[list[Cohort], Survival]:
    """Take out those who entered, let the others grow older, and learn from both.

    `elapsed_s` counts only time in which the door was open: who is kept waiting at a full room
    has not shown that she does not come, and her reservation does not lapse. `people_max` bounds
    what was learnt before, see `SurvivalTally`.
    """
    tally = SurvivalTally(seen, grace_s, elapsed_s, people_max)
    older: list[Cohort] = []
    for cohort, agos_s in _by_cohort(cohorts, entered, now_s):
        age_s = cohort.age_s + elapsed_s
        for ago_s in agos_s:
            entry_age_s = max(0.0, age_s - ago_s) if elapsed_s > 0.0 else cohort.age_s
            tally.came(min(cohort.age_s, entry_age_s), entry_age_s)
        missing = cohort.missing - len(agos_s)
        tally.stayed(missing, cohort.age_s, age_s)
        if age_s < grace_s:
            _append(older, Cohort(cohort.first, cohort.upto, missing, round(age_s, 3)))
    return older, tally.survival


def released(cohorts: Sequence[Cohort], before: int, after: int, gaps: int) -> tuple[Cohort, ...]:
    """The cohorts with the one that is called now; numbers nobody holds are not waited for."""
    if after <= before:
        return tuple(cohorts)
    now = list(cohorts)
    _append(now, Cohort(before + 1, after, max(0, after - before - gaps), 0.0))
    return tuple(now)


def expected(cohorts: Iterable[Cohort], curve: ComingCurve) -> float:
    return sum(cohort.missing * curve.chance(cohort.age_s) for cohort in cohorts)


def _by_cohort(
    cohorts: Sequence[Cohort], entered: Iterable[tuple[int, float]], now_s: float
) -> list[tuple[Cohort, list[float]]]:
    """Each cohort with how long ago some of it entered."""
    agos_s: list[list[float]] = [[] for _ in cohorts]
    uptos = [cohort.upto for cohort in cohorts]
    for number, at_s in entered:
        index = bisect_left(uptos, number)
        if index == len(cohorts) or number < cohorts[index].first:
            continue  # called so long ago that its cohort is forgotten
        if len(agos_s[index]) < cohorts[index].missing:
            agos_s[index].append(max(0.0, now_s - at_s) if isfinite(at_s) else 0.0)
    return list(zip(cohorts, agos_s, strict=True))


def _append(cohorts: list[Cohort], cohort: Cohort) -> None:
    """Add a younger cohort, merged with the last one if both are in one group of age."""
    last = cohorts[-1] if cohorts else None
    if last is None or age_group(last.age_s) != age_group(cohort.age_s):
        cohorts.append(cohort)
        return
    missing = last.missing + cohort.missing
    share = cohort.missing / missing if missing else 0.5
    age_s = round(last.age_s * (1 - share) + cohort.age_s * share, 3)
    cohorts[-1] = Cohort(last.first, cohort.upto, missing, age_s)
