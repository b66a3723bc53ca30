"""A real PostgreSQL for tests, and a database of its own for each.

One server per test process (so one per worker of pytest-xdist), in a temporary folder, without
fsync. The migrations run once, into a template, and `fence.sql` after them; each test gets a clone
of it. Use:

    from tests.postgres_fixture import database_dsn, postgres_server  # fixtures, by import
"""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.migrate import upgrade

TEMPLATE = "sunseo_template"
FENCE = Path(__file__).with_name("fence.sql")
UNFENCED = {"fence.off": "on"}
"""Settings of a connection on which a test changes rows behind the engine's back."""
SETUP_S = 120.0

_numbers = count(1)


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


@pytest.fixture
def database_dsn(postgres_server: EmbeddedServer) -> Iterator[str]:
    """The DSN of a fresh, migrated database, which is dropped after the test."""
    name = f"test_{next(_numbers)}"
    create_database(postgres_server, name, template=TEMPLATE)
    yield dsn_of(postgres_server, name)
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def create_database(server: EmbeddedServer, name: str, *, template: str = "template0") -> None:
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template} OWNER sunseo")


def dsn_of(server: EmbeddedServer, name: str) -> str:
    """The DSN of another database of the server, for the engine's own role."""
    return server.dsn.replace("@/sunseo?", f"@/{name}?")


def execute(server: EmbeddedServer, *statements: str) -> None:
    """Run statements as superuser on the maintenance database."""
    for statement in statements:
        query(server.admin_dsn, statement)


def execute_script(dsn: str, script: Path) -> None:
    """Run all statements of a file, as the database's owner."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_execute_script(dsn, script.read_text("utf-8")))
    finally:
        loop.close()


async def _execute_script(dsn: str, script: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=SETUP_S)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


def query(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement on a connection of its own; its rows. Not from a running loop."""
    # A loop of its own, and never the current one: pytest-asyncio keeps that.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(_query(dsn, statement))
    finally:
        loop.close()


async def _query(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn, timeout=SETUP_S)
    try:
        return [tuple(row.values()) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
