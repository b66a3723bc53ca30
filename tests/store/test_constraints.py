"""The last line of defence: each named CHECK refuses by its name what no code should ever write."""

import re

import asyncpg
import pytest

from sunseo.core.later import Fault
from sunseo.postgres.errors import constraint_of, fault_of
from tests.store.market import KIM, Market, order, place

# constraint: a statement that only it can stop
FORBIDDEN = {
    "sales_close_after_opening": "UPDATE sales SET closes_at = opens_at",
    "sales_hold_ttl_positive": "UPDATE sales SET hold_ttl_s = 0",
    "sales_renewals_not_negative": "UPDATE sales SET renewals_max = -1",
    "sales_limits_positive": "UPDATE sales SET person_limit = 0",
    "sales_persons_known": "UPDATE sales SET persons = 'robots'",
    "sales_limits_count_persons": "UPDATE sales SET persons = NULL",
    "sales_one_of_a_slug": "INSERT INTO sales (organisation, name, template, currency, time_zone,"
    " opens_at, hold_ttl_s, renewals_max, slug) SELECT organisation, name, template, currency,"
    " time_zone, opens_at, hold_ttl_s, renewals_max, 'the-same' FROM sales, generate_series(1, 2)",
    "occasions_numbered_from_one": "UPDATE occasions SET occasion = 0",
    "price_classes_price_not_negative": "UPDATE price_classes SET price = -1",
    "seats_numbered_from_one": "UPDATE seats SET seat = 0 WHERE seat = 1",
    "seats_free_never_expires": "UPDATE seats SET hold = NULL, expires_at = now() WHERE seat = 1",
    "stocks_held_not_negative": "UPDATE stocks SET held = -1",
    "stocks_sold_not_negative": "UPDATE stocks SET sold = -1",
    "stocks_within_capacity": "UPDATE stocks SET held = capacity, sold = 1",
    "stocks_end_after_start": "UPDATE stocks SET starts_at = now(), ends_at = now()",
    "products_price_not_negative": "UPDATE products SET price = -1",
    "product_draws_units_positive": "UPDATE product_draws SET units = 0",
    "person_uses_not_negative": "UPDATE person_uses SET units = -1",
    "person_uses_within_limit": "UPDATE person_uses SET units = units_max + 1",
    "occasions_one_per_name_and_start": "INSERT INTO occasions"
    " SELECT organisation, sale, occasion + 1, name, starts_at FROM occasions",
    "price_classes_one_per_name": "INSERT INTO price_classes"
    " SELECT organisation, sale, price_class + 1, name, price FROM price_classes",
    "seats_one_per_place": "UPDATE seats SET label = '1' WHERE seat = 2",
    "stocks_one_per_name_and_start": "INSERT INTO stocks"
    " (organisation, sale, stock, occasion, name, capacity)"
    " SELECT organisation, sale, stock + 1, occasion, name, capacity FROM stocks",
    "products_one_per_name": "INSERT INTO products"
    " SELECT organisation, sale, product + 1, name, price FROM products",
    "holds_state_known": "UPDATE holds SET state = 'lost' WHERE state = 'ordered'",
    "holds_open_has_no_end": "UPDATE holds SET ended_at = NULL WHERE state = 'ordered'",
    "holds_units_positive": "UPDATE holds SET units = 0",
    "holds_amount_not_negative": "UPDATE holds SET amount = -1",
    "orders_one_per_hold": "INSERT INTO orders SELECT organisation, sale, gen_random_uuid(), hold,"
    " person, beneficiary, amount, state, request_digest, confirmed_at FROM orders",
    "orders_state_known": "UPDATE orders SET state = 'lost'",
    "orders_amount_not_negative": "UPDATE orders SET amount = -1",
    "journal_kind_known": "UPDATE journal SET kind = 'rumour'",
    "journal_cursors_kind_known": "INSERT INTO journal_cursors VALUES (1, 'c', 1, 1, 'rumour')",
    "journal_versions_from_one": "UPDATE journal SET version = 0 WHERE version = 1",
    "operator_keys_digest_length": "INSERT INTO operator_keys VALUES (1, 'k', 'n', 'short')",
    "audit_log_entries_from_one": "UPDATE audit_log SET entry = 0 WHERE entry = 1",
    "rooms_versions_from_one": "UPDATE rooms SET version = 0",
    "rooms_one_per_sale": "INSERT INTO rooms (organisation, name, sale, settings)"
    " SELECT organisation, name, sale, settings FROM rooms",
    "room_lines_epochs_from_one": "UPDATE room_lines SET epoch = 0",
    "room_lines_serving_within_issued": "UPDATE room_lines SET serving = issued + 1",
    "room_lines_live_not_negative": "UPDATE room_lines SET live = -1",
    "room_lines_capacity_not_negative": "UPDATE room_lines SET capacity = -1",
    "room_gaps_not_negative": "UPDATE room_gaps SET after = -1",
    "room_gaps_upto_later": "UPDATE room_gaps SET upto = after",
    "room_places_numbered_from_one": "UPDATE room_places SET number = 0",
    "room_places_followed_by_later": "UPDATE room_places SET followed_by = number",
    "room_places_one_per_holder": "INSERT INTO room_places"
    " SELECT room, number + 1, issued_at, organisation, epoch, holder, binding FROM room_places",
    "room_passes_state_known": "UPDATE room_passes SET state = 'lost', ended_at = now()",
    "room_passes_live_has_no_end": "UPDATE room_passes SET state = 'left'",
    "room_passes_slot_outlasts_token": "UPDATE room_passes SET expires_at = slot_until + '1 s'",
    "room_signals_target_positive": "UPDATE room_signals SET target = 0",
    "room_draws_state_known": "UPDATE room_draws SET state = 'lost'",
}

