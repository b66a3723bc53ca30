"""A sale that somebody else has locked, on a real PostgreSQL: nobody else waits for it."""

import asyncio
from collections import Counter
from typing import Any

from sunseo.booking.commands import SaleKey
from sunseo.core.ids import Person
from sunseo.core.later import LaterOutcome
from sunseo.engine.lanes import EngineLane
from tests.store.market import KIM, LEE, Market, person, place

PATIENCE_S = 30.0
LOCK = "SELECT 1 FROM sales WHERE sale = $1 FOR NO KEY UPDATE"


async def submit(lane: EngineLane, *commands: Any) -> list[Any]:
    answers = await asyncio.gather(*map(lane.submit, commands))
    return [answer.result for answer in answers]


async def lock(market: Market, sale: SaleKey) -> Any:
    """Have psql hold the row of a sale until it says ROLLBACK."""
    raw = await market.raw()
    await raw.execute("BEGIN")
    await raw.execute(LOCK.replace("$1", str(sale[1])))
    return raw


async def test_other_sales_are_served_while_one_is_locked(market: Market) -> None:
    """Whoever waits for the locked sale waits alone, and is served in order once it is free."""
    locked, free = await market.sale(seats=3), await market.sale(seats=60)
    lane = market.lane()
    blocker = await lock(market, locked)

    waiting = [asyncio.ensure_future(lane.submit(place(locked, who, "a", 1))) for who in (KIM, LEE)]
    await market.until_somebody_waits_for_a_lock()
    for number in range(1, 61):  # one after the other, and none of them waits for the lock
        (answer,) = await submit(lane, place(free, person(number), "a", number))
        assert answer.outcome.name == "HELD"
    waiting.append(asyncio.ensure_future(lane.submit(place(locked, KIM, "b", 2))))
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    await blocker.execute("ROLLBACK")

    answers = await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)
    assert [answer.result.outcome.name for answer in answers] == ["HELD", "SEAT_TAKEN", "HELD"]


async def test_a_sale_that_stays_locked_is_told_by_its_true_name(market: Market) -> None:
    """Its commands are answered that it is locked, and nothing moves; then it is served again."""
    sale = await market.sale(seats=3)
    lane = market.lane(waiting=market.flush(lock_timeout_s=0.02), locked_max_s=0.05)
    blocker = await lock(market, sale)

    answers = await submit(lane, place(sale, KIM, "a", 1), place(sale, LEE, "b", 2))
    assert [answer.outcome for answer in answers] == [LaterOutcome.LOCKED] * 2
    answers = await submit(lane, place(sale, KIM, "c", 1), place(sale, LEE, "d", 2))
    assert [answer.outcome for answer in answers] == [LaterOutcome.LOCKED] * 2
    await blocker.execute("ROLLBACK")
    assert await market.value("SELECT count(*) FROM holds") == 0

    (answer,) = await submit(lane, place(sale, KIM, "a", 1))
    assert answer.outcome.name == "HELD"
    assert (1, sale[1]) not in lane._blocked


async def test_a_sale_that_does_not_exist_is_no_locked_one(market: Market) -> None:
    """It is unknown at once, whatever else is locked."""
    sale = await market.sale(seats=1)
    blocker = await lock(market, sale)
    lane = market.lane()

    (answer,) = await submit(lane, place((1, 999), KIM, "a", 1))
    assert answer.outcome.name == "UNKNOWN_SALE"
    await blocker.execute("ROLLBACK")


async def test_two_lanes_share_one_sale(market: Market) -> None:
    """Each gets its turn, however fast the other one locks the sale again behind its commit."""
    sale = await market.sale(stocks=[100_000], products=[{1: 1}])
    lanes = [market.lane(batch_parts=3, batch_max=32, breath_s=0.05) for _ in range(2)]
    served: Counter[int] = Counter()
    enough = asyncio.Event()

    async def buy(number: int, who: Person) -> None:
        turn = 0
        while not enough.is_set():
            turn += 1
            command = place(sale, who, f"{turn}", products=[(1, 1)])
            (answer,) = await submit(lanes[number], command)
            assert answer.outcome.name == "HELD"
            served[number] += 1
            if min(served[0], served[1]) >= 200:
                enough.set()

    buyers = [buy(n % 2, person(n)) for n in range(1, 65)]
    await asyncio.wait_for(asyncio.gather(*buyers), PATIENCE_S)

    assert min(served.values()) >= served.total() / 3
    assert await market.rows("SELECT held FROM stocks") == [(served.total(),)]


async def test_a_lane_that_stops_settles_what_waits_for_a_lock(market: Market) -> None:
    """Nobody is left without an answer, and nothing is done behind anybody's back."""
    sale = await market.sale(seats=1)
    lane = market.lane(waiting=market.flush(lock_timeout_s=0.3), locked_max_s=0.05)
    blocker = await lock(market, sale)
    waiting = asyncio.ensure_future(submit(lane, place(sale, KIM, "a", 1)))
    await market.until_somebody_waits_for_a_lock()
    await lane.stop()

    (answer,) = await asyncio.wait_for(waiting, PATIENCE_S)
    assert answer.outcome is LaterOutcome.LOCKED
    await blocker.execute("ROLLBACK")
    assert await market.value("SELECT count(*) FROM holds") == 0


async def test_what_waits_for_a_lock_is_served_though_the_lane_stops(market: Market) -> None:
    """None of it is handed back to a queue that nobody looks at any more."""
    sale = await market.sale(seats=4)
    lane = market.lane(batch_max=1, batch_min=1)
    blocker = await lock(market, sale)
    commands = [place(sale, person(number), "a", number) for number in range(1, 5)]
    waiting = asyncio.ensure_future(submit(lane, *commands))
    await market.until_somebody_waits_for_a_lock()
    queue = lane._lane._runner
    assert queue is not None
    stopping = asyncio.ensure_future(lane.stop())
    await asyncio.wait({queue})
    await blocker.execute("ROLLBACK")

    answers = await asyncio.wait_for(waiting, PATIENCE_S)
    assert [answer.outcome.name for answer in answers] == ["HELD"] * 4
    await asyncio.wait_for(stopping, PATIENCE_S)
