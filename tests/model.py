"""A sale on paper: what the documents promise, told in the simplest way there is.

Written apart from the engine's rules, to judge them: it keeps no counters, locks nothing and
reclaims nothing. Whatever it wants to know it counts anew from all claims ever made, and a claim
whose time has run out simply does not count any more.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec


class Offer(msgspec.Struct, frozen=True):
    """A product: its price, what one of it draws, and the occasions that it belongs to."""

    price: int
    draws: Mapping[int, int]
    occasions: frozenset[int]
    starts_at: datetime | None = None


class Terms(msgspec.Struct):
    """What was agreed for the whole sale."""

    opens_at: datetime
    closes_at: datetime | None
    hold_ttl: timedelta
    renewals_max: int
    order_limit: int | None
    occasion_limit: int | None
    person_limit: int | None
    seats: Mapping[int, tuple[int, int]]  # seat: occasion, price
    capacities: Mapping[int, int]  # stock: units
    offers: Mapping[int, Offer]
    starts: Mapping[int, datetime] = {}  # occasion: when it begins
    paused: bool = False


class Wanted(msgspec.Struct, frozen=True):
    person: UUID
    seats: Sequence[int]
    products: Sequence[tuple[int, int]]


class Claim(msgspec.Struct):
    wanted: Wanted
    expires_at: datetime
    digest: UUID
    end: str | None = None  # released or ordered; running out of time needs no note
    renewals: list[UUID] = []

    def stands(self, now: datetime) -> bool:
        return self.end == "ordered" or (self.end is None and now < self.expires_at)


class Model:
    """One sale's whole truth."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.claims: dict[UUID, Claim] = {}
        self.orders: dict[UUID, tuple[UUID, UUID]] = {}  # order: hold, digest

    def standing(self, now: datetime) -> Iterator[Claim]:
        return (claim for claim in self.claims.values() if claim.stands(now))

    def units_of(self, wanted: Wanted) -> int:
        return len(wanted.seats) + sum(quantity for _, quantity in wanted.products)

    def amount_of(self, wanted: Wanted) -> int:
        return sum(self.terms.seats[seat][1] for seat in wanted.seats) + sum(
            self.terms.offers[product].price * quantity for product, quantity in wanted.products
        )

    def starts_of(self, wanted: Wanted) -> Iterator[datetime]:
        """When each seat and product begins, of those that begin at all."""
        occasions = (self.terms.seats[seat][0] for seat in wanted.seats)
        yield from (self.terms.starts[o] for o in occasions if o in self.terms.starts)
        starts = (self.terms.offers[product].starts_at for product, _ in wanted.products)
        yield from (starts_at for starts_at in starts if starts_at is not None)

    def draws_of(self, wanted: Wanted) -> Counter[int]:
        drawn: Counter[int] = Counter()
        for product, quantity in wanted.products:
            for stock, units in self.terms.offers[product].draws.items():
                drawn[stock] += units * quantity
        return drawn

    def occasions_of(self, wanted: Wanted) -> Counter[int]:
        counted: Counter[int] = Counter()
        for seat in wanted.seats:
            counted[self.terms.seats[seat][0]] += 1
        for product, quantity in wanted.products:
            for occasion in self.terms.offers[product].occasions:
                counted[occasion] += quantity
        return counted

    def taken(self, now: datetime) -> set[int]:
        return {seat for claim in self.standing(now) for seat in claim.wanted.seats}

    def drawn(self, now: datetime) -> Counter[int]:
        total: Counter[int] = Counter()
        for claim in self.standing(now):
            total += self.draws_of(claim.wanted)
        return total

    def used(self, person: UUID, now: datetime) -> tuple[int, Counter[int]]:
        """What a person has over the whole sale, and on each occasion."""
        whole, by_occasion = 0, Counter[int]()
        for claim in self.standing(now):
            if claim.wanted.person == person:
                whole += self.units_of(claim.wanted)
                by_occasion += self.occasions_of(claim.wanted)
        return whole, by_occasion

    def refusals(self, wanted: Wanted, now: datetime) -> set[str]:
        """Every reason against a new claim, whatever its precedence."""
        terms, against = self.terms, set[str]()
        if now < terms.opens_at or (terms.closes_at is not None and now >= terms.closes_at):
            against.add("SALE_NOT_OPEN")
        if terms.paused:
            against.add("SALE_PAUSED")
        if any(seat not in terms.seats for seat in wanted.seats):
            against.add("UNKNOWN_SEAT")
        if any(product not in terms.offers for product, _ in wanted.products):
            against.add("UNKNOWN_PRODUCT")
        units = self.units_of(wanted)
        if terms.order_limit is not None and units > terms.order_limit:
            against.add("ORDER_LIMIT_REACHED")
        if self.taken(now) & set(wanted.seats):
            against.add("SEAT_TAKEN")
        if not against & {"UNKNOWN_SEAT", "UNKNOWN_PRODUCT"}:
            against |= self._counted_refusals(wanted, now)
        return against

    def _counted_refusals(self, wanted: Wanted, now: datetime) -> set[str]:
        """The reasons that lie in numbers; what does not exist cannot be counted."""
        terms, against = self.terms, set[str]()
        units = self.units_of(wanted)
        whole, by_occasion = self.used(wanted.person, now)
        if terms.person_limit is not None and whole + units > terms.person_limit:
            against.add("LIMIT_REACHED")
        if terms.occasion_limit is not None and any(
            by_occasion[occasion] + more > terms.occasion_limit
            for occasion, more in self.occasions_of(wanted).items()
        ):
            against.add("LIMIT_REACHED")
        drawn = self.drawn(now)
        if any(
            drawn[stock] + more > terms.capacities[stock]
            for stock, more in self.draws_of(wanted).items()
        ):
            against.add("SOLD_OUT")
        if any(starts_at <= now for starts_at in self.starts_of(wanted)):
            against.add("ALREADY_STARTED")
        if self.amount_of(wanted):
            against.add("PAYMENT_REQUIRED")
        return against

    def place(self, hold: UUID, wanted: Wanted, digest: UUID, now: datetime) -> set[str]:
        """Every outcome that applies; the engine has to give the first of them."""
        if (before := self.claims.get(hold)) is not None:
            return {"REPLAYED"} if before.digest == digest else {"KEY_REUSED"}
        against = self.refusals(wanted, now)
        if not against:
            self.claims[hold] = Claim(wanted, now + self.terms.hold_ttl, digest, renewals=[])
            return {"HELD"}
        return against

    def _of(self, person: UUID, hold: UUID) -> Claim | None:
        claim = self.claims.get(hold)
        return claim if claim is not None and claim.wanted.person == person else None

    def renew(self, effect: UUID, person: UUID, hold: UUID, now: datetime) -> str:
        claim = self._of(person, hold)
        if claim is None:
            return "UNKNOWN_HOLD"
        if effect in claim.renewals:
            return "REPLAYED"
        if ended := self._ended(claim, now):
            return ended
        if len(claim.renewals) == self.terms.renewals_max:
            return "RENEWALS_SPENT"
        claim.renewals.append(effect)
        claim.expires_at = now + self.terms.hold_ttl
        return "RENEWED"

    def release(self, person: UUID, hold: UUID, now: datetime) -> str:
        claim = self._of(person, hold)
        if claim is None:
            return "UNKNOWN_HOLD"
        if claim.end == "released":
            return "REPLAYED"
        if ended := self._ended(claim, now):
            return ended
        claim.end = "released"
        return "RELEASED"

    def order(self, order: UUID, person: UUID, hold: UUID, digest: UUID, now: datetime) -> str:
        if (before := self.orders.get(order)) is not None:
            return "REPLAYED" if before[1] == digest else "KEY_REUSED"
        claim = self._of(person, hold)
        if claim is None:
            return "UNKNOWN_HOLD"
        if ended := self._ended(claim, now):
            return ended
        if self.amount_of(claim.wanted):
            return "PAYMENT_REQUIRED"
        claim.end = "ordered"
        self.orders[order] = (hold, digest)
        return "CONFIRMED"

    def expire(self, hold: UUID, now: datetime) -> set[str]:
        claim = self.claims.get(hold)
        if claim is None:
            return {"UNKNOWN_HOLD"}
        if claim.end is None and now < claim.expires_at:
            return {"NOT_DUE"}
        # A claim whose time has run out may have been cleared away before, by whoever needed it.
        return {"ENDED_BEFORE"} if claim.end else {"EXPIRED", "ENDED_BEFORE"}

    def _ended(self, claim: Claim, now: datetime) -> str | None:
        if claim.end == "ordered":
            return "HOLD_ORDERED"
        if claim.end == "released":
            return "HOLD_RELEASED"
        return None if now < claim.expires_at else "HOLD_EXPIRED"
