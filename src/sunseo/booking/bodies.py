"""What persons send and get about holds."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from sunseo.booking.inventory import Hold, HoldState
from sunseo.core.clock import Instant
from sunseo.core.fields import Number32

CLAIMS_MAX = 200  # seats, or products, in one hold; a sale's own order limit is usually far lower
QUANTITY_MAX = 10_000


class Quantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """So many of a product."""

    product: Number32
    quantity: Annotated[int, Meta(ge=1, le=QUANTITY_MAX)] = 1


class HoldRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Seats and products to hold, all of them or none."""

    seats: Annotated[tuple[Number32, ...], Meta(max_length=CLAIMS_MAX)] = ()
    products: Annotated[tuple[Quantity, ...], Meta(max_length=CLAIMS_MAX)] = ()

    def __post_init__(self) -> None:
        if not self.seats and not self.products:
            raise ValueError("seats must have entries, or else products")
        if len(self.seats) > 1 and len(set(self.seats)) < len(self.seats):
            raise ValueError("seats name each seat once")
        if len(self.products) > 1 and len({q.product for q in self.products}) < len(self.products):
            raise ValueError("products name each product once")


class HoldBody(msgspec.Struct, frozen=True, gc=False):
    """A hold as its owner sees it. `amount` is in minor units; times are RFC 3339 in UTC."""

    hold: UUID
    state: str
    seats: tuple[int, ...]
    products: tuple[Quantity, ...]
    units: int
    amount: int
    currency: str
    expires_at: datetime
    renewals_left: int


class HoldList(msgspec.Struct, frozen=True):
    """A person's holds in a sale, the newest first."""

    holds: list[HoldBody]


def hold_body(
    hold: Hold, currency: str, renewals_left: int, now: Instant | None = None
) -> HoldBody:
    """Show a hold; one that is past due is told as expired, returned or not."""
    state = hold.state
    if now is not None and hold.is_past_due(now):
        state = HoldState.EXPIRED
    return HoldBody(
        hold=hold.hold,
        state=state.value,
        seats=hold.seats,
        products=quantities(hold.products),
        units=hold.units,
        amount=hold.amount,
        currency=currency,
        expires_at=hold.expires_at,
        renewals_left=renewals_left,
    )


def quantities(products: Iterable[tuple[int, int]]) -> tuple[Quantity, ...]:
    return tuple([Quantity(product, quantity) for product, quantity in products])
