"""What is on offer and to whom: prices, beginnings and accounts, on a real database."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from sunseo.booking.availability.availability import read_snapshot
from sunseo.booking.bodies import HoldRequest
from sunseo.booking.commands import PlaceHoldOutcome
from sunseo.booking.routes import json_of
from sunseo.booking.rules import HoldAnswer
from sunseo.booking.service import HoldService
from sunseo.booking.setup.imports import ImportOutcome
from sunseo.booking.setup.setup_bodies import NewSale, NewSeats, NewStocks
from sunseo.core.ids import Person
from sunseo.engine.lanes import EngineLanes
from sunseo.identity.persons import GUEST_ISSUER
from sunseo.operators.command import By, EffectOutcome
from sunseo.web.input.bodies import BodyReader
from sunseo.web.problems import ProblemError
from tests.effects import refusal_of
from tests.store.market import KIM, OPENING, ORGANISATION, SHOW, Market, done, place

GUEST = Person.named(ORGANISATION, GUEST_ISSUER, "somebody")
HOUR = timedelta(hours=1)


def slots(*starts: datetime) -> NewStocks:
    """An appointment of an hour at each time, and a product for each."""
    stocks = [
        {
            "occasion": 1,
            "name": f"Slot {number}",
            "capacity": 2,
            "starts_at": start,
            "ends_at": start + HOUR,
        }
        for number, start in enumerate(starts, 1)
    ]
    products = [
        {"name": stock["name"], "price": 0, "draws": [{"stock": number}]}
        for number, stock in enumerate(stocks, 1)
    ]
    return msgspec.convert({"stocks": stocks, "products": products}, NewStocks)


async def test_what_costs_is_refused_at_the_hold_and_stays_free(market: Market) -> None:
    """The dear seat and the dear product are named, and no seat, stock or counter has moved."""
    sale = await market.sale(
        seats=1, price=500, stocks=[9], products=[{1: 1}], product_price=70, person_limit=9
    )
    before = await market.tables()
    (answer,) = await market.ask(place(sale, KIM, "a", 1, products=[(1, 1)]))

    assert answer == HoldAnswer(PlaceHoldOutcome.PAYMENT_REQUIRED, seats=(1,), products=(1,))
    assert await market.tables() == before


async def test_a_limit_of_accounts_keeps_guests_out(market: Market) -> None:
    """A guest is refused before anything is written, not even a counter; a customer may hold."""
    sale = await market.sale(seats=2, person_limit=1, persons="accounts")
    service = HoldService(EngineLanes([market.lane()]), market.engine, ORGANISATION)
    before = await market.tables()
    refused = await service.place(GUEST, "a", sale[1], HoldRequest(seats=(1,)))

    assert refused.result.outcome is PlaceHoldOutcome.ACCOUNT_REQUIRED
    assert await market.tables() == before
    held = await service.place(KIM, "a", sale[1], HoldRequest(seats=(1,)))
    assert held.result.outcome is PlaceHoldOutcome.HELD


async def test_a_limit_that_counts_guests_lets_them_hold(market: Market) -> None:
    """Each session counts as a person, as the sale says knowingly."""
    sale = await market.sale(seats=2, person_limit=1, persons="guests")
    service = HoldService(EngineLanes([market.lane()]), market.engine, ORGANISATION)
    heard = [
        (await service.place(GUEST, key, sale[1], HoldRequest(seats=(seat,)))).result.outcome
        for key, seat in (("a", 1), ("b", 2))
    ]

    assert heard == [PlaceHoldOutcome.HELD, PlaceHoldOutcome.LIMIT_REACHED]


async def test_an_occasion_that_has_begun_is_booked_no_more(market: Market) -> None:
    """By the database's clock, for seats as for stock without a time of its own; others go on."""
    sale = await market.sale(seats=[2, 2], stocks=[9], products=[{1: 1}])
    await market.rows("UPDATE occasions SET starts_at = clock_timestamp() WHERE occasion = 1")
    before = await market.tables()
    answers = await market.ask(
        place(sale, KIM, "a", 3, 1), place(sale, KIM, "b", products=[(1, 1)])
    )

    assert answers == [
        HoldAnswer(PlaceHoldOutcome.ALREADY_STARTED, seats=(1,)),
        HoldAnswer(PlaceHoldOutcome.ALREADY_STARTED, products=(1,)),
    ]
    assert await market.tables() == before
    assert await market.outcomes(place(sale, KIM, "c", 3)) == [PlaceHoldOutcome.HELD]


async def test_an_appointment_begins_by_itself(market: Market) -> None:
    """One that has begun is refused by name; a later one is free though its day has begun."""
    sale = await market.sale()
    done(await market.setup.add_stocks(By("op", "slots"), sale[1], slots(SHOW, SHOW + HOUR)))
    await market.rows("UPDATE occasions SET starts_at = clock_timestamp()")
    await market.rows("UPDATE stocks SET starts_at = clock_timestamp() WHERE stock = 1")
    before = await market.tables()
    (answer,) = await market.ask(place(sale, KIM, "a", products=[(2, 1), (1, 1)]))

    assert answer == HoldAnswer(PlaceHoldOutcome.ALREADY_STARTED, products=(1,))
    assert await market.tables() == before
    assert await market.outcomes(place(sale, KIM, "b", products=[(2, 1)])) == [
        PlaceHoldOutcome.HELD
    ]


