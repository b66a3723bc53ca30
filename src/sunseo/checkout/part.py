"""Orders' part in a batch: they sell what the inventory's share holds."""

from collections.abc import Callable, Iterable
from typing import Any

from sunseo.booking.locked import SALES, sale_columns, sale_stream
from sunseo.booking.part import InventoryPart, InventoryShare
from sunseo.checkout.commands import PlaceOrder
from sunseo.checkout.rules import Order, OrderAnswer, OrderBook, OrderState, place_order
from sunseo.core.clock import Instant
from sunseo.engine.batch import BatchFlush
from sunseo.engine.part import Batch, Command, Part, Read, Share, Write
from sunseo.engine.streams import Stream
from sunseo.postgres.pipelined.arrays import array_of, array_of_texts
from sunseo.postgres.pipelined.statements import Columns, Row, Sessions, Statement
from sunseo.postgres.queries import load_queries

QUERIES = load_queries("sunseo.checkout")


class OrderPart:
    """A `Part` that joins after the inventory's."""

    commands: tuple[type[Command], ...] = (PlaceOrder,)

    def __init__(self, inventory: InventoryPart) -> None:
        self._inventory = inventory

    def streams(self, command: PlaceOrder) -> Iterable[Stream]:
        return (sale_stream(command.sale),)

    def join(self, batch: Batch) -> "OrderShare":
        return OrderShare(batch, batch.share(self._inventory))


class OrderShare(Share):
    def __init__(self, batch: Batch, inventory: InventoryShare) -> None:
        self._placing = [c for c in batch.commands if isinstance(c, PlaceOrder)]
        self._inventory = inventory
        self._book = OrderBook()

    def reads(self) -> Iterable[Read]:
        if self._placing:
            keys = sale_columns(command.sale for command in self._placing)
            effects = array_of(command.effect for command in self._placing)
            yield Read(Statement(QUERIES["find_orders"], (*keys, effects)), self._take_orders)

    def decide(self, command: Any, now: Instant) -> OrderAnswer:
        return place_order(command, self._inventory.sale(command.sale), self._book, now)

    def writes(self) -> Iterable[Write]:
        placed = list(self._book.placed.values())
        if not placed:
            return
        arguments = (
            *sale_columns(order.sale for order in placed),
            array_of(order.order for order in placed),
            array_of(order.hold for order in placed),
            array_of(order.person for order in placed),
            array_of_texts(order.beneficiary for order in placed),
            array_of(order.amount for order in placed),
            array_of_texts(order.state.value for order in placed),
            array_of(order.request_digest for order in placed),
            array_of(order.confirmed_at for order in placed),
        )
        yield Statement(QUERIES["place_orders"], arguments)

    def _take_orders(self, columns: Columns) -> None:
        self._book.found.update((row["order_id"], order_of(row)) for row in columns.rows())


def flush_of_sales(
    connection: Sessions,
    on_clock: Callable[[Instant], None] = lambda _now: None,
    *,
    waits: bool = False,
) -> BatchFlush:
    """The flush of one lane: all parts that change sales."""
    inventory = InventoryPart()
    parts: list[Part[Share]] = [inventory, OrderPart(inventory)]
    return BatchFlush(connection, [SALES], parts, on_clock, waits=waits)


def order_of(row: Row) -> Order:
    return Order(
        sale=(row["organisation"], row["sale"]),
        order=row["order_id"],
        hold=row["hold"],
        person=row["person"],
        beneficiary=row["beneficiary"],
        seats=tuple(row["seats"]),
        products=tuple(zip(row["products"], row["product_quantities"], strict=True)),
        amount=row["amount"],
        state=OrderState(row["state"]),
        request_digest=row["request_digest"],
        confirmed_at=row["confirmed_at"],
    )
