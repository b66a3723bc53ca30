"""What is stored of rooms, on a real database."""

from collections.abc import AsyncIterator

import pytest

from sunseo.room.line.commands import EnterOutcome, JoinOutcome, RenewOutcome
from sunseo.room.setup.settings import RoomSettings
from tests.store.lobby import Lobby, enter, join, numbers_of, open_lobby


@pytest.fixture
async def lobby(database_dsn: str) -> AsyncIterator[Lobby]:
    async with open_lobby(database_dsn) as opened:
        yield opened


async def test_a_batch_touches_many_rooms(lobby: Lobby) -> None:
    """Joins of several rooms share a batch, and each room counts for itself."""
    rooms = [await lobby.open_room() for _ in range(3)]

    answers = await lobby.do(*(join(room, who) for who in ("Kim", "Lee") for room in rooms))

    assert numbers_of(answers) == [1, 1, 1, 2, 2, 2]
    assert [(await lobby.line(room))["issued"] for room in rooms] == [2, 2, 2]


async def test_a_join_is_stored_and_repeatable(lobby: Lobby) -> None:
    """The same holder gets the same place, in the same batch and in a later one."""
    room = await lobby.open_room()

    first, twice, other = await lobby.join(room, "Kim", "Kim", "Lee")
    before = await lobby.snapshot(room)
    (later,) = await lobby.join(room, "Kim")

    assert [first.outcome, twice.outcome, later.outcome] == [
        JoinOutcome.JOINED,
        JoinOutcome.REPLAYED,
        JoinOutcome.REPLAYED,
    ]
    assert first.place == twice.place == later.place
    assert numbers_of([first, other]) == [1, 2]
    assert await lobby.snapshot(room) == before


async def test_a_pass_through_its_life(lobby: Lobby) -> None:
    """Entered, replayed, renewed, lapsed, entered again, left: the row and the counter agree."""
    room = await lobby.open_room(RoomSettings(capacity=1), serving=2)

    held = await lobby.entered(room, 1)
    again = await lobby.enter(room, 1)
    assert (again.outcome, again.held) == (EnterOutcome.REPLAYED, held)
    assert (await lobby.enter(room, 2)).outcome is EnterOutcome.ROOM_FULL

    lobby.let_time_pass(40)
    renewed = await lobby.renew(room, held)
    assert renewed.outcome is RenewOutcome.RENEWED
    lobby.let_time_pass(70)
    assert (await lobby.renew(room, held, 1)).outcome is RenewOutcome.PASS_EXPIRED
    assert (await lobby.enter(room, 2)).outcome is EnterOutcome.ENTERED
    assert (await lobby.enter(room, 1)).outcome is EnterOutcome.ROOM_FULL
    assert (await lobby.line(room))["live"] == 1
    assert await lobby.rows("SELECT number, state FROM room_passes ORDER BY number") == [
        (1, "expired"),
        (2, "live"),
    ]
    assert [a.outcome for a in await lobby.do(enter(room, 3), enter(room, 2))] == [
        EnterOutcome.NOT_SERVED,
        EnterOutcome.REPLAYED,
    ]
