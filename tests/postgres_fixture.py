"""A real PostgreSQL for tests, and a database of its own for each.

One server per test process (so one per worker of pytest-xdist), in a temporary folder, without
fsync. The migrations run once, into a template, and `fence.sql` after them; each test gets a clone
of it, or one that another test has left: emptied, and else like the template. Use:

    from tests.postgres_fixture import database_dsn, postgres_server  # fixtures, by import
"""

import asyncio
from collections.abc import Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.migrate import upgrade
from sunseo.postgres.queries import parse_queries

TEMPLATE = "sunseo_template"
FENCE = Path(__file__).with_name("fence.sql")
DATABASES = parse_queries(
    Path(__file__).with_name("databases.sql").read_text("utf-8"), "databases.sql"
)
UNFENCED = {"fence.off": "on"}
"""Settings of a connection on which a test changes rows behind the engine's back."""
SETUP_S = 120.0
CLOSING_S = 30.0  # for what a test has closed to be gone; no figure
POLL_S = 0.005

T = TypeVar("T")


class Databases:
    """Clones of the template, each given to one test after another."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._numbers = count(1)
        self._free: list[str] = []
        self._shape: object = None

    def take(self) -> str:
        if self._free:
            return self._free.pop()
        name = f"test_{next(self._numbers)}"
        create_database(self._server, name, template=TEMPLATE)
        if self._shape is None:
            ((self._shape,),) = query(self._inside(name), DATABASES["shape"])
        return name

    def give_back(self, name: str) -> None:
        """Empty it for the next test; one whose schema or settings were changed is dropped."""
        if run(self._is_made_empty(name)):
            self._free.append(name)
        else:
            execute(self._server, f"DROP DATABASE IF EXISTS {name}")

    async def _is_made_empty(self, name: str) -> bool:
        try:
            inside = await asyncpg.connect(self._inside(name), timeout=SETUP_S)
        except asyncpg.PostgresError:
            return False  # a test has left it in a state in which it lets nobody in
        try:
            async with asyncio.timeout(CLOSING_S):
                while await inside.fetchval(DATABASES["still_connected"]):  # noqa: ASYNC110 - PostgreSQL tells nobody
                    await asyncio.sleep(POLL_S)
            if await inside.fetchval(DATABASES["shape"]) != self._shape:
                return False
            await inside.execute(DATABASES["wipe"])
        except TimeoutError:
            raise AssertionError(f"a connection to {name} was left open") from None
        finally:
            await inside.close()
        return True

    def _inside(self, name: str) -> str:
        return self._server.admin_dsn.replace("@/postgres?", f"@/{name}?")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A running server whose template database has the newest schema."""
    folder = tmp_path_factory.mktemp("postgres")
    with EmbeddedServer(folder, durable=False, stop_grace_s=5.0) as server:
        create_database(server, TEMPLATE)
        upgrade(dsn_of(server, TEMPLATE))
        execute_script(dsn_of(server, TEMPLATE), FENCE)
        # Nobody may connect to a template while it is cloned.
        execute(server, f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")
        yield server


@pytest.fixture(scope="session")
def databases(postgres_server: EmbeddedServer) -> Databases:
    return Databases(postgres_server)


@pytest.fixture
def database_dsn(postgres_server: EmbeddedServer, databases: Databases) -> Iterator[str]:
    """The DSN of an empty, migrated database; whoever uses it closes her connections."""
    name = databases.take()
    yield dsn_of(postgres_server, name)
    databases.give_back(name)


def create_database(server: EmbeddedServer, name: str, *, template: str = "template0") -> None:
    # Copied as files, which is a third cheaper than through the log where nothing is synced.
    clone = f"CREATE DATABASE {name} TEMPLATE {template} OWNER sunseo STRATEGY file_copy"
    execute(server, clone)


def dsn_of(server: EmbeddedServer, name: str) -> str:
    """The DSN of another database of the server, for the engine's own role."""
    return server.dsn.replace("@/sunseo?", f"@/{name}?")


def execute(server: EmbeddedServer, *statements: str) -> None:
    """Run statements as superuser on the maintenance database."""
    for statement in statements:
        query(server.admin_dsn, statement)


def execute_script(dsn: str, script: Path) -> None:
    """Run all statements of a file, as the database's owner."""
    run(_execute_script(dsn, script.read_text("utf-8")))


async def _execute_script(dsn: str, script: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=SETUP_S)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


def query(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement on a connection of its own; its rows. Not from a running loop."""
    return run(_query(dsn, statement))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop of its own, and never the current one: pytest-asyncio keeps that."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def _query(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn, timeout=SETUP_S)
    try:
        return [tuple(row.values()) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
