"""Hash the audit log again, entry by entry: what SQL cannot, since it writes JSON differently."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.operators.audit import AuditEntry, hash_entry
from sunseo.postgres.queries import load_cold_queries

_QUERIES = load_cold_queries("sunseo.invariants")

PAGE_ROWS = 2_000


async def find_altered_entries(
    connection: AsyncConnection, organisation: int, rows_max: int, is_late: Callable[[], bool]
) -> tuple[list[dict[str, Any]], int]:
    """Find entries whose hash is not that of their contents: the first few, and how many.

    Raises:
        TimeoutError: it became late before the end of the log.
    """
    altered: list[dict[str, Any]] = []
    total, after = 0, 0
    while page := await _read_page(connection, organisation, after):
        if is_late():
            raise TimeoutError
        after = page[-1]["entry"]
        faults = [fault for row in page if (fault := _fault_of(row)) is not None]
        total += len(faults)
        altered.extend(faults[: rows_max - len(altered)])
    return altered, total


async def _read_page(
    connection: AsyncConnection, organisation: int, after: int
) -> list[RowMapping]:
    found = await connection.execute(
        _QUERIES["read_audit_page"],
        {"organisation": organisation, "after": after, "rows_max": PAGE_ROWS},
    )
    return list(found.mappings())


def _fault_of(row: RowMapping) -> dict[str, Any] | None:
    entry = AuditEntry(
        organisation=row["organisation"],
        entry=row["entry"],
        recorded_at=row["recorded_at"],
        actor=row["actor"],
        action=row["action"],
        sale=row["sale"],
        details=row["details"],
    )
    expected = hash_entry(entry, row["previous_hash"])
    if expected == row["hash"]:
        return None
    return {
        "entry": entry.entry,
        "actor": entry.actor,
        "action": entry.action,
        "hash": row["hash"].hex(),
        "hash_of_contents": expected.hex(),
    }
