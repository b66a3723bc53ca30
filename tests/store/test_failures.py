"""What clients hear, and what is stored, when the wire, the server or a command is at fault."""

import asyncio
from typing import Any

import asyncpg
import pytest

from sunseo.booking.commands import InventoryCommand, PlaceHoldOutcome
from sunseo.core.later import LaterOutcome
from sunseo.postgres.errors import constraint_of
from sunseo.postgres.locks import Lockable, LockOrderError
from tests.store.cutting_proxy import cutting_proxy
from tests.store.market import (
    KIM,
    LEE,
    PATIENCE_S,
    Market,
    order,
    person,
    place,
    release,
    renew,
)


async def submit(lane: Any, *commands: InventoryCommand) -> list[Any]:
    answers = await asyncio.gather(*map(lane.submit, commands), return_exceptions=True)
    return [a if isinstance(a, BaseException) else a.result for a in answers]


async def test_an_acknowledgement_that_is_lost_is_replayed(market: Market) -> None:
    """The connection breaks after COMMIT was sent: the retry finds all effects, each done once."""
    sale = await market.sale(seats=4, stocks=[9], products=[{1: 1}], person_limit=9)
    other, mine, bought = [await market.held(place(sale, KIM, f"{n}", n)) for n in (1, 2, 3)]
    async with cutting_proxy(market.dsn) as proxy:
        lane = market.lane(market.flush(dsn=proxy.dsn(market.dsn)))
        proxy.cuts_left = 1
        answers = await submit(
            lane,
            place(sale, LEE, "a", 4, products=[(1, 2)]),
            renew(sale, KIM, "b", mine.hold),
            release(sale, KIM, other.hold),
            order(sale, KIM, "c", bought.hold),
        )
        assert proxy.cut == 1
        await lane.stop()
        await market.close_lanes()

    assert [answer.outcome.name for answer in answers] == ["REPLAYED"] * 4
    assert await market.rows("SELECT state, count(*) FROM holds GROUP BY state ORDER BY state") == [
        ("open", 2),
        ("ordered", 1),
        ("released", 1),
    ]
    assert await market.rows("SELECT held, sold FROM stocks") == [(2, 0)]
    assert await market.value("SELECT count(*) FROM orders") == 1
    assert await market.value("SELECT cardinality(renewals) FROM holds WHERE hold = $1", mine.hold)
    assert await market.rows(
        "SELECT event->>'type', count(*) FROM journal, jsonb_array_elements(events) AS event"
        " WHERE event->>'type' LIKE 'Hold%' OR event->>'type' LIKE 'Order%' GROUP BY 1 ORDER BY 1"
    ) == [("HoldPlaced", 4), ("HoldReleased", 1), ("HoldRenewed", 1), ("OrderConfirmed", 1)]


async def test_two_lost_acknowledgements_are_answered_unknown(market: Market) -> None:
    """Nobody is told that nothing was done; a retry with the key tells what was."""
    sale = await market.sale(seats=1)
    command = place(sale, KIM, "a", 1)
    async with cutting_proxy(market.dsn) as proxy:
        lane = market.lane(market.flush(dsn=proxy.dsn(market.dsn)))
        proxy.cuts_left = 2
        (unknown,) = await submit(lane, command)
        (replayed,) = await submit(lane, command)
        await market.close_lanes()

    assert unknown.outcome is LaterOutcome.OUTCOME_UNKNOWN
    assert replayed.outcome is PlaceHoldOutcome.REPLAYED
    assert await market.value("SELECT count(*) FROM holds") == 1


async def test_a_connection_that_is_killed_in_mid_batch_rolls_back_and_is_retried(
    market: Market,
) -> None:
    """The server ends the backend before the commit: nothing is half done; the retry does it."""
    sale = await market.sale(seats=1)
    pause = market.pausing()
    lane = market.lane(market.flush(pause))
    placing = asyncio.ensure_future(submit(lane, place(sale, KIM, "a", 1)))
    await asyncio.wait_for(pause.reached.wait(), PATIENCE_S)
    killed = await market.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'sunseo lane'"
    )
    pause.go_on.set()

    assert killed == [(True,)]
    (answer,) = await asyncio.wait_for(placing, PATIENCE_S)
    assert answer.outcome is PlaceHoldOutcome.HELD
    assert await market.value("SELECT count(*) FROM holds") == 1


