"""Operator keys in the database: added with an audit entry, looked up by their id."""

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.operators import audit
from sunseo.postgres.clock import read_clock
from sunseo.postgres.queries import load_cold_queries
from sunseo.web.operators import new_operator_key

_QUERIES = load_cold_queries("sunseo.operators")


async def create_key(engine: AsyncEngine, organisation: int, name: str) -> str:
    """Make an operator key and return it: the only time that it can be seen."""
    key = new_operator_key()
    async with engine.begin() as connection:
        await connection.execute(
            _QUERIES["add_key"],
            {
                "organisation": organisation,
                "key_id": key.key_id,
                "name": name,
                "digest": key.digest,
            },
        )
        await audit.append(
            connection,
            organisation,
            actor="command line",
            action="create_key",
            sale=None,
            details={"key_id": key.key_id, "name": name},
            now=await read_clock(connection),
        )
    return key.text


async def find_digest(engine: AsyncEngine, organisation: int, key_id: str) -> bytes | None:
    """The digest of a key; none where it is unknown or revoked."""
    async with engine.connect() as connection:
        digest: bytes | None = await connection.scalar(
            _QUERIES["find_key"], {"organisation": organisation, "key_id": key_id}
        )
        return digest
