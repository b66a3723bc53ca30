"""The locked part of a sale's inventory, in memory, with the moves that keep it consistent.

State       A hold is OPEN until exactly one of release, expire and order ends it.
Guarantee   A move changes the hold, its seats, its stock and its person's counters together, or
            raises before it changed any of them. What moved is marked, for the store to write.
Clock       None: moves are told the time.
"""

from enum import Enum, unique
from uuid import UUID

import msgspec

from sunseo.booking.catalogue import Catalogue
from sunseo.booking.commands import SaleKey
from sunseo.core.clock import Instant
from sunseo.engine.part import NotReadError
from sunseo.journal.events import Event

WHOLE_SALE = 0
"""The occasion under which a person's units over the whole sale are counted."""


@unique
class HoldState(Enum):
    OPEN = "open"
    RELEASED = "released"
    EXPIRED = "expired"
    ORDERED = "ordered"


class Hold(msgspec.Struct, gc=False):
    """A claim, as stored. What it claims never changes; only its end and its time do."""

    sale: SaleKey
    hold: UUID
    person: UUID
    state: HoldState
    seats: tuple[int, ...]
    products: tuple[tuple[int, int], ...]  # product, quantity
    draws: tuple[tuple[int, int], ...]  # stock, units
    uses: tuple[tuple[int, int], ...]  # occasion, units
    units: int
    amount: int  # minor units of the sale's currency
    request_digest: UUID
    renewals: tuple[UUID, ...]
    placed_at: Instant
    expires_at: Instant
    ended_at: Instant | None = None
    is_new: bool = False
    moved: bool = False

    def is_past_due(self, now: Instant) -> bool:
        return self.state is HoldState.OPEN and self.expires_at <= now


class Seat(msgspec.Struct, gc=False):
    occasion: int
    price_class: int
    hold: UUID | None
    expires_at: Instant | None  # none once it is sold
    moved: bool = False


class Stock(msgspec.Struct, gc=False):
    capacity: int
    held: int
    sold: int
    moved: bool = False

    @property
    def free(self) -> int:
        return self.capacity - self.held - self.sold


class Use(msgspec.Struct, gc=False):
    """What one person has on one occasion, or over the whole sale."""

    units: int
    units_max: int
    is_new: bool = False  # counts as nought until it is written
    moved: bool = False


class SaleTerms(msgspec.Struct, frozen=True):
    """The sale's own row, as locked, as far as rules are told by it."""

    opens_at: Instant
    closes_at: Instant | None
    paused: bool
    hold_ttl_s: int
    renewals_max: int
    order_limit: int | None
    version: int

    def is_open(self, now: Instant) -> bool:
        return self.opens_at <= now and (self.closes_at is None or now < self.closes_at)


AMOUNT_MAX = 2**63 - 1  # as stored in `bigint`


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What seats and products amount to: stock, limits and money."""

    units: int
    amount: int
    draws: dict[int, int]  # stock: units
    uses: dict[int, int]  # occasion: units


class SaleState(msgspec.Struct):
    """One sale, as far as the batch has read it."""

    key: SaleKey
    catalogue: Catalogue
    terms: SaleTerms | None = None  # none where the sale's row is gone
    is_stale: bool = False  # the catalogue was replaced meanwhile: nothing may be decided on it
    seats: dict[int, Seat] = {}
    stocks: dict[int, Stock] = {}
    uses: dict[tuple[UUID, int], Use] = {}
    holds: dict[UUID, Hold] = {}
    events: list[Event] = []

    def use_of(self, person: UUID, occasion: int) -> Use:
        """A counter of somebody whose counters were read; one that is missing counts as nought.

        That is safe under the sale's lock, and only there: nobody else can make it meanwhile.
        """
        use = self.uses.get((person, occasion))
        if use is None:
            catalogue = self.catalogue
            whole = occasion == WHOLE_SALE
            limit = catalogue.person_limit if whole else catalogue.occasion_limit
            if limit is None:
                raise NotReadError
            use = self.uses[person, occasion] = Use(0, limit, is_new=True)
        return use

    def place(self, hold: Hold) -> None:
        """Give a new hold all that it claims; the rules have made sure that it is free."""
        seats = [self.seats[seat] for seat in hold.seats]
        counters = self._counters(hold)

        for seat in seats:
            seat.hold, seat.expires_at, seat.moved = hold.hold, hold.expires_at, True
        for stock, units in counters.stocks:
            stock.held += units
            stock.moved = True
        for use, units in counters.uses:
            use.units += units
            use.moved = True
        self.holds[hold.hold] = hold

    def let_go(self, hold: Hold, end: HoldState, now: Instant) -> None:
        """Release or expire an open hold: everything it claims is free again."""
        seats = self._seats_of(hold)
        counters = self._counters(hold)

        for seat in seats:
            seat.hold, seat.expires_at, seat.moved = None, None, True
        for stock, units in counters.stocks:
            stock.held -= units
            stock.moved = True
        for use, units in counters.uses:
            use.units -= units
            use.moved = True
        hold.state, hold.ended_at, hold.moved = end, now, True

    def sell(self, hold: Hold, now: Instant) -> None:
        """Turn an open hold into an order: what was held is sold; limits go on counting it."""
        seats = self._seats_of(hold)
        counters = self._counters(hold)

        for seat in seats:
            seat.expires_at, seat.moved = None, True
        for stock, units in counters.stocks:
            stock.held -= units
            stock.sold += units
            stock.moved = True
        hold.state, hold.ended_at, hold.moved = HoldState.ORDERED, now, True

    def renew(self, hold: Hold, effect: UUID, expires_at: Instant) -> None:
        for seat in self._seats_of(hold):
            seat.expires_at, seat.moved = expires_at, True
        hold.expires_at, hold.moved = expires_at, True
        hold.renewals = (*hold.renewals, effect)

    def _seats_of(self, hold: Hold) -> list[Seat]:
        """The hold's seats, each of which must be its own.

        Raises:
            NotReadError: not all of them were read.
            OwnershipError: the stored data contradicts itself.
        """
        try:
            seats = [self.seats[seat] for seat in hold.seats]
        except KeyError as missing:
            raise NotReadError from missing
        if any(seat.hold != hold.hold for seat in seats):
            raise OwnershipError(f"open hold {hold.hold} does not own all of its seats")
        return seats

    def _counters(self, hold: Hold) -> "_Counters":
        try:
            return _Counters(
                [(self.stocks[stock], units) for stock, units in hold.draws],
                [(self.uses[hold.person, occasion], units) for occasion, units in hold.uses],
            )
        except KeyError as missing:
            raise NotReadError from missing


class _Counters(msgspec.Struct, gc=False):
    stocks: list[tuple[Stock, int]]
    uses: list[tuple[Use, int]]


class OwnershipError(RuntimeError):
    """Stored data contradicts itself: better no answer than one more wrong row."""


class Inventory(msgspec.Struct):
    """Everything that one batch has locked."""

    sales: dict[SaleKey, SaleState]
