"""A database of the version before is brought up to date, or left alone and told why."""

import asyncio
from collections.abc import Iterator
from importlib.resources import files

import asyncpg
import pytest

from sunseo.booking.commands import PlaceHoldOutcome
from sunseo.invariants.verify import verify
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.errors import MigrationRefusedError
from sunseo.postgres.migrate import head_revision, upgrade
from tests.postgres_fixture import create_database, dsn_of, execute, query
from tests.store.shop import ORGANISATION, open_shop

OLD = "migrated"
SCRIPTS = files("sunseo.postgres.migrations").joinpath("versions")

# Two sales as the version before has left them. Of the first, ten seats were imported twice: one of
# both twins is sold (seats 1 and 11), of another the later one (12), one was held once (13).
SALES = """
INSERT INTO sales (organisation, sale, name, template, currency, time_zone, opens_at, hold_ttl_s,
    renewals_max, person_limit)
SELECT 1, n, 'Concert', 'concert', 'KRW', 'Asia/Seoul', '2026-01-01Z', 300, 3, 4
FROM generate_series(1, 2) AS n;
INSERT INTO occasions SELECT 1, n, 1, 'Friday', '2999-01-01Z' FROM generate_series(1, 2) AS n;
INSERT INTO price_classes SELECT 1, n, 1, 'R', 0 FROM generate_series(1, 2) AS n;
INSERT INTO seats SELECT 1, sale, n, 1, 1, 'A', '1', n::text, 0, 0
FROM generate_series(1, 10) AS n, generate_series(1, 2) AS sale;
"""
TWINS = """
INSERT INTO seats SELECT 1, 1, n + 10, 1, 1, 'A', '1', n::text, 0, 0
FROM generate_series(1, 10) AS n;
INSERT INTO occasions VALUES (1, 1, 2, 'Friday', '2999-01-01Z');
INSERT INTO price_classes VALUES (1, 1, 2, 'R', 0);
INSERT INTO products SELECT 1, 1, n, 'Ticket', 0 FROM generate_series(1, 2) AS n;
INSERT INTO stocks (organisation, sale, stock, occasion, name, capacity)
SELECT 1, 1, n, 1, 'Standing', 5 FROM generate_series(1, 2) AS n;
INSERT INTO holds (organisation, sale, hold, person, state, seats, products, product_quantities,
    stocks, stock_units, use_occasions, use_units, units, amount, request_digest, placed_at,
    expires_at, ended_at)
SELECT 1, 1, gen_random_uuid(), gen_random_uuid(), state, seats, '{}', '{}', '{}', '{}', '{}', '{}',
    cardinality(seats), 0, gen_random_uuid(), '2026-01-01Z', '2026-01-02Z', '2026-01-01Z'
FROM (VALUES ('ordered', ARRAY[1]), ('ordered', '{11,12}'), ('released', '{13}'))
    AS h (state, seats);
UPDATE seats AS s SET hold = h.hold
FROM holds AS h WHERE h.state = 'ordered' AND s.sale = 1 AND s.seat = ANY (h.seats);
"""


