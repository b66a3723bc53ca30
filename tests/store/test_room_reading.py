"""What a board reads of rooms: whatever was written since, by whomever and whenever it began."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from sunseo.core.clock import to_millis
from sunseo.room.board.board import RoomBoard, RoomView
from sunseo.room.board.reader import TURNS
from sunseo.room.pages.screen import Standing, line_of
from sunseo.room.pages.texts import EN
from sunseo.room.setup.schedule import phase_at
from tests.store.room_house import House

ROOMS = 12


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    opened = House(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()


class Told:
    """Which rooms a board's readings tell, in turns that are nobody's unless a test says so."""

    def __init__(self, board: RoomBoard) -> None:
        self._board = board
        self._read = board._reader.read
        board._reader.read = self._listen  # type: ignore[method-assign, assignment]  # to listen
        self.rooms: list[int] = []

    async def _listen(self, *given: Any) -> Sequence[Any]:
        rows = await self._read(*given)
        self.rooms = [row.room for row in rows]
        return rows

    async def next(self, look: int = TURNS // 2) -> list[int]:
        self.rooms = []
        self._board._reader._looks = look
        await self._board.run_once()
        return self.rooms


def seen(house: House, room: int) -> RoomView:
    view = house.board.look(room)
    assert view is not None
    return view


async def test_only_what_changed_is_read(house: House) -> None:
    """The room that was joined, changed or made, and no other; a new one is read by itself."""
    rooms = [await house.room() for _ in range(ROOMS)]
    told = Told(house.board)
    assert await told.next() == rooms
    assert await told.next() == []

    await house.join(rooms[3])
    assert await told.next() == [rooms[3]]
    await house.change(rooms[5], capacity=7)
    assert await told.next() == [rooms[5]]
    new = await house.room()
    await house.board.read_room(new)
    assert told.rooms == [new]
    assert (seen(house, rooms[3]).issued, seen(house, rooms[5]).settings.capacity) == (1, 7)
    assert seen(house, new).issued == 0


async def test_what_was_under_way_is_told_when_it_is_committed(house: House) -> None:
    """A change that began before a reading and ended after it is not passed over."""
    room = await house.room()
    told = Told(house.board)
    await told.next()
    writer = await asyncpg.connect(house.dsn)
    try:
        async with writer.transaction():
            await writer.execute("SELECT pg_current_xact_id()")
            async with writer.transaction():
                await writer.execute("UPDATE room_lines SET issued = 7 WHERE room = $1", room)
            for _ in range(3):  # others begin, end and are read meanwhile
                await house.room()
                await told.next()
            before = seen(house, room)
        assert await told.next() == [room]
    finally:
        await writer.close()

    assert (before.issued, seen(house, room).issued) == (0, 7)


async def test_a_room_that_stands_still_is_shown_as_of_the_last_tick(house: House) -> None:
    """Its document and its page tell the time of the tick, not that of its last change."""
    room = await house.room()
    told = Told(house.board)
    await told.next()
    before = seen(house, room)
    assert await told.next() == []

    after = seen(house, room)
    line = line_of(after, Standing(), EN)
    assert after.now > before.now
    assert line.now == json.loads(house.ready.document_of(room))["now"] == to_millis(after.now)


async def test_another_server_tells_all_rooms(house: House) -> None:
    """After a restart or on another server nothing is taken as known, settings included."""
    rooms = [await house.room() for _ in range(ROOMS)]
    told = Told(house.board)
    await told.next()
    mark = house.board._reader._mark
    assert mark is not None
    assert isinstance(mark.life, datetime)
    # The same version, other settings: of a change that the other server never had.
    await house.rows(
        "UPDATE rooms SET settings = jsonb_set(settings, '{tau_s}', '3.0') WHERE room = $1",
        rooms[2],
    )
    house.board._reader._mark = mark._replace(life=mark.life - timedelta(days=1))

    assert await told.next() == rooms
    assert seen(house, rooms[2]).settings.tau_s == 3.0


async def test_every_room_is_told_anew_in_its_turn(house: House) -> None:
    """Whatever a reading might miss is found when the room has its turn."""
    rooms = [await house.room() for _ in range(3)]
    told = Told(house.board)
    await told.next()

    assert [await told.next(room - 1) for room in rooms] == [[room] for room in rooms]


async def test_a_look_that_failed_is_made_up_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would have told is told by the next one."""
    room = await house.room()
    told = Told(house.board)
    await told.next()
    await house.join(room)

    with monkeypatch.context() as patch:
        patch.setattr(house.board, "_read", None)
        with pytest.raises(TypeError):
            await told.next()

    assert await told.next() == [room]
    assert seen(house, room).issued == 1


async def test_time_alone_opens_a_room(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written, and with the first tick after its time the room is open."""
    room = await house.room(opens_at=datetime.now(UTC) + timedelta(hours=1))
    told = Told(house.board)
    await told.next()
    before = seen(house, room)
    assert (await told.next(), before.situation.phase) == ([], "before")

    # As if the hour had gone by: its time has come, and the rule sees a later moment.
    past = before.now - timedelta(seconds=1)
    house.board._views[room] = replace(
        before, situation=before.situation._replace(next_change=past)
    )
    house.board._next_change = past
    monkeypatch.setattr(
        "sunseo.room.board.board.phase_at",
        lambda settings, now, **told: phase_at(settings, now + timedelta(hours=2), **told),
    )
    assert await told.next() == [room]
    assert seen(house, room).situation.phase == "open"
    assert await told.next() == []
