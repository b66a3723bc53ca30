"""The rules about holds and orders, one behaviour at a time."""

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sunseo.booking import rules
from sunseo.booking.catalogue import Persons, Product
from sunseo.booking.commands import (
    Admission,
    ExpireHold,
    InventoryCommand,
    PlaceHold,
    PlaceHoldOutcome,
    ReleaseHold,
    ReleaseHoldOutcome,
    RenewHold,
    RenewHoldOutcome,
)
from sunseo.booking.hall import (
    WHOLE_SALE,
    Hold,
    HoldState,
    NotLoadedError,
    OwnershipError,
    SaleState,
    Use,
)
from sunseo.booking.rules import AskAgain, HoldAnswer, claim_of
from sunseo.checkout.commands import PlaceOrder, PlaceOrderOutcome
from sunseo.checkout.rules import OrderBook, place_order
from sunseo.core.clock import Instant
from tests.paper_hall import OPENING, SALE, PaperLane, make_sale, person, recount, standing

KIM, LEE = person(1), person(2)
LATER = OPENING + timedelta(seconds=300)
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
        PlaceHoldOutcome.SELLING_SUSPENDED,  # said by the service, before any lane
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
        seats={1: (1, 1)}, terms={"opens_at": LATER}, person_limit=1, persons=Persons.ACCOUNTS
    )
    guest = msgspec.structs.replace(
        place(5, seats=(1,)), is_guest=True, admission=Admission(9, None)
    )
    before = standing(sale)

    assert rules.place_hold(guest, sale, OPENING) == HoldAnswer(PlaceHoldOutcome.ACCOUNT_REQUIRED)
    assert standing(sale) == before

    for persons in (Persons.GUESTS, None):
        open_to_all = make_sale(seats={1: (1, 1)}, persons=persons)
        held(PaperLane(open_to_all), msgspec.structs.replace(guest, admission=None))
    customer = msgspec.structs.replace(guest, is_guest=False, admission=None)
    for_customers = make_sale(seats={1: (1, 1)}, persons=Persons.ACCOUNTS)
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
    command = msgspec.structs.replace(place(5, seats=(1,)), admission=Admission(9, until))

    answer = rules.place_hold(command, sale, OPENING)

    assert answer == HoldAnswer(PlaceHoldOutcome.PASS_REQUIRED, room=9)
    assert standing(sale) == before


def test_a_live_pass_lets_its_holder_book_and_a_replay_needs_none() -> None:
    """The pass counts when the hold is placed; asking for the same hold again costs nothing."""
    sale = make_sale(seats={1: (1, 1)})
    lane = PaperLane(sale)
    live = Admission(9, OPENING + timedelta(seconds=1))
    hold = held(lane, msgspec.structs.replace(place(5, seats=(1,)), admission=live))

    without = msgspec.structs.replace(place(5, seats=(1,)), admission=Admission(9, None))
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


def test_a_hold_is_all_or_nothing() -> None:
    """One seat that is taken, one product that is short: nothing of the whole is claimed."""
    sale = make_sale(
        seats=dict.fromkeys(range(1, 5), (1, 1)),
        stocks={1: 2},
        products={1: Product(0, ((1, 1),), (1,))},
    )
    lane = PaperLane(sale)
    held(lane, place(1, LEE, seats=(3,), products=((1, 1),)))
    before = standing(sale)

    taken = lane.ask(place(2, seats=(1, 2, 3, 4)), OPENING)
    short = lane.ask(place(3, seats=(1, 2), products=((1, 2),)), OPENING)

    assert taken == HoldAnswer(PlaceHoldOutcome.SEAT_TAKEN, seats=(3,))
    assert short == HoldAnswer(PlaceHoldOutcome.SOLD_OUT, stocks=(1,))
    assert standing(sale) == before


def test_two_products_share_one_stock_and_one_product_draws_on_two() -> None:
    """Capacity is counted where it is, whatever the product is called."""
    products = {
        1: Product(0, ((1, 1),), (1,)),
        2: Product(0, ((1, 2),), (1,)),
        3: Product(0, ((1, 1), (2, 3)), (1, 2)),
    }
    sale = make_sale(stocks={1: 5, 2: 5}, products=products)
    lane = PaperLane(sale)

    hold = held(lane, place(1, products=((1, 1), (2, 1), (3, 1))))
    assert dict(hold.draws) == {1: 4, 2: 3}
    assert lane.ask(place(2, products=((2, 1),)), OPENING) == HoldAnswer(
        PlaceHoldOutcome.SOLD_OUT, stocks=(1,)
    )
    assert lane.ask(place(3, products=((3, 1),)), OPENING) == HoldAnswer(
        PlaceHoldOutcome.SOLD_OUT, stocks=(2,)
    )
    held(lane, place(4, products=((1, 1),)))
    recount(sale)


