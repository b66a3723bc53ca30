"""The rules about holds and orders, one behaviour at a time."""

from copy import deepcopy
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sunseo.booking import rules
from sunseo.booking.bodies import CLAIMS_MAX, QUANTITY_MAX
from sunseo.booking.catalogue import Product
from sunseo.booking.commands import (
    ExpireHold,
    InventoryCommand,
    PlaceHold,
    PlaceHoldOutcome,
    ReleaseHold,
    ReleaseHoldOutcome,
    RenewHold,
    RenewHoldOutcome,
)
from sunseo.booking.inventory import (
    AMOUNT_MAX,
    WHOLE_SALE,
    HoldState,
    OwnershipError,
    SaleState,
)
from sunseo.booking.rules import HoldAnswer, claim_of
from sunseo.checkout.commands import PlaceOrder, PlaceOrderOutcome
from sunseo.checkout.rules import OrderBook, place_order
from sunseo.core.clock import Instant
from sunseo.core.fields import INT32_MAX, PRICE_MAX
from sunseo.engine.part import AskAgain, NotReadError
from sunseo.journal.events import HoldExpired, HoldPlaced
from tests.paper_inventory import (
    BODY,
    KIM,
    LEE,
    OPENING,
    SALE,
    PaperLane,
    held,
    make_sale,
    place,
    recount,
    standing,
)

LATER = OPENING + timedelta(seconds=300)


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


def test_no_claim_outgrows_what_is_stored() -> None:
    """The most of the dearest is an amount that fits, and so do its units and each draw's."""
    dearest = PRICE_MAX * (CLAIMS_MAX + CLAIMS_MAX * QUANTITY_MAX)
    units = CLAIMS_MAX + CLAIMS_MAX * QUANTITY_MAX

    assert dearest <= AMOUNT_MAX
    assert units <= INT32_MAX
    assert dearest * 5 > AMOUNT_MAX  # and the bound is not far from what is possible


@pytest.mark.parametrize("price", [AMOUNT_MAX, AMOUNT_MAX // 2])
def test_an_amount_that_cannot_be_stored_is_refused_by_itself(price: int) -> None:
    """Prices from before there was a bound: that one claim is too large, one that fits is not."""
    sale = make_sale(stocks={1: 9}, products={1: Product(price, ((1, 1),), (1,))})
    assert sale.terms is not None
    outcomes = []
    for quantity in (1, 3):
        command = place(1, products=((1, quantity),))
        before = standing(sale)
        answer = rules._refuse_claim(  # prices are refused before, as long as nobody can pay
            command, claim_of(command, sale), sale, sale.terms, OPENING
        )
        assert standing(sale) == before
        outcomes.append(answer)

    assert outcomes == [None, HoldAnswer(PlaceHoldOutcome.ORDER_LIMIT_REACHED)]


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


def test_what_is_held_when_a_sale_closes_is_still_its_holders() -> None:
    """From `closes_at` on nothing new is held; what is may be renewed and ordered in its time."""
    closes_at = OPENING + timedelta(seconds=200)
    sale = make_sale(seats={1: (1, 1), 2: (1, 1)}, terms={"closes_at": closes_at})
    lane = PaperLane(sale)
    hold = held(lane, place(1, seats=(1,)))

    before = standing(sale)
    late = lane.ask(place(2, LEE, seats=(2,)), closes_at)
    assert late.outcome is PlaceHoldOutcome.SALE_NOT_OPEN
    assert standing(sale) == before
    renewed = lane.ask(RenewHold(SALE, UUID(int=1), KIM, hold.hold), closes_at)
    assert renewed.outcome is RenewHoldOutcome.RENEWED
    now = hold.expires_at - timedelta(microseconds=1)
    ordered = lane.ask(PlaceOrder(SALE, UUID(int=9), KIM, hold.hold, None, BODY), now)
    assert ordered.outcome is PlaceOrderOutcome.CONFIRMED


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
    assert [type(event) for event in sale.events] == [HoldPlaced, HoldExpired, HoldPlaced]


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
    """Ask as the batch does, where what was not read means to ask again."""
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
    except NotReadError:
        return AskAgain(command)
    raise TypeError(command)
