"""Whether a pooler (PgBouncer or its like) stands between us and PostgreSQL, and of which kind.

What tells them apart is the process number of the backend. PostgreSQL says at the start which one
it is, and a pooler, which has none yet, makes one up: asked, the backend names another. Whether a
server is ours for the session, or for a transaction only, shows when a second client begins a
transaction: it is given a server that the first one, still connected, has just used; or else the
first one is answered by several servers.

State       None; asking costs two connections for a moment, and only behind a pooler the second.
Guarantee   NONE and TRANSACTION are proven. SESSION is what a pooler is taken for that showed
            nothing else in several turns.
Clock       Each connection has `PATIENCE_S`, each answer `ANSWER_S`.
On failure  The error of who could not be reached.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum, unique

import psycopg

from sunseo.postgres.address.address import Address, read_address
from sunseo.postgres.errors import POOLER_REFUSES, Trouble

PATIENCE_S = 3.0
ANSWER_S = 1.0  # below what a probe of `/readyz` waits for
TURNS = 5
_PID = "SELECT pg_backend_pid()"


@unique
class Pooling(Enum):
    """What stands between us and PostgreSQL."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"

    @property
    def is_by_transaction(self) -> bool:
        """Whether the next transaction may meet another server: nothing set lasts any longer."""
        return self is Pooling.TRANSACTION


BY_TRANSACTION = (
    "The connection goes through PgBouncer, or a pooler like it, in transaction mode, where our"
    " settings and prepared statements meet those of others: set pool_mode = session for this"
    " database there, or let database_url lead to PostgreSQL itself."
)
INSTEAD = (
    "let database_url lead to PostgreSQL itself; or set, in the pooler, pool_mode = session for"
    " this database, and ignore_startup_parameters to every name that it refuses"
)
"""What to do where a pooler refuses our settings."""


async def pooling_of(dsn: str) -> Pooling:
    """Find out what stands between us and PostgreSQL.

    Raises:
        AddressError: `dsn` is no connection string, or asks for what is not offered.
        psycopg.Error, OSError, TimeoutError: nobody can be reached.
    """
    address = read_address(dsn)
    async with _link(address) as first:
        if await _backend_of(first) == first.info.backend_pid:
            return Pooling.NONE
        async with _link(address) as second:
            with suppress(TimeoutError):  # of a pool without a server for the second one
                for _ in range(TURNS):
                    if await _is_shared(first, second):
                        return Pooling.TRANSACTION
    return Pooling.SESSION


async def warning_of(dsn: str) -> str | None:
    """One line for people, and what to set, where a pooler is in the way; none where none is.

    Who cannot be reached is not warned of: that is told elsewhere.
    """
    try:
        pooling = await pooling_of(dsn)
    except (psycopg.Error, OSError) as error:
        if POOLER_REFUSES in str(error):
            return f"{Trouble.POOLER.value} What to do: {INSTEAD}."
        return None
    return BY_TRANSACTION if pooling.is_by_transaction else None


async def _is_shared(first: psycopg.AsyncConnection, second: psycopg.AsyncConnection) -> bool:
    """Whether one client was given several servers, or two clients one of them."""
    before = {await _backend_of(first), await _backend_of(first)}
    await _ask(second, "BEGIN")
    between = await _backend_of(second)
    is_shared = len(before) > 1 or between in before
    if not is_shared:  # else the first one might have to wait for the second
        is_shared = await _backend_of(first) not in before
    await _ask(second, "ROLLBACK")
    return is_shared


async def _backend_of(link: psycopg.AsyncConnection) -> int:
    return int(await _ask(link, _PID) or 0)


async def _ask(link: psycopg.AsyncConnection, query: str) -> int | None:
    asked = asyncio.ensure_future(_answer(link, query))
    try:
        await asyncio.wait({asked}, timeout=ANSWER_S)
    finally:
        if is_late := not asked.done():
            link.pgconn.finish()  # else psycopg has the pooler cancel it, and waits for that, too
            asked.cancel()
    if is_late:
        raise TimeoutError("the pooler had no server for us")
    return asked.result()


async def _answer(link: psycopg.AsyncConnection, query: str) -> int | None:
    cursor = await link.execute(query.encode(), prepare=False)
    row = await cursor.fetchone() if cursor.description else None
    return None if row is None else int(row[0])


@asynccontextmanager
async def _link(address: Address) -> AsyncIterator[psycopg.AsyncConnection]:
    told = address.for_psycopg("sunseo pooler", timeout_s=PATIENCE_S)
    async with asyncio.timeout(address.timeout_s(PATIENCE_S) * len(address.hosts)):
        link = await psycopg.AsyncConnection.connect(told, autocommit=True)
    try:
        yield link
    finally:
        await link.close()
