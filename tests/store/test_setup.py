"""What operators do to sales: once a key, journalled, audited, or refused with nothing moved."""

import asyncio
from typing import Any

import msgspec
import pytest

from sunseo.booking.setup import SetupOutcome
from sunseo.booking.setup_bodies import NewSale, NewSeats, NewStocks
from sunseo.operators.audit import FIRST_PREVIOUS_HASH, AuditEntry, hash_entry
from sunseo.operators.effects import EffectOutcome
from tests.store.market import KIM, OPENING, Market, place

SALE = msgspec.convert(
    {
        "name": "Concert",
        "currency": "KRW",
        "time_zone": "Asia/Seoul",
        "opens_at": OPENING,
        "price_classes": [{"name": "R", "price": 900}, {"name": "S", "price": 0}],
        "occasions": [{"name": "Friday", "starts_at": OPENING}],
    },
    NewSale,
)


def seats(**change: Any) -> NewSeats:
    one = {"occasion": 1, "price_class": 1, "section": "A", "row": "1", "label": "1"} | change
    block = {"occasion": 1, "price_class": 2, "section": "B", "rows": 2, "seats_per_row": 3}
    return msgspec.convert({"seats": [one], "blocks": [block]}, NewSeats)


def stocks(*, occasion: int = 1, draws: int = 1) -> NewStocks:
    return msgspec.convert(
        {
            "stocks": [{"occasion": occasion, "name": "Standing", "capacity": 5}],
            "products": [{"name": "Ticket", "price": 0, "draws": [{"stock": draws}]}],
        },
        NewStocks,
    )


async def test_a_sale_is_created_once_a_key(market: Market) -> None:
    """A retry gets the first result; another body under the key is refused and changes nothing."""
    first = await market.setup.create_sale("op", "key", SALE)
    before = await market.tables()
    again = await market.setup.create_sale("op", "key", SALE)
    other = await market.setup.create_sale(
        "op", "key", msgspec.structs.replace(SALE, name="Another")
    )

    assert (first.outcome, first.result) == (EffectOutcome.DONE, {"sale": 1, "version": 1})
    assert (again.outcome, again.result) == (EffectOutcome.REPLAYED, first.result)
    assert (other.outcome, other.result) == (EffectOutcome.KEY_REUSED, None)
    assert await market.tables() == before
    assert await market.rows("SELECT price_class, name, price FROM price_classes") == [
        (1, "R", 900),
        (2, "S", 0),
    ]
    assert await market.rows("SELECT occasion, name FROM occasions") == [(1, "Friday")]


async def test_two_tries_at_once_create_one_sale(market: Market) -> None:
    """The second transaction with the effect waits for the first and finds its result."""
    answers = await asyncio.gather(*(market.setup.create_sale("op", "key", SALE) for _ in range(2)))

    assert sorted(a.outcome.name for a in answers) == ["DONE", "REPLAYED"]
    assert answers[0].result == answers[1].result
    assert await market.value("SELECT count(*) FROM sales") == 1


async def test_keys_of_two_operators_are_their_own(market: Market) -> None:
    """One operator's key never finds what another one did."""
    await market.setup.create_sale("op", "key", SALE)
    other = await market.setup.create_sale("other", "key", SALE)

    assert (other.outcome, other.result) == (EffectOutcome.DONE, {"sale": 2, "version": 1})