def test_a_hold_over_several_occasions_counts_on_each() -> None:
    """The occasion's limit is of that occasion; the person's limit is of them all."""
    sale = make_sale(
        seats={1: (1, 1), 2: (1, 1), 3: (2, 1), 4: (2, 1), 5: (2, 1)},
        stocks={1: 9},
        products={1: Product(0, ((1, 1),), (2,))},
        occasion_limit=3,
        person_limit=5,
    )
    lane = PaperLane(sale)

    hold = held(lane, place(1, seats=(1, 3, 4), products=((1, 1),)))
    assert dict(hold.uses) == {1: 1, 2: 3, WHOLE_SALE: 4}
    refused = lane.ask(place(2, seats=(5,)), OPENING)
    assert refused == HoldAnswer(PlaceHoldOutcome.LIMIT_REACHED)
    held(lane, place(3, seats=(2,)))
    held(lane, place(4, LEE, seats=(5,)))
    recount(sale)


def test_money_and_units_are_counted_over_seats_and_products() -> None:
    """Amounts are whole minor units; a product of many draws is still one unit."""
    sale = make_sale(
        seats={1: (1, 1), 2: (1, 2)},
        stocks={1: 99},
        products={1: Product(700, ((1, 5),), (1,))},
        prices={1: 0, 2: 1_500},
    )
    claim = claim_of(place(1, seats=(1, 2), products=((1, 3),)), sale)

    assert (claim.units, claim.amount, claim.draws) == (5, 3_600, {1: 15})


def test_renewals_are_capped_and_replayed() -> None:
    """A renewal gives the full time again, once a key, and so many times at most."""
    sale = make_sale(seats={1: (1, 1)}, terms={"renewals_max": 2})
    lane = PaperLane(sale)
    hold = held(lane, place(1, seats=(1,)))
    now = OPENING
    for effect in (1, 2):
        now += timedelta(seconds=200)
        command = RenewHold(SALE, UUID(int=effect), KIM, hold.hold)
        answer = lane.ask(command, now)
        assert answer.outcome is RenewHoldOutcome.RENEWED
        assert hold.expires_at == sale.seats[1].expires_at == now + timedelta(seconds=300)
        before = standing(sale)
        assert lane.ask(command, now).outcome is RenewHoldOutcome.REPLAYED
        assert standing(sale) == before

    before = standing(sale)
    spent = lane.ask(RenewHold(SALE, UUID(int=3), KIM, hold.hold), now)
    assert spent.outcome is RenewHoldOutcome.RENEWALS_SPENT
    assert standing(sale) == before


def test_what_has_expired_is_free_for_the_next_without_any_expirer() -> None:
    """Seats, stock and the person's own limit come back the moment that the time runs out."""
    sale = make_sale(
        seats={1: (1, 1)}, stocks={1: 1}, products={1: Product(0, ((1, 1),), (1,))}, person_limit=2
    )
    lane = PaperLane(sale)
    first = held(lane, place(1, seats=(1,), products=((1, 1),)))
    just_before = first.expires_at - timedelta(microseconds=1)

    assert lane.ask(place(2, LEE, seats=(1,)), just_before).outcome is PlaceHoldOutcome.SEAT_TAKEN
    answer = lane.ask(place(2, LEE, seats=(1,), products=((1, 1),)), first.expires_at)
    assert answer.outcome is PlaceHoldOutcome.HELD
    assert first.state is HoldState.EXPIRED
    later = first.expires_at + timedelta(seconds=300)
    assert lane.ask(place(3, seats=(1,), products=((1, 1),)), later).outcome is (
        PlaceHoldOutcome.HELD
    )
    recount(sale)


def test_own_limit_is_freed_by_own_expired_hold() -> None:
    """Who let a hold run out may hold again at once."""
    sale = make_sale(seats={1: (1, 1), 2: (1, 1)}, person_limit=1)
    lane = PaperLane(sale)
    first = held(lane, place(1, seats=(1,)))

    assert lane.ask(place(2, seats=(2,)), OPENING).outcome is PlaceHoldOutcome.LIMIT_REACHED
    assert lane.ask(place(2, seats=(2,)), first.expires_at).outcome is PlaceHoldOutcome.HELD
    assert [event["type"] for event in sale.events] == ["HoldPlaced", "HoldExpired", "HoldPlaced"]


