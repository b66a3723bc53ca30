"""Anybody asks anything at any time: the rules and the model, side by side, step by step."""

from collections import Counter
from datetime import timedelta
from random import Random
from uuid import UUID

import msgspec

from sunseo.booking.catalogue import Product
from sunseo.booking.commands import ExpireHold, PlaceHold, PlaceHoldOutcome, ReleaseHold, RenewHold
from sunseo.booking.inventory import HoldState
from sunseo.checkout.commands import PlaceOrder
from sunseo.journal.events import HoldExpired
from tests import model
from tests.paper_inventory import (
    OPENING,
    SALE,
    Asked,
    PaperLane,
    Standing,
    make_sale,
    person,
    recount,
    standing,
)

SEATS = {1: (1, 1), 2: (1, 1), 3: (1, 2), 4: (2, 1), 5: (2, 1), 6: (2, 2)}
PRICES = {1: 0, 2: 500}
STARTS = {1: OPENING + timedelta(days=1), 2: OPENING + timedelta(seconds=600)}
STOCKS = {1: 3, 2: 4}
PRODUCTS = {
    1: Product(0, ((1, 1),), (1,)),  # two products share stock 1 …
    2: Product(0, ((1, 2), (2, 1)), (1, 2), STARTS[2]),  # … and one product draws on both
    3: Product(700, ((2, 1),), (2,), STARTS[2]),
}
TTL_S = 60
WAITS_S = [0, 1, 20, 30, 59, 60, 61]
NOBODYS_HOLD = UUID(int=9)


class Limits(msgspec.Struct, frozen=True):
    order: int | None = None
    occasion: int | None = None
    person: int | None = None
    renewals_max: int = 2
    closes_after_s: int | None = None