async def test_seats_are_numbered_on_in_the_order_given(market: Market) -> None:
    """Single seats first, then blocks row by row; the next import goes on behind them."""
    await market.setup.create_sale("op", "a", SALE)
    first = await market.setup.add_seats("op", "b", 1, seats())
    second = await market.setup.add_seats("op", "c", 1, seats(label="99"))
    replayed = await market.setup.add_seats("op", "b", 1, seats())

    assert first.result == {
        "sale": 1,
        "version": 2,
        "seats_added": 7,
        "first_seat": 1,
        "last_seat": 7,
    }
    assert second.result is not None
    assert (second.result["first_seat"], second.result["last_seat"]) == (8, 14)
    assert (replayed.outcome, replayed.result) == (EffectOutcome.REPLAYED, first.result)
    assert await market.rows(
        "SELECT seat, price_class, section, row_name, label FROM seats WHERE seat < 9 ORDER BY seat"
    ) == [
        (1, 1, "A", "1", "1"),
        *((1 + n, 2, "B", str((n + 2) // 3), str((n - 1) % 3 + 1)) for n in range(1, 7)),
        (8, 1, "A", "1", "99"),
    ]


async def test_two_imports_at_once_share_no_number(market: Market) -> None:
    """The sale's row is locked first, so the second import numbers on behind the first."""
    await market.setup.create_sale("op", "a", SALE)
    answers = await asyncio.gather(
        *(market.setup.add_seats("op", key, 1, seats()) for key in ("b", "c"))
    )

    assert [a.outcome for a in answers] == [EffectOutcome.DONE] * 2
    assert await market.rows("SELECT count(*), max(seat) FROM seats") == [(14, 14)]
    assert await market.rows("SELECT version, catalogue_version FROM sales") == [(3, 3)]


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
    await market.setup.create_sale("op", "a", SALE)
    before = await market.tables()
    if outcome is SetupOutcome.UNKNOWN_SALE:
        answer = await market.setup.add_seats("op", "b", 9, seats())
    elif outcome is SetupOutcome.UNKNOWN_OCCASION:
        answer = await market.setup.add_stocks("op", "b", 1, stocks(occasion=2))
    elif outcome is SetupOutcome.UNKNOWN_PRICE_CLASS:
        answer = await market.setup.add_seats("op", "b", 1, seats(price_class=3))
    else:
        answer = await market.setup.add_stocks("op", "b", 1, stocks(draws=2))

    assert (answer.outcome, answer.result) == (outcome, None)
    assert answer.detail == detail
    assert await market.tables() == before
    better = await market.setup.add_seats("op", "b", 1, seats())
    assert better.outcome is EffectOutcome.DONE


async def test_a_product_may_draw_on_stock_of_its_own_import(market: Market) -> None:
    """Draws name final numbers: those numbered on from the last, in the order given."""
    await market.setup.create_sale("op", "a", SALE)
    first = await market.setup.add_stocks("op", "b", 1, stocks())
    second = await market.setup.add_stocks("op", "c", 1, stocks(draws=2))

    assert first.result == {"sale": 1, "version": 2, "stocks": [1], "products": [1]}
    assert second.result == {"sale": 1, "version": 3, "stocks": [2], "products": [2]}
    assert await market.rows("SELECT product, stock, units FROM product_draws") == [
        (1, 1, 1),
        (2, 2, 1),
    ]


async def test_a_paused_sale_takes_no_holds_until_it_is_resumed(market: Market) -> None:
    """Pause and resume work at the next batch, and each is journalled."""
    sale = await market.sale(seats=2)
    heard = []
    for turn, paused in enumerate([True, False]):
        answer = await market.setup.set_paused("op", f"pause {turn}", sale[1], paused=paused)
        assert answer.result == {"sale": sale[1], "version": 3 + turn, "paused": paused}
        heard += await market.outcomes(place(sale, KIM, "a", 1))

    assert [outcome.name for outcome in heard] == ["SALE_PAUSED", "HELD"]
    assert await market.rows(
        "SELECT events->0->>'type' FROM journal WHERE version IN (3, 4) ORDER BY version"
    ) == [("SalePaused",), ("SaleResumed",)]


async def test_an_audited_chain_tells_who_did_what(market: Market) -> None:
    """Each change has one entry, chained by hash to the one before; refusals and replays none."""
    await market.setup.create_sale("ann", "a", SALE)
    await market.setup.create_sale("ann", "a", SALE)
    await market.setup.add_seats("bob", "b", 1, seats(price_class=9))
    await market.setup.add_seats("bob", "b", 1, seats())
    await asyncio.gather(
        *(market.setup.set_paused("ann", f"{n}", 1, paused=n % 2 == 0) for n in range(4))
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
        adding = asyncio.ensure_future(market.setup.add_seats("op", "later", sale[1], _block()))
        await market.until_somebody_waits_for_a_lock()
        pause.go_on.set()
        await batch
        answer = await adding

    assert answer.result is not None
    assert answer.result["version"] == 4
    assert await market.rows("SELECT events->0->>'type' FROM journal ORDER BY version") == [
        ("SaleCreated",),
        ("SeatsAdded",),
        ("HoldPlaced",),
        ("SeatsAdded",),
    ]


def _block() -> NewSeats:
    block = {"occasion": 1, "price_class": 1, "section": "B", "rows": 1, "seats_per_row": 3}
    return msgspec.convert({"blocks": [block]}, NewSeats)
