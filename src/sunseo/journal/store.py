"""Write and read the journal."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.core.clock import Instant
from sunseo.postgres.arrays import array_of
from sunseo.postgres.connection import Transaction
from sunseo.postgres.queries import load_cold_queries, load_queries

_QUERIES = load_queries("sunseo.journal")
_COLD = load_cold_queries("sunseo.journal")
_encode = msgspec.json.Encoder().encode

Event = dict[str, Any]


class Entry(msgspec.Struct, frozen=True):
    """All that one transaction has to say of one sale, whose row it has locked."""

    organisation: int
    sale: int
    version: int  # the sale's version before, plus one
    events: Sequence[Event]


async def append(tx: Transaction, entries: Sequence[Entry], now: Instant) -> None:
    """Raise the sales' versions and write their entries, in the transaction of the change."""
    if not entries:
        return
    await tx.fetch(
        _QUERIES["advance_sales"],
        array_of(entry.organisation for entry in entries),
        array_of(entry.sale for entry in entries),
        array_of(entry.version for entry in entries),
        [_encode(entry.events).decode() for entry in entries],
        now,
    )


async def append_cold(connection: AsyncConnection, entry: Entry, now: Instant) -> None:
    """Write an operator's entry; the sale is locked and its version was raised to the entry's."""
    await connection.execute(
        _COLD["append_entry"],
        {
            "organisation": entry.organisation,
            "sale": entry.sale,
            "version": entry.version,
            "recorded_at": now,
            "events": _encode(entry.events).decode(),
        },
    )
