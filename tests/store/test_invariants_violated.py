"""Every invariant is broken on purpose, in a real database, and reports the row at fault."""
# ruff: noqa: S608 - these statements are made of constants, and harm is what they are for

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sunseo.booking.commands import (
    ExpireHoldOutcome,
    PlaceHoldOutcome,
    ReleaseHoldOutcome,
    RenewHoldOutcome,
)
from sunseo.booking.setup.setup_bodies import NewPriceClass
from sunseo.checkout.commands import PlaceOrderOutcome
from sunseo.invariants.entries import INVARIANTS
from sunseo.invariants.verify import verify
from sunseo.operators.command import By
from sunseo.postgres.embedded import EmbeddedServer
from tests.postgres_fixture import TEMPLATE, create_database, dsn_of, execute
from tests.store.shop import (
    A_SALE,
    ORGANISATION,
    STOCKS,
    hold_of,
    open_shop,
    order_of,
    person,
)


def sql(*statements: str) -> tuple[str, ...]:
    return statements


class Corruption(msgspec.Struct, frozen=True):
    """What breaks an invariant, and some columns of the first row that it then reports.

    `also` are other invariants that the same damage breaks, necessarily.
    """

    invariant: str
    statements: tuple[str, ...]
    row: dict[str, Any]
    also: frozenset[str] = frozenset()
    total: int = 1
    what: str = ""


HISTORY, CLONE = "invariants_history", "invariants_corrupted"

ANN, BOB, CAT, DAN, EVE, FAY, GIL = (
    str(hold_of(who)) for who in ("ann", "bob", "cat", "dan", "eve", "fay", "gil")
)
STRANGER = "00000000-0000-4000-8000-000000000000"


def event(name: str, hold: str) -> str:
    """The condition for the journal entry that tells one thing of a hold."""
    return f"""events @> '[{{"type": "{name}", "hold": "{hold}"}}]'"""


def rewrite(field: str, value: str, where: str) -> str:
    """Change a field of the one event of an entry."""
    return (
        f"UPDATE journal SET events = jsonb_set(events, '{{0,{field}}}', '{value}') WHERE {where}"
    )


# What Dan holds cost something when it was placed: such holds of an older version may be stored.
ALL_FREE = msgspec.structs.replace(
    A_SALE, price_classes=(NewPriceClass("free", 0), NewPriceClass("dear", 0))
)
FREE_STOCKS = msgspec.structs.replace(
    STOCKS, products=tuple(msgspec.structs.replace(p, price=0) for p in STOCKS.products)
)
DAN_PAYS = (
    "UPDATE price_classes SET price = 1000 WHERE price_class = 2",
    "UPDATE products SET price = 500 WHERE product = 3",
    f"UPDATE holds SET amount = 1500 WHERE hold = '{DAN}'",
    rewrite("amount", "1500", event("HoldPlaced", DAN)),
)

