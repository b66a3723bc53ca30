"""Write back what has moved in a hall: one statement a table, and one journal row a sale."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from sunseo.booking.hall import Hall, Hold, HoldState, SaleState
from sunseo.booking.load import QUERIES
from sunseo.core.clock import Instant
from sunseo.journal import store as journal
from sunseo.postgres.connection import Transaction

_encode = msgspec.json.Encoder().encode


async def save(tx: Transaction, hall: Hall, now: Instant) -> None:
    """Write a decided hall. A sale in which something moved has an event that says so."""
    sales = [sale for sale in hall.sales.values() if sale.events]
    if not sales:
        return
    await _save_seats(tx, sales)
    await _save_holds(tx, [hold for sale in sales for hold in sale.holds.values()])
    await _save_person_uses(tx, sales)
    await _save_stocks(tx, sales)
    await journal.append(tx, [_entry(sale) for sale in sales], now)


def _entry(sale: SaleState) -> journal.Entry:
    if sale.terms is None:
        raise RuntimeError(f"sale {sale.key} was changed without its row being locked")
    organisation, number = sale.key
    return journal.Entry(organisation, number, sale.terms.version + 1, sale.events)


async def _save_seats(tx: Transaction, sales: Iterable[SaleState]) -> None:
    moved = [
        (*sale.key, number, seat.hold, seat.expires_at)
        for sale in sales
        for number, seat in sale.seats.items()
        if seat.moved
    ]
    if moved:
        await tx.fetch(QUERIES["move_seats"], *_columns(moved))


async def _save_holds(tx: Transaction, holds: list[Hold]) -> None:
    placed = [_row_of(hold) for hold in holds if hold.is_new]
    moved = [_row_of(hold) for hold in holds if hold.moved and not hold.is_new]
    if placed:
        await tx.fetch(QUERIES["place_holds"], _encode(placed).decode())
    if moved:
        await tx.fetch(QUERIES["move_holds"], _encode(moved).decode())


class _HoldRow(msgspec.Struct, gc=False):
    """A row of `holds`, by its columns' names."""

    organisation: int
    sale: int
    hold: UUID
    person: UUID
    state: HoldState
    seats: tuple[int, ...]
    products: list[int]
    product_quantities: list[int]
    stocks: list[int]
    stock_units: list[int]
    use_occasions: list[int]
    use_units: list[int]
    units: int
    amount: int
    request_digest: UUID
    renewals: tuple[UUID, ...]
    placed_at: Instant
    expires_at: Instant
    ended_at: Instant | None


def _row_of(hold: Hold) -> _HoldRow:
    organisation, sale = hold.sale
    return _HoldRow(
        organisation,
        sale,
        hold.hold,
        hold.person,
        hold.state,
        hold.seats,
        [product for product, _ in hold.products],
        [quantity for _, quantity in hold.products],
        [stock for stock, _ in hold.draws],
        [units for _, units in hold.draws],
        [occasion for occasion, _ in hold.uses],
        [units for _, units in hold.uses],
        hold.units,
        hold.amount,
        hold.request_digest,
        hold.renewals,
        hold.placed_at,
        hold.expires_at,
        hold.ended_at,
    )


async def _save_person_uses(tx: Transaction, sales: Iterable[SaleState]) -> None:
    moved = [
        (*sale.key, person, occasion, use.units)
        for sale in sales
        for (person, occasion), use in sale.uses.items()
        if use.moved
    ]
    if moved:
        await tx.fetch(QUERIES["count_person_uses"], *_columns(moved))


async def _save_stocks(tx: Transaction, sales: Iterable[SaleState]) -> None:
    moved = [
        (*sale.key, number, stock.held, stock.sold)
        for sale in sales
        for number, stock in sale.stocks.items()
        if stock.moved
    ]
    if moved:
        await tx.fetch(QUERIES["count_stocks"], *_columns(moved))


def _columns(rows: list[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    return zip(*rows, strict=True)
