"""What two workers do to the same rows at the same moment: each clause that was once tried."""

import asyncio
import json
from collections import Counter
from random import Random
from typing import Any

import asyncpg
import pytest

from sunseo.booking.commands import ExpireHold, InventoryCommand, PlaceHoldOutcome
from sunseo.engine.entry import Defer
from sunseo.journal.tail import JournalTail
from tests.store.market import (
    KIM,
    LEE,
    ORGANISATION,
    PATIENCE_S,
    Market,
    ask,
    order,
    person,
    place,
    release,
    renew,
)

ROUNDS = 40
HELD, REPLAYED = PlaceHoldOutcome.HELD, PlaceHoldOutcome.REPLAYED


async def test_expirer_and_buyers_never_deadlock(market: Market) -> None:
    """Batches over the same seats, holds, persons and stock, in opposite order, never deadlock."""
    sales = [
        await market.sale(
            seats=12, stocks=[50], products=[{1: 1}], person_limit=40, hold_ttl_s=3600
        )
        for _ in range(2)
    ]
    dice = Random(20261122)  # a fixed seed: the race is in the timing, not in the commands
    stored: list[Any] = [
        await market.held(place(sale, person(number % 4), f"{number}", number + 1))
        for number in range(12)
        for sale in sales
    ]

    def commands(seed: int, *, backwards: bool) -> list[InventoryCommand]:
        mixed: list[InventoryCommand] = []
        mine = Random(seed)
        for hold in stored:
            holder = person(next(n for n in range(4) if person(n).id == hold.person))
            mixed.append(ExpireHold(hold.sale, hold.hold))
            mixed.append(release(hold.sale, holder, hold.hold))
            mixed.append(renew(hold.sale, holder, f"{seed}", hold.hold))
            seats = mine.sample(range(1, 13), 3)
            wanted = place(hold.sale, person(mine.randint(0, 3)), f"{seed}-{hold.hold}", *seats)
            mixed.append(wanted)
        return mixed[::-1] if backwards else mixed

    async def worker(flush: Any, *, backwards: bool) -> int:
        answered = 0
        for seed in range(ROUNDS):
            chosen = dice.sample(commands(seed, backwards=backwards), 30)
            for answer in await ask(flush, *chosen):
                answered += 1
                if getattr(answer, "outcome", None) is HELD:
                    stored.append(answer.hold)
            stored[:] = stored[-24:]
            await market.let_run_out(*(hold.hold for hold in stored[::3]))
        return answered

    workers = [worker(market.flush(), backwards=n % 2 == 0) for n in range(3)]
    assert await asyncio.gather(*workers) == [ROUNDS * 30] * 3


async def test_the_opposite_order_would_deadlock(market: Market) -> None:
    """What the lock order prevents: hold before seat against seat before hold is 40P01."""
    sale = await market.sale(seats=1)
    await market.held(place(sale, KIM, "a", 1))
    seat, hold = (
        f"SELECT 1 FROM {table} FOR NO KEY UPDATE"  # noqa: S608 - two names from here
        for table in ("seats", "holds")
    )
    one, other = await market.raw(), await market.raw()
    ends = []
    for connection in (one, other):
        transaction = connection.transaction()
        await transaction.start()
        ends.append(transaction)
    await one.execute(seat)
    await other.execute(hold)

    results = await asyncio.gather(one.execute(hold), other.execute(seat), return_exceptions=True)
    assert [type(result) for result in results].count(asyncpg.DeadlockDetectedError) == 1
    for transaction in ends:
        await transaction.rollback()


async def test_new_persons_on_two_workers_never_exceed_their_limit(market: Market) -> None:
    """300 new persons ask for their whole limit on two workers at once; each gets it once."""
    persons = [person(number) for number in range(300)]
    sale = await market.sale(stocks=[10_000], products=[{1: 1}], person_limit=4)
    flushes = [market.flush(), market.flush()]

    async def worker(number: int) -> Counter[str]:
        heard: Counter[str] = Counter()
        for start in range(0, 300, 50):
            some = persons[start : start + 50]
            if number:
                some.reverse()
            batch = [place(sale, who, f"worker {number}", products=[(1, 4)]) for who in some]
            heard.update(a.outcome.name for a in await ask(flushes[number], *batch))
        return heard

    heard = sum(await asyncio.gather(worker(0), worker(1)), Counter[str]())

    assert heard == {"HELD": 300, "LIMIT_REACHED": 300}
    assert await market.rows("SELECT units, count(*) FROM person_uses GROUP BY units") == [(4, 300)]
    assert await market.rows("SELECT held FROM stocks") == [(1200,)]


