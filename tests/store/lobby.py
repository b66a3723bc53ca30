"""Rooms on a real database, filled through the real batch, for tests of what is stored.

Commands go to the flush in batches that the test chooses, without a lane around it. Time passes
when a test says so.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from sunseo.core.clock import Instant
from sunseo.core.ids import digest_id
from sunseo.core.outcome import Outcome
from sunseo.postgres.connection import LaneConnection, Transaction
from sunseo.room.line.commands import (
    Complete,
    Enter,
    ExpirePasses,
    Join,
    Leave,
    Renew,
    Revoke,
    RoomCommand,
    RoomKey,
    pass_id_of,
)
from sunseo.room.line.line import LinePass
from sunseo.room.line.rules import RoomAnswer
from sunseo.room.postgres.batch import RoomFlush
from sunseo.room.setup.settings import RoomSettings, encode_settings
from tests.postgres_fixture import UNFENCED
from tests.store.beside import Beside

ORGANISATION = 1


class Lobby:
    """One database with rooms on it."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._connection = TimedConnection(dsn)
        self._beside = Beside(dsn, **UNFENCED)
        self.flush = RoomFlush(self._connection)
        self._passes = 0

    async def open_room(self, settings: RoomSettings | None = None, *, serving: int = 0) -> RoomKey:
        """Set up a room; with `serving`, so many numbers are issued and called already."""
        settings = settings or RoomSettings()
        ((room,),) = await self.rows(
            "INSERT INTO rooms (organisation, name, settings) VALUES ($1, 'Room', $2::text::jsonb)"
            " RETURNING room",
            ORGANISATION,
            encode_settings(settings),
        )
        await self.rows(
            "INSERT INTO room_lines (organisation, room, capacity, issued, serving)"
            " VALUES ($1, $2, $3, $4, $4)",
            ORGANISATION,
            room,
            settings.capacity,
            serving,
        )
        return ORGANISATION, room

    async def change(self, room: RoomKey, settings: RoomSettings) -> None:
        """Change a room's settings, and its capacity with them."""
        await self.rows(
            "UPDATE rooms SET settings = $3::text::jsonb, version = version + 1"
            " WHERE organisation = $1 AND room = $2",
            *room,
            encode_settings(settings),
        )
        await self.rows(
            "UPDATE room_lines SET capacity = $3 WHERE organisation = $1 AND room = $2",
            *room,
            settings.capacity,
        )

    async def call_up_to(self, room: RoomKey, number: int) -> None:
        """Let everybody up to a number enter, as the controller would."""
        await self.rows(
            "UPDATE room_lines SET serving = $3 WHERE organisation = $1 AND room = $2",
            *room,
            number,
        )

    async def join(self, room: RoomKey, *who: str) -> list[RoomAnswer]:
        return await self.do(*(join(room, name) for name in who))

    async def enter(self, room: RoomKey, number: int, epoch: int = 1) -> RoomAnswer:
        (answer,) = await self.do(enter(room, number, epoch))
        return answer

    async def entered(self, room: RoomKey, number: int) -> LinePass:
        """Enter, and see that this gave a pass."""
        answer = await self.enter(room, number)
        assert answer.held is not None, answer.outcome
        return answer.held

    async def renew(self, room: RoomKey, held: LinePass, renewal: int | None = None) -> RoomAnswer:
        """Renew a pass by the token with this count of renewals, or else by its present one."""
        shown = held.renewal if renewal is None else renewal
        (answer,) = await self.do(Renew(room, 1, held.pass_id, shown))
        return answer

    async def leave(self, room: RoomKey, held: LinePass) -> Outcome:
        return await self._outcome(Leave(room, 1, held.pass_id))

    async def complete(self, room: RoomKey, held: LinePass) -> Outcome:
        return await self._outcome(Complete(room, 1, held.pass_id))

    async def revoke(self, room: RoomKey, held: LinePass) -> Outcome:
        return await self._outcome(Revoke(room, 1, held.pass_id))

    async def expire(self, room: RoomKey, passes_max: int = 100) -> int:
        (answer,) = await self.do(ExpirePasses(room, passes_max))
        return answer.expired

    async def do(self, *commands: RoomCommand) -> list[RoomAnswer]:
        """Have commands decided in one batch."""
        return list(await self.flush(commands))

    async def line(self, room: RoomKey) -> dict[str, Any]:
        """The room's row of `room_lines`."""
        (row,) = await self.records(
            "SELECT * FROM room_lines WHERE organisation = $1 AND room = $2", *room
        )
        return dict(row)

    async def snapshot(self, room: RoomKey) -> list[tuple[Any, ...]]:
        """All that is stored of a room's line, to see that nothing moved."""
        kept: list[tuple[Any, ...]] = []
        for table in ("room_lines", "room_places", "room_passes", "room_entrants"):
            query = f"SELECT * FROM {table} WHERE organisation = $1 AND room = $2 ORDER BY {table}"  # noqa: S608 - names from above
            kept += await self.rows(query, *room)
        return kept

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in await self.records(query, *arguments)]

    async def records(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run a statement of the test's own."""
        return await self._beside.records(query, *arguments)

    def let_time_pass(self, seconds: float) -> None:
        """Put the clock by which commands are decided forward."""
        self._connection.ahead += timedelta(seconds=seconds)

    async def close(self) -> None:
        await self._beside.close()
        await self._connection.close()

    async def _outcome(self, command: RoomCommand) -> Outcome:
        (answer,) = await self.do(command)
        return answer.outcome


class TimedConnection(LaneConnection):
    """A lane's connection whose clock is some time ahead of the database's, or stands still."""

    ahead = timedelta(0)
    stands_at: Instant | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as tx:
            yield _TimedTransaction(tx, self._clock())

    def _clock(self) -> str:
        """What to read instead of the database's clock: the statement itself believes in it."""
        if self.stands_at is not None:
            return f"timestamptz '{self.stands_at.isoformat()}'"
        return f"(clock_timestamp() + interval '{self.ahead.total_seconds()} s')"


class _TimedTransaction(Transaction):
    def __init__(self, tx: Transaction, clock: str) -> None:
        super().__init__(tx._connection)
        self._clock = clock

    async def fetch_with_clock(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        timed = query.replace("clock_timestamp()", self._clock)
        return await super().fetch_with_clock(timed, *arguments)


@asynccontextmanager
async def open_lobby(dsn: str) -> AsyncIterator[Lobby]:
    lobby = Lobby(dsn)
    try:
        yield lobby
    finally:
        await lobby.close()


def holder(who: str) -> UUID:
    return digest_id(b"holder", who)


def join(room: RoomKey, who: str) -> Join:
    """A join of somebody known by a secret, whom the draw knows as `entrant_of(who)`."""
    return Join(room, holder(who), entrant_of(who), digest_id(b"binding", who))


def enter(room: RoomKey, number: int, epoch: int = 1) -> Enter:
    return Enter(room, epoch, number, digest_id(b"of", str(number)), pass_id_of(number, epoch))


def entrant_of(who: str) -> UUID:
    return digest_id(b"entrant", who)


def numbers_of(answers: Sequence[RoomAnswer]) -> list[int]:
    return [answer.place.number for answer in answers if answer.place is not None]
