"""An inventory with everything loaded, and the batch's way of asking again, without a database."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from sunseo.booking import rules
from sunseo.booking.catalogue import Catalogue, PersonScope, Product
from sunseo.booking.commands import (
    ExpireHold,
    InventoryCommand,
    PlaceHold,
    PlaceHoldOutcome,
    ReleaseHold,
    RenewHold,
)
from sunseo.booking.inventory import Hold, HoldState, SaleState, SaleTerms, Seat, Stock
from sunseo.booking.rules import HoldAnswer
from sunseo.checkout.commands import PlaceOrder
from sunseo.checkout.rules import OrderAnswer, OrderBook, place_order
from sunseo.core.clock import Instant
from sunseo.engine.part import AskAgain

SALE = (1, 7)
OPENING = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
TURNS_MAX = 9  # one more than a lane's defers_max

Asked = HoldAnswer | OrderAnswer


def person(number: int) -> UUID:
    return UUID(int=number)


def make_sale(
    *,
    seats: Mapping[int, tuple[int, int]] | None = None,
    stocks: Mapping[int, int] | None = None,
    products: Mapping[int, Product] | None = None,
    prices: Mapping[int, int] | None = None,
    terms: Mapping[str, object] | None = None,
    occasion_limit: int | None = None,
    person_limit: int | None = None,
    starts: Mapping[int, Instant] | None = None,
    persons: PersonScope | None = None,
) -> SaleState:
    """A sale that opened at `OPENING`: seats by (occasion, price class), stocks by capacity."""
    usual = {
        "opens_at": OPENING,
        "closes_at": None,
        "paused": False,
        "hold_ttl_s": 300,
        "renewals_max": 3,
        "order_limit": None,
        "version": 0,
    }
    return SaleState(
        SALE,
        Catalogue(
            version=1,
            currency="KRW",
            occasion_limit=occasion_limit,
            person_limit=person_limit,
            prices=dict(prices or {1: 0}),
            products=dict(products or {}),
            starts=dict(starts or {}),
            persons=persons,
        ),
        terms=msgspec.convert(usual | dict(terms or {}), SaleTerms),
        seats={
            number: Seat(occasion, price_class, None, None)
            for number, (occasion, price_class) in (seats or {}).items()
        },
        stocks={number: Stock(capacity, 0, 0) for number, capacity in (stocks or {}).items()},
    )


class PaperLane:
    """Asks the rules as a batch does, one command a batch."""

    def __init__(self, sale: SaleState) -> None:
        self.sale = sale
        self.book = OrderBook({}, {})
        self.turns = 0

    def ask(self, command: InventoryCommand, now: Instant) -> Asked:
        for _ in range(TURNS_MAX):
            self.turns += 1
            answer = self._decide(command, now)
            if not isinstance(answer, AskAgain):
                if not (past_due := self._in_the_way(command, answer, now)):
                    return answer
                answer = AskAgain(msgspec.structs.replace(command, reclaim=past_due))
            assert isinstance(answer.command, PlaceHold), f"{command} was put off"
            command = answer.command
        raise AssertionError(f"{command} was put off for ever")

    def _decide(self, command: InventoryCommand, now: Instant) -> Asked | AskAgain:
        match command:
            case PlaceHold():
                return rules.place_hold(command, self.sale, now)
            case RenewHold():
                return rules.renew_hold(command, self.sale, now)
            case ReleaseHold():
                return rules.release_hold(command, self.sale, now)
            case ExpireHold():
                return rules.expire_hold(command, self.sale, now)
            case PlaceOrder():
                return place_order(command, self.sale, self.book, now)
        raise TypeError(command)

    def _in_the_way(
        self, command: InventoryCommand, answer: Asked, now: Instant
    ) -> tuple[UUID, ...]:
        """What `find_past_due_by_stock` and `find_past_due_by_person` would find."""
        if not isinstance(command, PlaceHold) or not isinstance(answer, HoldAnswer):
            return ()
        past_due = [hold for hold in self.sale.holds.values() if hold.is_past_due(now)]
        if answer.outcome is PlaceHoldOutcome.LIMIT_REACHED:
            return tuple(hold.hold for hold in past_due if hold.person == command.person)
        if answer.outcome is PlaceHoldOutcome.SOLD_OUT:
            short = set(answer.stocks)
            return tuple(h.hold for h in past_due if short & {stock for stock, _ in h.draws})
        return ()


class Standing(NamedTuple):
    """All of a sale that the store would keep."""

    seats: dict[int, tuple[UUID | None, Instant | None]]
    stocks: dict[int, tuple[int, int]]
    uses: dict[tuple[UUID, int], int]
    holds: dict[UUID, tuple[HoldState, Instant, Instant | None, tuple[UUID, ...]]]
    events: int


def standing(sale: SaleState) -> Standing:
    """How a sale stands, to see whether anything moved."""
    return Standing(
        {number: (seat.hold, seat.expires_at) for number, seat in sale.seats.items()},
        {number: (stock.held, stock.sold) for number, stock in sale.stocks.items()},
        # A counter of zero says no more than a counter that is not there.
        {key: use.units for key, use in sale.uses.items() if use.units},
        {h.hold: (h.state, h.expires_at, h.ended_at, h.renewals) for h in sale.holds.values()},
        len(sale.events),
    )


def recount(sale: SaleState) -> None:
    """Count everything anew from the holds, and compare it with what the counters say."""
    owners: dict[int, UUID] = {}
    held: dict[int, int] = dict.fromkeys(sale.stocks, 0)
    sold: dict[int, int] = dict.fromkeys(sale.stocks, 0)
    uses: dict[tuple[UUID, int], int] = dict.fromkeys(sale.uses, 0)
    for hold in sale.holds.values():
        if hold.state not in (HoldState.OPEN, HoldState.ORDERED):
            assert hold.ended_at is not None
            continue
        for seat in hold.seats:
            assert seat not in owners, f"seat {seat} has two owners"
            owners[seat] = hold.hold
            expected = hold.expires_at if hold.state is HoldState.OPEN else None
            assert sale.seats[seat].expires_at == expected
        for stock, units in hold.draws:
            counted = held if hold.state is HoldState.OPEN else sold
            counted[stock] += units
        for occasion, units in hold.uses:
            uses[hold.person, occasion] += units

    assert {n: seat.hold for n, seat in sale.seats.items() if seat.hold} == owners
    assert {n: stock.held for n, stock in sale.stocks.items()} == held
    assert {n: stock.sold for n, stock in sale.stocks.items()} == sold
    assert {key: use.units for key, use in sale.uses.items()} == uses
    for level in sale.stocks.values():
        assert min(level.held, level.sold) >= 0
        assert level.held + level.sold <= level.capacity
    for use in sale.uses.values():
        assert 0 <= use.units <= use.units_max


KIM, LEE = person(1), person(2)
BODY = UUID(int=77)


def place(
    number: int,
    who: UUID = KIM,
    *,
    seats: tuple[int, ...] = (),
    products: tuple[tuple[int, int], ...] = (),
    digest: UUID = BODY,
) -> PlaceHold:
    return PlaceHold(SALE, UUID(int=number), who, seats, products, digest)


def held(lane: PaperLane, command: PlaceHold) -> Hold:
    answer = lane.ask(command, OPENING)
    assert isinstance(answer, HoldAnswer)
    assert answer.outcome is PlaceHoldOutcome.HELD
    assert answer.hold is not None
    return answer.hold
