"""The rules of a hold as the two FastAPI peers apply them, free of any I/O.

They answer what the product answers, in the same precedence. The peers in SQL and Lua say the
same in their own language.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, unique
from typing import Any
from uuid import UUID

Row = Any
"""One row as SQLAlchemy gives it; its columns are named by the statement."""


@unique
class Refusal(Enum):
    """Why a hold was not placed: code on the wire, HTTP status, one sentence."""

    KEY_REUSED = "key_reused", 409, "This key was used for another request."
    UNKNOWN_SALE = "unknown_sale", 404, "There is no such sale."
    SALE_NOT_OPEN = "sale_not_open", 403, "The sale is not open."
    SALE_PAUSED = "sale_paused", 403, "The sale is paused."
    UNKNOWN_SEAT = "unknown_seat", 404, "There is no such seat."
    UNKNOWN_PRODUCT = "unknown_product", 404, "There is no such product."
    ORDER_LIMIT_REACHED = "order_limit_reached", 403, "This is more than one order may hold."
    SEAT_TAKEN = "seat_taken", 409, "Somebody else has one of these seats."
    LIMIT_REACHED = "limit_reached", 403, "This is more than one person may have."
    SOLD_OUT = "sold_out", 410, "There is not enough left."
    LATER = "later", 503, "Nothing is known; try again with the same key."

    @property
    def code(self) -> str:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]

    @property
    def sentence(self) -> str:
        return self.value[2]


REFUSAL_BY_CODE = {refusal.code: refusal for refusal in Refusal}


class RefusedError(Exception):
    """Carries a refusal out of a transaction, which thereby rolls back."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def problem(refusal: Refusal) -> dict[str, Any]:
    """Say a refusal as an RFC 9457 problem document."""
    return {
        "type": f"https://sunseo.dev/problems/{refusal.code}",
        "title": refusal.code.replace("_", " ").capitalize(),
        "status": refusal.status,
        "detail": refusal.sentence,
        "outcome": refusal.code,
    }


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to hold: seats, and quantities by product, each named once, ascending."""

    organisation: int
    sale: int
    hold: UUID
    person: UUID
    digest: UUID
    seats: Sequence[int]
    quantities: Mapping[int, int]


@dataclass(slots=True)
class Claim:
    """What an ask amounts to: what it takes from whom, and what it costs."""

    units: int = 0
    amount: int = 0
    occasions: Counter[int] = field(default_factory=Counter)
    stocks: Counter[int] = field(default_factory=Counter)

    def uses(self, sale: Row) -> dict[int, tuple[int, int]]:
        """Units and limit by occasion (0: the whole sale), kept only where a limit applies."""
        uses: dict[int, tuple[int, int]] = {}
        if sale.person_limit is not None:
            uses[0] = self.units, sale.person_limit
        if sale.occasion_limit is not None:
            for occasion in sorted(self.occasions):
                uses[occasion] = self.occasions[occasion], sale.occasion_limit
        return uses


def refuse_if_closed(sale: Row, now: datetime) -> None:
    if sale is None:
        raise RefusedError(Refusal.UNKNOWN_SALE)
    if now < sale.opens_at or (sale.closes_at is not None and now >= sale.closes_at):
        raise RefusedError(Refusal.SALE_NOT_OPEN)
    if sale.paused:
        raise RefusedError(Refusal.SALE_PAUSED)


def claim_of(ask: Ask, seats: Sequence[Row], draws: Sequence[Row]) -> Claim:
    """Add up an ask, or refuse it where it names what does not exist.

    Args:
        ask: what is asked for.
        seats: its seats as they are, with `occasion` and `price`.
        draws: what its products draw on: `product`, `price`, `stock`, `units`, `occasion`.
    """
    if len(seats) != len(ask.seats):
        raise RefusedError(Refusal.UNKNOWN_SEAT)
    prices = {draw.product: draw.price for draw in draws}
    if len(prices) != len(ask.quantities):
        raise RefusedError(Refusal.UNKNOWN_PRODUCT)

    claim = Claim()
    for seat in seats:
        claim.units += 1
        claim.amount += seat.price
        claim.occasions[seat.occasion] += 1
    counted = set()
    for draw in draws:
        quantity = ask.quantities[draw.product]
        claim.stocks[draw.stock] += quantity * draw.units
        if (draw.product, draw.occasion) not in counted:
            counted.add((draw.product, draw.occasion))
            claim.occasions[draw.occasion] += quantity
    for product, quantity in ask.quantities.items():
        claim.units += quantity
        claim.amount += quantity * prices[product]
    return claim


def is_any_taken(seats: Iterable[Row], now: datetime) -> bool:
    """Whether a seat is sold, or held by somebody whose time is not up."""
    return any(
        seat.hold is not None and (seat.expires_at is None or seat.expires_at > now)
        for seat in seats
    )


def exceeds_limit(uses: Mapping[int, tuple[int, int]], used: Mapping[int, int]) -> bool:
    return any(used.get(occasion, 0) + units > limit for occasion, (units, limit) in uses.items())


def hold_view(ask: Ask, hold: Row, currency: str, renewals_max: int) -> dict[str, Any]:
    """Show a hold row as the API does."""
    return {
        "hold": str(ask.hold),
        "state": hold.state,
        "seats": hold.seats,
        "products": [
            {"product": product, "quantity": quantity}
            for product, quantity in zip(hold.products, hold.product_quantities, strict=True)
        ],
        "units": hold.units,
        "amount": hold.amount,
        "currency": currency,
        "expires_at": hold.expires_at,
        "renewals_left": renewals_max - len(hold.renewals),
    }
