"""Write the journal: one row for each stream that a transaction has changed."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.core.clock import Instant
from sunseo.journal.events import Event, encode
from sunseo.postgres.pipelined.arrays import array_of, array_of_texts
from sunseo.postgres.pipelined.statements import Statement
from sunseo.postgres.queries import load_cold_queries, load_queries

_QUERIES = load_queries("sunseo.journal")
_COLD = load_cold_queries("sunseo.journal")


class JournalEntry(msgspec.Struct, frozen=True):
    """All that one transaction has to say of one stream, whose row it has locked."""

    kind: str
    organisation: int
    number: int
    version: int  # the stream's version before, plus one
    events: Sequence[Event]


def append(entries: Sequence[JournalEntry], now: Instant) -> Statement:
    """Write entries in the transaction of the change, which raises the streams' versions, too."""
    return Statement(
        _QUERIES["append_entries"],
        (
            array_of_texts(entry.kind for entry in entries),
            array_of(entry.organisation for entry in entries),
            array_of(entry.number for entry in entries),
            array_of(entry.version for entry in entries),
            array_of_texts(encode(entry.events) for entry in entries),
            now.isoformat(),
        ),
    )


async def append_cold(connection: AsyncConnection, entry: JournalEntry, now: Instant) -> None:
    """Write an operator's entry; the stream is locked and its version was raised to the entry's."""
    await connection.execute(
        _COLD["append_entry"],
        {
            "organisation": entry.organisation,
            "kind": entry.kind,
            "stream": entry.number,
            "version": entry.version,
            "recorded_at": now,
            "events": encode(entry.events),
        },
    )
