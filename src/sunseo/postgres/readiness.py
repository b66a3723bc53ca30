"""Whether PostgreSQL would take our work right now: asked by `/readyz`."""

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.postgres.address.pooler import INSTEAD, warning_of
from sunseo.postgres.errors import Trouble, outage_of, trouble_of
from sunseo.postgres.migrate import applied_revision

_BACKEND = text("SELECT pg_backend_pid()")

# On at a standby, and wherever server, database, role or session say that transactions only read.
_IS_READ_ONLY = text("SELECT current_setting('transaction_read_only')::boolean")


async def hindrance_of(engine: AsyncEngine, revision: str | None, dsn: str) -> str | None:
    """Say what keeps the database from taking our work; none if nothing does.

    Args:
        engine: whose connections are looked at.
        revision: of the schema which this version was written for.
        dsn: where the engine's connections lead.
    """
    try:
        async with engine.connect() as connection:
            if await connection.scalar(_IS_READ_ONLY):
                # What the session began with would stay with it, for as long as it is asked.
                await connection.invalidate()
                return Trouble.READ_ONLY.value
            if await applied_revision(connection) != revision:
                return Trouble.OLD_SCHEMA.value
            if await _is_behind_pooler(connection):
                return await warning_of(dsn)
    except Exception as error:
        if (outage := outage_of(error)) is None:
            raise
        is_pooler = trouble_of(error) is Trouble.POOLER
        return f"{outage} What to do: {INSTEAD}." if is_pooler else outage
    return None


async def _is_behind_pooler(connection: AsyncConnection) -> bool:
    """Whether the backend is another one than we were told of when we connected; see `pooler`."""
    told = (await connection.get_raw_connection()).driver_connection
    if not isinstance(told, asyncpg.Connection):
        return False
    return bool(told.get_server_pid() != await connection.scalar(_BACKEND))
