"""Orders: a hold that is free by rule becomes an order in one step, once."""

import pytest

from sunseo.booking.commands import ReleaseHoldOutcome, RenewHoldOutcome
from sunseo.booking.service import HoldService
from sunseo.checkout.commands import PlaceOrderOutcome
from sunseo.checkout.rules import OrderAnswer
from sunseo.checkout.service import OrderService
from sunseo.engine.lanes import EngineLanes
from tests.store.market import KIM, LEE, ORGANISATION, Market, order, person, place, release, renew


async def test_an_order_sells_all_that_was_held(market: Market) -> None:
    """Seats lose their end, stock moves from held to sold, the limit goes on counting."""
    sale = await market.sale(seats=2, stocks=[5], products=[{1: 2}], person_limit=3)
    hold = await market.held(place(sale, KIM, "a", 1, 2, products=[(1, 1)]))
    (answer,) = await market.ask(order(sale, KIM, "b", hold.hold, "Mother"))

    assert isinstance(answer, OrderAnswer)
    assert answer.outcome is PlaceOrderOutcome.CONFIRMED
    assert answer.currency == "KRW"
    placed = answer.order
    assert placed is not None
    assert (placed.hold, placed.seats, placed.products) == (hold.hold, (1, 2), ((1, 1),))
    assert (placed.amount, placed.beneficiary) == (0, "Mother")
    assert await market.rows("SELECT hold, expires_at FROM seats") == [(hold.hold, None)] * 2
    assert await market.rows("SELECT held, sold FROM stocks") == [(0, 2)]
    assert await market.rows("SELECT units FROM person_uses") == [(3,)]
    assert await market.rows("SELECT state, ended_at FROM holds") == [
        ("ordered", placed.confirmed_at)
    ]
    assert await market.rows("SELECT order_id, person, state FROM orders") == [
        (placed.order, KIM.id, "confirmed")
    ]


async def test_an_order_is_replayed_and_its_key_cannot_be_reused(market: Market) -> None:
    """The same request finds its order as it stands; another body under the key is refused."""
    sale = await market.sale(seats=1)
    hold = await market.held(place(sale, KIM, "a", 1))
    (first,) = await market.ask(order(sale, KIM, "b", hold.hold))
    before = await market.tables()
    replayed, reused = await market.ask(
        order(sale, KIM, "b", hold.hold), order(sale, KIM, "b", hold.hold, "another")
    )

    assert replayed.outcome is PlaceOrderOutcome.REPLAYED
    assert (replayed.order, replayed.currency) == (first.order, "KRW")
    assert reused == OrderAnswer(PlaceOrderOutcome.KEY_REUSED)
    assert await market.tables() == before


async def test_one_hold_becomes_one_order(market: Market) -> None:
    """Of two orders for it, in one batch or in two, the first wins."""
    sale = await market.sale(seats=1)
    hold = await market.held(place(sale, KIM, "a", 1))

    assert await market.outcomes(
        order(sale, KIM, "b", hold.hold), order(sale, KIM, "c", hold.hold)
    ) == [PlaceOrderOutcome.CONFIRMED, PlaceOrderOutcome.HOLD_ORDERED]
    assert await market.outcomes(order(sale, KIM, "d", hold.hold)) == [
        PlaceOrderOutcome.HOLD_ORDERED
    ]
    assert await market.value("SELECT count(*) FROM orders") == 1


async def test_a_hold_may_be_ordered_in_the_batch_that_places_it(market: Market) -> None:
    """Its row is written as it stands at the end of the batch: sold."""
    sale = await market.sale(seats=1)
    placing = place(sale, KIM, "a", 1)
    ordering = order(sale, KIM, "b", placing.effect)

    assert [o.name for o in await market.outcomes(placing, ordering)] == ["HELD", "CONFIRMED"]
    assert await market.rows("SELECT state, ended_at = placed_at FROM holds") == [("ordered", True)]
    assert [o.name for o in await market.outcomes(placing, ordering)] == ["REPLAYED"] * 2


@pytest.mark.parametrize(
    "why", ["UNKNOWN_HOLD", "HOLD_RELEASED", "HOLD_EXPIRED", "PAYMENT_REQUIRED", "not there"]
)
async def test_an_order_that_is_refused_moves_nothing(market: Market, why: str) -> None:
    """Somebody else's hold, one let go, one run out, one that costs, one that never was."""
    sale = await market.sale(seats=1)
    hold = (await market.held(place(sale, KIM, "a", 1))).hold
    if why == "HOLD_RELEASED":
        await market.ask(release(sale, KIM, hold))
    if why == "PAYMENT_REQUIRED":  # as a version placed it that did not refuse such holds
        await market.rows("UPDATE holds SET amount = 100")
    if why == "HOLD_EXPIRED":
        await market.let_run_out(hold)
    before = await market.tables()

    who = LEE if why == "UNKNOWN_HOLD" else KIM
    named = person(99).id if why == "not there" else hold
    (outcome,) = await market.outcomes(order(sale, who, "b", named))
    assert outcome.name == ("UNKNOWN_HOLD" if why == "not there" else why)
    assert await market.tables() == before


async def test_an_ordered_hold_cannot_be_renewed_or_released(market: Market) -> None:
    """What is sold stays sold, and never expires."""
    sale = await market.sale(seats=1)
    hold = (await market.held(place(sale, KIM, "a", 1))).hold
    await market.ask(order(sale, KIM, "b", hold))
    await market.let_run_out(hold)
    before = await market.tables()

    assert await market.outcomes(renew(sale, KIM, "c", hold), release(sale, KIM, hold)) == [
        RenewHoldOutcome.HOLD_ORDERED,
        ReleaseHoldOutcome.HOLD_ORDERED,
    ]
    assert [o.name for o in await market.outcomes(place(sale, LEE, "d", 1))] == ["SEAT_TAKEN"]
    assert await market.tables() == before


async def test_persons_read_their_own_holds_and_orders_only(market: Market) -> None:
    """Newest first, with state as of now; others' holds and orders do not exist."""
    sale = await market.sale(seats=4)
    first, second, third = [await market.held(place(sale, KIM, f"{n}", n)) for n in (1, 2, 3)]
    await market.ask(order(sale, KIM, "b", second.hold))
    await market.let_run_out(third.hold)
    lanes = EngineLanes([market.lane()])
    holds = HoldService(lanes, market.engine, ORGANISATION)
    orders = OrderService(lanes, market.engine, ORGANISATION)

    own = await holds.own(KIM, sale[1])
    assert [(body.hold, body.state) for body in own] == [
        (third.hold, "expired"),
        (second.hold, "ordered"),
        (first.hold, "open"),
    ]
    assert [body.hold for body in await holds.own(KIM, sale[1], first.hold)] == [first.hold]
    assert await holds.own(LEE, sale[1]) == []
    assert await holds.own(LEE, sale[1], first.hold) == []
    ((bought, currency),) = await orders.own(KIM, sale[1])
    assert (bought.hold, bought.seats, currency) == (second.hold, (2,), "KRW")
    assert await orders.own(KIM, sale[1], bought.order) == [(bought, "KRW")]
    assert await orders.own(LEE, sale[1], bought.order) == []
