"""The embedded PostgreSQL, with real processes that are really killed."""

import asyncpg

from tests.postgres_fixture import database_dsn, postgres_server

__all__ = ["database_dsn", "postgres_server"]


async def test_each_test_has_a_migrated_database_of_its_own(database_dsn: str) -> None:
    """A fresh clone has the schema and nothing that another test wrote."""
    connection = await asyncpg.connect(database_dsn)
    assert await connection.fetchval("SELECT count(*) FROM sales") == 0
    await connection.execute("DELETE FROM organisations")
    await connection.close()


async def test_clones_do_not_share_rows(database_dsn: str) -> None:
    """What the test before this one deleted is there again."""
    connection = await asyncpg.connect(database_dsn)
    assert await connection.fetchval("SELECT count(*) FROM organisations") == 1
    await connection.close()