def test_others_holds_do_not_exist() -> None:
    """Nobody can renew, release or order what another person holds, or learn that it is there."""
    sale = make_sale(seats={1: (1, 1)})
    lane = PaperLane(sale)
    hold = held(lane, place(1, KIM, seats=(1,)))
    before = standing(sale)

    effect = UUID(int=9)
    assert lane.ask(RenewHold(SALE, effect, LEE, hold.hold), OPENING) == HoldAnswer(
        RenewHoldOutcome.UNKNOWN_HOLD
    )
    assert lane.ask(ReleaseHold(SALE, LEE, hold.hold), OPENING) == HoldAnswer(
        ReleaseHoldOutcome.UNKNOWN_HOLD
    )
    order = lane.ask(PlaceOrder(SALE, effect, LEE, hold.hold, None, BODY), OPENING)
    assert order.outcome is PlaceOrderOutcome.UNKNOWN_HOLD
    assert standing(sale) == before


def test_an_order_that_costs_is_refused_and_the_hold_stays() -> None:
    """No payment, no order, also of a hold that was placed before such holds were refused."""
    sale = make_sale(seats={1: (1, 1)})
    lane = PaperLane(sale)
    hold = held(lane, place(1, seats=(1,)))
    hold.amount = 100
    before = standing(sale)

    order = lane.ask(PlaceOrder(SALE, UUID(int=9), KIM, hold.hold, None, BODY), OPENING)
    assert order.outcome is PlaceOrderOutcome.PAYMENT_REQUIRED
    assert standing(sale) == before


def test_stored_data_that_contradicts_itself_stops_the_move() -> None:
    """A hold that does not own its seats moves nothing: better an error than one more wrong row."""
    sale = make_sale(seats={1: (1, 1), 2: (1, 1)})
    lane = PaperLane(sale)
    hold = held(lane, place(1, seats=(1, 2)))
    sale.seats[2].hold = UUID(int=99)
    before = standing(sale)

    with pytest.raises(OwnershipError):
        lane.ask(ReleaseHold(SALE, KIM, hold.hold), OPENING)
    assert standing(sale) == before


@settings(max_examples=200)
@given(st.data())
def test_what_is_not_locked_is_never_half_moved(data: st.DataObject) -> None:
    """With rows missing a command is put off and nothing moves, or all is as if none were."""
    sale = make_sale(
        seats={1: (1, 1), 2: (2, 1), 3: (1, 1)},
        stocks={1: 9, 2: 9},
        products={1: Product(0, ((1, 1), (2, 1)), (1, 2))},
        occasion_limit=9,
        person_limit=9,
    )
    hold = held(PaperLane(sale), place(1, seats=(1, 2), products=((1, 1),)))
    partial = deepcopy(sale)
    for stock in data.draw(st.sets(st.sampled_from([1, 2]))):
        del partial.stocks[stock]
    for use in data.draw(st.sets(st.sampled_from(sorted(partial.uses, key=str)))):
        del partial.uses[use]
    for seat in data.draw(st.sets(st.sampled_from([1, 2]))):
        del partial.seats[seat]
    now = data.draw(st.sampled_from([OPENING, hold.expires_at]))
    commands: list[InventoryCommand] = [
        place(2, seats=(3,), products=((1, 1),)),
        RenewHold(SALE, UUID(int=9), KIM, hold.hold),
        ReleaseHold(SALE, KIM, hold.hold),
        ExpireHold(SALE, hold.hold),
        PlaceOrder(SALE, UUID(int=9), KIM, hold.hold, None, BODY),
    ]
    command = data.draw(st.sampled_from(commands))

    before = standing(partial)
    answer = _decide(command, partial, now)
    if isinstance(answer, AskAgain):
        assert standing(partial) == before
    else:
        assert answer == _decide(command, sale, now)


def _decide(command: InventoryCommand, sale: SaleState, now: Instant) -> object:
    """Ask as the batch does, where what is not loaded means to ask again."""
    try:
        match command:
            case PlaceHold():
                return rules.place_hold(command, sale, now)
            case RenewHold():
                return rules.renew_hold(command, sale, now)
            case ReleaseHold():
                return rules.release_hold(command, sale, now)
            case ExpireHold():
                return rules.expire_hold(command, sale, now)
            case PlaceOrder():
                return place_order(command, sale, OrderBook({}, {}), now)
    except NotLoadedError:
        return AskAgain()
    raise TypeError(command)