@pytest.fixture
def old_dsn(postgres_server: EmbeddedServer) -> Iterator[str]:
    """A database at revision 0002 with two sales, each of ten seats."""
    create_database(postgres_server, OLD)
    dsn = dsn_of(postgres_server, OLD)
    for name in ("0001_engine", "0002_rooms"):
        run(dsn, SCRIPTS.joinpath(f"{name}.sql").read_text())
    run(dsn, SALES)
    run(dsn, "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
    run(dsn, "INSERT INTO alembic_version VALUES ('0002')")
    yield dsn
    execute(postgres_server, f"DROP DATABASE {OLD} WITH (FORCE)")


def run(dsn: str, *scripts: str) -> None:
    async def send() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            for script in scripts:
                await connection.execute(script)
        finally:
            await connection.close()

    loop = asyncio.new_event_loop()  # never the current one: pytest-asyncio keeps that
    try:
        loop.run_until_complete(send())
    finally:
        loop.close()


def stored(dsn: str) -> list[list[tuple[object, ...]]]:
    """Everything that a mended row could be seen in, and the schema's revision."""
    tables = ("seats", "stocks", "products", "price_classes", "occasions", "alembic_version")
    return [query(dsn, f"SELECT * FROM {table} AS t ORDER BY t::text") for table in tables]  # noqa: S608 - names from above


def test_a_database_without_duplicates_is_migrated(old_dsn: str) -> None:
    """Nothing is said, every row stays, and the schema is the newest."""
    run(old_dsn, "UPDATE sales SET person_limit = NULL WHERE sale = 1")
    before = stored(old_dsn)

    assert upgrade(old_dsn) == []
    assert stored(old_dsn)[:-1] == before[:-1]
    assert query(old_dsn, "SELECT version_num FROM alembic_version") == [(head_revision(),)]
    # Where there is a limit, it counts guests as it did before.
    persons = query(old_dsn, "SELECT sale, persons FROM sales ORDER BY sale")
    assert persons == [(1, None), (2, "guests")]


def test_duplicates_stop_the_migration(old_dsn: str) -> None:
    """Each is named with its numbers, what to do is said, and nothing has changed."""
    run(old_dsn, TWINS)
    before = stored(old_dsn)
    with pytest.raises(MigrationRefusedError) as refusal:
        upgrade(old_dsn)

    lines = str(refusal.value).splitlines()
    assert lines[1:4] == [
        (
            "  sale 1, occasion 1, section A, row 1, seat 1: 2 times, numbers 1, 11"
            " (2 of them held or sold)"
        ),
        "  sale 1, occasion 1, section A, row 1, seat 10: 2 times, numbers 10, 20",
        (
            "  sale 1, occasion 1, section A, row 1, seat 2: 2 times, numbers 2, 12"
            " (1 of them held or sold)"
        ),
    ]
    assert lines[11:15] == [
        "  sale 1, occasion 1, stock Standing: 2 times, numbers 1, 2",
        "  sale 1, occasion Friday at 2999-01-01 00:00:00+00: 2 times, numbers 1, 2",
        "  sale 1, price class R: 2 times, numbers 1, 2",
        "  sale 1, product Ticket: 2 times, numbers 1, 2",
    ]
    assert "`sunseo migrate --mend-duplicates --backup FILE`" in lines[15]
    assert len(lines) == 16
    assert stored(old_dsn) == before


def test_duplicates_are_mended_when_asked(old_dsn: str) -> None:
    """Seats that nobody ever held go; whoever has one keeps it, and no two names are the same."""
    run(old_dsn, TWINS)
    notes = upgrade(old_dsn, mend_duplicates=True)

    gone = [2, *range(14, 21)]
    assert sorted(notes) == sorted(
        [
            *(f"sale 1: seat {seat} is gone; nobody ever held it" for seat in gone),
            "sale 1: seat 11 is called section A, row 1, seat 1 (11) now, and is sold",
            "sale 1: seat 3 is gone; nobody ever held it",
            "sale 1: stock 2 is called Standing (2) now",
            "sale 1: product 2 is called Ticket (2) now",
            "sale 1: price class 2 is called R (2) now",
            "sale 1: occasion 2 is called Friday (2) now",
        ]
    )
    assert query(
        old_dsn, "SELECT seat, label FROM seats WHERE sale = 1 AND seat > 10 ORDER BY seat"
    ) == [(11, "1 (11)"), (12, "2"), (13, "3")]
    assert query(old_dsn, "SELECT count(*) FROM seats WHERE sale = 2") == [(10,)]


async def test_a_migrated_sale_is_sold_as_before(old_dsn: str) -> None:
    """A sale of the version before takes holds, and its invariants hold."""
    await asyncio.to_thread(upgrade, old_dsn)
    async with open_shop(old_dsn) as shop:
        outcome = await shop.place(2, "ann", 1, 2)
        report = await verify(shop.engine, ORGANISATION, [2])

    assert outcome is PlaceHoldOutcome.HELD
    assert (report.violations, report.not_checked) == ([], [])
