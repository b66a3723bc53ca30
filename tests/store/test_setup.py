"""What operators do to sales: once a key, journalled, audited, or refused with nothing moved."""

import asyncio
from typing import Any

import msgspec
import pytest

from sunseo.booking.setup.imports import ImportOutcome
from sunseo.booking.setup.setup import SetupOutcome
from sunseo.booking.setup.setup_bodies import NewSale, NewSeats, NewStocks
from sunseo.operators.audit import FIRST_PREVIOUS_HASH, AuditEntry, hash_entry
from sunseo.operators.command import By, EffectOutcome
from tests.effects import refusal_of, result_of
from tests.store.market import KIM, OPENING, SHOW, Market, place

SALE = msgspec.convert(
    {
        "name": "Concert",
        "currency": "KRW",
        "time_zone": "Asia/Seoul",
        "opens_at": OPENING,
        "price_classes": [{"name": "R", "price": 900}, {"name": "S", "price": 0}],
        "occasions": [{"name": "Friday", "starts_at": SHOW}],
    },
    NewSale,
)


def seats(**change: Any) -> NewSeats:
    one = {"occasion": 1, "price_class": 1, "section": "A", "row": "1", "label": "1"} | change
    block = {"occasion": 1, "price_class": 2, "section": "B", "rows": 2, "seats_per_row": 3}
    return msgspec.convert({"seats": [one], "blocks": [block]}, NewSeats)


def stocks(
    *, occasion: int = 1, name: str = "Standing", capacity: int = 5, draws: int = 1, price: int = 0
) -> NewStocks:
    return msgspec.convert(
        {
            "stocks": [{"occasion": occasion, "name": name, "capacity": capacity}],
            "products": [{"name": f"Ticket: {name}", "price": price, "draws": [{"stock": draws}]}],
        },
        NewStocks,
    )


async def test_a_sale_is_created_once_a_key(market: Market) -> None:
    """A retry gets the first result; another body under the key is refused and changes nothing."""
    first = await market.setup.create_sale(By("op", "key"), SALE)
    before = await market.tables()
    again = await market.setup.create_sale(By("op", "key"), SALE)
    other = await market.setup.create_sale(
        By("op", "key"), msgspec.structs.replace(SALE, name="Another")
    )

    assert (first.outcome, result_of(first)) == (EffectOutcome.DONE, {"sale": 1, "version": 1})
    assert (again.outcome, result_of(again)) == (EffectOutcome.REPLAYED, result_of(first))
    assert refusal_of(other).outcome is EffectOutcome.KEY_REUSED
    assert await market.tables() == before
    assert await market.rows("SELECT price_class, name, price FROM price_classes") == [
        (1, "R", 900),
        (2, "S", 0),
    ]
    assert await market.rows("SELECT occasion, name FROM occasions") == [(1, "Friday")]


async def test_two_tries_at_once_create_one_sale(market: Market) -> None:
    """The second transaction with the effect waits for the first and finds its result."""
    answers = await asyncio.gather(
        *(market.setup.create_sale(By("op", "key"), SALE) for _ in range(2))
    )

    assert sorted(a.outcome.name for a in answers) == ["DONE", "REPLAYED"]
    assert result_of(answers[0]) == result_of(answers[1])
    assert await market.value("SELECT count(*) FROM sales") == 1


async def test_keys_of_two_operators_are_their_own(market: Market) -> None:
    """One operator's key never finds what another one did."""
    await market.setup.create_sale(By("op", "key"), SALE)
    other = await market.setup.create_sale(By("other", "key"), SALE)

    assert (other.outcome, result_of(other)) == (EffectOutcome.DONE, {"sale": 2, "version": 1})


