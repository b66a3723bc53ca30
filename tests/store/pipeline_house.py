"""A connection that sends by the segment, and an eye on what is stored."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from sunseo.postgres.connection import ConnectionLimits
from sunseo.postgres.pipelined.pipeline import PipelineConnection
from sunseo.postgres.pipelined.segments import Columns, Statement
from sunseo.postgres.pipelined.session import PipelineSession

PATIENCE_S = 20.0
BEGIN, COMMIT, ROLLBACK = ("BEGIN", ()), ("COMMIT", ()), ("ROLLBACK", ())
TABLES = """
CREATE TABLE kept (k integer CONSTRAINT kept_once PRIMARY KEY);
CREATE TABLE late (k integer CONSTRAINT late_once UNIQUE DEFERRABLE INITIALLY DEFERRED);
"""


def keep(*keys: int) -> Statement:
    literal = "{" + ",".join(map(str, keys)) + "}"
    return "INSERT INTO kept SELECT unnest($1::text::integer[])", (literal,)


def keep_late(key: int) -> Statement:
    return "INSERT INTO late VALUES ($1::text::integer)", (str(key),)


class House:
    """A connection under test, and an eye on what is stored."""

    def __init__(
        self,
        dsn: str,
        watching: "asyncpg.Connection[asyncpg.Record]",
        limits: ConnectionLimits | None = None,
    ) -> None:
        self.dsn = dsn
        self.lane = PipelineConnection(dsn, limits=limits)
        self.watching = watching

    async def connect(self) -> PipelineSession:
        self.session = await self.lane.session()
        return self.session

    def send(self, statements: Sequence[Statement]) -> "asyncio.Future[list[Columns]]":
        return self.session.send(statements)

    @asynccontextmanager
    async def limited(self, **limits: Any) -> "AsyncIterator[House]":
        """Another connection under test, to the same database."""
        other = House(self.dsn, self.watching, ConnectionLimits(**limits))
        await other.connect()
        try:
            yield other
        finally:
            other.lane.drop()

    async def kept(self, table: str = "kept") -> list[int]:
        rows = await self.watching.fetch(f"TABLE {table}")
        return sorted(row["k"] for row in rows)

    async def backend(self) -> int:
        (answer,) = await self.send([("SELECT pg_backend_pid() AS pid", ())])
        pid: int = answer["pid"][0]
        return pid

    async def gone(self, pid: int) -> None:
        """Wait until a backend has ended."""
        await found(
            self.watching, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid
        )

    async def waiting_for_a_lock(self, pid: int) -> None:
        await found(
            self.watching,
            "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1",
            pid,
        )


async def found(
    watching: "asyncpg.Connection[asyncpg.Record]", question: str, *arguments: object
) -> None:
    """Ask until it is so."""
    await until(lambda: watching.fetchval(question, *arguments))


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Look again until it holds; another process says when."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    watching = await asyncpg.connect(database_dsn)
    await watching.execute(TABLES)
    house = House(database_dsn, watching)
    await house.connect()
    try:
        yield house
    finally:
        house.lane.drop()
        await watching.close()


async def error_of(future: "asyncio.Future[Any]") -> Exception:
    await asyncio.wait({future}, timeout=PATIENCE_S)
    error = future.exception()
    assert isinstance(error, Exception), f"it was answered: {future}"
    return error
