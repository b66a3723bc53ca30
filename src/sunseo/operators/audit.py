"""The audit log: who did what in operation, chained by hash so that tampering shows.

An entry's hash covers its own fields and the hash of the entry before. Whoever changes, drops or
inserts a row has to rewrite all that follow, and a copy of the last hash kept elsewhere tells.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.core.clock import to_millis
from sunseo.postgres.queries import load_cold_queries

_QUERIES = load_cold_queries("sunseo.operators")
_encode = msgspec.json.Encoder(order="sorted").encode

FIRST_PREVIOUS_HASH = bytes(32)
"""What the first entry of an organisation is chained to."""


class AuditEntry(msgspec.Struct, frozen=True):
    """One thing that an operator did; `details` never holds secrets or personal data."""

    organisation: int
    entry: int  # counted from 1 within the organisation
    recorded_at: datetime
    actor: str
    action: str
    sale: int | None
    details: dict[str, Any]


def hash_entry(entry: AuditEntry, previous_hash: bytes) -> bytes:
    """SHA-256 over the previous hash and the entry as JSON, keys sorted, time in milliseconds."""
    fields = {
        "organisation": entry.organisation,
        "entry": entry.entry,
        "recorded_at": to_millis(entry.recorded_at),
        "actor": entry.actor,
        "action": entry.action,
        "sale": entry.sale,
        "details": entry.details,
    }
    return sha256(previous_hash + _encode(fields)).digest()


async def lock(connection: AsyncConnection, organisation: int) -> None:
    """Have other writers of this organisation's log wait for the end of the transaction."""
    await connection.execute(_QUERIES["lock_audit_log"], {"organisation": organisation})


async def append(
    connection: AsyncConnection,
    organisation: int,
    *,
    actor: str,
    action: str,
    sale: int | None,
    details: dict[str, Any],
    now: datetime,
) -> None:
    """Append an entry in the transaction of what it tells; writers queue on the organisation."""
    where = {"organisation": organisation}
    await lock(connection, organisation)
    head = (await connection.execute(_QUERIES["read_audit_head"], where)).one_or_none()
    number, previous_hash = (head.entry, head.hash) if head else (0, FIRST_PREVIOUS_HASH)
    entry = AuditEntry(organisation, number + 1, now, actor, action, sale, details)
    await connection.execute(
        _QUERIES["append_audit_entry"],
        {
            "organisation": organisation,
            "entry": entry.entry,
            "recorded_at": now,
            "actor": actor,
            "action": action,
            "sale": sale,
            "details": _encode(details).decode(),
            "previous_hash": previous_hash,
            "hash": hash_entry(entry, previous_hash),
        },
    )
