"""Write back what has moved in the sales of a batch."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from sunseo.booking.inventory import Hold, HoldState, SaleState
from sunseo.booking.locked import QUERIES
from sunseo.core.clock import Instant
from sunseo.postgres.pipelined.arrays import array_of
from sunseo.postgres.pipelined.statements import Statement

_Row = tuple[int | UUID | Instant | None, ...]
_encode = msgspec.json.Encoder().encode


def writes_of(sales: Sequence[SaleState]) -> list[Statement]:
    """Write what has moved in decided sales, a statement for each kind of rows that did."""
    holds = [hold for sale in sales for hold in sale.holds.values()]
    uses = _moved_uses(sales)
    writes = [
        *_columns("move_seats", _moved_seats(sales)),
        *_json("place_holds", [_row_of(hold) for hold in holds if hold.is_new]),
        *_json("move_holds", [_row_of(hold) for hold in holds if hold.moved and not hold.is_new]),
        *_columns("make_uses", [row for row, is_new in uses if is_new]),
        *_columns("count_uses", [row[:-1] for row, is_new in uses if not is_new]),
        *_columns("count_stocks", _moved_stocks(sales)),
    ]
    for sale in sales:
        if sale.terms is None:
            raise RuntimeError(f"sale {sale.key} was changed without its row being locked")
    return writes


def _moved_seats(sales: Iterable[SaleState]) -> list[_Row]:
    return [
        (*sale.key, number, seat.hold, seat.expires_at)
        for sale in sales
        for number, seat in sale.seats.items()
        if seat.moved
    ]


def _moved_uses(sales: Iterable[SaleState]) -> list[tuple[_Row, bool]]:
    return [
        ((*sale.key, person, occasion, use.units, use.units_max), use.is_new)
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


def _columns(name: str, rows: Sequence[_Row]) -> list[Statement]:
    if not rows:
        return []
    return [Statement(QUERIES[name], tuple(map(array_of, zip(*rows, strict=True))))]


def _json(name: str, rows: Sequence["_HoldRow"]) -> list[Statement]:
    """Holds travel as JSON: their lists are ragged, which arrays of arrays cannot be."""
    return [Statement(QUERIES[name], (_encode(rows).decode(),))] if rows else []


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
