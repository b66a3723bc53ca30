"""What boards read of PostgreSQL: a look that tells which rooms changed, and those rooms.

State       Of each look the server's start, and the oldest transaction that was under way: its
            mark, which whoever asks hands back.
Guarantee   Whatever is committed is told by the next look: what the last one could not see yet was
            written by a transaction that was under way then, or began later. A room may be told
            twice. On another server, or after a restart, all rooms are told: its transactions are
            counted anew. A room's own mark names the versions of all rows that it is shown by.
Clock       PostgreSQL's, as of the statement.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.room.postgres.cold import QUERIES
from sunseo.room.postgres.rows import fields_of
from sunseo.room.store import BoardMark, BoardNews, LostRoom, MarkedRoom, PassLists, ShownRoom


class PostgresBoard:
    """The `BoardStore` of one organisation."""

    def __init__(self, engine: AsyncEngine, organisation: int) -> None:
        self._engine = engine
        self._organisation = organisation

    async def news(self, since: BoardMark | None, *, turns: int, turn: int) -> BoardNews:
        server, position = since or (None, None)
        where = {"server": server, "since": position, "turns": turns, "turn": turn}
        (row,) = await self._execute("find_changed_rooms", where)
        mark = BoardMark(row.server, row.since)
        return BoardNews(row.now, row.anew, row.changed, row.in_turn, mark)

    async def read(
        self, rooms: Iterable[int], known: Iterable[MarkedRoom], lists: PassLists
    ) -> list[ShownRoom | LostRoom]:
        given = list(known)
        where = {
            "rooms": list(rooms),
            "known": [one.room for one in given],
            "versions": [one.version for one in given],
            "marks": [one.mark for one in given],
            "listed_s": lists.listed_s,
            "revoked_max": lists.revoked_max,
            "void_max": lists.void_max,
        }
        return [_shown(row) for row in await self._execute("read_board", where)]

    async def _execute(self, query: str, where: dict[str, Any]) -> Sequence[Any]:
        async with self._engine.connect() as raw:
            connection = await raw.execution_options(isolation_level="AUTOCOMMIT")
            told = {"organisation": self._organisation} | where
            return (await connection.execute(QUERIES[query], told)).all()


def _shown(row: Any) -> ShownRoom | LostRoom:
    if row.epoch is None:
        return LostRoom(row.room, row.sale)
    fields = fields_of(row)
    fields["revoked"] = tuple(row.revoked or ())
    fields["void"] = tuple(row.void or ())
    return ShownRoom(**fields)