async def test_decision_time_is_read_after_the_last_lock_wait(market: Market) -> None:
    """A batch that waited for the sale's lock decides on the time at which it got it."""
    sale = await market.sale(seats=1)
    blocker = await market.raw()
    transaction = blocker.transaction()
    await transaction.start()
    await blocker.execute("SELECT 1 FROM sales FOR NO KEY UPDATE")

    placing = asyncio.ensure_future(market.held(place(sale, KIM, "a", 1)))
    await market.until_somebody_waits_for_a_lock()
    while_waiting = await market.value("SELECT clock_timestamp()")
    await transaction.rollback()

    hold = await asyncio.wait_for(placing, PATIENCE_S)
    assert hold.placed_at > while_waiting


async def test_the_clock_of_the_locking_statement_would_be_too_old(market: Market) -> None:
    """What the separate statement prevents: a clock read while locking is that of the wait."""
    sale = await market.sale(seats=1)
    blocker, waiter = await market.raw(), await market.raw()
    transaction = blocker.transaction()
    await transaction.start()
    await blocker.execute("SELECT 1 FROM sales FOR NO KEY UPDATE")

    locking = asyncio.ensure_future(
        waiter.fetchval("SELECT clock_timestamp() FROM sales WHERE sale = $1 FOR UPDATE", sale[1])
    )
    await market.until_somebody_waits_for_a_lock()
    while_waiting = await market.value("SELECT clock_timestamp()")
    await transaction.rollback()

    assert await asyncio.wait_for(locking, PATIENCE_S) < while_waiting


async def test_a_retry_on_another_worker_at_the_same_moment_is_a_replay(market: Market) -> None:
    """Lock first, then look ids up: the retry finds its own hold instead of being refused by it."""
    sale = await market.sale(seats=2, stocks=[1], products=[{1: 1}], person_limit=3)
    command = place(sale, KIM, "a", 1, 2, products=[(1, 1)])

    async with market.paused_batch(command) as (pause, first):
        retry = asyncio.ensure_future(market.ask(command))
        await market.until_somebody_waits_for_a_lock()
        pause.go_on.set()
        (held,), (replayed,) = await first, await asyncio.wait_for(retry, PATIENCE_S)

    assert (held.outcome, replayed.outcome) == (HELD, REPLAYED)
    assert replayed.hold.hold == held.hold.hold == command.effect
    assert await market.rows("SELECT hold, state FROM holds") == [(command.effect, "open")]
    assert await market.rows("SELECT held, sold FROM stocks") == [(1, 0)]
    assert await market.rows("SELECT units FROM person_uses") == [(3,)]


async def test_a_retried_order_on_another_worker_at_the_same_moment_is_a_replay(
    market: Market,
) -> None:
    """The second worker waits for the first, and then finds the order by its id."""
    sale = await market.sale(seats=1)
    hold = await market.held(place(sale, KIM, "a", 1))
    command = order(sale, KIM, "b", hold.hold)

    async with market.paused_batch(command) as (pause, first):
        retry = asyncio.ensure_future(market.ask(command))
        await market.until_somebody_waits_for_a_lock()
        pause.go_on.set()
        (confirmed,), (replayed,) = await first, await asyncio.wait_for(retry, PATIENCE_S)

    assert (confirmed.outcome.name, replayed.outcome.name) == ("CONFIRMED", "REPLAYED")
    assert replayed.order == confirmed.order
    assert await market.value("SELECT count(*) FROM orders") == 1


async def test_the_second_of_two_buyers_sees_the_first_ones_commit(market: Market) -> None:
    """A seat that was free when the batch began and taken when its lock was got is taken."""
    sale = await market.sale(seats=1)
    async with market.paused_batch(place(sale, KIM, "a", 1)) as (pause, first):
        second = asyncio.ensure_future(market.outcomes(place(sale, LEE, "b", 1)))
        await market.until_somebody_waits_for_a_lock()
        pause.go_on.set()
        await first

        assert await asyncio.wait_for(second, PATIENCE_S) == [PlaceHoldOutcome.SEAT_TAKEN]


async def test_a_seat_that_comes_free_during_the_wait_is_decided_in_the_next_batch(
    market: Market,
) -> None:
    """What was discovered before the lock has changed: the command is put off, not refused."""
    sale = await market.sale(seats=1, person_limit=1)
    hold = await market.held(place(sale, KIM, "a", 1))
    flush = market.flush()
    async with market.paused_batch(release(sale, KIM, hold.hold)) as (pause, first):
        second = asyncio.ensure_future(flush([place(sale, LEE, "b", 1)]))
        await market.until_somebody_waits_for_a_lock()
        pause.go_on.set()
        await first

        (answer,) = await asyncio.wait_for(second, PATIENCE_S)
    if isinstance(answer, Defer):
        (answer,) = await flush([answer.command])
    assert not isinstance(answer, Defer)
    assert answer.outcome is HELD


