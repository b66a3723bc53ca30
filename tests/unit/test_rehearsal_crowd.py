"""Who comes to a rehearsal, when, and how they behave: pure, and the same for the same seed."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.rehearsal.crowd.arrivals import ArrivalKind, Herd, Poisson, Ramp, Steps, arrival_times
from sunseo.rehearsal.crowd.behaviour import Cheat, Ending, People, behaviour_of
from sunseo.rehearsal.crowd.picking import availability_of, pick, seat_map_of

CROWD = Herd(early_s=10.0, herd_mean_s=5.0, duration_s=60.0)


def test_everybody_comes_in_order_and_in_time() -> None:
    """No one is missing; nobody comes before the early birds or after the end."""
    times = arrival_times(CROWD, 10_000, 1)

    assert len(times) == 10_000
    assert times == sorted(times)
    assert times[0] >= -10.0
    assert times[-1] <= 60.0


def test_streams_have_their_shares() -> None:
    """So many come early as asked for, and most of the herd in its first seconds."""
    times = arrival_times(CROWD, 10_000, 1)

    assert sum(time < 0 for time in times) == 1_200
    soon = sum(0 <= time < 5.0 for time in times)
    assert 3_900 < soon < 4_500  # 63.2 % of 6,300, and a twelfth of the tail of 2,500


def test_early_birds_grow_more_towards_the_opening() -> None:
    """The last second before T0 brings many more than the first of them."""
    times = arrival_times(CROWD, 10_000, 1)

    first = sum(-10.0 <= time < -9.0 for time in times)
    last = sum(-1.0 <= time < 0.0 for time in times)
    assert last > 5 * max(1, first)


def test_same_seed_gives_the_same_crowd() -> None:
    """Arrivals and habits come again with their seed; another seed brings others."""
    assert arrival_times(CROWD, 100, 7) == arrival_times(CROWD, 100, 7)
    assert arrival_times(CROWD, 100, 7) != arrival_times(CROWD, 100, 8)

    def seen(seed: int) -> list[object]:
        crowd = [behaviour_of(number, seed, People(), 4.0) for number in range(1, 50)]
        return [(one.party, one.ending, one.loses, one.looks_s, one.is_guest) for one in crowd]

    assert seen(7) == seen(7)
    assert seen(7) != seen(8)


def test_crowd_has_all_kinds_of_people() -> None:
    """Among two thousand there is every ending and trick, and people who refresh or stay away."""
    crowd = [behaviour_of(number, 1, People(), 4.0) for number in range(1, 2_001)]

    assert {one.ending for one in crowd} == set(Ending)
    assert {one.cheat for one in crowd} == {None, *Cheat} - {Cheat.HAMMER}  # those are bots
    assert any(one.refresh_s is not None for one in crowd)
    assert any(one.stays_away_after_s is not None for one in crowd)
    assert {one.tabs for one in crowd} == {1, 2, 3}
    assert set().union(*(one.loses for one in crowd)) == {"join", "enter", "renew", "hold", "order"}


def counted(arrivals: ArrivalKind, start: float, end: float) -> int:
    return sum(start <= time < end for time in arrival_times(arrivals, 10_000, 1))


def test_poisson_brings_as_many_at_any_time() -> None:
    """Each sixth of the duration has about a sixth of the crowd."""
    steady = Poisson(duration_s=60.0)

    assert all(1_500 < counted(steady, at, at + 10) < 1_850 for at in range(0, 60, 10))


def test_ramp_grows_as_often_as_asked() -> None:
    """The last twentieth of the duration has nearly ten times as many as the first."""
    ramp = Ramp(duration_s=60.0, growth=10.0)

    assert 6 < counted(ramp, 57, 60) / counted(ramp, 0, 3) < 10
    assert 1_500 < counted(Ramp(duration_s=60.0, growth=1.0), 0, 10) < 1_850


def test_steps_go_up_at_their_moments() -> None:
    """At each opening ten times as many come for a while as did before, and then no more."""
    day = Steps(duration_s=60.0, steps_at_s=(10.0, 30.0, 45.0), step_s=5.0, growth=10.0)

    for at in day.openings_s:
        assert 7 < counted(day, at, at + 5) / counted(day, at - 5, at) < 13
        assert 7 < counted(day, at, at + 5) / counted(day, at + 5, at + 10) < 13


@pytest.mark.parametrize(
    "arrivals",
    [
        Herd(),
        Poisson(duration_s=60.0),
        Ramp(duration_s=60.0),
        Steps(duration_s=60.0, steps_at_s=(10.0, 30.0)),
    ],
)
def test_stretched_crowd_is_the_same_one_slower(arrivals: ArrivalKind) -> None:
    """With twice the duration everybody comes at twice her moment."""
    twice = arrival_times(arrivals.stretched(120.0), 500, 3)

    assert twice == pytest.approx([2 * at for at in arrival_times(arrivals, 500, 3)])


@given(st.text("012", min_size=1, max_size=40), st.integers(1, 5), st.integers(0, 20))
def test_picked_seats_are_free_and_no_more_than_asked(
    states: str, party: int, attempt: int
) -> None:
    """Whatever is free: seats are picked from it, at most a party's worth, none twice."""
    seat_map = seat_map_of([{"seat": 100 + n, "x": n % 7, "y": n // 7} for n in range(len(states))])
    view = availability_of(seat_map, states)

    seats = pick(view, party, attempt, Random(1))

    assert len(set(seats)) == len(seats) <= party
    assert all(states[seat - 100] == "0" for seat in seats)
    assert bool(seats) == ("0" in states)
    assert (view.held, view.sold) == (states.count("1"), states.count("2"))