CORRUPTIONS = (
    Corruption(
        "stock-capacity",
        sql(
            "ALTER TABLE stocks DROP CONSTRAINT stocks_within_capacity",
            "UPDATE stocks SET capacity = 1 WHERE stock = 1",
        ),
        {"stock": 1, "capacity": 1, "free": -3, "held": 2, "sold": 2},
    ),
    Corruption(
        "stock-counters",
        sql("UPDATE stocks SET held = held + 1 WHERE stock = 2"),
        {"stock": 2, "held": 3, "held_recounted": 2, "sold": 0, "sold_recounted": 0},
        also=frozenset({"journal-stocks"}),
        what="held",
    ),
    Corruption(
        "stock-counters",
        sql("UPDATE stocks SET sold = sold - 1 WHERE stock = 1"),
        {"stock": 1, "held": 2, "held_recounted": 2, "sold": 1, "sold_recounted": 2},
        also=frozenset({"journal-stocks"}),
        what="sold",
    ),
    Corruption(
        "seat-owner",
        sql(f"UPDATE seats SET hold = '{STRANGER}', expires_at = now() WHERE seat = 10"),
        {"seat": 10, "hold": STRANGER, "hold_state": None},
        also=frozenset({"journal-seats"}),
        what="of nobody",
    ),
    Corruption(
        "seat-owner",
        sql(f"UPDATE seats SET hold = '{CAT}', expires_at = now() WHERE seat = 5"),
        {"seat": 5, "hold": CAT, "hold_state": "released"},
        also=frozenset({"journal-seats"}),
        what="of a hold that has ended",
    ),
    Corruption(
        "seat-owner",
        sql(
            "UPDATE seats SET (hold, expires_at) = (SELECT o.hold, o.expires_at FROM seats AS o"
            " WHERE o.seat = 1) WHERE seat = 10",
        ),
        {"seat": 10, "hold": ANN, "hold_state": "open"},
        also=frozenset({"journal-seats"}),
        what="of a hold that does not name it",
    ),
    Corruption(
        "hold-owns-seats",
        sql("UPDATE seats SET hold = NULL, expires_at = NULL WHERE seat = 1"),
        {"hold": ANN, "hold_state": "open", "seat": 1, "owner": None},
        also=frozenset({"journal-seats"}),
    ),
    Corruption(
        "seat-one-claim",
        sql(
            "UPDATE holds SET seats = '{11,1}', units = 2, use_occasions = '{2,1,0}',"
            f" use_units = '{{1,1,2}}' WHERE hold = '{FAY}'",
            f"UPDATE person_uses SET units = 2 WHERE person = '{person('fay')}' AND occasion = 0",
            "INSERT INTO person_uses (organisation, sale, person, occasion, units, units_max)"
            f" VALUES (1, 1, '{person('fay')}', 1, 1, 6)",
        ),
        {"seat": 1, "holds": sorted([ANN, FAY])},
        also=frozenset({"hold-owns-seats", "hold-placed-once"}),
    ),
    Corruption(
        "seat-expiry",
        sql("UPDATE seats SET expires_at = expires_at + interval '1 minute' WHERE seat = 1"),
        {"seat": 1, "hold": ANN, "hold_state": "open"},
        what="held",
    ),
    Corruption(
        "seat-expiry",
        sql("UPDATE seats SET expires_at = now() WHERE seat = 12"),
        {"seat": 12, "hold": GIL, "hold_state": "ordered"},
        also=frozenset({"journal-seats"}),
        what="sold",
    ),
    Corruption(
        "seat-expiry",
        sql(
            "ALTER TABLE seats DROP CONSTRAINT seats_free_never_expires",
            "UPDATE seats SET expires_at = now() WHERE seat = 10",
        ),
        {"seat": 10, "hold": None, "hold_state": None},
        what="free",
    ),
    Corruption(
        "person-counters",
        sql(
            "UPDATE person_uses SET units = units - 1"
            f" WHERE person = '{person('ann')}' AND occasion = 0",
        ),
        {"person": str(person("ann")), "occasion": 0, "units": 2, "units_recounted": 3},
        what="wrong",
    ),
    Corruption(
        "person-counters",
        sql(f"DELETE FROM person_uses WHERE person = '{person('ann')}' AND occasion = 2"),
        {"person": str(person("ann")), "occasion": 2, "units": None, "units_recounted": 1},
        what="missing",
    ),
    Corruption(
        "person-counter-limits",
        sql(
            "UPDATE person_uses SET units_max = 99"
            f" WHERE person = '{person('ann')}' AND occasion = 2",
        ),
        {"person": str(person("ann")), "occasion": 2, "units_max": 99, "sale_limit": 6},
    ),
    Corruption(
        "person-limits",
        sql(
            "ALTER TABLE person_uses DROP CONSTRAINT person_uses_within_limit",
            "UPDATE sales SET person_limit = 3",
            "UPDATE person_uses SET units_max = 3 WHERE occasion = 0",
        ),
        {"person": str(person("bob")), "occasion": 0, "units": 4, "sale_limit": 3},
        what="of the sale",
    ),
    Corruption(
        "person-limits",
        sql(
            "ALTER TABLE person_uses DROP CONSTRAINT person_uses_within_limit",
            "UPDATE sales SET occasion_limit = 3",
            "UPDATE person_uses SET units_max = 3 WHERE occasion > 0",
        ),
        {"person": str(person("bob")), "occasion": 1, "units": 4, "sale_limit": 3},
        what="of an occasion",
    ),
    Corruption(
        "order-limit",
        sql("UPDATE sales SET order_limit = 3"),
        {"hold": BOB, "units": 4, "order_limit": 3},
    ),
    Corruption(
        "hold-lists",
        sql(f"UPDATE holds SET products = '{{1}}' WHERE hold = '{CAT}'"),
        {"hold": CAT, "products": [1], "product_quantities": []},
    ),
    Corruption(
        "hold-claims",
        sql("DELETE FROM seats WHERE seat = 5"),
        {"hold": CAT, "part": "seat", "number": 5},
        also=frozenset({"hold-uses"}),
        what="seat",
    ),
    Corruption(
        "hold-claims",
        sql(
            f"UPDATE holds SET products = '{{9}}', product_quantities = '{{0}}'"
            f" WHERE hold = '{CAT}'",
        ),
        {"hold": CAT, "part": "product", "number": 9},
        what="product",
    ),
    Corruption(
        "hold-units",
        sql(
            f"UPDATE holds SET units = 4 WHERE hold = '{ANN}'",
            rewrite("units", "4", event("HoldPlaced", ANN)),
        ),
        {"hold": ANN, "units": 4, "units_recounted": 3},
    ),
    Corruption(
        "hold-draws",
        sql(
            f"UPDATE holds SET stocks = '{{1}}', stock_units = '{{2}}' WHERE hold = '{CAT}'",
            rewrite("draws", "[[1, 2]]", event("HoldPlaced", CAT)),
            rewrite("draws", "[[1, 2]]", event("HoldReleased", CAT)),
        ),
        {"hold": CAT, "stock": 1, "units": 2, "units_recounted": None},
        what="too much",
    ),
    Corruption(
        "hold-draws",
        sql(
            f"UPDATE holds SET stocks = '{{1}}', stock_units = '{{1}}' WHERE hold = '{ANN}'",
            "UPDATE stocks SET held = held - 2 WHERE stock = 2",
            rewrite("draws", "[[1, 1]]", event("HoldPlaced", ANN)),
        ),
        {"hold": ANN, "stock": 2, "units": None, "units_recounted": 2},
        what="too little",
    ),
    Corruption(
        "hold-uses",
        sql(f"UPDATE holds SET use_units = '{{1,2}}' WHERE hold = '{CAT}'"),
        {"hold": CAT, "occasion": 0, "units": 2, "units_recounted": 1},
    ),
    Corruption(
        "hold-amount",
        sql(
            f"UPDATE holds SET amount = 1499 WHERE hold = '{DAN}'",
            rewrite("amount", "1499", event("HoldPlaced", DAN)),
        ),
        {"hold": DAN, "amount": 1499, "amount_recounted": 1500},
    ),
    Corruption(
        "hold-end",
        sql(f"UPDATE holds SET ended_at = expires_at - interval '1 minute' WHERE hold = '{EVE}'"),
        {"hold": EVE, "state": "expired"},
        what="expired before its time",
    ),
    Corruption(
        "hold-end",
        sql(f"UPDATE holds SET ended_at = expires_at WHERE hold = '{GIL}'"),
        {"hold": GIL, "state": "ordered"},
        what="ordered after its time",
    ),
    Corruption(
        "hold-end",
        sql(
            "ALTER TABLE holds DROP CONSTRAINT holds_open_has_no_end",
            f"UPDATE holds SET ended_at = now() WHERE hold = '{ANN}'",
        ),
        {"hold": ANN, "state": "open"},
        what="open with an end",
    ),
    Corruption(
        "order-hold",
        sql(
            f"UPDATE orders SET person = '{person('ann')}' WHERE hold = '{GIL}'",
            rewrite("person", f'"{person("ann")}"', event("OrderConfirmed", GIL)),
        ),
        {
            "order": str(order_of("gil")),
            "hold": GIL,
            "hold_state": "ordered",
            "person": str(person("ann")),
            "hold_person": str(person("gil")),
        },
        what="of another person",
    ),
    Corruption(
        "order-hold",
        sql(
            f"UPDATE orders SET hold = '{STRANGER}' WHERE hold = '{GIL}'",
            # What happened to the hold stays told; the order is told of another one.
            "UPDATE journal SET events = events || jsonb_build_array(jsonb_set(events -> 0,"
            f" '{{hold}}', '\"{STRANGER}\"')) WHERE {event('OrderConfirmed', GIL)}",
        ),
        {"order": str(order_of("gil")), "hold": STRANGER, "hold_state": None},
        also=frozenset({"hold-order", "order-confirmed-once", "journal-seats", "hold-ended-once"}),
        what="of no hold",
    ),
    Corruption(
        "hold-order",
        sql(f"DELETE FROM orders WHERE hold = '{GIL}'"),
        {"hold": GIL, "orders": []},
        also=frozenset({"order-confirmed-once"}),
        what="no order",
    ),
    Corruption(
        "hold-order",
        sql(
            "DROP INDEX orders_one_per_hold",
            "INSERT INTO orders SELECT organisation, sale, CAST('"
            f"{STRANGER}' AS uuid), hold, person, beneficiary, amount, state, request_digest,"
            f" confirmed_at FROM orders WHERE hold = '{GIL}'",
        ),
        {"hold": GIL, "orders": sorted([STRANGER, str(order_of("gil"))])},
        also=frozenset({"order-confirmed-once"}),
        what="two orders",
    ),
    Corruption(
        "order-paid",
        sql(
            f"UPDATE orders SET amount = 5 WHERE hold = '{GIL}'",
            rewrite("amount", "5", event("OrderConfirmed", GIL)),
        ),
        {"order": str(order_of("gil")), "hold": GIL, "amount": 5, "hold_amount": 0, "paid": 0},
        what="another amount",
    ),
    Corruption(
        "order-paid",
        sql(f"UPDATE holds SET amount = 1000 WHERE hold = '{GIL}'"),
        {"order": str(order_of("gil")), "hold": GIL, "amount": 0, "hold_amount": 1000},
        also=frozenset({"hold-amount", "hold-placed-once"}),
        what="a dear hold for nothing",
    ),
    Corruption(
        "order-confirmed-once",
        sql(rewrite("amount", "5", event("OrderConfirmed", GIL))),
        {"order": str(order_of("gil")), "events": 1},
        what="untrue",
    ),
    Corruption(
        "order-confirmed-once",
        sql(f"DELETE FROM orders WHERE hold = '{GIL}'"),
        {"order": str(order_of("gil")), "order_is_missing": True, "events": 1},
        also=frozenset({"hold-order"}),
        what="of no order",
    ),
    Corruption(
        "order-confirmed-once",
        sql(f"UPDATE journal SET events = events || events WHERE {event('OrderConfirmed', GIL)}"),
        {"order": str(order_of("gil")), "order_is_missing": False, "events": 2},
        also=frozenset({"hold-ended-once"}),
        what="twice",
    ),
    Corruption(
        "journal-versions",
        sql("""DELETE FROM journal WHERE events @> '[{"type": "SalePaused"}]'"""),
        {"what": "next entry", "version": 17, "expected": 16},
        what="gap",
    ),
    Corruption(
        "journal-versions",
        sql("""DELETE FROM journal WHERE events @> '[{"type": "SaleResumed"}]'"""),
        {"what": "last entry", "version": 16, "expected": 17},
        what="cut off",
    ),
    Corruption(
        "journal-events",
        sql("""UPDATE journal SET events = '[]' WHERE events @> '[{"type": "SalePaused"}]'"""),
        {"version": 16, "events": []},
        what="none",
    ),
    Corruption(
        "journal-events",
        sql("""UPDATE journal SET events = '{}' WHERE events @> '[{"type": "SalePaused"}]'"""),
        {"version": 16, "events": {}},
        what="no list",
    ),
    Corruption(
        "journal-events",
        sql(
            "UPDATE journal SET events = '[{\"v\": 1}]'"
            """ WHERE events @> '[{"type": "SalePaused"}]'""",
        ),
        {"version": 16, "events": [{"v": 1}]},
        what="no type",
    ),
    Corruption(
        "hold-placed-once",
        sql(rewrite("seats", "[7]", event("HoldPlaced", CAT))),
        {"hold": CAT, "hold_is_missing": False, "events": 1},
        also=frozenset({"journal-seats"}),
        what="untrue",
    ),
    Corruption(
        "hold-placed-once",
        sql(
            "UPDATE journal SET events = events || jsonb_build_array(events -> 0)"
            f" WHERE {event('HoldPlaced', EVE)}",
        ),
        {"hold": EVE, "hold_is_missing": False, "events": 2},
        what="twice",
    ),
    Corruption(
        "hold-placed-once",
        sql(f"DELETE FROM holds WHERE hold = '{CAT}'"),
        {"hold": CAT, "hold_is_missing": True, "events": 1},
        also=frozenset({"hold-ended-once"}),
        what="of no hold",
    ),
    Corruption(
        "hold-ended-once",
        sql(rewrite("type", '"HoldExpired"', event("HoldReleased", CAT))),
        {"hold": CAT, "state": "released", "expected": "HoldReleased", "ends": ["HoldExpired"]},
        what="otherwise",
    ),
    Corruption(
        "hold-ended-once",
        sql(f"UPDATE journal SET events = events || events WHERE {event('HoldReleased', CAT)}"),
        {"hold": CAT, "ends": ["HoldReleased", "HoldReleased"]},
        what="twice",
    ),
    Corruption(
        "hold-ended-once",
        sql(
            # In the same entry, so that the order of events in it is what tells.
            "UPDATE journal AS j"
            " SET events = (SELECT jsonb_build_array(j.events -> 0, p.events -> 0)"
            f" FROM journal AS p WHERE p.{event('HoldPlaced', CAT)})"
            f" WHERE {event('HoldReleased', CAT)}",
            'UPDATE journal SET events = \'[{"type": "SalePaused", "v": 1}]\''
            f" WHERE {event('HoldPlaced', CAT)} AND jsonb_array_length(events) = 1",
        ),
        {"hold": CAT, "ends": ["HoldReleased"], "last_event": "HoldPlaced"},
        also=frozenset({"journal-seats"}),
        what="before it was placed",
    ),
    Corruption(
        "hold-renewals",
        sql(f"UPDATE holds SET renewals = '{{}}' WHERE hold = '{FAY}'"),
        {"hold": FAY, "renewals": 0, "renewals_max": 3, "renewals_told": 1},
        what="not noted",
    ),
    Corruption(
        "hold-renewals",
        sql("UPDATE sales SET renewals_max = 0"),
        {"hold": FAY, "renewals": 1, "renewals_max": 0, "renewals_told": 1},
        what="too many",
    ),
    Corruption(
        "hold-renewals",
        sql(
            "UPDATE holds SET expires_at = expires_at + interval '3 milliseconds'"
            f" WHERE hold = '{FAY}'",
            "UPDATE seats SET expires_at = expires_at + interval '3 milliseconds'"
            f" WHERE hold = '{FAY}'",
        ),
        {"hold": FAY, "renewals": 1, "renewals_told": 1},
        what="longer than told",
    ),
    Corruption(
        "journal-seats",
        sql(rewrite("seats", "[]", event("OrderConfirmed", GIL))),
        {"seat": 12, "state": "sold", "state_told": "held", "hold": GIL, "hold_told": GIL},
    ),
    Corruption(
        "journal-stocks",
        sql(rewrite("draws", "[]", event("OrderConfirmed", BOB))),
        {"stock": 1, "held": 2, "held_told": 4, "sold": 2, "sold_told": 0},
    ),
    Corruption(
        "sale-parts",
        sql("UPDATE seats SET occasion = 9 WHERE seat = 10"),
        {"part": "seat", "number": 10, "names": "occasion", "missing": 9},
        what="occasion of a seat",
    ),
    Corruption(
        "sale-parts",
        sql("UPDATE seats SET price_class = 9 WHERE seat = 10"),
        {"part": "seat", "number": 10, "names": "price class", "missing": 9},
        what="price class",
    ),
    Corruption(
        "sale-parts",
        sql(
            "INSERT INTO stocks (organisation, sale, stock, occasion, name, capacity)"
            " VALUES (1, 1, 3, 9, 'Nowhere', 5)",
        ),
        {"part": "stock", "number": 3, "names": "occasion", "missing": 9},
        what="occasion of a stock",
    ),
    Corruption(
        "sale-parts",
        sql("INSERT INTO product_draws VALUES (1, 1, 1, 9, 1)"),
        {"part": "draw of product", "number": 1, "names": "stock", "missing": 9},
        # Bob ordered this product when it drew on the other stock alone.
        also=frozenset({"hold-draws"}),
        what="stock",
    ),
    Corruption(
        "sale-parts",
        sql("INSERT INTO product_draws VALUES (1, 1, 9, 1, 1)"),
        {"part": "draw of stock", "number": 1, "names": "product", "missing": 9},
        what="product",
    ),
    Corruption(
        "seat-places",
        sql("DROP INDEX seats_one_per_place", "UPDATE seats SET label = '9' WHERE seat = 10"),
        {"occasion": 1, "section": "A", "row_name": "1", "label": "9", "seats": [9, 10]},
    ),
    Corruption(
        "sale-persons",
        sql(
            "ALTER TABLE sales DROP CONSTRAINT sales_limits_count_persons",
            "UPDATE sales SET persons = NULL",
        ),
        {"occasion_limit": 6, "person_limit": 8, "persons": None},
    ),
    Corruption(
        "part-names",
        sql(
            "DROP INDEX occasions_one_per_name_and_start",
            "UPDATE occasions SET (name, starts_at) ="
            " (SELECT o.name, o.starts_at FROM occasions AS o WHERE o.occasion = 1)",
        ),
        {"part": "occasion", "name": "Friday", "numbers": [1, 2]},
        what="occasion",
    ),
    Corruption(
        "part-names",
        sql("DROP INDEX price_classes_one_per_name", "UPDATE price_classes SET name = 'free'"),
        {"part": "price class", "name": "free", "numbers": [1, 2]},
        what="price class",
    ),
    Corruption(
        "part-names",
        sql(
            "DROP INDEX stocks_one_per_name_and_start",
            "UPDATE stocks SET (occasion, name) = (1, 'Standing') WHERE stock = 2",
        ),
        {"part": "stock", "name": "Standing", "occasion": 1, "numbers": [1, 2]},
        also=frozenset({"hold-uses"}),  # an order counted for the occasion that it was of
        what="stock",
    ),
    Corruption(
        "part-names",
        sql("DROP INDEX products_one_per_name", "UPDATE products SET name = 'Standing'"),
        {"part": "product", "name": "Standing", "numbers": [1, 2, 3]},
        what="product",
    ),
    *(
        Corruption(
            "known-sales",
            sql(f"INSERT INTO {table} VALUES ({values})"),
            {"table": table},
            what=table,
        )
        for table, values in {
            "occasions": "1, 999, 1, 'Never', now()",
            "price_classes": "1, 999, 1, 'None', 0",
            "seats": "1, 999, 1, 1, 1, 'A', '1', '1', 0, 0",
            "stocks": "1, 999, 1, 1, 'None', NULL, NULL, 1",
            "products": "1, 999, 1, 'None', 0",
            "product_draws": "1, 999, 1, 1, 1",
            "person_uses": f"1, 999, '{STRANGER}', 0, 0, 1",
            "holds": f"1, 999, '{STRANGER}', '{STRANGER}', 'open', '{{1}}', '{{}}', '{{}}', '{{}}',"
            f" '{{}}', '{{}}', '{{}}', 1, 0, '{STRANGER}', '{{}}', now(), now()",
            "orders": f"1, 999, '{STRANGER}', '{STRANGER}', '{STRANGER}', NULL, 0, 'confirmed',"
            f" '{STRANGER}', now()",
            "journal": "1, 999, 1, now(), '[]', 'sale'",
        }.items()
    ),
    Corruption(
        "journal-cursors",
        sql("INSERT INTO journal_cursors VALUES (1, 'somebody', 1, 18, 'sale')"),
        {"consumer": "somebody", "version": 18, "sale_version": 17},
    ),
    Corruption(
        "operator-effects",
        sql(f"INSERT INTO operator_effects VALUES (1, '{STRANGER}', '{STRANGER}')"),
        {"effect": STRANGER},
    ),
    Corruption(
        "audit-log-chain",
        sql("DELETE FROM audit_log WHERE entry = 2"),
        {"entry": 3, "before": 1},
        what="gap",
    ),
    Corruption(
        "audit-log-chain",
        sql("UPDATE audit_log SET hash = sha256(hash) WHERE entry = 2"),
        {"entry": 3, "before": 2},
        also=frozenset({"audit-log-hashes"}),
        what="another hash",
    ),
    Corruption(
        "audit-log-hashes",
        sql("UPDATE audit_log SET actor = 'mallory' WHERE entry = 2"),
        {"entry": 2, "actor": "mallory", "action": "add_seats"},
    ),
)