class SideBySide:
    """Each step asks both, and compares what they say and how everything stands afterwards."""

    def __init__(self, limits: Limits) -> None:
        self.now = OPENING
        self.seen: Counter[str] = Counter()
        self.holds: list[UUID] = []
        self._owners: dict[UUID, UUID] = {}
        self._ended: dict[UUID, HoldState] = {}
        closes_at = limits.closes_after_s and OPENING + timedelta(seconds=limits.closes_after_s)
        self.lane = PaperLane(
            make_sale(
                seats=SEATS,
                stocks=STOCKS,
                products=PRODUCTS,
                prices=PRICES,
                terms={
                    "closes_at": closes_at or None,
                    "hold_ttl_s": TTL_S,
                    "renewals_max": limits.renewals_max,
                    "order_limit": limits.order,
                },
                occasion_limit=limits.occasion,
                person_limit=limits.person,
                starts=STARTS,
            )
        )
        self.model = model.Model(
            model.Terms(
                opens_at=OPENING,
                closes_at=closes_at or None,
                hold_ttl=timedelta(seconds=TTL_S),
                renewals_max=limits.renewals_max,
                order_limit=limits.order,
                occasion_limit=limits.occasion,
                person_limit=limits.person,
                seats={n: (occasion, PRICES[c]) for n, (occasion, c) in SEATS.items()},
                capacities=STOCKS,
                offers={
                    n: model.Offer(p.price, dict(p.draws), frozenset(p.occasions), p.starts_at)
                    for n, p in PRODUCTS.items()
                },
                starts=STARTS,
            )
        )

    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def pause(self, *, paused: bool) -> None:
        terms = self.lane.sale.terms
        assert terms is not None
        self.model.terms.paused = paused
        self.lane.sale.terms = msgspec.structs.replace(terms, paused=paused)

    def place(self, who: int, key: int, seats: list[int], products: list[tuple[int, int]]) -> None:
        hold = UUID(int=key * 10 + who)  # a key belongs to its person
        digest = UUID(int=hash((tuple(seats), tuple(products))) & (2**128 - 1))
        before = standing(self.lane.sale)
        wanted = model.Wanted(person(who), seats, products)
        expected = self.model.place(hold, wanted, digest, self.now)
        answer = self.lane.ask(
            PlaceHold(SALE, hold, person(who), tuple(seats), tuple(products), digest), self.now
        )

        first = next(outcome for outcome in PlaceHoldOutcome if outcome.name in expected)
        assert answer.outcome is first, f"{answer.outcome} where {expected} apply"
        self._check(answer, hold, before, moves=first is PlaceHoldOutcome.HELD)
        if first is PlaceHoldOutcome.HELD:
            self.holds.append(hold)
            self._owners[hold] = person(who)

    def renew(self, hold: UUID, who: UUID, effect: int) -> None:
        before = standing(self.lane.sale)
        expected = self.model.renew(UUID(int=effect), who, hold, self.now)
        answer = self.lane.ask(RenewHold(SALE, UUID(int=effect), who, hold), self.now)

        assert answer.outcome.name == expected
        self._check(answer, hold, before, moves=expected == "RENEWED")

    def release(self, hold: UUID, who: UUID) -> None:
        before = standing(self.lane.sale)
        expected = self.model.release(who, hold, self.now)
        answer = self.lane.ask(ReleaseHold(SALE, who, hold), self.now)

        assert answer.outcome.name == expected
        self._check(answer, hold, before, moves=expected == "RELEASED")

    def expire(self, hold: UUID) -> None:
        before = standing(self.lane.sale)
        answer = self.lane.ask(ExpireHold(SALE, hold), self.now)

        assert answer.outcome.name in self.model.expire(hold, self.now)
        self._check(answer, hold, before, moves=answer.outcome.name == "EXPIRED")

    def order(self, hold: UUID, who: UUID, order: int, body: int) -> None:
        before = standing(self.lane.sale)
        effect, digest = UUID(int=order), UUID(int=body)
        expected = self.model.order(effect, who, hold, digest, self.now)
        answer = self.lane.ask(PlaceOrder(SALE, effect, who, hold, None, digest), self.now)

        assert answer.outcome.name == expected
        self._check(answer, hold, before, moves=expected == "CONFIRMED")

    def owner_of(self, hold: UUID) -> UUID:
        return self._owners.get(hold, person(1))

    def _check(self, answer: Asked, hold: UUID, before: Standing, *, moves: bool) -> None:
        self.seen[f"{type(answer.outcome).__name__}.{answer.outcome.name}"] += 1
        self._check_hold(answer, hold)
        after = standing(self.lane.sale)
        if not moves and after.events == before.events:
            assert after == before, f"{answer.outcome} has moved something"
        # A refusal may have returned units whose time had run out: each with its event, no more.
        cleared = self.lane.sale.events[before.events :]
        if not moves:
            assert all(isinstance(event, HoldExpired) for event in cleared)
        recount(self.lane.sale)
        self._check_ends()

    def _check_hold(self, answer: Asked, number: UUID) -> None:
        """What is told of a hold is how it stands now."""
        hold = getattr(answer, "hold", None)
        if hold is None:
            return
        claim = self.model.claims[number]
        assert hold is self.lane.sale.holds[number]
        assert hold.expires_at == claim.expires_at
        assert (hold.seats, hold.products) == (
            tuple(claim.wanted.seats),
            tuple(claim.wanted.products),
        )
        assert hold.units == self.model.units_of(claim.wanted)
        assert hold.amount == self.model.amount_of(claim.wanted)
        if answer.outcome.kind.is_success and hold.state is HoldState.OPEN:
            left = self.model.terms.renewals_max - len(claim.renewals)
            told = getattr(answer, "renewals_left", left)
            assert told == left or answer.outcome.name == "EXPIRED"

    def _check_ends(self) -> None:
        """A hold is open until exactly one of release, expire and order ends it."""
        for number, hold in self.lane.sale.holds.items():
            assert self._ended.get(number, hold.state) is hold.state
            if hold.state is not HoldState.OPEN:
                self._ended[number] = hold.state


def step(dice: Random, both: SideBySide, steps: int) -> None:
    """One more step of a history of so many, of which most have a chance to succeed."""
    hold = dice.choice(both.holds[-6:] or [NOBODYS_HOLD])
    if dice.random() < 0.05:
        hold = NOBODYS_HOLD
    who = person(dice.randint(1, 3)) if dice.random() < 0.1 else both.owner_of(hold)
    match dice.choices(
        ["place", "wait", "renew", "release", "expire", "order", "pause"],
        [10, 5, 4, 2, 3, 2, 0.5],
    )[0]:
        case "place":
            seats, products = wish(dice)
            both.place(dice.randint(1, 3), dice.randint(100, 100 + steps // 6), seats, products)
        case "wait":
            both.wait(dice.choice(WAITS_S))
        case "renew":
            both.renew(hold, who, dice.randint(1, 4))
        case "release":
            both.release(hold, who)
        case "expire":
            both.expire(hold)
        case "order":
            both.order(hold, who, dice.randint(1, steps // 4), dice.randint(1, 2))
        case "pause":
            both.pause(paused=dice.random() < 0.2)


def wish(dice: Random) -> tuple[list[int], list[tuple[int, int]]]:
    """Some seats, some products, now and then one that does not exist."""
    seats = dice.sample(range(1, 7), dice.choice([0, 1, 1, 2, 3]))
    names = dice.sample(range(1, 4), dice.choice([0, 0, 1, 2] if seats else [1, 2]))
    if dice.random() < 0.05:
        seats, names = ([*seats, 7], names) if seats else (seats, [*names, 4])
    return seats, [(name, dice.choice([1, 1, 1, 2, 3])) for name in names]
