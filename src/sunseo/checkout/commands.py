"""What can be asked of orders, and the answers."""

from enum import unique
from uuid import UUID

from sunseo.booking.commands import InventoryCommand
from sunseo.core.outcome import Kind, Outcome


class PlaceOrder(InventoryCommand, frozen=True):
    """Turn a person's own open hold into an order."""

    effect: UUID  # and the id of the order it places
    person: UUID
    hold: UUID
    beneficiary: str | None
    request_digest: UUID

    @property
    def named_holds(self) -> tuple[UUID, ...]:
        return (self.hold,)


@unique
class PlaceOrderOutcome(Outcome):
    """Answers to PlaceOrder, in precedence."""

    REPLAYED = Kind.REPLAYED, "This order was placed before; here is how it stands now."
    KEY_REUSED = Kind.CONFLICT, "This Idempotency-Key was used before for a different request."
    UNKNOWN_HOLD = Kind.ABSENT, "You have no such hold."
    HOLD_ORDERED = Kind.CONFLICT, "The hold has become another order already."
    HOLD_RELEASED = Kind.GONE, "The hold was released."
    HOLD_EXPIRED = Kind.GONE, "The hold has expired."
    PAYMENT_REQUIRED = Kind.REFUSED, "The hold has a price, and this server takes no payments yet."
    CONFIRMED = Kind.DONE, "The order is confirmed."


@unique
class ReadOrderOutcome(Outcome):
    """The refusal of a read."""

    UNKNOWN_ORDER = Kind.ABSENT, "You have no such order."