# One row of each table of a room, for the statements above to spoil.
A_ROOM = (
    "INSERT INTO rooms (organisation, room, name, sale, settings) VALUES (1, 9, 'Door', 1, '{}')",
    "INSERT INTO room_lines (organisation, room, capacity, issued) VALUES (1, 1, 9, 1)",
    "INSERT INTO room_gaps VALUES (1, 1, 1, 1, 9, now(), now())",
    "INSERT INTO room_places VALUES (1, 1, now(), 1, 1, gen_random_uuid(), NULL)",
    """INSERT INTO room_passes
    SELECT 1, 1, 1, 1, holder, holder, 'live', 0, t, t, t, t, t FROM room_places, now() AS t""",
    "INSERT INTO room_signals VALUES (1, 1, 'site', 1, 1, now())",
    "INSERT INTO room_draws VALUES (1, 1, 1, 'committed', 'hash', 'Notary', true, now())",
)


async def test_each_named_constraint_refuses_by_its_name(market: Market) -> None:
    """Every CHECK, UNIQUE and EXCLUDE of the schema is provoked, and told by its own name."""
    sale = await market.sale(seats=2, stocks=[5], products=[{1: 1}], person_limit=9)
    hold = await market.held(place(sale, KIM, "a", 1, products=[(1, 1)]))
    await market.ask(order(sale, KIM, "b", hold.hold))
    for statement in A_ROOM:
        await market.rows(statement)
    before = await market.tables()

    for constraint, statement in FORBIDDEN.items():
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
            await market.rows(statement)
        assert constraint_of(refusal.value) == constraint
        assert fault_of(refusal.value) is Fault.DATA
    assert await market.tables() == before


async def test_no_constraint_is_left_untried(market: Market) -> None:
    """A new CHECK, UNIQUE or EXCLUDE without its line above fails here, until it has one."""
    named = await market.rows(
        "SELECT conname::text FROM pg_constraint"
        " WHERE contype IN ('c', 'x') AND connamespace = 'public'::regnamespace"
        " UNION SELECT indexrelid::regclass::text FROM pg_index"
        " WHERE indisunique AND NOT indisprimary AND indrelid IN ("
        "  SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
    )
    assert {name for (name,) in named} == set(FORBIDDEN)


async def test_no_hot_row_has_a_foreign_key(market: Market) -> None:
    """A foreign key would take locks that the lock order does not name."""
    assert await market.rows("SELECT conname FROM pg_constraint WHERE contype = 'f'") == []


async def test_every_key_begins_with_the_organisation_then_the_sale(market: Market) -> None:
    """One database, a partitioned one, or one distributed by organisation serve alike."""
    keys = await market.rows(
        "SELECT c.relname::text, i.indexrelid::regclass::text, ("
        "  SELECT string_agg(pg_get_indexdef(i.indexrelid, place, true), ', ' ORDER BY place)"
        "  FROM generate_series(1, i.indnkeyatts) AS place)"
        " FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'"
    )
    tables_of_a_sale = {
        name
        for (name,) in await market.rows(
            "SELECT table_name::text FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'sale' AND is_nullable = 'NO'"
        )
    }
    # Found by the expirer, whatever the sale, or by the word that stands for its number.
    across_sales = {"holds_open_by_expiry", "sales_one_of_a_slug"}
    tables_of_a_room = {table for table, _, _ in keys if table.startswith("room_")}
    for table, index, columns in keys:
        named = re.findall(r"\b[a-z]\w*\b(?!\()", columns.replace("::bigint", ""))
        assert named[0] == "organisation", index
        if table in tables_of_a_sale and index not in across_sales:
            assert named[1] == "sale", index
        if table.startswith("journal"):
            assert [name for name in named if name != "consumer"][1:3] == ["kind", "stream"], index
        if table in tables_of_a_room - {"room_leases"}:
            assert "room" in named[1:3], index  # after the epoch where that saves padding
    assert len(keys) > 15
