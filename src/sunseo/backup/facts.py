"""Read what is true in a database at one moment."""

from typing import TypeVar

import msgspec
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.backup.manifest import Facts, KeyFacts, RoomFacts, SaleFacts
from sunseo.postgres.queries import load_cold_queries

QUERIES = load_cold_queries("sunseo.backup")
LONG_S = 24 * 3600.0
"""For one statement: of a backup, none may be cut off."""

T = TypeVar("T", bound=msgspec.Struct)


async def read_facts(connection: AsyncConnection) -> Facts:
    """Everything that the manifest tells of a database, in the connection's own transaction."""
    about = (await connection.execute(QUERIES["read_moment"])).one()
    sales = "read_sales" if about.has_streams else "read_sales_before_streams"
    rooms = await _all(connection, "read_rooms", RoomFacts) if about.has_rooms else []
    return Facts(
        moment=about.moment,
        schema=about.schema,
        postgres=f"{int(about.postgres) // 10_000}.{int(about.postgres) % 10_000}",
        sales=await _all(connection, sales, SaleFacts),
        rooms=rooms,
        keys=await _all(connection, "read_keys", KeyFacts),
    )


async def _all(connection: AsyncConnection, query: str, kind: type[T]) -> list[T]:
    rows = (await connection.execute(QUERIES[query])).mappings().all()
    return [_made(kind, row) for row in rows]


def _made(kind: type[T], row: RowMapping) -> T:
    return kind(**row)
