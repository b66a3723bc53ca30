"""The database's time, for cold paths; lanes read it through their transaction."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.core.clock import Instant

_CLOCK = text("SELECT clock_timestamp()")


async def read_clock(connection: AsyncConnection) -> Instant:
    moment: Instant = (await connection.execute(_CLOCK)).scalar_one()
    return moment