@pytest.fixture(scope="module")
def history_template(postgres_server: EmbeddedServer) -> Iterator[str]:
    """A database in which all of it has happened, to be cloned for each test."""
    create_database(postgres_server, HISTORY, template=TEMPLATE)
    loop = asyncio.new_event_loop()  # never the current one: pytest-asyncio keeps that
    try:
        loop.run_until_complete(make_history(dsn_of(postgres_server, HISTORY)))
    finally:
        loop.close()
    yield HISTORY
    execute(postgres_server, f"DROP DATABASE {HISTORY} WITH (FORCE)")


@pytest.fixture
def history_dsn(postgres_server: EmbeddedServer, history_template: str) -> Iterator[str]:
    create_database(postgres_server, CLONE, template=history_template)
    yield dsn_of(postgres_server, CLONE)
    execute(postgres_server, f"DROP DATABASE {CLONE} WITH (FORCE)")


async def make_history(dsn: str) -> None:
    """Have everything happen that can happen to a hold; one journal entry each."""
    async with open_shop(dsn) as shop:
        sale = await shop.open_sale(ALL_FREE, stocks=FREE_STOCKS)  # versions 1 to 3
        assert await shop.place(sale, "eve", 6) is PlaceHoldOutcome.HELD
        shop.let_time_pass(301)
        assert await shop.expire(sale, "eve") is ExpireHoldOutcome.EXPIRED
        assert await shop.place(sale, "ann", 1, 2, products=[(2, 1)]) is PlaceHoldOutcome.HELD
        assert await shop.place(sale, "bob", 3, 4, products=[(1, 2)]) is PlaceHoldOutcome.HELD
        assert await shop.order(sale, "bob") is PlaceOrderOutcome.CONFIRMED
        assert await shop.place(sale, "cat", 5) is PlaceHoldOutcome.HELD
        assert await shop.release(sale, "cat") is ReleaseHoldOutcome.RELEASED
        assert await shop.place(sale, "dan", 21, products=[(3, 1)]) is PlaceHoldOutcome.HELD
        assert await shop.place(sale, "fay", 11) is PlaceHoldOutcome.HELD
        shop.let_time_pass(10)
        assert await shop.renew(sale, "fay") is RenewHoldOutcome.RENEWED
        assert await shop.place(sale, "gil", 12) is PlaceHoldOutcome.HELD
        assert await shop.order(sale, "gil") is PlaceOrderOutcome.CONFIRMED  # version 15
        await shop.setup.set_paused(By("operator", "pause"), sale, paused=True)
        await shop.setup.set_paused(By("operator", "resume"), sale, paused=False)  # version 17
        assert sale == 1
        await shop.corrupt(*DAN_PAYS)


