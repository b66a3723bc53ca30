"""No hot statement ever scans a table: neither today nor on a plan that was made on empty tables.

A lane makes each plan once and keeps it. So the plans are made in four situations, and then run on
100,000 rows. What counts is what was really touched: a scan of a whole index is called an index
scan, too.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import asyncpg
import pytest

from sunseo.postgres.connection import KEYED_PLANS
from sunseo.postgres.queries import load_queries
from tests.plans.asked import COLD, LANE
from tests.plans.filled import (
    PAST_DUE,
    PRODUCTS,
    analyse,
    empty,
    fill,
    keep_statistics_away,
    put_one_row,
)
from tests.plans.touched import Prepared, Touched, positional

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

ASKED = 40
"""Keys in one statement: few against the tables, and enough to tell 40 from 40 times 40."""

# What a statement has to look at besides a handful of rows for each key.
ROWS_BESIDES = {
    "find_past_due_by_stock": ASKED * PAST_DUE * 2,
    "read_catalogue_products": PRODUCTS * 6,
    "find_past_due": 500 * 2,  # it answers so many
    "look_up": ASKED * (PAST_DUE * 2 + 5 * 6),  # passes past due, and five kinds of rows
    "write_lines": ASKED * 4 * 6,
}
ROWS_MAX = ASKED * 6
PAGES_MAX = ASKED * 16


async def never_analysed(connection: Connection) -> None:
    """A fresh database, of which no statistics have been taken yet."""
    await keep_statistics_away(connection)


async def empty_and_analysed(connection: Connection) -> None:
    """Statistics were taken while there was nothing: a scan of nothing looks cheapest."""
    await keep_statistics_away(connection)
    await analyse(connection)


async def one_row_analysed(connection: Connection) -> None:
    """Statistics were taken of a single row: all of a table is one page."""
    await keep_statistics_away(connection)
    await put_one_row(connection)
    await analyse(connection)
    await empty(connection)


Situation: TypeAlias = "Callable[[Connection], Awaitable[None]]"


@pytest.mark.parametrize("situation", [never_analysed, empty_and_analysed, one_row_analysed])
async def test_no_hot_statement_scans_a_table(database_dsn: str, situation: Situation) -> None:
    """Plans made in each situation, kept while 100,000 rows come, and made anew of all of them."""
    lane, cold = await _connect(database_dsn, KEYED_PLANS), await _connect(database_dsn, COLD_PLANS)
    try:
        await situation(lane)
        statements = [Prepared(lane), Prepared(cold)]
        asked = [await _prepare_lane(statements[0]), await _prepare_cold(statements[1])]
        await fill(lane)

        kept = await _run_all(statements, asked)
        await analyse(lane)
        fresh = await _run_all(statements, asked)
    finally:
        await lane.close()
        await cold.close()

    faults = [
        f"{when}: {name} looked at {touched.rows:.0f} rows on {touched.pages} pages\n{touched.plan}"
        for when, all_touched in (("plan kept", kept), ("plan made anew", fresh))
        for name, touched in all_touched.items()
        if touched.rows > ROWS_MAX + ROWS_BESIDES.get(name, 0)
        or touched.pages > PAGES_MAX + ROWS_BESIDES.get(name, 0) * 2
    ]
    assert not faults, "\n\n".join(faults)


@pytest.mark.parametrize("package", LANE)
def test_every_lane_statement_has_its_plan_examined(package: str) -> None:
    """A statement that is added to a queries.sql fails here until it is asked above."""
    assert set(LANE[package]) == set(load_queries(package))


COLD_PLANS = {"jit": "off", "plan_cache_mode": "force_custom_plan"}
"""What the cold pool asks for: see `sunseo.postgres.pool`."""


async def _connect(dsn: str, settings: Mapping[str, str]) -> Connection:
    return await asyncpg.connect(dsn, server_settings=dict(settings))


async def _prepare_lane(statements: Prepared) -> dict[str, list[object]]:
    asked = {}
    for package, queries in LANE.items():
        texts = load_queries(package)
        for name, arguments in queries.items():
            await statements.prepare(name, texts[name])
            asked[name] = arguments(ASKED)
            await statements.plan(name, asked[name])
    return asked


async def _prepare_cold(statements: Prepared) -> dict[str, list[object]]:
    asked = {}
    for package, queries in COLD.items():
        texts = load_queries(package, "cold.sql")
        for name, arguments in queries.items():
            await statements.prepare(name, positional(texts[name], list(arguments)))
            asked[name] = list(arguments.values())
            await statements.plan(name, asked[name])
    return asked


async def _run_all(
    statements: list[Prepared], asked: list[dict[str, list[object]]]
) -> dict[str, Touched]:
    return {
        name: await prepared.run(name, arguments)
        for prepared, all_arguments in zip(statements, asked, strict=True)
        for name, arguments in all_arguments.items()
    }
