"""What persons send and get about orders."""

from datetime import datetime
from uuid import UUID

import msgspec

from sunseo.booking.bodies import Quantity, quantities
from sunseo.checkout.rules import Order
from sunseo.core.fields import Name


class OrderRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Turn an open hold into an order; `beneficiary` is whom it is for, if not for yourself."""

    hold: UUID
    beneficiary: Name | None = None


class OrderBody(msgspec.Struct, frozen=True):
    """An order as its owner sees it. `amount` is in minor units; times are RFC 3339 in UTC."""

    order: UUID
    hold: UUID
    state: str
    beneficiary: str | None
    seats: tuple[int, ...]
    products: tuple[Quantity, ...]
    amount: int
    currency: str
    confirmed_at: datetime


class OrderList(msgspec.Struct, frozen=True):
    """A person's orders in a sale, the newest first."""

    orders: list[OrderBody]


def order_body(order: Order, currency: str) -> OrderBody:
    return OrderBody(
        order=order.order,
        hold=order.hold,
        state=order.state.value,
        beneficiary=order.beneficiary,
        seats=order.seats,
        products=quantities(order.products),
        amount=order.amount,
        currency=currency,
        confirmed_at=order.confirmed_at,
    )
