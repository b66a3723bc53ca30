"""Read what is new in the journal, sale by sale, by version.

Guarantee   Rows of a sale come in the order of their versions, starting right after the one
            asked for. Nothing is missed: versions have no gap and become visible in order.
On failure  The error goes to the caller, who asks again from the same versions.
"""

from collections.abc import Mapping

import asyncpg
import msgspec

from sunseo.journal.events import Event, decode
from sunseo.postgres.connection import LaneConnection
from sunseo.postgres.queries import load_queries

_QUERIES = load_queries("sunseo.journal")

ROWS_PER_SALE_MAX = 200  # in one turn, so that one busy sale does not delay the news of others


class TailRow(msgspec.Struct, frozen=True):
    sale: int
    version: int
    age_s: float  # since it was decided, by the database's clock
    events: list[Event] | None  # none where one is of a kind that this version does not know


class JournalTail:
    """One process's reader, on a connection of its own."""

    def __init__(self, connection: LaneConnection) -> None:
        self._connection = connection

    async def read(
        self, organisation: int, versions: Mapping[int, int]
    ) -> tuple[list[TailRow], bool]:
        """Read what came after these versions of these sales, and whether there may be more."""
        async with self._connection.transaction() as tx:
            rows = await tx.fetch(
                _QUERIES["read_tails"],
                [organisation] * len(versions),
                list(versions),
                list(versions.values()),
                ROWS_PER_SALE_MAX,
            )
        tails = [_tail_row(row) for row in rows]
        return tails, len(tails) >= ROWS_PER_SALE_MAX

    async def close(self) -> None:
        await self._connection.close()


def _tail_row(row: asyncpg.Record) -> TailRow:
    return TailRow(row["sale"], row["version"], row["age_s"], decode(row["events"]))
