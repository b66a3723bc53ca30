"""Availability on a real journal: however many look, the database hardly notices."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.booking.availability import availability
from sunseo.booking.availability.availability import (
    FORGET_AFTER_S,
    AvailabilityBoard,
    read_snapshot,
)
from sunseo.booking.availability.snapshot import Snapshot
from sunseo.booking.commands import ExpireHold
from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Refusal, RefusedError
from sunseo.journal.tail import ROWS_PER_SALE_MAX, JournalTail
from sunseo.operators.command import By
from sunseo.postgres.connection import Transaction
from sunseo.telemetry.aside import SetAside
from tests.store.market import KIM, LEE, ORGANISATION, Market, order, person, place, release


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Statements:
    """Counts what is sent: by the cold pool, and by the tail's connection."""

    def __init__(self, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cold = 0
        self.tail = 0
        fetch = Transaction.fetch

        async def counted(tx: Transaction, query: str, *arguments: Any) -> Any:
            self.tail += "read_tails" in query
            return await fetch(tx, query, *arguments)

        monkeypatch.setattr(Transaction, "fetch", counted)
        event.listen(market.engine.sync_engine, "before_cursor_execute", self._count)

    def _count(self, *_arguments: Any) -> None:
        self.cold += 1


def make_board(market: Market, watch: Callable[[], float] | None = None) -> AvailabilityBoard:
    tail = JournalTail(market.room_connection())
    return AvailabilityBoard(market.engine, ORGANISATION, tail, monotonic=watch or Watch())


def shown(snapshot: Snapshot | None) -> tuple[Any, ...]:
    assert snapshot is not None
    maps = {n: (m.digits, m.counts) for n, m in snapshot.seat_maps.items()}
    return snapshot.version, snapshot.paused, maps, snapshot.stocks


async def test_the_board_follows_the_journal(market: Market) -> None:
    """Held, released, expired, ordered, paused: after a turn the view is what the tables say."""
    sale = await market.sale(seats=[3, 2], stocks=[9], products=[{1: 2}])
    board = make_board(market)
    assert shown(await board.look(sale[1]))[2] == {1: ("000", (3, 0, 0)), 2: ("00", (2, 0, 0))}

    holds = [
        await market.held(place(sale, KIM, "a", 1, 4, products=[(1, 1)])),
        await market.held(place(sale, LEE, "b", 2)),
        await market.held(place(sale, LEE, "c", 3)),
    ]
    await board.run_once()
    assert shown(await board.look(sale[1]))[2] == {1: ("111", (0, 3, 0)), 2: ("10", (1, 1, 0))}

    await market.let_run_out(holds[2].hold)
    await market.ask(
        order(sale, KIM, "d", holds[0].hold),
        release(sale, LEE, holds[1].hold),
        ExpireHold(sale, holds[2].hold),
    )
    await market.setup.set_paused(By("op", "pause"), sale[1], paused=True)
    await board.run_once()
    version, paused, maps, stocks = shown(await board.look(sale[1]))
    assert maps == {1: ("200", (2, 0, 1)), 2: ("20", (1, 0, 1))}
    assert (paused, stocks[1].held, stocks[1].sold, stocks[1].free) == (True, 0, 2, 7)
    assert version == await market.value("SELECT version FROM sales")
    fresh = await read_snapshot(market.engine, ORGANISATION, sale[1])
    assert shown(await board.look(sale[1])) == shown(fresh)


async def test_looking_costs_no_query(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look reads the sale, once for all who look at once; all others read memory."""
    sales = [await market.sale(seats=1) for _ in range(3)]
    board = make_board(market)
    statements = Statements(market, monkeypatch)
    await asyncio.gather(*(board.look(sale[1]) for sale in sales for _ in range(100)))
    read = statements.cold
    assert read == 3 * 3  # version, seats and stock of each sale
    for _ in range(1000):
        await board.look(sales[0][1])
    assert (statements.cold, statements.tail) == (read, 0)

    await board.run_once()
    assert (statements.cold, statements.tail) == (read, 1)  # one statement for all watched sales


async def test_seats_added_make_the_sale_be_read_again(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events do not tell new seats; a look afterwards shows them, and the tail goes on."""
    sale = await market.sale(seats=1)
    board = make_board(market)
    await board.look(sale[1])
    block = {"occasion": 1, "price_class": 1, "section": "B", "rows": 1, "seats_per_row": 2}
    await market.held(place(sale, KIM, "a", 1))
    await market.add_seats(sale[1], {"blocks": [block]})
    await market.held(place(sale, LEE, "b", 3))

    await board.run_once()
    assert shown(await board.look(sale[1]))[2] == {1: ("101", (1, 2, 0))}
    await market.held(place(sale, LEE, "c", 2))
    statements = Statements(market, monkeypatch)
    await board.run_once()
    assert shown(await board.look(sale[1]))[2] == {1: ("111", (0, 3, 0))}
    assert statements.cold == 0


async def test_a_reload_that_fails_shows_nothing_half_applied(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal row that can be applied in part only leaves no trace when the database is away."""
    sale = await market.sale(seats=1, stocks=[9], products=[{1: 1}])
    board = make_board(market)
    before = shown(await board.look(sale[1]))
    assert before[3][1].held == 0
    await market.held(place(sale, KIM, "a", products=[(1, 2)]))
    await market.rows(
        "UPDATE journal SET events = events || $1::jsonb WHERE version = 4",
        '[{"type": "SeatsAdded", "v": 1, "first_seat": 2, "last_seat": 2}]',
    )

    async def away(*_arguments: Any) -> Snapshot | None:
        raise ConnectionError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr("sunseo.booking.availability.availability.read_snapshot", away)
        with pytest.raises(ConnectionError):
            await board.run_once()
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await board.look(sale[1])
            assert not await board.run_once()
    assert shown(await board.look(sale[1]))[3][1].held == 2


async def test_a_board_far_behind_catches_up_in_bounded_turns(market: Market) -> None:
    """One turn takes so many rows of a sale, says that there are more, and the next goes on."""
    sale = await market.sale(stocks=[1000], products=[{1: 1}])
    board = make_board(market)
    await board.look(sale[1])
    flush = market.flush()
    for number in range(ROWS_PER_SALE_MAX + 5):
        await flush([place(sale, person(number), "a", products=[(1, 1)])])

    assert await board.run_once()
    assert shown(await board.look(sale[1]))[3][1].held == ROWS_PER_SALE_MAX
    assert not await board.run_once()
    assert shown(await board.look(sale[1]))[3][1].held == ROWS_PER_SALE_MAX + 5


async def test_what_nobody_looks_at_is_forgotten(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while without a look a sale costs nothing any more; the next look reads it anew."""
    sale, watch = await market.sale(seats=1), Watch()
    board = make_board(market, watch)
    await board.look(sale[1])
    watch.now += FORGET_AFTER_S + 1
    statements = Statements(market, monkeypatch)
    await board.run_once()
    assert statements.tail == 0

    await market.held(place(sale, KIM, "a", 1))
    assert shown(await board.look(sale[1]))[2] == {1: ("1", (0, 1, 0))}


async def test_a_sale_that_does_not_exist_is_asked_for_once_a_second(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guessing numbers does not reach the database each time; a new sale shows within a second."""
    watch = Watch()
    board = make_board(market, watch)
    statements = Statements(market, monkeypatch)
    for _ in range(50):
        assert await board.look(1) is None
    assert statements.cold == 1

    sale = await market.sale(seats=1)
    assert sale[1] == 1
    watch.now += 1.0
    assert shown(await board.look(1))[2] == {1: ("0", (1, 0, 0))}


async def test_odd_news_of_one_sale_hold_up_no_other(market: Market) -> None:
    """A sale whose journal makes no sense is read from its tables; others show their news."""
    odd, other = await market.sale(seats=[2]), await market.sale(seats=[2])
    board = make_board(market)
    for sale in (odd, other):
        await board.look(sale[1])
    await market.ask(place(odd, KIM, "a", 1), place(other, KIM, "b", 1))
    await market.rows("UPDATE journal SET events = '5' WHERE stream = $1 AND version = 3", odd[1])

    await board.run_once()

    for _, number in (odd, other):
        read = await read_snapshot(market.engine, ORGANISATION, number)
        assert shown(read)[2] == {1: ("10", (1, 1, 0))}
        assert shown(await board.look(number)) == shown(read)


async def test_a_sale_that_cannot_be_read_is_told_and_set_aside(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks at it is told so; it is named once, and the other sale is there."""
    (_, odd), (_, other) = await market.sale(seats=[2]), await market.sale(seats=[2])
    read = availability.read_snapshot

    async def failing(engine: AsyncEngine, organisation: int, sale: int) -> Snapshot | None:
        if sale == odd:
            raise KeyError("state")
        return await read(engine, organisation, sale)

    monkeypatch.setattr(availability, "read_snapshot", failing)
    aside = SetAside()
    board = make_board(market)
    board._aside = aside
    with pytest.raises(RefusedError) as told:
        await board.look(odd)

    assert told.value.refusal == Refusal(LaterOutcome.UNREADABLE, extra={"sale": odd})
    assert await board.look(other) is not None
    assert aside.parts() == [f"sale {odd}"]
