"""Whether PostgreSQL would take our work right now: asked by `/readyz`."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.postgres.errors import Trouble, outage_of
from sunseo.postgres.migrate import applied_revision

# On at a standby, and wherever server, database, role or session say that transactions only read.
_IS_READ_ONLY = text("SELECT current_setting('transaction_read_only')::boolean")


async def hindrance_of(engine: AsyncEngine, revision: str | None) -> str | None:
    """Say what keeps the database from taking our work; none if nothing does.

    `revision` is that of the schema which this version was written for.
    """
    try:
        async with engine.connect() as connection:
            if await connection.scalar(_IS_READ_ONLY):
                # What the session began with would stay with it, for as long as it is asked.
                await connection.invalidate()
                return Trouble.READ_ONLY.value
            if await applied_revision(connection) != revision:
                return Trouble.OLD_SCHEMA.value
    except Exception as error:
        if (outage := outage_of(error)) is None:
            raise
        return outage
    return None