async def test_journal_versions_have_no_gap_and_come_in_commit_order(market: Market) -> None:
    """Two writers, and a reader who follows by version alone: he misses nothing."""
    sale = await market.sale(stocks=[10_000], products=[{1: 1}])
    start = await market.value("SELECT version FROM sales")
    tail = JournalTail(market.room_connection())
    seen: list[Any] = []
    writing = True

    async def writer(number: int) -> None:
        flush = market.flush()
        for turn in range(60):
            await flush([place(sale, person(number), f"{turn}", products=[(1, 1)])])

    async def reader() -> None:
        at = start
        while True:
            last_turn = not writing
            rows, _ = await tail.read(ORGANISATION, {sale[1]: at})
            seen.extend(rows)
            at = rows[-1].version if rows else at
            if last_turn and not rows:
                return

    following = asyncio.ensure_future(reader())
    await asyncio.gather(writer(1), writer(2))
    writing = False
    await asyncio.wait_for(following, PATIENCE_S)

    assert [row.version for row in seen] == list(range(start + 1, start + 121))
    effects = [str(event.hold) for row in seen for event in row.events]
    stored = {str(hold) for (hold,) in await market.rows("SELECT hold FROM holds")}
    assert len(effects) == len(set(effects)) == 120
    assert set(effects) == stored
    assert await market.value("SELECT version FROM sales") == start + 120


async def test_a_version_is_never_seen_before_a_smaller_one(market: Market) -> None:
    """The second writer gets its version only when the first one has committed."""
    sale = await market.sale(seats=2)
    start = await market.value("SELECT version FROM sales")
    tail = JournalTail(market.room_connection())

    async with market.paused_batch(place(sale, KIM, "a", 1)) as (pause, first):
        second = asyncio.ensure_future(market.held(place(sale, LEE, "b", 2)))
        await market.until_somebody_waits_for_a_lock()
        assert await tail.read(ORGANISATION, {sale[1]: start}) == ([], False)
        pause.go_on.set()
        await first
        await asyncio.wait_for(second, PATIENCE_S)

    rows, _ = await tail.read(ORGANISATION, {sale[1]: start})
    assert [row.version for row in rows] == [start + 1, start + 2]


async def test_an_identity_cursor_would_have_missed_a_row(market: Market) -> None:
    """What versions prevent: a smaller number that becomes visible after a greater one."""
    one, other, reader = [await market.raw() for _ in range(3)]
    await reader.execute("CREATE TABLE feed (id bigint GENERATED ALWAYS AS IDENTITY, what text)")
    transaction = one.transaction()
    await transaction.start()
    await one.execute("INSERT INTO feed (what) VALUES ('first')")
    await other.execute("INSERT INTO feed (what) VALUES ('second')")

    after = "SELECT id, what FROM feed WHERE id > $1 ORDER BY id"
    (seen,) = [tuple(row) for row in await reader.fetch(after, 0)]
    await transaction.commit()
    assert seen == (2, "second")
    assert await reader.fetch(after, seen[0]) == []


@pytest.mark.parametrize("how", ["seat", "stock", "person"])
async def test_two_buyers_reclaim_the_same_expired_hold_once(market: Market, how: str) -> None:
    """Both find the same past-due hold in the way; it is expired once, and one of them gets it."""
    limits = {"person_limit": 1} if how == "person" else {}
    sale = await market.sale(seats=2, stocks=[1], products=[{1: 1}], **limits)
    wish: dict[str, Any] = {"products": [(1, 1)]} if how == "stock" else {}
    seats = () if how == "stock" else (1,)
    hold = await market.held(place(sale, KIM, "a", *seats, **wish))
    await market.let_run_out(hold.hold)
    buyers = [KIM, KIM] if how == "person" else [LEE, person(3)]
    seats_after = [(2,), (2,)] if how == "person" else [seats, seats]

    answers = await asyncio.gather(
        *(
            ask(market.flush(), place(sale, who, f"key {n}", *seats_after[n], **wish))
            for n, who in enumerate(buyers)
        )
    )

    names = sorted(answer[0].outcome.name for answer in answers)
    lost = {"seat": "SEAT_TAKEN", "stock": "SOLD_OUT", "person": "LIMIT_REACHED"}[how]
    assert sorted(names) in (sorted(["HELD", lost]), sorted(["HELD", "SEAT_TAKEN"]))
    journal = await market.rows("SELECT events::text FROM journal ORDER BY version")
    events = [event for (row,) in journal for event in json.loads(row)]
    expired = [event["hold"] for event in events if event["type"] == "HoldExpired"]
    assert expired == [str(hold.hold)]
