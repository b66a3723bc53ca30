"""What is new of rooms since they were last looked at: one statement, however many there are.

State       The server's start, and the oldest transaction that was under way at the last reading.
Guarantee   Whatever is committed is told by the next reading: what that one could not see yet was
            written by a transaction that was under way then, or began later. A room may be told
            twice. Each room is told in its turn every `TURNS` readings, whatever was written.
Clock       PostgreSQL's, as of the statement.
On failure  The next reading tells the same and what is new since. On another server, or after a
            restart, all rooms are told: its transactions are counted anew.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.core.clock import Instant
from sunseo.room.postgres.cold import QUERIES

TURNS = 600  # readings, about five minutes
REVOKED_MAX = 1000  # passes that one document lists, those that last longest first
VOID_MAX = 20_000  # of a sale's room: more than end in a minute behind any room of ours
REVOKED_LISTED_S = 60 + 5  # after expiry: a gate's clock may be late by the largest skew

Known = tuple[int, int, str]
"""A room, the version that is known of it, and the mark; no mark: to be told in any case."""


class News(msgspec.Struct, frozen=True):
    """One look around.

    Attributes:
        anew: whether nothing counts that was known of rooms: they are another server's.
        in_turn: rooms that are to be read again, changed or not.
        mark: from which the next look goes on.
    """

    now: Instant
    anew: bool
    changed: list[int]
    in_turn: list[int]
    mark: tuple[Instant, str]


class RoomReader:
    """One organisation's, for one board."""

    def __init__(self, engine: AsyncEngine, organisation: int) -> None:
        self._engine = engine
        self._organisation = organisation
        self._looks = 0
        self._mark: tuple[Instant | None, str | None] = (None, None)

    async def news(self) -> News:
        """Which rooms may have changed since the look that was kept last."""
        self._looks += 1
        server, since = self._mark
        where = {"server": server, "since": since, "turns": TURNS, "turn": self._looks % TURNS}
        (row,) = await self._execute("find_changed_rooms", where)
        return News(row.now, row.anew, row.changed, row.in_turn, (row.server, row.since))

    def keep(self, news: News) -> None:
        """Take all that it told as known."""
        self._mark = news.mark

    async def read(self, rooms: Iterable[int], known: Iterable[Known]) -> Sequence[Any]:
        """Read rooms as they are shown, but for those whose mark is as it was."""
        given = list(known)
        where = {
            "rooms": list(rooms),
            "known": [room for room, _, _ in given],
            "versions": [version for _, version, _ in given],
            "marks": [mark for _, _, mark in given],
            "listed_s": REVOKED_LISTED_S,
            "revoked_max": REVOKED_MAX,
            "void_max": VOID_MAX,
        }
        return await self._execute("read_board", where)

    async def _execute(self, query: str, where: dict[str, Any]) -> Sequence[Any]:
        async with self._engine.connect() as raw:
            connection = await raw.execution_options(isolation_level="AUTOCOMMIT")
            told = {"organisation": self._organisation} | where
            return (await connection.execute(QUERIES[query], told)).all()
