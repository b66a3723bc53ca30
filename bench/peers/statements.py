"""The statements of the FastAPI peers, built once so that SQLAlchemy compiles each once."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    and_,
    any_,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or

from bench.peers.rules import Ask, Claim
from bench.peers.tables import (
    holds,
    outbox,
    person_uses,
    price_classes,
    product_draws,
    products,
    sales,
    seats,
    stocks,
)

ORG: BindParameter[int] = bindparam("org", type_=Integer)
SALE: BindParameter[int] = bindparam("sale_number")
PERSON: BindParameter[UUID] = bindparam("person_id")


def numbers(name: str) -> Any:
    return any_(bindparam(name, type_=ARRAY(Integer)))


def in_sale(table: Any) -> Any:
    return and_(table.c.organisation == ORG, table.c.sale == SALE)


sale_and_hold = (
    select(
        sales,
        holds.c.hold,
        holds.c.request_digest,
        holds.c.state,
        holds.c.seats,
        holds.c.products,
        holds.c.product_quantities,
        holds.c.units,
        holds.c.amount,
        holds.c.renewals,
        holds.c.expires_at,
    )
    .outerjoin(
        holds,
        and_(
            holds.c.organisation == sales.c.organisation,
            holds.c.sale == sales.c.sale,
            holds.c.hold == bindparam("hold_id"),
        ),
    )
    .where(in_sale(sales))
)
"""The sale, and beside it the hold of that id if it is placed already."""


def _priced_seats(*more: ColumnElement[Any]) -> Select[Any]:
    return (
        select(
            seats.c.seat,
            seats.c.occasion,
            seats.c.hold,
            seats.c.expires_at,
            *more,
            price_classes.c.price,
        )
        .join(
            price_classes,
            and_(
                price_classes.c.organisation == seats.c.organisation,
                price_classes.c.sale == seats.c.sale,
                price_classes.c.price_class == seats.c.price_class,
            ),
        )
        .where(in_sale(seats), seats.c.seat == numbers("seat_numbers"))
        .order_by(seats.c.seat)
    )


seats_for_update = _priced_seats().with_for_update(of=seats)
seats_with_version = _priced_seats(seats.c.row_version)

draws = (
    select(
        products.c.product,
        products.c.price,
        product_draws.c.stock,
        product_draws.c.units,
        stocks.c.occasion,
    )
    .select_from(products)
    .join(
        product_draws,
        and_(
            product_draws.c.organisation == products.c.organisation,
            product_draws.c.sale == products.c.sale,
            product_draws.c.product == products.c.product,
        ),
    )
    .join(
        stocks,
        and_(
            stocks.c.organisation == products.c.organisation,
            stocks.c.sale == products.c.sale,
            stocks.c.stock == product_draws.c.stock,
        ),
    )
    .where(in_sale(products), products.c.product == numbers("product_numbers"))
    .order_by(product_draws.c.stock)
)

insert_uses = insert_or(person_uses).on_conflict_do_nothing()
"""Absence cannot be locked: the counter row is made first, then locked."""

_uses = select(person_uses.c.occasion, person_uses.c.units).where(
    in_sale(person_uses),
    person_uses.c.person == PERSON,
    person_uses.c.occasion == numbers("occasion_numbers"),
)
uses_for_update = _uses.order_by(person_uses.c.occasion).with_for_update()
uses_with_version = _uses.add_columns(person_uses.c.row_version)
_stocks = (
    select(stocks.c.stock, stocks.c.capacity, stocks.c.held, stocks.c.sold)
    .where(in_sale(stocks), stocks.c.stock == numbers("stock_numbers"))
    .order_by(stocks.c.stock)
)
stocks_for_update = _stocks.with_for_update()
stocks_with_version = _stocks.add_columns(stocks.c.row_version)

reclaim = select(
    func.reclaim_past_due(ORG, SALE, PERSON, bindparam("stock_numbers", type_=ARRAY(Integer)))
)

place_hold = insert(holds)
take_seats = (
    update(seats)
    .where(in_sale(seats), seats.c.seat == numbers("seat_numbers"))
    .values(hold=bindparam("hold_id"), expires_at=bindparam("until"))
)
count_use = (
    update(person_uses)
    .where(in_sale(person_uses), person_uses.c.person == PERSON)
    .where(person_uses.c.occasion == bindparam("occasion_number"))
    .values(units=person_uses.c.units + bindparam("more"))
)
draw_stock = (
    update(stocks)
    .where(in_sale(stocks), stocks.c.stock == bindparam("stock_number"))
    .values(held=stocks.c.held + bindparam("more"))
)
record_event = insert(outbox)

take_seat_unchanged = (
    update(seats)
    .where(in_sale(seats), seats.c.seat == bindparam("seat_number"))
    .where(seats.c.row_version == bindparam("seen"))
    .values(
        hold=bindparam("hold_id"),
        expires_at=bindparam("until"),
        row_version=seats.c.row_version + 1,
    )
)
count_use_unchanged = count_use.where(person_uses.c.row_version == bindparam("seen")).values(
    row_version=person_uses.c.row_version + 1
)
draw_stock_unchanged = draw_stock.where(stocks.c.row_version == bindparam("seen")).values(
    row_version=stocks.c.row_version + 1
)


def key_of(ask: Ask) -> dict[str, Any]:
    return {"org": ask.organisation, "sale_number": ask.sale}


def one_or_many(rows: Iterable[dict[str, Any]]) -> dict[str, Any] | list[dict[str, Any]]:
    """Give one row as a plain statement's values: it takes fewer messages than a list of one."""
    listed = list(rows)
    return listed[0] if len(listed) == 1 else listed


def use_rows(ask: Ask, uses: dict[int, tuple[int, int]]) -> Any:
    return one_or_many(
        {
            "organisation": ask.organisation,
            "sale": ask.sale,
            "person": ask.person,
            "occasion": occasion,
            "units": 0,
            "units_max": limit,
        }
        for occasion, (_, limit) in uses.items()
    )


def hold_row(
    ask: Ask, claim: Claim, uses: dict[int, tuple[int, int]], times: dict[str, Any]
) -> dict[str, Any]:
    return {
        "organisation": ask.organisation,
        "sale": ask.sale,
        "hold": ask.hold,
        "person": ask.person,
        "state": "open",
        "seats": list(ask.seats),
        "products": list(ask.quantities),
        "product_quantities": list(ask.quantities.values()),
        "stocks": list(claim.stocks),
        "stock_units": list(claim.stocks.values()),
        "use_occasions": list(uses),
        "use_units": [units for units, _ in uses.values()],
        "units": claim.units,
        "amount": claim.amount,
        "request_digest": ask.digest,
        "renewals": [],
        **times,
    }


def event_row(ask: Ask, claim: Claim) -> dict[str, Any]:
    return {
        "organisation": ask.organisation,
        "sale": ask.sale,
        "kind": "HoldPlaced",
        "payload": {
            "hold": str(ask.hold),
            "person": str(ask.person),
            "seats": list(ask.seats),
            "units": claim.units,
        },
    }
