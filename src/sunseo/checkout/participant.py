"""Orders' share in the inventory's batch."""

from collections.abc import Sequence

from sunseo.booking.commands import InventoryCommand
from sunseo.booking.hall import SaleState
from sunseo.checkout.commands import PlaceOrder
from sunseo.checkout.rules import Order, OrderAnswer, OrderBook, OrderState, place_order
from sunseo.core.clock import Instant
from sunseo.postgres.connection import Row, Transaction
from sunseo.postgres.queries import load_queries

QUERIES = load_queries("sunseo.checkout")


class OrderParticipant:
    """A `booking.batch.Participant`."""

    commands: tuple[type[InventoryCommand], ...] = (PlaceOrder,)

    async def load(self, tx: Transaction, commands: Sequence[InventoryCommand]) -> OrderBook:
        placing = [command for command in commands if isinstance(command, PlaceOrder)]
        book = OrderBook()
        if placing:
            rows = await tx.fetch(
                QUERIES["find_orders"],
                [command.sale[0] for command in placing],
                [command.sale[1] for command in placing],
                [command.effect for command in placing],
            )
            book.found.update((row["order_id"], order_of(row)) for row in rows)
        return book

    def decide(
        self, command: InventoryCommand, sale: SaleState | None, state: OrderBook, now: Instant
    ) -> OrderAnswer:
        if not isinstance(command, PlaceOrder):
            raise TypeError(f"{type(command).__name__} is not about orders")
        return place_order(command, sale, state, now)

    async def save(self, tx: Transaction, state: OrderBook) -> None:
        if not state.placed:
            return
        rows = [
            (
                *order.sale,
                order.order,
                order.hold,
                order.person,
                order.beneficiary,
                order.amount,
                order.state.value,
                order.request_digest,
                order.confirmed_at,
            )
            for order in state.placed.values()
        ]
        await tx.fetch(QUERIES["place_orders"], *zip(*rows, strict=True))


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
