"""A database with 100,000 rows in every table that holds, orders and their readers look at."""

from datetime import UTC, datetime
from uuid import UUID

import asyncpg

ROWS = 100_000
SALES = 5_000
PRODUCTS = 300
PAST_DUE = 30
PAST_DUE_ELSEWHERE = 20_000
BIG = 1
"""The sale that has it all; the others are small."""

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LATER = datetime(2999, 5, 1, tzinfo=UTC)

_ID = """
    CREATE OR REPLACE FUNCTION id_of(number bigint) RETURNS uuid IMMUTABLE
    RETURN lpad(to_hex(number), 32, '0')::uuid"""
_HOLD = """
    INSERT INTO holds (organisation, sale, hold, person, state, seats, products,
        product_quantities, stocks, stock_units, use_occasions, use_units, units, amount,
        request_digest, placed_at, expires_at, ended_at)
    SELECT 1, {sale}, id_of(n), id_of(n), {state}, ARRAY[n], ARRAY[1],
        ARRAY[1], ARRAY[1], ARRAY[1], ARRAY[0], ARRAY[1], 1, 0,
        id_of(n), '2026-04-01Z', {expires_at}, {ended_at}
    FROM generate_series({first}, {last}) AS n"""

_PASS = """
    INSERT INTO room_passes
    SELECT 1, {room}, 1, n, id_of(n), id_of(n), 'live', 0, t, t, t, {slot_until},
        '2999-05-01Z', NULL
    FROM generate_series({first}, {last}) AS n, CAST('2026-04-01Z' AS timestamptz) AS t"""

