"""What operators change of sales: all of it or nothing, and nothing that people may have."""

from typing import Any

import msgspec
import pytest

from sunseo.booking.commands import PlaceHoldOutcome
from sunseo.booking.setup.change_bodies import SaleChange
from sunseo.booking.setup.changes import ChangeOutcome
from sunseo.booking.setup.setup import SetupOutcome
from sunseo.booking.setup.setup_bodies import NewSale
from sunseo.core.fields import FieldError
from sunseo.operators.command import By, EffectOutcome
from tests.effects import refusal_of, result_of
from tests.store.market import KIM, OPENING, SHOW, Market, place


def change(**fields: Any) -> SaleChange:
    return msgspec.convert(fields, SaleChange)


async def test_anything_may_change_before_a_sale_is_on(market: Market) -> None:
    """Fields, parts and new dates are written together, journalled and audited once a key."""
    soon = "2998-01-01T00:00:00Z"
    await market.sale(seats=2, stocks=(5,), products=({1: 1},), opens_at=SHOW)
    body = change(
        name="Autumn",
        currency="USD",
        opens_at=soon,
        closes_at=SHOW,
        person_limit=2,
        hold_ttl_s=60,
        occasions=[{"occasion": 1, "name": "Matinee"}],
        price_classes=[{"price_class": 1, "price": 10}],
        stocks=[{"stock": 1, "capacity": 3}],
        products=[{"product": 1, "price": 7}],
        new_occasions=[{"name": "Night", "starts_at": SHOW}],
        new_price_classes=[{"name": "S", "price": 0}],
    )
    done = await market.setup.change_sale(By("op", "change"), 1, body)
    again = await market.setup.change_sale(By("op", "change"), 1, body)
    before = await market.tables()
    same = await market.setup.change_sale(
        By("op", "same"), 1, change(name="Autumn", stocks=[{"stock": 1, "capacity": 3}])
    )

    fields = [
        *("name", "currency", "opens_at", "closes_at", "hold_ttl_s", "person_limit"),
        *("occasions[1].name", "price_classes[1].price", "stocks[1].capacity"),
        *("products[1].price", "occasions[2]", "price_classes[2]"),
    ]
    assert result_of(done) == {"sale": 1, "version": 4, "changed": fields}
    assert again.outcome is EffectOutcome.REPLAYED
    assert result_of(same) == {"sale": 1, "version": 4, "changed": []}
    after = await market.tables()
    assert after.pop("operator_effects") != before.pop("operator_effects")
    assert after == before
    assert await market.rows("SELECT occasion, name FROM occasions ORDER BY occasion") == [
        (1, "Matinee"),
        (2, "Night"),
    ]
    assert await market.rows("SELECT price_class, name, price FROM price_classes ORDER BY 1") == [
        (1, "R", 10),
        (2, "S", 0),
    ]
    assert await market.rows("SELECT capacity FROM stocks") == [(3,)]
    assert await market.rows("SELECT price FROM products") == [(7,)]
    assert await market.rows(
        "SELECT name, currency, hold_ttl_s, person_limit, catalogue_version FROM sales"
    ) == [("Autumn", "USD", 60, 2, 4)]
    assert await market.value("SELECT action FROM audit_log ORDER BY entry DESC LIMIT 1") == (
        "change_sale"
    )


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"name": "Autumn", "currency": "USD"}, ["currency"]),
        ({"opens_at": SHOW}, ["opens_at"]),
        ({"time_zone": "Asia/Tokyo"}, ["time_zone"]),
        ({"person_limit": 3}, ["person_limit"]),
        ({"person_limit": None}, ["person_limit"]),
        ({"persons": "accounts"}, ["persons"]),
        ({"order_limit": 9, "hold_ttl_s": 10}, ["hold_ttl_s", "order_limit"]),
        ({"price_classes": [{"price_class": 1, "price": 1}]}, ["price_classes[1].price"]),
        ({"products": [{"product": 1, "price": 1}]}, ["products[1].price"]),
        ({"stocks": [{"stock": 1, "capacity": 4}]}, ["stocks[1].capacity"]),
        (
            {"occasions": [{"occasion": 1, "name": "x", "starts_at": "2999-02-01T00:00:00Z"}]},
            ["occasions[1].starts_at"],
        ),
    ],
)
async def test_a_sale_that_is_on_keeps_what_people_may_have(
    market: Market, fields: dict[str, Any], refused: list[str]
) -> None:
    """What touches holds or orders is refused by its name, and nothing of the request is done."""
    await market.sale(seats=2, stocks=(5,), products=({1: 1},), person_limit=4)
    before = await market.tables()
    answer = refusal_of(await market.setup.change_sale(By("op", "k"), 1, change(**fields)))

    assert (answer.outcome, answer.extra) == (ChangeOutcome.SALE_IS_ON, {"fields": refused})
    assert await market.tables() == before


