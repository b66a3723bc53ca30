"""PostgreSQL's clock goes back: rooms go on, and what was written before is not taken amiss.

What a step leaves behind are moments that are yet to come: here they are written by hand, and
`test_clock_steps_for_real.py` has PostgreSQL itself see another time.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sunseo.core.clock import ClockGuard
from sunseo.invariants.verify import verify
from sunseo.room.board.board import RoomBoard
from sunseo.room.board.ready import ReadyStates
from sunseo.room.pacing.controller import Controller
from sunseo.room.setup.schedule import Situation
from sunseo.room.store import ShownRoom
from tests.store.room_house import KEYS, ORGANISATION, House
from tests.store.test_room_controller import controller, let_time_pass, stepped

STEP = timedelta(hours=1)
STEP_S = STEP.total_seconds()


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    opened = House(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()


async def put_ahead(house: House) -> None:
    """Have all that is stored of rooms lie an hour later, as if the clock had gone back since."""
    for statement in (
        "UPDATE room_leases SET lease_until = lease_until + $1",
        "UPDATE room_passes SET entered_at = entered_at + $1, renewed_at = renewed_at + $1",
        "UPDATE room_passes SET expires_at = expires_at + $1, slot_until = slot_until + $1",
        "UPDATE room_passes SET session_until = session_until + $1",
        "UPDATE room_places SET issued_at = issued_at + $1",
        "UPDATE room_signals SET at = at + $1",
        "UPDATE room_releases SET released_at = released_at + $1",
    ):
        await house.rows(statement, STEP)
    await let_time_pass(house, -STEP_S)
    await house.rows(
        "UPDATE room_pacings SET state = jsonb_set(state, '{memory,entered_until_s}',"
        " to_jsonb((state #>> '{memory,entered_until_s}')::float8 + $1))",
        STEP_S,
    )


async def test_a_board_shows_what_was_read_last_whatever_the_time(house: House) -> None:
    """After the clock went back the board goes on, and says that it did."""
    steps: list[timedelta] = []
    board = RoomBoard(
        house.store.board, ReadyStates({}, KEYS), on_clock=ClockGuard(steps.append).observe
    )
    room = await house.room()
    await board.run_once()
    before = board.look(room)
    assert before is not None
    ahead = msgspec.structs.replace(before, now=before.now + STEP)
    board._views[room] = ahead
    board._on_clock(ahead.now)

    await board.run_once()
    after = board.look(room)

    assert after is not None
    assert before.now <= after.now < ahead.now
    assert [round(step.total_seconds() / STEP_S) for step in steps] == [1]


async def test_a_room_that_was_open_is_shown_closed_when_the_clock_has_gone_back(
    house: House,
) -> None:
    """Though none of its rows has changed: its phase is told by the time."""
    room = await house.room(opens_at=datetime.now(UTC) + timedelta(hours=1))
    view = await house.looked(room)
    assert view.situation.phase == "before"
    house.board._views[room] = msgspec.structs.replace(
        view, now=view.now + 2 * STEP, situation=Situation("open", None, None)
    )
    house.board._last.now_ms += int(2 * STEP.total_seconds() * 1000)

    assert (await house.looked(room)).situation.phase == "before"


async def test_a_reading_that_was_begun_earlier_is_not_taken_over(house: House) -> None:
    """Two loops read at once: what was begun later stays, though nothing else tells them apart."""
    room = await house.room()
    view = await house.looked(room)
    _, (row,) = await house.board._read({room}, {room})
    assert isinstance(row, ShownRoom)
    assert house.board._view(row, view, view.reading - 1) is None
    assert house.board._view(row, view, view.reading + 1) is not None


async def test_a_room_goes_on_calling_and_counts_who_enters(house: House) -> None:
    """What the last leader remembered of a time that is yet to come counts as of now."""
    room = await house.room(capacity=10)
    holders = await house.join(room, 30)
    await stepped(house)
    served = (await house.line(room))["serving"]
    assert [await house.enter(room, n, holders[n - 1]) for n in range(1, served)] == (
        ["ENTERED"] * (served - 1)
    )
    await put_ahead(house)

    assert await house.enter(room, served, holders[served - 1]) == "ENTERED"
    assert [await house.leave(room, n) for n in range(1, served)] == ["LEFT"] * (served - 1)
    await stepped(house, 8, lease_s=60.0)
    line = await house.line(room)
    assert line["serving"] > served
    remembered = await house.value(
        "SELECT (state #>> '{memory,entered_until_s}')::float8 - extract(epoch FROM now())::float8"
        " FROM room_pacings"
    )
    assert remembered <= 0


async def test_nobody_keeps_a_slot_for_as_long_as_the_clock_went_back(house: House) -> None:
    """Passes of before last from now on, once; they can still be renewed, and nothing is amiss."""
    room = await house.room(capacity=2, pass_ttl_s=60, skew_s=5)
    holders = await house.join(room, 2)
    await stepped(house)
    assert [await house.enter(room, n, holders[n - 1]) for n in (1, 2)] == ["ENTERED"] * 2
    await put_ahead(house)
    left = "SELECT max(extract(epoch FROM slot_until - now())) FROM room_passes"
    assert await house.value(left) > STEP_S

    await controller(house, lease_s=60.0).run_once()

    assert 0 < await house.value(left) <= 65
    assert (await house.line(room))["live"] == 2
    shortened = await house.rows("SELECT * FROM room_passes ORDER BY number")
    await controller(house, lease_s=60.0).run_once()
    assert await house.rows("SELECT * FROM room_passes ORDER BY number") == shortened
    assert await house.leave(room, 1) == "LEFT"
    assert await _violations(house) == []


async def test_a_leader_that_sees_a_step_sets_passes_right_without_being_followed(
    house: House,
) -> None:
    """The step itself is noticed, not only the change of leader."""
    room = await house.room(capacity=2, pass_ttl_s=60)
    leader: Controller = controller(house, lease_s=60.0)
    holders = await house.join(room, 1)
    for _ in range(3):
        await leader.run_once()
        await let_time_pass(house)
    assert await house.enter(room, 1, holders[0]) == "ENTERED"
    await put_ahead(house)
    leader._setback.observe((await house.looked(room)).now + STEP)

    await leader.run_once()
    assert leader.leads
    assert await house.value("SELECT max(renewed_at) < now() FROM room_passes")


async def test_times_on_both_sides_of_a_step_are_no_violation(house: House) -> None:
    """A pass that was entered before a step and ended after it is no fault of the data."""
    room = await house.room(capacity=2)
    holders = await house.join(room, 1)
    await stepped(house)
    assert await house.enter(room, 1, holders[0]) == "ENTERED"
    await house.rows("UPDATE room_passes SET entered_at = entered_at + $1", STEP)
    assert await house.leave(room, 1) == "LEFT"
    assert await house.value("SELECT ended_at < entered_at FROM room_passes")
    assert await _violations(house) == []


async def _violations(house: House) -> list[Any]:
    return list((await verify(house.engine, ORGANISATION)).violations)