async def test_times_of_appointments_are_told_with_their_stock(market: Market) -> None:
    """Availability has when each begins and ends; other stock has no time."""
    sale = await market.sale(stocks=[5], products=[{1: 1}])
    slot = {"occasion": 1, "name": "S", "capacity": 1, "starts_at": SHOW, "ends_at": SHOW + HOUR}
    body = msgspec.convert({"stocks": [slot]}, NewStocks)
    done(await market.setup.add_stocks(By("op", "slots"), sale[1], body))

    snapshot = await read_snapshot(market.engine, ORGANISATION, sale[1])
    assert snapshot is not None
    told = msgspec.json.decode(json_of(sale[1], snapshot, None))["stocks"]
    assert [(stock["starts_at"], stock["ends_at"]) for stock in told] == [
        (None, None),
        ("2999-01-01T00:00:00Z", "2999-01-01T01:00:00Z"),
    ]


async def test_an_appointment_that_is_over_is_not_added(market: Market) -> None:
    """The field is named and nothing is kept; one that is there already may be repeated."""
    sale = await market.sale()
    first = slots(SHOW)
    done(await market.setup.add_stocks(By("op", "first"), sale[1], first))
    await market.rows("UPDATE stocks SET starts_at = $1, ends_at = $2", OPENING - HOUR, OPENING)
    before = await market.tables()
    over = await market.setup.add_stocks(By("op", "over"), sale[1], slots(SHOW, OPENING))
    past = await market.setup.add_stocks(By("op", "past"), sale[1], slots(OPENING - HOUR))

    assert refusal_of(over).outcome is ImportOutcome.IN_THE_PAST
    assert refusal_of(over).extra == {"field": "stocks[1].ends_at", "expected": "a time to come"}
    assert refusal_of(over).detail is not None
    assert (refusal_of(over).detail or "").startswith(
        "`stocks[1].ends_at` is 2026-01-01T01:00:00+00:00, and it is "
    )
    assert past.outcome is EffectOutcome.DONE
    after = await market.tables()
    assert after.pop("operator_effects") != before.pop("operator_effects")
    assert after == before


A_SALE: dict[str, Any] = {
    "name": "Concert",
    "currency": "KRW",
    "time_zone": "Asia/Seoul",
    "opens_at": OPENING,
    "price_classes": [{"name": "R", "price": 0}],
    "occasions": [{"name": "Friday", "starts_at": SHOW}],
}


SEAT = {"occasion": 1, "price_class": 1, "section": "가", "row": "1", "label": "1"}
BLOCK = {"occasion": 1, "price_class": 1, "section": "가", "rows": 1, "seats_per_row": 3}
STOCK = {"occasion": 1, "name": "Dr Kim", "capacity": 1}
PRODUCT = {"name": "Dr Kim", "price": 0, "draws": [{"stock": 1}]}


async def test_a_sale_of_what_is_past_is_not_created(market: Market) -> None:
    """An occasion that has begun when the sale is made is refused with its field."""
    occasions = [*A_SALE["occasions"], {"name": "Thursday", "starts_at": OPENING}]
    body = msgspec.convert(A_SALE | {"occasions": occasions}, NewSale)
    before = await market.tables()
    answer = await market.setup.create_sale(By("op", "key"), body)

    assert (answer.outcome, refusal_of(answer).extra["field"]) == (
        ImportOutcome.IN_THE_PAST,
        "occasions[1].starts_at",
    )
    assert await market.tables() == before


@pytest.mark.parametrize("limit", ["person_limit", "occasion_limit"])
def test_a_limit_says_who_counts_as_a_person(limit: str) -> None:
    """Without it the sale is refused with a sentence that says what to choose from."""
    body = msgspec.json.encode(A_SALE | {limit: 4})
    with pytest.raises(ProblemError) as refusal:
        BodyReader(NewSale).read(body)
    assert refusal.value.members["field"] == "persons"
    assert str(refusal.value) == (
        '`persons` must say whom the limit counts: "accounts" (guests can hold nothing), or'
        ' "guests" (each guest session counts, and anybody may open many of them).'
    )
    for persons in ("accounts", "guests"):
        assert msgspec.convert(A_SALE | {limit: 4, "persons": persons}, NewSale).persons == persons
    assert msgspec.convert(A_SALE | {"order_limit": 4}, NewSale).persons is None


@pytest.mark.parametrize("name", ["A ", "\tA", " ", "\u1100\u1161", "e\u0301"])
@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (NewSeats, {"seats": [SEAT]}, "seats[0].label"),
        (NewSeats, {"seats": [SEAT]}, "seats[0].row"),
        (NewSeats, {"blocks": [BLOCK]}, "blocks[0].section"),
        (NewStocks, {"stocks": [STOCK]}, "stocks[0].name"),
        (NewStocks, {"products": [PRODUCT]}, "products[0].name"),
        (NewSale, A_SALE, "occasions[0].name"),
        (NewSale, A_SALE, "price_classes[0].name"),
    ],
)
def test_a_name_that_only_looks_like_another_is_refused(
    kind: type[msgspec.Struct], body: dict[str, Any], field: str, name: str
) -> None:
    """White space at the ends and letters in pieces would make a second seat A-12."""
    parts, last = field.split("[0].")
    spoilt = body | {parts: [body[parts][0] | {last: name}]}
    with pytest.raises(ProblemError) as refusal:
        BodyReader(kind).read(msgspec.json.encode(spoilt))

    assert refusal.value.members["field"] == field
    assert isinstance(BodyReader(kind).read(msgspec.json.encode(body)), kind)
