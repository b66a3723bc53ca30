"""What can be asked of a sale's inventory, and the answers."""

from enum import unique
from uuid import UUID

import msgspec

from sunseo.core.clock import Instant
from sunseo.core.outcome import Kind, Outcome
from sunseo.engine.part import Command

SaleKey = tuple[int, int]
"""Organisation and sale."""


class InventoryCommand(Command, frozen=True, gc=False):
    """Anything that changes one sale's inventory; all of them share the sale's lane."""

    sale: SaleKey

    @property
    def home(self) -> tuple[int, int]:
        return self.sale

    @property
    def named_holds(self) -> tuple[UUID, ...]:
        """Holds that exist already, as far as the command knows, and that it may change."""
        return ()


class RoomAdmission(msgspec.Struct, frozen=True, gc=False):
    """What the waiting room in front of a sale knows of who asks.

    Attributes:
        room: where to queue up.
        until: when the person's own pass ends; none where she has shown no such pass.
        is_known: false where the room cannot be read, so that nobody can tell a pass of it.
    """

    room: int
    until: Instant | None
    is_known: bool = True

    def admits(self, now: Instant) -> bool:
        return self.until is not None and now < self.until


class PlaceHold(InventoryCommand, frozen=True, gc=False):
    """Claim seats and products for one person, all of them or none.

    `admission` is none where no waiting room stands in front of the sale.
    `products` are pairs of product and quantity. `reclaim` names past-due holds of others that an
    earlier turn found in the way; they are expired first. `is_guest` says that nobody vouches for
    the person: the session is one of as many as somebody likes to open.
    """

    effect: UUID  # and the id of the hold it places
    person: UUID
    seats: tuple[int, ...]
    products: tuple[tuple[int, int], ...]
    request_digest: UUID
    admission: RoomAdmission | None = None
    reclaim: tuple[UUID, ...] = ()
    is_guest: bool = False

    @property
    def named_holds(self) -> tuple[UUID, ...]:
        return self.reclaim


class RenewHold(InventoryCommand, frozen=True):
    """Give an open hold its full time again."""

    effect: UUID
    person: UUID
    hold: UUID

    @property
    def named_holds(self) -> tuple[UUID, ...]:
        return (self.hold,)


class ReleaseHold(InventoryCommand, frozen=True):
    """Let go of a hold before its time."""

    person: UUID
    hold: UUID

    @property
    def named_holds(self) -> tuple[UUID, ...]:
        return (self.hold,)


class ExpireHold(InventoryCommand, frozen=True):
    """Return the units of a hold whose time has run out."""

    hold: UUID

    @property
    def named_holds(self) -> tuple[UUID, ...]:
        return (self.hold,)


@unique
class PlaceHoldOutcome(Outcome):
    """Answers to PlaceHold, in precedence."""

    # Said of the whole server, before any sale is looked at; the operator's guide tells what to do.
    DISK_NEARLY_FULL = (
        Kind.LATER,
        "No new holds are taken now: the server's disk is nearly full.",
    )
    DISK_UNREADABLE = (
        Kind.LATER,
        "No new holds are taken now: the server's disk does not answer.",
    )
    ROOMS_NOT_READ = Kind.LATER, "No new holds are taken yet: the waiting rooms are being read."
    REPLAYED = Kind.REPLAYED, "This hold was placed before; here is how it stands now."
    KEY_REUSED = Kind.CONFLICT, "This Idempotency-Key was used before for a different request."
    UNKNOWN_SALE = Kind.ABSENT, "There is no such sale."
    # Before she queues up for what she cannot have, and before she waits for the opening.
    ACCOUNT_REQUIRED = Kind.REFUSED, "This sale is for customers with an account; please sign in."
    PASS_REQUIRED = Kind.REFUSED, "Queue up in the sale's waiting room, and send your pass along."
    SALE_NOT_OPEN = Kind.REFUSED, "The sale is not open at this time."
    SALE_PAUSED = Kind.REFUSED, "The sale is paused; please wait until it goes on."
    UNKNOWN_SEAT = Kind.ABSENT, "The sale has no such seat."
    UNKNOWN_PRODUCT = Kind.ABSENT, "The sale has no such product."
    ALREADY_STARTED = Kind.GONE, "It has begun already, and cannot be booked any more."
    PAYMENT_REQUIRED = Kind.REFUSED, "This has a price, and this server takes no payments yet."
    ORDER_LIMIT_REACHED = Kind.REFUSED, "That is more than one order may hold."
    SEAT_TAKEN = Kind.CONFLICT, "Somebody else has at least one of these seats."
    LIMIT_REACHED = Kind.REFUSED, "That is more than one person may have."
    SOLD_OUT = Kind.GONE, "Not enough is left."
    HELD = Kind.DONE, "All of it is yours until the hold expires."


@unique
class RenewHoldOutcome(Outcome):
    """Answers to RenewHold, in precedence."""

    UNKNOWN_HOLD = Kind.ABSENT, "You have no such hold."
    REPLAYED = Kind.REPLAYED, "This renewal was made before; here is how the hold stands now."
    HOLD_ORDERED = Kind.CONFLICT, "The hold has become an order already."
    HOLD_EXPIRED = Kind.GONE, "The hold has expired."
    HOLD_RELEASED = Kind.GONE, "The hold was released."
    RENEWALS_SPENT = Kind.REFUSED, "The hold cannot be renewed any more."
    RENEWED = Kind.DONE, "The hold has its full time again."


@unique
class ReleaseHoldOutcome(Outcome):
    """Answers to ReleaseHold, in precedence."""

    UNKNOWN_HOLD = Kind.ABSENT, "You have no such hold."
    REPLAYED = Kind.REPLAYED, "The hold was released before."
    HOLD_ORDERED = Kind.CONFLICT, "The hold has become an order already."
    HOLD_EXPIRED = Kind.GONE, "The hold has expired."
    RELEASED = Kind.DONE, "The hold was released."


@unique
class ExpireHoldOutcome(Outcome):
    """Answers to ExpireHold, in precedence."""

    UNKNOWN_HOLD = Kind.ABSENT, "There is no such hold."
    ENDED_BEFORE = Kind.REPLAYED, "The hold had ended already."
    NOT_DUE = Kind.REFUSED, "The hold has time left."
    EXPIRED = Kind.DONE, "The hold's units are free again."
