"""The controller, tick by tick."""

from itertools import pairwise
from math import inf, nan
from typing import Any

import msgspec
import pytest

from sunseo.room.pacing.pacing import (
    Advance,
    Census,
    PacingLimits,
    PacingState,
    Speed,
    buy_share,
    eta,
)
from sunseo.room.pacing.pacing import tick as tick_once

LIMITS = PacingLimits(capacity=100)


class Led:
    """A room with its state, ticked second by second; entries and departures as told."""

    def __init__(self, limits: PacingLimits = LIMITS, issued: int = 100_000) -> None:
        self.limits = limits
        self.state = PacingState.fresh()
        self.now_s = 1000.0
        self.issued = issued
        self.serving = 0
        self.live = 0
        self.tick()

    def tick(
        self, after_s: float = 1.0, entered: int = 0, departed: int = 0, **more: Any
    ) -> Advance:
        """`entered` of the numbers that were called last come in just now."""
        self.now_s += after_s
        self.live += entered - departed
        numbers = range(self.serving - entered + 1, self.serving + 1)
        values: dict[str, Any] = {
            "now_s": self.now_s,
            "issued": self.issued,
            "serving": self.serving,
            "live": self.live,
            "entered": [(number, self.now_s) for number in numbers],
            "departed": departed,
            **more,
        }
        self.state, advance = tick_once(self.state, self.limits, Census(**values))
        self.serving = advance.serving
        return advance


def test_first_tick_calls_nobody() -> None:
    """Before the second tick no time has passed, and time is what releases."""
    assert Led().serving == 0


def test_empty_room_fills_in_tau() -> None:
    """The first second calls an eighth of the room, as tau is eight seconds."""
    assert Led().tick().serving == 12


def test_first_visitor_of_a_small_room_is_called_at_once() -> None:
    """A room of three, which would fill by a third of a person a second, calls its first three."""
    room = Led(PacingLimits(capacity=3))
    assert [room.tick().serving for _ in range(5)] == [1, 2, 3, 3, 3]


def test_fraction_is_carried() -> None:
    """One person in four seconds is one number in four ticks, not none."""
    room = Led(PacingLimits(capacity=100, rate_max=0.25))
    assert [room.tick().serving for _ in range(8)] == [0, 0, 0, 1, 1, 1, 1, 2]


def test_nobody_is_called_beyond_the_line() -> None:
    """Serving ends where the line ends, and what was not used is not saved up."""
    room = Led(issued=5)
    assert [room.tick().serving for _ in range(20)] == [5] * 20
    room.issued = 1000
    assert room.tick().serving <= 5 + 13


def test_full_room_calls_as_many_as_leave() -> None:
    """With everybody showing up at once, one leaving a second means one called a second."""
    room = Led()
    called = begin = room.serving
    for second in range(160):
        coming = min(room.serving - called, 100 - room.live)
        called = room.serving
        if second == 100:
            begin = room.serving
        room.tick(entered=coming, departed=1 if second >= 40 else 0)
    assert 98 <= room.live <= 100
    assert 58 <= room.serving - begin <= 62


def test_paused_room_stands_still_and_says_so() -> None:
    """Closed means that nobody is called; those called before stay called."""
    room = Led()
    room.tick()
    advance = room.tick(open=False)
    assert (advance.serving, advance.reason) == (12, "paused")


@pytest.mark.parametrize("step_s", [0.0, -1.0, -3600.0])
def test_time_that_does_not_advance_calls_nobody(step_s: float) -> None:
    """Standing or stepping back releases nothing; the next second goes on from there."""
    room = Led()
    room.tick()
    assert room.tick(after_s=step_s).serving == 12
    assert room.tick().serving > 12


def test_gap_without_a_leader_releases_no_more_than_the_room_holds() -> None:
    """A minute without ticks is not a minute's worth of releases."""
    room = Led()
    assert room.tick(after_s=60.0).serving == 100


def test_state_goes_on_with_the_next_leader() -> None:
    """What is stored as JSON decides as what was in memory."""
    room = Led()
    for second in range(50):
        room.tick(entered=second % 3, departed=second % 2)
    stored = msgspec.json.decode(msgspec.json.encode(room.state), type=PacingState)
    assert stored == room.state


def test_write_that_was_lost_is_not_believed() -> None:
    """The controller's own serving counts for nothing where the stored one is lower."""
    room = Led()
    room.tick()
    room.serving = 4
    advance = room.tick()
    assert advance.serving < 24
    assert sum(cohort.missing for cohort in room.state.cohorts) == advance.serving


def test_state_stays_small() -> None:
    """After hours of full work the stored state is still some kilobytes."""
    room = Led(PacingLimits(capacity=10_000, grace_s=3600.0), issued=10_000_000)
    for second in range(4000):
        entered = 20 if second > 3 else 0
        room.tick(entered=entered, departed=20 if room.live > 9_000 else 0)
    assert len(msgspec.json.encode(room.state)) < 6_000


def test_unhealthy_in_two_windows_cuts_and_then_cools_down() -> None:
    """One bad window changes nothing, the second cuts by the health, the next half minute waits."""
    room = Led()
    seen = [room.tick(health=0.8).capacity for _ in range(40)]
    assert seen == [100] * 9 + [80] * 30 + [64]


