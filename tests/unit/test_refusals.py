"""Who is refused a hold, for what, and what is told first."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from sunseo.booking import rules
from sunseo.booking.catalogue import PersonScope, Product
from sunseo.booking.commands import (
    PlaceHoldOutcome,
    RoomAdmission,
)
from sunseo.booking.halt import REASONS
from sunseo.booking.inventory import (
    WHOLE_SALE,
    SaleState,
    Use,
)
from sunseo.booking.rules import HoldAnswer
from tests.paper_inventory import (
    KIM,
    LEE,
    OPENING,
    PaperLane,
    held,
    make_sale,
    place,
    standing,
)

LATER = OPENING + timedelta(seconds=300)


# Each breaks one rule more than the one below it, from the last in precedence up to the first.
LADDER: list[tuple[PlaceHoldOutcome, Callable[[SaleState], object]]] = [
    (PlaceHoldOutcome.SOLD_OUT, lambda s: setattr(s.stocks[1], "sold", 3)),
    (PlaceHoldOutcome.LIMIT_REACHED, lambda s: s.uses.update({(KIM, 0): Use(4, 4)})),
    (
        PlaceHoldOutcome.SEAT_TAKEN,
        lambda s: s.seats.update(
            {1: msgspec.structs.replace(s.seats[1], hold=LEE, expires_at=None)}
        ),
    ),
    (PlaceHoldOutcome.ORDER_LIMIT_REACHED, lambda s: _change(s, order_limit=1)),
    (PlaceHoldOutcome.PAYMENT_REQUIRED, lambda s: s.catalogue.prices.update({1: 100})),
    (PlaceHoldOutcome.ALREADY_STARTED, lambda s: s.catalogue.starts.update({1: OPENING})),
    (PlaceHoldOutcome.UNKNOWN_PRODUCT, lambda s: s.catalogue.products.clear()),
    (PlaceHoldOutcome.UNKNOWN_SEAT, lambda s: s.seats.clear()),
    (PlaceHoldOutcome.SALE_PAUSED, lambda s: _change(s, paused=True)),
    (PlaceHoldOutcome.SALE_NOT_OPEN, lambda s: _change(s, opens_at=LATER)),
]


def _change(sale: SaleState, **fields: object) -> None:
    assert sale.terms is not None
    sale.terms = msgspec.structs.replace(sale.terms, **fields)


def test_refusals_stand_in_their_documented_precedence() -> None:
    """Where several rules are broken, the first of the enum is told; and nothing moves."""
    sale = make_sale(
        seats={1: (1, 1)},
        stocks={1: 3},
        products={1: Product(0, ((1, 1),), (1,))},
        person_limit=4,
    )
    sale.uses[KIM, WHOLE_SALE] = Use(0, 4)
    command = place(5, seats=(1,), products=((1, 1),))
    for outcome, break_rule in LADDER:
        break_rule(sale)
        before = standing(sale)
        answer = rules.place_hold(command, sale, OPENING)
        assert isinstance(answer, HoldAnswer)
        assert answer.outcome is outcome
        assert standing(sale) == before

    order = list(PlaceHoldOutcome)
    rungs = [order.index(outcome) for outcome, _ in LADDER]
    assert rungs == sorted(rungs, reverse=True)
    assert set(order) - {outcome for outcome, _ in LADDER} == {
        *REASONS,  # said by the service, before any lane
        PlaceHoldOutcome.REPLAYED,
        PlaceHoldOutcome.KEY_REUSED,
        PlaceHoldOutcome.UNKNOWN_SALE,
        PlaceHoldOutcome.ACCOUNT_REQUIRED,  # of the command as well
        PlaceHoldOutcome.PASS_REQUIRED,  # of the command, not of the sale: see below
        PlaceHoldOutcome.HELD,
    }


def test_a_replay_is_told_before_every_refusal() -> None:
    """Who has it hears so, though by now the sale is closed, paused and out of everything."""
    sale = make_sale(
        seats={1: (1, 1)}, stocks={1: 3}, products={1: Product(0, ((1, 1),), (1,))}, person_limit=4
    )
    lane = PaperLane(sale)
    command = place(5, seats=(1,), products=((1, 1),))
    hold = held(lane, command)
    for _, break_rule in LADDER:
        break_rule(sale)

    before = standing(sale)
    answer = rules.place_hold(command, sale, LATER + timedelta(days=1))
    assert isinstance(answer, HoldAnswer)
    assert (answer.outcome, answer.hold) == (PlaceHoldOutcome.REPLAYED, hold)
    other = msgspec.structs.replace(command, request_digest=UUID(int=78))
    assert rules.place_hold(other, sale, OPENING) == HoldAnswer(PlaceHoldOutcome.KEY_REUSED)
    assert standing(sale) == before


def test_where_accounts_count_a_guest_is_told_so_before_she_waits() -> None:
    """Neither the opening nor the waiting room comes first; where guests count, she may hold."""
    sale = make_sale(
        seats={1: (1, 1)}, terms={"opens_at": LATER}, person_limit=1, persons=PersonScope.ACCOUNTS
    )
    guest = msgspec.structs.replace(
        place(5, seats=(1,)), is_guest=True, admission=RoomAdmission(9, None)
    )
    before = standing(sale)

    assert rules.place_hold(guest, sale, OPENING) == HoldAnswer(PlaceHoldOutcome.ACCOUNT_REQUIRED)
    assert standing(sale) == before

    for persons in (PersonScope.GUESTS, None):
        open_to_all = make_sale(seats={1: (1, 1)}, persons=persons)
        held(PaperLane(open_to_all), msgspec.structs.replace(guest, admission=None))
    customer = msgspec.structs.replace(guest, is_guest=False, admission=None)
    for_customers = make_sale(seats={1: (1, 1)}, persons=PersonScope.ACCOUNTS)
    held(PaperLane(for_customers), customer)


@pytest.mark.parametrize(
    ("seats", "products", "named"),
    [
        ((1, 2), (), {"seats": (1,)}),
        ((2,), ((1, 1),), {"products": (1,)}),
        ((1, 2), ((2, 1), (1, 1)), {"seats": (1,), "products": (1,)}),
    ],
)
def test_what_has_begun_is_booked_no_more(
    seats: tuple[int, ...], products: tuple[tuple[int, int], ...], named: dict[str, object]
) -> None:
    """Up to its start it may be held; from then on those that have begun are named."""
    late = LATER + timedelta(days=1)
    sale = make_sale(
        seats={1: (1, 1), 2: (2, 1)},
        stocks={1: 9},
        products={1: Product(0, ((1, 1),), (1,), LATER), 2: Product(0, ((1, 1),), (1,), late)},
        starts={1: LATER, 2: late},
    )
    before = standing(sale)
    command = place(5, seats=seats, products=products)

    assert rules.place_hold(command, sale, LATER) == HoldAnswer(
        PlaceHoldOutcome.ALREADY_STARTED,
        **named,  # type: ignore[arg-type]  # what it is about differs from case to case
    )
    assert standing(sale) == before
    answer = rules.place_hold(command, sale, LATER - timedelta(microseconds=1))
    assert answer.outcome is PlaceHoldOutcome.HELD  # type: ignore[union-attr]  # else it fails


def test_what_costs_is_not_held_while_nobody_can_pay() -> None:
    """Seats and products with a price are named, and stay free for when they can be bought."""
    sale = make_sale(
        seats={1: (1, 1), 2: (1, 2)},
        stocks={1: 9},
        products={1: Product(0, ((1, 1),), (1,)), 2: Product(5, ((1, 1),), (1,))},
        prices={1: 0, 2: 100},
    )
    before = standing(sale)
    command = place(5, seats=(1, 2), products=((1, 1), (2, 1)))

    assert rules.place_hold(command, sale, OPENING) == HoldAnswer(
        PlaceHoldOutcome.PAYMENT_REQUIRED, seats=(2,), products=(2,)
    )
    assert standing(sale) == before


@pytest.mark.parametrize("until", [None, OPENING - timedelta(seconds=1), OPENING])
def test_without_a_live_pass_nothing_is_held(until: datetime | None) -> None:
    """A pass that was not shown, has run out, or runs out at this very moment admits nobody."""
    sale = make_sale(seats={1: (1, 1)}, terms={"paused": True, "opens_at": LATER})
    before = standing(sale)
    command = msgspec.structs.replace(place(5, seats=(1,)), admission=RoomAdmission(9, until))

    answer = rules.place_hold(command, sale, OPENING)

    assert answer == HoldAnswer(PlaceHoldOutcome.PASS_REQUIRED, room=9)
    assert standing(sale) == before


def test_a_live_pass_lets_its_holder_book_and_a_replay_needs_none() -> None:
    """The pass counts when the hold is placed; asking for the same hold again costs nothing."""
    sale = make_sale(seats={1: (1, 1)})
    lane = PaperLane(sale)
    live = RoomAdmission(9, OPENING + timedelta(seconds=1))
    hold = held(lane, msgspec.structs.replace(place(5, seats=(1,)), admission=live))

    without = msgspec.structs.replace(place(5, seats=(1,)), admission=RoomAdmission(9, None))
    answer = lane.ask(without, OPENING + timedelta(minutes=1))

    assert isinstance(answer, HoldAnswer)
    assert (answer.outcome, answer.hold) == (PlaceHoldOutcome.REPLAYED, hold)


@pytest.mark.parametrize("gone", [True, False])
def test_an_unknown_sale_is_said_to_be_unknown(gone: bool) -> None:
    """A sale that is not there, or whose row has vanished since its catalogue was read."""
    sale = None if gone else make_sale(seats={1: (1, 1)})
    if sale is not None:
        sale.terms = None

    assert rules.place_hold(place(5, seats=(1,)), sale, OPENING) == HoldAnswer(
        PlaceHoldOutcome.UNKNOWN_SALE
    )