async def test_a_table_that_is_locked_is_nobodys_fault(market: Market) -> None:
    """The whole batch is tried twice, then answered LATER; nobody is singled out by bisection."""
    sale = await market.sale(seats=2)
    blocker = await market.raw()
    await blocker.execute("BEGIN")
    await blocker.execute("LOCK TABLE sales")
    lane = market.lane(market.flush(lock_timeout_s=0.05, waits=False))

    answers = await submit(lane, place(sale, KIM, "a", 1), place(sale, LEE, "b", 2))
    assert [a.outcome for a in answers] == [LaterOutcome.OUTCOME_UNKNOWN] * 2
    await blocker.execute("ROLLBACK")
    assert await market.value("SELECT count(*) FROM holds") == 0
    assert [a.outcome.name for a in await submit(lane, place(sale, KIM, "a", 1))] == ["HELD"]


async def test_a_statement_that_hangs_is_ended_by_the_server(market: Market) -> None:
    """The server bounds statements, waits and idle transactions by itself, as configured."""
    connection = market.room_connection(
        statement_timeout_s=0.05, lock_timeout_s=1.5, idle_in_transaction_s=2.5
    )
    with pytest.raises(asyncpg.QueryCanceledError):
        async with connection.transaction() as tx:
            await tx.fetch("SELECT pg_sleep(10)")
    async with connection.transaction() as tx:
        shown = [
            (await tx.fetch(f"SHOW {name}"))[0][0]
            for name in (
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "plan_cache_mode",
            )
        ]
    assert shown == ["50ms", "1500ms", "2500ms", "force_generic_plan"]


async def test_the_watchdog_frees_a_lane_whose_flush_hangs(market: Market) -> None:
    """A hung connection is dropped, its transaction rolls back, and the command is tried again."""
    sale = await market.sale(seats=1)
    pause = market.pausing()
    lane = market.lane(market.flush(pause), flush_timeout_s=2.0, abandon_grace_s=0.1)

    placing = asyncio.ensure_future(submit(lane, place(sale, KIM, "a", 1)))
    await asyncio.wait_for(pause.reached.wait(), PATIENCE_S)
    pause.reached.clear()
    await asyncio.wait_for(pause.reached.wait(), PATIENCE_S)  # the retry got the same locks
    pause.go_on.set()

    (answer,) = await asyncio.wait_for(placing, PATIENCE_S)
    assert answer.outcome is PlaceHoldOutcome.HELD
    assert await market.value("SELECT count(*) FROM holds") == 1


@pytest.mark.parametrize("seat", [2**31, 2**40])
async def test_a_command_that_cannot_be_encoded_fails_alone(market: Market, seat: int) -> None:
    """A data error is bisected down to the one command that causes it; all others are done."""
    sale = await market.sale(seats=8)
    commands = [place(sale, person(n), "a", n) for n in range(1, 9)]
    commands[5] = place(sale, person(6), "a", seat)

    answers = await submit(market.lane(), *commands)
    assert isinstance(answers.pop(5), asyncpg.DataError)
    assert [a.outcome.name for a in answers] == ["HELD"] * 7
    assert await market.value("SELECT count(*) FROM holds") == 7


async def test_corrupt_rows_stop_only_the_command_that_meets_them(market: Market) -> None:
    """A counter that would fall below zero is refused by name, and the neighbours are served."""
    sale = await market.sale(seats=2, stocks=[5], products=[{1: 1}])
    hold = await market.held(place(sale, KIM, "a", products=[(1, 2)]))
    await market.rows("UPDATE stocks SET held = 1")

    answers = await submit(
        market.lane(),
        place(sale, LEE, "b", 1),
        release(sale, KIM, hold.hold),
        place(sale, LEE, "c", 2),
    )
    assert constraint_of(answers[1]) == "stocks_held_not_negative"
    assert [a.outcome.name for a in (answers[0], answers[2])] == ["HELD", "HELD"]
    assert await market.rows("SELECT state FROM holds WHERE hold = $1", hold.hold) == [("open",)]


async def test_a_transaction_refuses_locks_out_of_order(market: Market) -> None:
    """The ladder guards the connection itself, and a broken rule rolls everything back."""
    await market.sale(seats=1)
    connection = market.room_connection()

    async def lock_after_the_clock() -> None:
        async with connection.transaction() as tx:
            await tx.fetch("UPDATE seats SET hold = gen_random_uuid()")
            await tx.fetch_with_clock("SELECT clock_timestamp()")
            await tx.lock(Lockable.SALE, "SELECT 1 FROM sales FOR NO KEY UPDATE")

    with pytest.raises(LockOrderError):
        await lock_after_the_clock()
    assert await market.rows("SELECT hold FROM seats") == [(None,)]
