"""The one connection that a lane of rooms owns; those of sales have a `pipeline`.

State       DISCONNECTED until first used, and again after it failed or was dropped.
Guarantee   One transaction at a time. A transaction commits when its block ends, and rolls back
            when the block raises. Locks are taken in the lock order only.
Clock       `Transaction.fetch_with_clock` reads the server's clock after the last lock, in a
            statement that locks nothing. (The clock read by a statement that had to wait for a lock
            is that of the start of the wait.)
On failure  An error that leaves the connection of no use (`errors`) closes it; the next transaction
            connects anew. The server bounds every statement, every wait for a lock and every idle
            moment in a transaction by itself, should this process hang.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from sunseo.postgres.address.address import read_address
from sunseo.postgres.connect import connect
from sunseo.postgres.errors import trouble_of
from sunseo.postgres.locks import Lockable, LockLadder


class ConnectionLimits(msgspec.Struct, frozen=True):
    """Bounds that the server enforces on a lane's connection."""

    connect_timeout_s: float = 3.0
    statement_timeout_s: float = 6.0  # below the lane's flush time-out, which is the last resort
    lock_timeout_s: float = 3.0
    idle_in_transaction_s: float = 10.0
    statement_cache: int = 100  # 0 behind a pooler that does not keep prepared statements


LANE = "sunseo lane"
"""What its connections are called, unless the user has a name for them."""

# Every statement of a lane finds its rows by key. Its plan is made once, perhaps on a table that
# is still empty, and kept; and on a table thought to be empty a scan of everything looks cheapest,
# by a whole index too. Of the ways to reach a table only a bitmap scan needs a key, so it is the
# one that is left. (The planner sees it only where it has no use for rows in an index's order: the
# statements see to that.) Whatever the statistics say, no plan reads more than the rows asked for.
KEYED_PLANS = {
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_indexscan": "off",
    "enable_indexonlyscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


class Transaction:
    """What a store may do inside one transaction."""

    __slots__ = ("_connection", "_ladder")

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection
        self._ladder = LockLadder()

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run a statement that locks nothing by itself."""
        return await self._connection.fetch(query, *arguments)

    async def lock(self, kind: Lockable, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run a statement that locks rows of one kind, keys ascending."""
        self._ladder.step(kind)
        return await self._connection.fetch(query, *arguments)

    async def fetch_with_clock(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run a statement that reads the time to decide at, and more; no lock can follow it."""
        self._ladder.close()
        return await self._connection.fetch(query, *arguments)


class LaneConnection:
    """See the module."""

    def __init__(
        self,
        dsn: str,
        *,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._address = read_address(dsn)
        self._limits = limits or ConnectionLimits()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        connection = await self._connected()
        try:
            async with connection.transaction():
                yield Transaction(connection)
        except Exception as error:
            trouble = trouble_of(error)
            if trouble is not None and trouble.goes_with_connection:
                self.drop()
            raise

    def drop(self) -> None:
        """Close at once, without a word to the server: whatever runs on it fails."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close(timeout=self._limits.connect_timeout_s)
            self._connection = None

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(
                self._address,
                LANE,
                timeout_s=self._limits.connect_timeout_s,
                settings=session_settings(self._limits),
                statement_cache=self._limits.statement_cache,
            )
        return self._connection


def session_settings(limits: ConnectionLimits) -> dict[str, str]:
    """What a lane's session is set to, whichever driver opens it."""
    return KEYED_PLANS | {
        "statement_timeout": f"{limits.statement_timeout_s * 1000:.0f}",
        "lock_timeout": f"{limits.lock_timeout_s * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{limits.idle_in_transaction_s * 1000:.0f}",
    }