async def test_the_history_to_be_corrupted_is_clean(history_dsn: str) -> None:
    """All that the tests below find comes from their own corruption."""
    async with open_shop(history_dsn) as shop:
        report = await verify(shop.engine, ORGANISATION)

    assert (report.violations, report.not_checked) == ([], [])
    assert report.clean
    assert report.sales == 1
    assert report.checked == [invariant.name for invariant in INVARIANTS]


def test_every_invariant_is_corrupted_here() -> None:
    """The list and the corruptions name the same invariants, in the same order; rooms' follow."""
    assert list(dict.fromkeys(c.invariant for c in CORRUPTIONS)) == [
        invariant.name for invariant in INVARIANTS if not invariant.name.startswith("room-")
    ]


@pytest.mark.parametrize(
    "corruption", CORRUPTIONS, ids=[f"{c.invariant} {c.what}".strip() for c in CORRUPTIONS]
)
async def test_a_corruption_is_reported_by_its_invariant(
    history_dsn: str, corruption: Corruption
) -> None:
    """The invariant that was broken, and no other, reports the row at fault."""
    async with open_shop(history_dsn) as shop:
        await shop.corrupt(*corruption.statements)
        report = await verify(shop.engine, ORGANISATION)

    assert {v.invariant for v in report.violations} == {corruption.invariant} | corruption.also
    assert report.not_checked == []
    assert not report.clean
    (violation,) = (v for v in report.violations if v.invariant == corruption.invariant)
    assert violation.total == len(violation.rows) == corruption.total
    assert {name: violation.rows[0][name] for name in corruption.row} == corruption.row
    (entry,) = (i for i in INVARIANTS if i.name == corruption.invariant)
    assert violation.sentence == entry.sentence
