"""The estimate of who still comes."""

import pytest

from sunseo.room.pacing.cohorts import Cohort, aged, reconciled, released
from sunseo.room.pacing.survival import (
    AGES_MAX,
    EDGES,
    ComingCurve,
    Survival,
    SurvivalTally,
    age_group,
)

HORIZON_S = 150.0
MANY = 1e9  # people: more than anybody has seen


def seen(cohorts: list[tuple[int, int, float, float]]) -> Survival:
    """Cohorts of (people, of them come, at this age, watched until that age)."""
    tally = SurvivalTally(Survival(), HORIZON_S, 0.0, MANY)
    for people, came, at_age_s, until_s in cohorts:
        for _ in range(came):
            tally.came(0.0, at_age_s)
        tally.stayed(people - came, 0.0, until_s)
    return tally.survival


def test_groups_of_age_widen_and_end() -> None:
    """Every age has a group, the oldest included."""
    assert [age_group(age) for age in (0.0, 0.9, 1.0, 7.9, 8.0)] == [0, 0, 1, 7, 8]
    assert age_group(1e9) == AGES_MAX - 1
    assert list(EDGES) == sorted(set(EDGES))


def test_nothing_seen_means_everybody_is_expected() -> None:
    """A new room reckons with all whom it called."""
    curve = ComingCurve(Survival(), HORIZON_S)
    assert curve.show_up > 0.95
    assert curve.chance(10.0) > 0.8
    assert curve.chance(HORIZON_S) == 0.0


def test_half_who_come_at_once_are_half() -> None:
    """Half of a thousand enter within two seconds, the rest are watched to the end: 50 %."""
    curve = ComingCurve(seen([(1000, 500, 1.5, HORIZON_S)]), HORIZON_S)
    assert curve.show_up == pytest.approx(0.5, abs=0.02)
    assert curve.chance(0.0) == pytest.approx(0.5, abs=0.02)
    assert curve.chance(30.0) < 0.02
    assert curve.delay_s == pytest.approx(1.5, abs=1.0)


def test_young_cohorts_count_without_being_mistaken_for_absent() -> None:
    """People called a second ago who have not come say nothing about those of a minute."""
    old = seen([(500, 250, 60.5, HORIZON_S)])
    with_young = seen([(500, 250, 60.5, HORIZON_S), (5000, 0, 0.0, 1.0)])
    late = ComingCurve(old, HORIZON_S).chance(30.0)
    assert late == pytest.approx(0.5, abs=0.03)
    assert ComingCurve(with_young, HORIZON_S).chance(30.0) == pytest.approx(late, abs=0.01)


def test_young_cohorts_alone_already_say_when_most_have_come() -> None:
    """After 25 seconds without another entry the missing are reckoned to stay away."""
    curve = ComingCurve(seen([(1000, 600, 1.5, 25.0)]), HORIZON_S)
    assert curve.show_up == pytest.approx(0.6, abs=0.03)
    assert curve.chance(24.0) < 0.05


def test_what_was_seen_is_forgotten_by_halves() -> None:
    """After a half-life the same people weigh half."""
    before = seen([(100, 50, 1.5, HORIZON_S)])
    after = SurvivalTally(before, HORIZON_S, 600.0, MANY).survival
    assert after.at_risk[0] == pytest.approx(before.at_risk[0] / 2)


def test_no_more_people_are_remembered_than_told() -> None:
    """Of those seen at an age so many count; the share of them who came stays what it was."""
    before = seen([(1000, 900, 1.5, HORIZON_S)])
    after = SurvivalTally(before, HORIZON_S, 0.0, 50.0).survival
    assert after.at_risk[1] == pytest.approx(50.0)
    assert after.entered[1] / after.at_risk[1] == pytest.approx(0.9, abs=0.01)
    assert ComingCurve(after, HORIZON_S).show_up == pytest.approx(0.9, abs=0.06)


def test_a_line_that_went_home_is_known_by_as_many_as_are_remembered() -> None:
    """A thousand came, then three times fifty did not: hardly anybody is expected any more."""
    survival = seen([(1000, 900, 1.5, HORIZON_S)])
    for _ in range(150):
        tally = SurvivalTally(survival, HORIZON_S, 0.0, 50.0)
        tally.stayed(1, 0.0, HORIZON_S)
        survival = tally.survival
    assert ComingCurve(survival, HORIZON_S).show_up < 0.1


def test_a_dozen_who_stayed_away_are_believed() -> None:
    """A new room expects everybody, but not against what it has seen at each age."""
    curve = ComingCurve(seen([(12, 0, 0.0, HORIZON_S)]), HORIZON_S)
    assert curve.show_up < 0.5
    assert ComingCurve(seen([(8, 0, 0.0, HORIZON_S)]), HORIZON_S).show_up > curve.show_up + 0.1


def test_shut_door_ages_nobody() -> None:
    """Who stands at a full room has not shown that she does not come."""
    cohorts, survival = aged(
        [Cohort(1, 10, 10, 3.0)],
        Survival(),
        [(2, 9.5)],
        now_s=10.0,
        elapsed_s=0.0,
        grace_s=150.0,
        people_max=MANY,
    )
    assert cohorts == [Cohort(1, 10, 9, 3.0)]
    assert sum(survival.at_risk) == pytest.approx(1.0, abs=0.01)
    assert sum(survival.entered) == 1.0


def test_late_entry_of_a_forgotten_cohort_is_nobody_elses() -> None:
    """A number called long ago is not taken out of those called lately."""
    cohorts, survival = aged(
        [Cohort(91, 100, 10, 3.0)],
        Survival(),
        [(5, 9.5), (500, 9.5)],
        now_s=10.0,
        elapsed_s=1.0,
        grace_s=150.0,
        people_max=MANY,
    )
    assert cohorts == [Cohort(91, 100, 10, 4.0)]
    assert sum(survival.entered) == 0.0


def test_grace_ends_the_reservation() -> None:
    """Beyond the grace a cohort is forgotten."""
    cohorts, _ = aged(
        [Cohort(1, 9, 9, 149.5)],
        Survival(),
        (),
        now_s=1.0,
        elapsed_s=1.0,
        grace_s=150.0,
        people_max=MANY,
    )
    assert cohorts == []


def test_stored_serving_decides_what_was_released() -> None:
    """Cohorts follow it in both directions."""
    cohorts = [Cohort(1, 10, 4, 5.0), Cohort(11, 20, 9, 1.0)]
    assert reconciled(cohorts, 20, 20) == cohorts
    assert reconciled(cohorts, 20, 15) == [cohorts[0], Cohort(11, 15, 5, 1.0)]
    assert reconciled(cohorts, 20, 10) == [cohorts[0]]
    assert reconciled(cohorts, 20, 25) == [*cohorts, Cohort(21, 25, 5, 0.0)]
    assert released(cohorts, 20, 20, 0) == tuple(cohorts)
    assert released(cohorts, 20, 25, 2)[-1] == Cohort(21, 25, 3, 0.0)