async def test_seats_are_numbered_on_in_the_order_given(market: Market) -> None:
    """Single seats first, then blocks row by row; the next import goes on behind them.

    What the second one has in common with the first is left as it is.
    """
    await market.setup.create_sale(By("op", "a"), SALE)
    first = await market.setup.add_seats(By("op", "b"), 1, seats())
    second = await market.setup.add_seats(By("op", "c"), 1, seats(label="99"))
    replayed = await market.setup.add_seats(By("op", "b"), 1, seats())

    assert result_of(first) == {
        "sale": 1,
        "version": 2,
        "seats_added": 7,
        "seats_existing": 0,
        "first_seat": 1,
        "last_seat": 7,
    }
    assert result_of(second) == {
        "sale": 1,
        "version": 3,
        "seats_added": 1,
        "seats_existing": 6,
        "first_seat": 8,
        "last_seat": 8,
    }
    assert (replayed.outcome, result_of(replayed)) == (EffectOutcome.REPLAYED, result_of(first))
    assert await market.rows(
        "SELECT seat, price_class, section, row_name, label FROM seats ORDER BY seat"
    ) == [
        (1, 1, "A", "1", "1"),
        *((1 + n, 2, "B", str((n + 2) // 3), str((n - 1) % 3 + 1)) for n in range(1, 7)),
        (8, 1, "A", "1", "99"),
    ]


async def test_two_imports_at_once_share_no_number(market: Market) -> None:
    """The sale's row is locked first, so the second import numbers on behind the first."""
    await market.setup.create_sale(By("op", "a"), SALE)
    answers = await asyncio.gather(
        *(market.setup.add_seats(By("op", key), 1, seats(label=key)) for key in ("b", "c"))
    )

    assert [a.outcome for a in answers] == [EffectOutcome.DONE] * 2
    assert await market.rows("SELECT count(*), max(seat) FROM seats") == [(8, 8)]
    assert await market.rows("SELECT version, catalogue_version FROM sales") == [(3, 3)]


async def test_an_import_that_repeats_adds_nothing(market: Market) -> None:
    """The same seats and stocks under new keys are told as existing, and nothing moves."""
    await market.setup.create_sale(By("op", "a"), SALE)
    await market.setup.add_seats(By("op", "b"), 1, seats())
    await market.setup.add_stocks(By("op", "c"), 1, stocks())
    before = await market.tables()
    again = await market.setup.add_seats(By("other", "b"), 1, seats())
    stocks_again = await market.setup.add_stocks(By("other", "c"), 1, stocks())

    assert (again.outcome, stocks_again.outcome) == (EffectOutcome.DONE, EffectOutcome.DONE)
    assert result_of(again) == {
        "sale": 1,
        "version": 3,
        "seats_added": 0,
        "seats_existing": 7,
        "first_seat": None,
        "last_seat": None,
    }
    assert result_of(stocks_again) == {
        "sale": 1,
        "version": 3,
        "stocks": [1],
        "products": [1],
        "stocks_existing": [1],
        "products_existing": [1],
    }
    after = await market.tables()
    assert after.pop("operator_effects") != before.pop("operator_effects")
    assert after == before


async def test_the_same_import_twice_at_once_adds_its_seats_once(market: Market) -> None:
    """The sale's row is locked first, so the second import finds what the first has added."""
    await market.setup.create_sale(By("op", "a"), SALE)
    answers = await asyncio.gather(
        *(market.setup.add_seats(By("op", key), 1, seats()) for key in ("b", "c"))
    )

    added = sorted(result_of(a).get("seats_added", -1) for a in answers)
    assert added == [0, 7]
    assert await market.rows("SELECT count(*), max(seat) FROM seats") == [(7, 7)]
    assert await market.rows("SELECT version, catalogue_version FROM sales") == [(2, 2)]


@pytest.mark.parametrize(
    ("body", "detail", "extra"),
    [
        (
            seats(price_class=2),
            (
                "Section A, row 1, seat 1 of occasion 1 exists as seat 1,"
                " with price class 1 at (0, 0),"
                " not price class 2 at (0, 0). Nothing was added."
            ),
            {"seats": [1]},
        ),
        (
            seats(x=0.1),
            (
                "Section A, row 1, seat 1 of occasion 1 exists as seat 1,"
                " with price class 1 at (0, 0),"
                " not price class 1 at (0.1, 0). Nothing was added."
            ),
            {"seats": [1]},
        ),
        (
            stocks(capacity=6),
            (
                "Standing of occasion 1 exists as stock 1, with another capacity or end."
                " Nothing was added."
            ),
            {"stocks": [1]},
        ),
        (
            stocks(price=1),
            (
                "Ticket: Standing exists as product 1, with another price,"
                " or drawing something else."
                " Nothing was added."
            ),
            {"products": [1]},
        ),
    ],
)
async def test_an_import_that_contradicts_is_refused_whole(
    market: Market, body: NewSeats | NewStocks, detail: str, extra: dict[str, Any]
) -> None:
    """What exists otherwise than the import says is named, and nothing of the import is kept."""
    await market.setup.create_sale(By("op", "a"), SALE)
    await market.setup.add_seats(By("op", "b"), 1, seats())
    await market.setup.add_stocks(By("op", "c"), 1, stocks())
    before = await market.tables()
    if isinstance(body, NewSeats):
        answer = await market.setup.add_seats(By("op", "d"), 1, body)
    else:
        answer = await market.setup.add_stocks(By("op", "d"), 1, body)

    assert refusal_of(answer).outcome is ImportOutcome.PART_DIFFERS
    assert (refusal_of(answer).detail, refusal_of(answer).extra) == (detail, extra)
    assert await market.tables() == before


SLOT = {"occasion": 1, "name": "Dr Kim", "capacity": 1}
PRODUCT = {"name": "Ticket", "price": 0, "draws": [{"stock": 1}]}


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        (
            NewSeats,
            {
                "seats": [
                    {"occasion": 1, "price_class": 1, "section": "A", "row": "2", "label": "3"}
                ],
                "blocks": [
                    {"occasion": 1, "price_class": 1, "section": "A", "rows": 2, "seats_per_row": 3}
                ],
            },
            (
                "blocks[0] must differ in occasion, section, row and label:"
                " 1, A, 2, 3 was there before"
            ),
        ),
        (
            NewStocks,
            {"stocks": [SLOT, SLOT]},
            (
                "stocks[1] must differ in occasion, name and starts_at:"
                " 1, Dr Kim, None was there before"
            ),
        ),
        (
            NewStocks,
            {"products": [PRODUCT, PRODUCT]},
            "products[1] must differ in name: Ticket was there before",
        ),
    ],
)
def test_one_request_names_each_part_once(
    kind: type[msgspec.Struct], body: dict[str, Any], sentence: str
) -> None:
    """A list in which one name stands twice is refused before it is looked at any further."""
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.convert(body, kind)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("part", ["price_classes", "occasions"])
def test_a_sale_names_each_part_once(part: str) -> None:
    """Two price classes of one name, or two occasions of one name and start, are refused."""
    body = msgspec.to_builtins(SALE)
    body[part] = [body[part][0]] * 2
    with pytest.raises(msgspec.ValidationError, match=rf"^{part}\[1\] must differ in name"):
        msgspec.convert(body, NewSale)


@pytest.mark.parametrize(
    ("outcome", "detail"),
    [
        (SetupOutcome.UNKNOWN_SALE, None),
        (SetupOutcome.UNKNOWN_OCCASION, "The sale has no occasion 2; its last one is 1."),
        (SetupOutcome.UNKNOWN_PRICE_CLASS, "The sale has no price_class 3; its last one is 2."),
        (SetupOutcome.UNKNOWN_STOCK, "The sale has no stock 2; its last one is 1."),
    ],
)
async def test_what_refers_to_nothing_is_refused_whole(
    market: Market, outcome: SetupOutcome, detail: str | None
) -> None:
    """Nothing of the import is kept, and the key may be used again for a better one."""
    await market.setup.create_sale(By("op", "a"), SALE)
    before = await market.tables()
    if outcome is SetupOutcome.UNKNOWN_SALE:
        answer = await market.setup.add_seats(By("op", "b"), 9, seats())
    elif outcome is SetupOutcome.UNKNOWN_OCCASION:
        answer = await market.setup.add_stocks(By("op", "b"), 1, stocks(occasion=2))
    elif outcome is SetupOutcome.UNKNOWN_PRICE_CLASS:
        answer = await market.setup.add_seats(By("op", "b"), 1, seats(price_class=3))
    else:
        answer = await market.setup.add_stocks(By("op", "b"), 1, stocks(draws=2))

    assert refusal_of(answer).outcome is outcome
    assert refusal_of(answer).detail == detail
    assert await market.tables() == before
    better = await market.setup.add_seats(By("op", "b"), 1, seats())
    assert better.outcome is EffectOutcome.DONE


async def test_a_product_may_draw_on_stock_of_its_own_import(market: Market) -> None:
    """Draws name final numbers: those numbered on from the last, in the order given."""
    await market.setup.create_sale(By("op", "a"), SALE)
    first = await market.setup.add_stocks(By("op", "b"), 1, stocks())
    second = await market.setup.add_stocks(By("op", "c"), 1, stocks(name="Balcony", draws=2))

    none_before: dict[str, Any] = {"stocks_existing": [], "products_existing": []}
    assert (
        result_of(first) == {"sale": 1, "version": 2, "stocks": [1], "products": [1]} | none_before
    )
    assert (
        result_of(second) == {"sale": 1, "version": 3, "stocks": [2], "products": [2]} | none_before
    )
    assert await market.rows("SELECT product, stock, units FROM product_draws") == [
        (1, 1, 1),
        (2, 2, 1),
    ]


async def test_a_paused_sale_takes_no_holds_until_it_is_resumed(market: Market) -> None:
    """Pause and resume work at the next batch, and each is journalled."""
    sale = await market.sale(seats=2)
    heard = []
    for turn, paused in enumerate([True, False]):
        answer = await market.setup.set_paused(By("op", f"pause {turn}"), sale[1], paused=paused)
        assert result_of(answer) == {"sale": sale[1], "version": 3 + turn, "paused": paused}
        heard += await market.outcomes(place(sale, KIM, "a", 1))

    assert [outcome.name for outcome in heard] == ["SALE_PAUSED", "HELD"]
    assert await market.rows(
        "SELECT events->0->>'type' FROM journal WHERE version IN (3, 4) ORDER BY version"
    ) == [("SalePaused",), ("SaleResumed",)]


async def test_an_audited_chain_tells_who_did_what(market: Market) -> None:
    """Each change has one entry, chained by hash to the one before; refusals and replays none."""
    await market.setup.create_sale(By("ann", "a"), SALE)
    await market.setup.create_sale(By("ann", "a"), SALE)
    await market.setup.add_seats(By("bob", "b"), 1, seats(price_class=9))
    await market.setup.add_seats(By("bob", "b"), 1, seats())
    await asyncio.gather(
        *(market.setup.set_paused(By("ann", f"{n}"), 1, paused=n % 2 == 0) for n in range(4))
    )

    entries = await market.rows(
        "SELECT organisation, entry, recorded_at, actor, action, sale, details::text,"
        " previous_hash, hash FROM audit_log ORDER BY entry"
    )
    assert [row[1] for row in entries] == list(range(1, 7))
    assert [row[3:6] for row in entries[:2]] == [
        ("ann", "create_sale", 1),
        ("bob", "add_seats", 1),
    ]
    assert sorted(row[4] for row in entries[2:]) == ["pause_sale"] * 2 + ["resume_sale"] * 2
    head = FIRST_PREVIOUS_HASH
    for row in entries:
        number, recorded_at, actor, action, sale, details, previous_hash, found = row[1:]
        told = msgspec.json.decode(details)
        entry = AuditEntry(row[0], number, recorded_at, actor, action, sale, told)
        assert (previous_hash, found) == (head, hash_entry(entry, head))
        head = found


async def test_an_operators_change_and_a_batch_take_turns(market: Market) -> None:
    """An import waits for the batch at work on the sale, and numbers its version after it."""
    sale = await market.sale(seats=1)
    async with market.paused_batch(place(sale, KIM, "a", 1)) as (pause, batch):
        adding = asyncio.ensure_future(market.setup.add_seats(By("op", "later"), sale[1], _block()))
        await market.until_somebody_waits_for_a_lock()
        pause.go_on.set()
        await batch
        answer = await adding

    assert result_of(answer) is not None
    assert result_of(answer)["version"] == 4
    assert await market.rows("SELECT events->0->>'type' FROM journal ORDER BY version") == [
        ("SaleCreated",),
        ("SeatsAdded",),
        ("HoldPlaced",),
        ("SeatsAdded",),
    ]


def _block() -> NewSeats:
    block = {"occasion": 1, "price_class": 1, "section": "B", "rows": 1, "seats_per_row": 3}
    return msgspec.convert({"blocks": [block]}, NewSeats)