def test_one_cut_takes_at_most_half_and_never_passes_the_floor() -> None:
    """However ill the service, half is the most at once and C_min the end."""
    room = Led(PacingLimits(capacity=100, capacity_min=30))
    seen = [room.tick(health=0.01).capacity for _ in range(200)]
    assert sorted(set(seen), reverse=True) == [100, 50, 30]


def test_no_second_cut_while_the_first_still_drains() -> None:
    """With more inside than C_eff nobody enters anyway; what the cut did is not known yet."""
    room = Led()
    room.live = 100
    seen = [room.tick(health=0.5).capacity for _ in range(200)]
    assert min(seen) == 50


def test_healthy_and_full_probes_up_in_small_steps() -> None:
    """Recovery takes two of a hundred every window, and ends at the setting."""
    room = Led()
    for _ in range(11):
        room.tick(health=0.5)
    room.live = 45
    for _ in range(30):
        room.tick(health=2.0)
    seen = []
    for _ in range(300):
        room.live = int(room.state.governor.capacity)
        seen.append(room.tick(health=2.0).capacity)
    assert {b - a for a, b in pairwise(seen)} == {0, 2}
    assert seen[-1] == 100


def test_empty_room_does_not_probe() -> None:
    """Health of a room that is not full says nothing about more."""
    room = Led(issued=0)
    for _ in range(11):
        room.tick(health=0.5)
    assert {room.tick(health=5.0).capacity for _ in range(100)} == {50}


def test_unhealthy_is_the_reason_as_long_as_it_is_cut() -> None:
    """Visitors are told why the line slowed down."""
    room = Led()
    reasons = [room.tick(health=0.5).reason for _ in range(20)]
    assert (reasons[0], reasons[-1]) == ("steady", "unhealthy")


def test_new_capacity_counts_at_once() -> None:
    """A full room follows its setting; one that is cut is only held within it."""
    room = Led()
    room.limits = PacingLimits(capacity=300)
    assert room.tick().capacity == 300
    for _ in range(11):
        room.tick(health=0.5)
    room.limits = PacingLimits(capacity=400)
    assert room.tick().capacity == 150
    room.limits = PacingLimits(capacity=120)
    assert room.tick().capacity == 120


def test_stock_that_is_spoken_for_holds_the_line() -> None:
    """Ten people inside who buy two each are enough for twenty units."""
    limits = PacingLimits(capacity=100, units_per_buyer=2.0)
    room = Led(limits)
    room.live = 10
    held = room.tick(units_left=20)
    assert (held.serving, held.reason, held.sold_out) == (0, "stock", False)
    assert room.tick(units_left=40).serving > 0


def test_stock_counts_those_on_their_way() -> None:
    """Numbers called are not called in vain: with five units left five people are called."""
    room = Led()
    assert [room.tick(units_left=5).serving for _ in range(30)][-1] == 5


def test_sold_out_is_said_at_once() -> None:
    """The tick that sees the last unit gone says so, and calls nobody more."""
    advance = Led().tick(units_left=0)
    assert (advance.sold_out, advance.serving, advance.reason) == (True, 0, "stock")


def test_passthrough_calls_everybody() -> None:
    """Where the room is off, the line is served as it comes."""
    assert Led(PacingLimits(capacity=1, passthrough=True), issued=777).tick().serving == 777


def test_gaps_are_skipped() -> None:
    """Numbers that nobody holds cost no release."""
    assert Led().tick(gaps=50).serving == 62


@pytest.mark.parametrize("health", [nan, -1.0, 0.0, -inf, inf])
def test_health_that_is_no_figure_does_no_harm(health: float) -> None:
    """A monitor gone mad can slow a room down to its floor, and no further."""
    room = Led()
    assert all(room.tick(health=health).capacity >= 10 for _ in range(100))


def test_slower_leaving_is_said_to_be_slowed() -> None:
    """When people begin to stay longer, the speed falls, and there is a reason."""
    room = Led()
    room.live = 100
    for _ in range(600):
        room.tick(live=100, departed=1)
    usual = room.tick(live=100, departed=1)
    advance = usual
    for second in range(240):
        advance = room.tick(live=100, departed=second % 2)
    assert usual.speed is not None
    assert advance.speed is not None
    assert usual.reason == "steady"
    assert advance.reason == "slowed"
    assert advance.speed.v50 < usual.speed.v50
    assert advance.speed.v10 <= advance.speed.v50 <= advance.speed.v90


def test_nothing_is_foretold_before_half_of_a_room_has_left() -> None:
    """Until then nobody can know how long people stay."""
    room = Led()
    room.live = 100
    spoken = [room.tick(live=100, departed=1).speed is not None for _ in range(80)]
    assert not any(spoken[:45])
    assert all(spoken[55:])


def test_estimate_is_a_range_from_fast_to_slow() -> None:
    """The number's distance over v90 is the early end, over v10 the late one."""
    speed = Speed(2.0, 4.0, 5.0)
    assert eta(120, 20, speed) == (20.0, 50.0)
    assert eta(20, 20, speed) == (0.0, 0.0)
    assert eta(20, 19, None) is None
    assert eta(20, 19, Speed(0.0, 1.0, 2.0)) is None


def test_buy_share_leans_on_everybody_at_first() -> None:
    """The first who leaves without buying does not halve the share."""
    assert buy_share(0, 0) == 1.0
    assert buy_share(50, 100) == pytest.approx(60 / 110)
    assert buy_share(5, 3) == 1.0