# Every hold of the big sale is open, but for every tenth, which is ordered, and the first few,
# which are past due; in the other sales all are past due.
_FILLING = {
    "sales": """
        INSERT INTO sales (organisation, sale, name, template, currency, time_zone, opens_at,
            hold_ttl_s, renewals_max, version, catalogue_version)
        SELECT 1, n, 'Sale', 'concert', 'KRW', 'Asia/Seoul', '2026-01-01Z', 300, 3,
            CASE n WHEN 1 THEN {rows} ELSE 1 END, 1
        FROM generate_series(1, {sales}) AS n""",
    "occasions": """
        INSERT INTO occasions SELECT 1, n, 1, 'Day', '2026-06-01Z'
        FROM generate_series(1, {sales}) AS n""",
    "price_classes": """
        INSERT INTO price_classes SELECT 1, n, 1, 'R', 0 FROM generate_series(1, {sales}) AS n""",
    "products": """
        INSERT INTO products SELECT 1, 1, n, 'Ticket ' || n, 0
        FROM generate_series(1, {products}) AS n
        UNION ALL SELECT 1, n, 1, 'Ticket', 0 FROM generate_series(2, {sales}) AS n""",
    "product_draws": """
        INSERT INTO product_draws SELECT 1, 1, n, n, 1 FROM generate_series(1, {products}) AS n
        UNION ALL SELECT 1, n, 1, 1, 1 FROM generate_series(2, {sales}) AS n""",
    "stocks": """
        INSERT INTO stocks (organisation, sale, stock, occasion, name, capacity)
        SELECT 1, 1, n, 1, 'Standing ' || n, 1000000 FROM generate_series(1, {rows}) AS n
        UNION ALL SELECT 1, n, 1, 1, 'Standing', 10 FROM generate_series(2, {sales}) AS n""",
    "seats": """
        INSERT INTO seats
        SELECT 1, 1, n, 1, 1, 'A', '1', n::text, 0, 0, id_of(n),
            CASE WHEN n % 10 > 0 THEN timestamptz '2999-05-01Z' END
        FROM generate_series(1, {rows}) AS n""",
    "person_uses": """
        INSERT INTO person_uses SELECT 1, 1, id_of(n), 0, 1, 4
        FROM generate_series(1, {rows}) AS n""",
    "holds": _HOLD.format(
        sale=1,
        state="CASE WHEN n % 10 = 0 THEN 'ordered' ELSE 'open' END",
        expires_at="CASE WHEN n % 10 > 0 AND n <= 33 THEN timestamptz '2026-04-02Z'"
        " ELSE '2999-05-01Z' END",
        ended_at="CASE WHEN n % 10 = 0 THEN timestamptz '2026-04-01 00:01Z' END",
        first=1,
        last="{rows}",
    ),
    "holds elsewhere": _HOLD.format(
        sale="2 + n % greatest({sales} - 1, 1)",
        state="'open'",
        expires_at="'2026-04-01Z'",
        ended_at="NULL",
        first="{rows} + 1",
        last="{rows} + {elsewhere}",
    ),
    "orders": """
        INSERT INTO orders
        SELECT 1, 1, id_of(n), id_of(n), id_of(n), NULL, 0,
            'confirmed', id_of(n), '2026-04-01 00:01Z'
        FROM generate_series(1, {rows}) AS n""",
    "journal": """
        INSERT INTO journal (organisation, kind, stream, version, recorded_at, events)
        SELECT 1, 'sale', 1, n, timestamptz '2026-04-01Z',
            jsonb '[{{"type": "HoldRenewed", "v": 1}}]'
        FROM generate_series(1, {rows}) AS n
        UNION ALL SELECT 1, 'sale', n, 1, timestamptz '2026-04-01Z', jsonb '[]'
        FROM generate_series(2, {sales}) AS n""",
    "rooms": """
        INSERT INTO rooms (organisation, room, name, settings)
        SELECT 1, n, 'Room', '{{}}' FROM generate_series(1, {sales}) AS n""",
    "room_lines": """
        INSERT INTO room_lines (organisation, room, issued, serving, live, capacity)
        SELECT 1, n, {rows}, {rows}, {rows}, 1 FROM generate_series(1, {sales}) AS n""",
    "room_places": """
        INSERT INTO room_places
            (organisation, room, epoch, holder, number, binding, issued_at)
        SELECT 1, 1, 1, id_of(n), n, CASE WHEN n % 7 > 2 THEN id_of(n) END, '2026-04-01Z'
        FROM generate_series(1, {rows}) AS n""",
    "room_entrants": """
        INSERT INTO room_entrants SELECT 1, 1, 1, id_of(n), id_of(n), id_of(n), '2026-04-01Z'
        FROM generate_series(1, {rows}) AS n""",
    "room_passes": _PASS.format(
        room=1,
        slot_until="CASE WHEN n <= 33 THEN timestamptz '2026-04-02Z' ELSE '2999-05-01Z' END",
        first=1,
        last="{rows}",
    ),
    "room_passes elsewhere": _PASS.format(
        room="2 + n % greatest({sales} - 1, 1)",
        slot_until="timestamptz '2026-04-02Z'",
        first="{rows} + 1",
        last="{rows} + {elsewhere}",
    ),
    "journal_cursors": """
        INSERT INTO journal_cursors
        SELECT 1, 'log_sink', n, CASE n WHEN 1 THEN {rows} - 20 ELSE 1 END, 'sale'
        FROM generate_series(1, {sales}) AS n""",
}

TABLES = [name for name in _FILLING if " " not in name]


def identity(number: int) -> UUID:
    """The id of the n-th person, hold or order of the big sale."""
    return UUID(int=number)


async def keep_statistics_away(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """No autovacuum: only the test says when statistics are taken. And nobody minds who writes."""
    for table in TABLES:
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")


async def fill(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await _fill(connection, ROWS, SALES, PRODUCTS, PAST_DUE_ELSEWHERE)


async def put_one_row(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await _fill(connection, 1, 1, 1, 0)


async def _fill(
    connection: "asyncpg.Connection[asyncpg.Record]",
    rows: int,
    sales: int,
    products: int,
    elsewhere: int,
) -> None:
    await connection.execute(_ID)
    for statement in _FILLING.values():
        await connection.execute(
            statement.format(rows=rows, sales=sales, products=products, elsewhere=elsewhere)
        )


async def empty(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Take the rows away, but no plan and no statistics with them."""
    for table in TABLES:
        await connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names from above


async def analyse(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.execute(f"ANALYZE {', '.join(TABLES)}")
