"""Write back what has moved in a hall: one statement a table, and one journal row a sale."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sunseo.booking.hall import Hall, Hold, SaleState
from sunseo.booking.load import QUERIES
from sunseo.core.clock import Instant
from sunseo.journal import store as journal
from sunseo.postgres.connection import Transaction


async def save(tx: Transaction, hall: Hall, now: Instant) -> None:
    """Write a decided hall. A sale in which something moved has an event that says so."""
    sales = [sale for sale in hall.sales.values() if sale.events]
    if not sales:
        return
    await _save_seats(tx, sales)
    await _place_holds(tx, [h for s in sales for h in s.holds.values() if h.is_new], now)
    await _move_holds(tx, [h for s in sales for h in s.holds.values() if h.moved and not h.is_new])
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


async def _place_holds(tx: Transaction, holds: list[Hold], now: Instant) -> None:
    if not holds:
        return
    rows = [
        (
            *hold.sale,
            hold.hold,
            hold.person,
            hold.state.value,
            _array(hold.seats),
            _array(product for product, _ in hold.products),
            _array(quantity for _, quantity in hold.products),
            _array(stock for stock, _ in hold.draws),
            _array(units for _, units in hold.draws),
            _array(occasion for occasion, _ in hold.uses),
            _array(units for _, units in hold.uses),
            hold.units,
            hold.amount,
            hold.request_digest,
            _array(hold.renewals),
        )
        for hold in holds
    ]
    await tx.fetch(
        QUERIES["place_holds"],
        *_columns(rows),
        now,
        [hold.expires_at for hold in holds],
        [hold.ended_at for hold in holds],
    )


async def _move_holds(tx: Transaction, holds: list[Hold]) -> None:
    if not holds:
        return
    rows = [
        (*h.sale, h.hold, h.state.value, h.expires_at, h.ended_at, _array(h.renewals))
        for h in holds
    ]
    await tx.fetch(QUERIES["move_holds"], *_columns(rows))


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


def _array(values: Iterable[int | UUID]) -> str:
    """An array as PostgreSQL's text form of it."""
    return "{" + ",".join(map(str, values)) + "}"
