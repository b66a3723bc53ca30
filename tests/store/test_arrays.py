"""Columns sent as text arrive as they were."""

from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.postgres.pipelined.arrays import array_of

MOMENT = datetime(2026, 12, 31, 23, 59, 59, 123456, UTC)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [1, -(2**63), 2**63 - 1, None]),
        ("integer", []),
        ("uuid", [UUID(int=0), None, UUID(int=2**128 - 1)]),
        ("timestamptz", [MOMENT, None, MOMENT.replace(microsecond=0)]),
    ],
)
async def test_an_array_arrives_as_it_was_sent(
    database_dsn: str, kind: str, values: list[int | UUID | datetime | None]
) -> None:
    """PostgreSQL reads back exactly the values, nulls among them, and an empty column too."""
    connection = await asyncpg.connect(database_dsn)
    try:
        got = await connection.fetchval(f"SELECT $1::text::{kind}[]", array_of(values))
    finally:
        await connection.close()

    assert got == values


@given(st.lists(st.integers() | st.uuids() | st.none()))
def test_an_array_has_no_character_that_needs_escaping(values: list[int | UUID | None]) -> None:
    """Neither quotes within elements nor backslashes occur: JSON and PostgreSQL agree."""
    written = array_of(values)

    assert "\\" not in written
    assert written.count('"') == 2 * sum(isinstance(value, UUID) for value in values)
