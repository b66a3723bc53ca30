"""PostgreSQL for the benchmark: one durable server of the product's own making, many clones."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg

from bench import halls
from bench.halls import WARM_UP_SALE, Hall
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.migrate import upgrade

HOLDER = UUID(int=1)  # of what is taken beforehand
TOLD = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_compression",
    "shared_buffers",
    "max_wal_size",
    "max_connections",
)


class BenchDatabase:
    """The server, and the databases in it.

    Its settings are the product's own and durable; every contender gets the same.
    """

    def __init__(self, folder: Path) -> None:
        self.server = EmbeddedServer(folder)

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    @property
    def pid(self) -> int:
        pid = self.server.pid
        if pid is None:
            raise RuntimeError("PostgreSQL is not running")
        return pid

    def url(self, name: str) -> str:
        """Where the database of that name is, for any client."""
        return self.server.dsn.replace("/sunseo?", f"/{name}?", 1)

    @asynccontextmanager
    async def connected(self, name: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        conn = await asyncpg.connect(self.url(name))
        try:
            yield conn
        finally:
            await conn.close()

    @asynccontextmanager
    async def as_superuser(
        self, name: str = "postgres"
    ) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        conn = await asyncpg.connect(self.server.admin_dsn.replace("/postgres?", f"/{name}?", 1))
        try:
            yield conn
        finally:
            await conn.close()

    async def settings(self) -> dict[str, str]:
        """Read what of the server's settings and version matters to a reader of the figures."""
        async with self.connected("sunseo") as conn:
            told = {name: await conn.fetchval(f"SHOW {name}") for name in TOLD}
            told["postgresql"] = await conn.fetchval("SHOW server_version")
            return told

    async def make_template(self, hall: Hall) -> None:
        """Migrate and load a database from which the runs' databases are cloned."""
        name = template_of(hall)
        await self._recreate(name)
        await asyncio.to_thread(upgrade, self.url(name))
        async with self.connected(name) as conn:
            await load(conn, hall, first=1)
            await load(conn, halls.warm_up(), first=WARM_UP_SALE)
            for script in halls.HISTORY:
                await conn.execute(script, halls.HISTORY_SALE, halls.HISTORY_HOLDS)
        async with self.as_superuser(name) as conn:
            await conn.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
            await conn.execute("VACUUM (FREEZE, ANALYZE)")

    async def clone(self, hall: Hall, name: str, scripts: Iterable[str]) -> str:
        """Make a fresh database of a hall, the same for everyone, and return its URL.

        Its tables and indexes are read into memory beforehand, and a checkpoint is behind it, so
        that no run pays for the one before.
        """
        await self._recreate(name, template_of(hall))
        await self._read_into_memory(name)
        async with self.connected(name) as conn:
            for script in scripts:
                await conn.execute(script)
            await conn.execute("UPDATE sales SET opens_at = clock_timestamp()")
        async with self.as_superuser(name) as conn:
            await conn.execute("VACUUM sales")
            await conn.execute("CHECKPOINT")
        return self.url(name)

    async def drop(self, name: str) -> None:
        async with self.as_superuser() as conn:
            await conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def _read_into_memory(self, name: str) -> None:
        async with self.as_superuser(name) as conn:
            await conn.fetch(
                "SELECT pg_prewarm(c.oid) FROM pg_class c"
                " WHERE c.relkind IN ('r', 'i') AND c.relnamespace = 'public'::regnamespace"
            )

    async def _recreate(self, name: str, template: str = "template0") -> None:
        async with self.as_superuser() as conn:
            await conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            await conn.execute(
                f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER sunseo STRATEGY file_copy'
            )


def template_of(hall: Hall) -> str:
    return f"hall_{hall.name}"


async def load(conn: "asyncpg.Connection[asyncpg.Record]", hall: Hall, *, first: int) -> None:
    """Fill in a hall's sales, set by set."""
    span: Sequence[int] = (first, first + hall.sales - 1)
    await conn.execute(halls.SALES, *span, hall.occasion_limit, hall.person_limit, hall.hold_ttl_s)
    await conn.execute(halls.OCCASIONS, *span)
    await conn.execute(halls.PRICE_CLASSES, *span)
    if hall.seats:
        await conn.execute(halls.SEATS, *span, hall.seats, timeout=300)
    if hall.stock:
        await conn.execute(halls.STOCKS, *span, hall.stock)
        await conn.execute(halls.PRODUCTS, *span)
        await conn.execute(halls.PRODUCT_DRAWS, *span)
    if hall.taken:
        await conn.execute(halls.TAKEN_HOLD, first, HOLDER, hall.taken)
        await conn.execute(halls.TAKEN_SEATS, first)
        await conn.execute(halls.TAKEN_USE, first, HOLDER, hall.taken, hall.person_limit)
