"""Write back what has moved in a hall: one statement for all tables, and one journal row a sale."""

from collections.abc import Iterable
from uuid import UUID

import msgspec

from sunseo.booking.hall import Hall, Hold, HoldState, SaleState
from sunseo.booking.load import QUERIES
from sunseo.core.clock import Instant
from sunseo.journal import store as journal
from sunseo.postgres.arrays import array_of
from sunseo.postgres.connection import Transaction

_Row = tuple[int | UUID | Instant | None, ...]
_encode = msgspec.json.Encoder().encode


async def save(tx: Transaction, hall: Hall, now: Instant) -> None:
    """Write a decided hall. A sale in which something moved has an event that says so."""
    sales = [sale for sale in hall.sales.values() if sale.events]
    if not sales:
        return
    holds = [hold for sale in sales for hold in sale.holds.values()]
    await tx.fetch(
        QUERIES["save_hall"],
        *_columns(_moved_seats(sales), 5),
        _encode([_row_of(hold) for hold in holds if hold.is_new]).decode(),
        _encode([_row_of(hold) for hold in holds if hold.moved and not hold.is_new]).decode(),
        *_columns(_moved_uses(sales), 5),
        *_columns(_moved_stocks(sales), 5),
    )
    await journal.append(tx, [_entry(sale) for sale in sales], now)


def _entry(sale: SaleState) -> journal.Entry:
    if sale.terms is None:
        raise RuntimeError(f"sale {sale.key} was changed without its row being locked")
    organisation, number = sale.key
    return journal.Entry(organisation, number, sale.terms.version + 1, sale.events)


def _moved_seats(sales: Iterable[SaleState]) -> list[_Row]:
    return [
        (*sale.key, number, seat.hold, seat.expires_at)
        for sale in sales
        for number, seat in sale.seats.items()
        if seat.moved
    ]


def _moved_uses(sales: Iterable[SaleState]) -> list[_Row]:
    return [
        (*sale.key, person, occasion, use.units)
        for sale in sales
        for (person, occasion), use in sale.uses.items()
        if use.moved
    ]


def _moved_stocks(sales: Iterable[SaleState]) -> list[_Row]:
    return [
        (*sale.key, number, stock.held, stock.sold)
        for sale in sales
        for number, stock in sale.stocks.items()
        if stock.moved
    ]


def _columns(rows: list[_Row], columns: int) -> Iterable[str]:
    return map(array_of, zip(*rows, strict=True)) if rows else ["{}"] * columns


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
