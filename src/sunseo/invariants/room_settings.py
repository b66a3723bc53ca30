"""Read the settings of every room again, in the very way that the server reads them.

What counts as readable is said in one place only; a second opinion here would be another question.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.postgres.queries import load_cold_queries
from sunseo.room.setup.stored import fault_of_settings

_QUERIES = load_cold_queries("sunseo.invariants")

PAGE_ROWS = 500


async def find_unreadable_rooms(
    connection: AsyncConnection, organisation: int, rows_max: int, is_late: Callable[[], bool]
) -> tuple[list[dict[str, Any]], int]:
    """Find rooms that are set aside because of their settings: the first few, and how many.

    Raises:
        TimeoutError: it became late before the last room.
    """
    faults: list[dict[str, Any]] = []
    after = 0
    while page := await _read_page(connection, organisation, after):
        if is_late():
            raise TimeoutError
        after = page[-1].room
        for row in page:
            fault = fault_of_settings(row.settings, row.now)
            if fault is not None:
                faults.append({"room": row.room, "name": row.name, "fault": fault})
    return faults[:rows_max], len(faults)


async def _read_page(connection: AsyncConnection, organisation: int, after: int) -> list[Any]:
    where = {"organisation": organisation, "after": after, "rows_max": PAGE_ROWS}
    return list((await connection.execute(_QUERIES["read_room_settings"], where)).all())