async def test_limits_rise_while_a_sale_is_on(market: Market) -> None:
    """Somebody at the limit may take more at once, and counters guard the new limit."""
    sale = await market.sale(seats=5, stocks=(5,), products=({1: 1},), person_limit=1)
    await market.held(place(sale, KIM, "a", 1))
    refused = await market.outcomes(place(sale, KIM, "b", 2))
    answer = await market.setup.change_sale(
        By("op", "k"),
        1,
        change(person_limit=2, closes_at=SHOW, stocks=[{"stock": 1, "capacity": 6}]),
    )
    held = await market.outcomes(place(sale, KIM, "c", 2))

    assert refused == [PlaceHoldOutcome.LIMIT_REACHED]
    assert result_of(answer)["changed"] == ["closes_at", "person_limit", "stocks[1].capacity"]
    assert held == [PlaceHoldOutcome.HELD]
    assert await market.rows("SELECT units, units_max FROM person_uses") == [(2, 2)]


async def test_capacity_never_falls_below_what_is_taken(market: Market) -> None:
    """A sale that opens later after all still keeps what is held of it."""
    sale = await market.sale(stocks=(5,), products=({1: 1},))
    await market.held(place(sale, KIM, "a", products=[(1, 3)]))
    before = await market.tables()
    body = change(stocks=[{"stock": 1, "capacity": 2}])
    answer = refusal_of(await market.setup.change_sale(By("op", "k"), 1, body))

    assert answer.outcome is ChangeOutcome.UNITS_TAKEN
    assert answer.detail == (
        "`stocks[1].capacity` cannot be 2: 3 are held or sold. Nothing was changed."
    )
    assert await market.tables() == before


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"closes_at": OPENING}, "closes_at"), ({"currency": "ZZZ"}, "currency")],
)
async def test_a_change_that_contradicts_what_is_stored_names_its_field(
    market: Market, fields: dict[str, Any], field: str
) -> None:
    """The rules of a new sale hold for a changed one; nothing is changed."""
    await market.sale(seats=1)
    before = await market.tables()
    with pytest.raises(FieldError) as refused:
        await market.setup.change_sale(By("op", "k"), 1, change(**fields))

    assert refused.value.field == field
    assert await market.tables() == before


async def test_a_slug_names_one_sale(market: Market) -> None:
    """A second sale of the slug is refused with the first one's number, and not created."""
    named = msgspec.convert(
        {
            "slug": "spring-2037",
            "name": "Concert",
            "currency": "KRW",
            "time_zone": "Asia/Seoul",
            "opens_at": OPENING,
            "price_classes": [{"name": "R", "price": 900}],
            "occasions": [{"name": "Friday", "starts_at": SHOW}],
        },
        NewSale,
    )
    await market.setup.create_sale(By("op", "a"), named)
    before = await market.tables()
    answer = refusal_of(await market.setup.create_sale(By("op", "b"), named))

    assert (answer.outcome, answer.extra) == (SetupOutcome.SLUG_TAKEN, {"sale": 1})
    after = await market.tables()
    assert after == before
