"""Which rooms rest, and that a rest changes nothing of how they go on."""

from typing import Any

import msgspec
import pytest

from sunseo.room.board.board import RoomView
from sunseo.room.board.state import ShownDraw
from sunseo.room.pacing.capacity import Governor
from sunseo.room.pacing.cohorts import Cohort
from sunseo.room.pacing.pacing import Census, PacingLimits, PacingState, tick
from sunseo.room.pacing.resting import STEPS_RESTED_MAX, caught_up, footing_of, rests
from sunseo.room.pacing.stock import RemainingStock
from sunseo.room.setup.schedule import Situation
from tests.unit.test_room_streams import view

STOCK = RemainingStock(units_left=9, sold=1)
AWAITED = ShownDraw(state="committed", commitment="00")


def idle(**changes: Any) -> RoomView:
    """An open room in which all hundred who came have been called, and nobody is."""
    return msgspec.structs.replace(view(100), **({"mark": "1 2 3 4"} | changes))


def shut(phase: Any, **changes: Any) -> RoomView:
    return idle(situation=Situation(phase, None, None), **changes)


def is_resting(
    before: RoomView,
    now: RoomView,
    *,
    left: PacingState | None = None,
    stock: RemainingStock | None = STOCK,
    health: float = float("inf"),
    turn: int = 1,
) -> bool:
    footing = footing_of(before, STOCK, left or PacingState.fresh())
    return rests(footing, now, stock, health=health, turn=turn)


@pytest.mark.parametrize(
    "room",
    [
        idle(),
        shut("paused", serving=40),
        shut("before", serving=40),
        shut("draining"),
        shut("closed", serving=40),
        idle(serving=40, draw=AWAITED),
    ],
)
def test_a_room_where_nobody_can_be_called_rests(room: RoomView) -> None:
    """All have been called, or nobody may be: read again or not, the room is as it was."""
    assert is_resting(room, room)
    assert is_resting(room, msgspec.structs.replace(room, now=room.now.replace(hour=1)))


@pytest.mark.parametrize(
    "changes",
    [
        {"mark": "1 2 3 5"},
        {"version": 2},
        {"epoch": 2},
        {"issued": 101},
        {"serving": 99},
        {"departed": 1},
        {"capacity": 11},
        {"live": 1},
        {"situation": Situation("draining", None, None)},
        {"situation": Situation("paused", None, None)},
        {"draw": AWAITED},
    ],
)
def test_whatever_changes_of_a_room_wakes_it(changes: dict[str, Any]) -> None:
    """Each by itself, whatever else says that nothing has changed."""
    assert not is_resting(idle(), idle(**changes))


@pytest.mark.parametrize("room", [idle(serving=99), idle(live=1), shut("draining", serving=99)])
def test_a_room_where_somebody_is_never_rests(room: RoomView) -> None:
    """Who waits may be called with any step, and who is inside tells how fast people leave."""
    assert not is_resting(room, room)


@pytest.mark.parametrize(
    "given",
    [
        {"stock": RemainingStock(units_left=8, sold=1)},
        {"stock": None},
        {"health": 0.99},
        {"health": float("nan")},
        {"left": PacingState(cohorts=(Cohort(99, 100, 1, 5.0),))},
        {"left": PacingState(governor=Governor(unhealthy_windows=1))},
        {"left": PacingState(governor=Governor(window_s=2.0, window_load=2.5))},
        {"turn": STEPS_RESTED_MAX - 5},
    ],
)
def test_what_is_outside_of_its_rows_wakes_a_room(given: dict[str, Any]) -> None:
    """Its stock, the site's health, those on their way, a cut that may come, and its own turn."""
    assert not is_resting(idle(), idle(), **given)


def test_a_room_rests_only_after_a_step_that_counts() -> None:
    """Who leads anew, and whose last step failed, has nothing to compare with."""
    assert not rests(None, idle(), None, health=float("inf"), turn=1)


def test_each_room_has_its_turn_in_every_round() -> None:
    """A room at rest is stepped once in every `STEPS_RESTED_MAX` steps."""
    turns = [
        turn for turn in range(3 * STEPS_RESTED_MAX) if not is_resting(idle(), idle(), turn=turn)
    ]
    assert turns == [STEPS_RESTED_MAX * round_ - 5 for round_ in (1, 2, 3)]


LIMITS = PacingLimits(capacity=100, rate_max=2.0)


def busy() -> PacingState:
    """What is remembered of a room that two a second came to, and left, and that is empty now."""
    state, serving = PacingState.fresh(), 0
    for second in range(200):
        came = [(serving, float(second))] if serving else []
        census = Census(
            now_s=float(second),
            issued=400 if second < 40 else serving,
            serving=serving,
            live=10 if second < 40 else 0,
            entered=came if second < 40 else [],
            departed=2 if second < 40 else 0,
        )
        state, advance = tick(state, LIMITS, census)
        serving = advance.serving
    return msgspec.structs.replace(state, cohorts=())


def test_a_room_goes_on_after_a_rest_as_if_it_had_been_stepped() -> None:
    """The first call after a minute's rest is of the same size, and it knows as much."""
    before = busy()
    serving = before.serving
    stepped = before
    for second in range(200, 259):
        same = Census(now_s=float(second), issued=serving, serving=serving, live=0)
        stepped, _ = tick(stepped, LIMITS, same)
    rested = caught_up(before, LIMITS, 258.0)

    crowd = Census(now_s=259.0, issued=serving + 500, serving=serving, live=0)
    after, advance = tick(rested, LIMITS, crowd)
    expected_after, expected = tick(stepped, LIMITS, crowd)

    assert expected.serving - serving >= 1
    assert (advance.serving, advance.capacity) == (expected.serving, expected.capacity)
    assert advance.speed is not None
    assert expected.speed is not None
    assert advance.speed.v50 == pytest.approx(expected.speed.v50, rel=1e-3)
    assert after.departures_per_s == pytest.approx(expected_after.departures_per_s, abs=1e-3)
    assert len(after.leaving.windows) == len(expected_after.leaving.windows)
    for seen, as_seen in (
        (after.survival.at_risk, expected_after.survival.at_risk),
        (after.survival.entered, expected_after.survival.entered),
    ):
        assert seen == pytest.approx(as_seen, abs=0.1)


def test_a_clock_that_went_back_makes_no_rest() -> None:
    """Nothing is made up for where no time has passed, nor where nobody has led the room yet."""
    before = busy()
    assert caught_up(before, LIMITS, 100.0) == before
    assert caught_up(PacingState.fresh(), LIMITS, 100.0) == PacingState.fresh()
