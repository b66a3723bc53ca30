"""When a hold becomes an order: pure."""

from enum import Enum, unique
from uuid import UUID

import msgspec

from sunseo.booking.commands import SaleKey
from sunseo.booking.inventory import HoldState, SaleState
from sunseo.checkout.commands import PlaceOrder, PlaceOrderOutcome
from sunseo.core.clock import Instant, to_millis
from sunseo.journal.events import OrderConfirmed


@unique
class OrderState(Enum):
    CONFIRMED = "confirmed"


class Order(msgspec.Struct, frozen=True):
    sale: SaleKey
    order: UUID
    hold: UUID
    person: UUID
    beneficiary: str | None
    seats: tuple[int, ...]
    products: tuple[tuple[int, int], ...]  # product, quantity
    amount: int  # minor units of the sale's currency
    state: OrderState
    request_digest: UUID
    confirmed_at: Instant


class OrderAnswer(msgspec.Struct, frozen=True):
    outcome: PlaceOrderOutcome
    order: Order | None = None
    currency: str = ""


class OrderBook(msgspec.Struct):
    """The orders that a batch knows: those it found, and those it placed."""

    found: dict[UUID, Order] = {}
    placed: dict[UUID, Order] = {}

    def named(self, order: UUID) -> Order | None:
        return self.found.get(order) or self.placed.get(order)


def place_order(
    command: PlaceOrder, sale: SaleState | None, book: OrderBook, now: Instant
) -> OrderAnswer:
    if (order := book.named(command.effect)) is not None:
        if order.request_digest != command.request_digest:
            return OrderAnswer(PlaceOrderOutcome.KEY_REUSED)
        return OrderAnswer(PlaceOrderOutcome.REPLAYED, order, _currency_of(sale))
    hold = sale.holds.get(command.hold) if sale is not None else None
    if sale is None or hold is None or hold.person != command.person:
        return OrderAnswer(PlaceOrderOutcome.UNKNOWN_HOLD)
    if hold.state is HoldState.ORDERED:
        return OrderAnswer(PlaceOrderOutcome.HOLD_ORDERED)
    if hold.state is HoldState.RELEASED:
        return OrderAnswer(PlaceOrderOutcome.HOLD_RELEASED)
    if hold.state is HoldState.EXPIRED or hold.is_past_due(now):
        return OrderAnswer(PlaceOrderOutcome.HOLD_EXPIRED)
    if hold.amount > 0:
        return OrderAnswer(PlaceOrderOutcome.PAYMENT_REQUIRED)

    # From here the order must succeed.
    sale.sell(hold, now)
    order = Order(
        sale=command.sale,
        order=command.effect,
        hold=hold.hold,
        person=hold.person,
        beneficiary=command.beneficiary,
        seats=hold.seats,
        products=hold.products,
        amount=hold.amount,
        state=OrderState.CONFIRMED,
        request_digest=command.request_digest,
        confirmed_at=now,
    )
    book.placed[order.order] = order
    sale.events.append(order_confirmed(order, hold.draws))
    return OrderAnswer(PlaceOrderOutcome.CONFIRMED, order, _currency_of(sale))


def _currency_of(sale: SaleState | None) -> str:
    return sale.catalogue.currency if sale is not None else ""


def order_confirmed(order: Order, draws: tuple[tuple[int, int], ...]) -> OrderConfirmed:
    return OrderConfirmed(
        hold=order.hold,
        seats=order.seats,
        draws=draws,
        order=order.order,
        person=order.person,
        amount=order.amount,
        confirmed_at=to_millis(order.confirmed_at),
    )
