"""The fence: no two writers of one version of a stream, and no writer beside its stream."""

import asyncio
from typing import Any

import asyncpg
import pytest

from sunseo.core.later import Fault, Later, LaterOutcome, Reason
from sunseo.engine.applying import LaneLimits
from sunseo.engine.lane import Lane
from sunseo.engine.part import Command, PartAnswer
from sunseo.postgres.errors import fault_of
from tests.lane_script import Ears
from tests.store.market import KIM, LEE, Market, person, place

RIVAL = (
    "INSERT INTO journal (organisation, kind, stream, version, recorded_at, events)"
    " SELECT organisation, 'sale', sale, version + 1, now(), '[]' FROM sales"
)
RIVAL_LEAVES = "DELETE FROM journal WHERE events = '[]'"
COUNT = "UPDATE stocks SET held = held + 1"
RAISE = "UPDATE sales SET version = version + 1"


async def submit(lane: Lane[Command, PartAnswer], *commands: Any) -> list[Any]:
    return [answer.result for answer in await asyncio.gather(*map(lane.submit, commands))]


async def test_a_version_that_another_writer_took_is_tried_again_whole(market: Market) -> None:
    """The batch is rolled back and decided anew, all of it at once; nobody hears of it."""
    sale = await market.sale(seats=4)
    await market.rows(RIVAL)
    ears = Ears()

    async def rival_leaves(_pause_s: float) -> None:
        await market.rows(RIVAL_LEAVES)

    lane: Lane[Command, PartAnswer] = Lane(
        market.flush(),
        later=Later,
        fault_of=fault_of,
        meter=ears,
        pause=rival_leaves,
    )
    lane.start()
    answers = await submit(lane, *(place(sale, person(n), "a", n) for n in range(1, 5)))
    await lane.stop()

    assert [answer.outcome.name for answer in answers] == ["HELD"] * 4
    assert (ears.batches, ears.retries, ears.bisections) == ([4], 1, 0)
    assert await market.rows("SELECT version FROM sales") == [(3,)]
    assert await market.value("SELECT count(*) FROM journal") == 3


async def test_a_version_that_stays_taken_is_answered_busy_and_nothing_moves(
    market: Market,
) -> None:
    """After a few tries of the whole batch its callers are told that nothing was done."""
    sale = await market.sale(seats=2)
    await market.rows(RIVAL)
    before = await market.tables()
    ears = Ears()
    lane: Lane[Command, PartAnswer] = Lane(
        market.flush(),
        later=Later,
        fault_of=fault_of,
        limits=LaneLimits(retry_pause_s=0.001, fence_retries=2),
        meter=ears,
    )
    lane.start()
    answers = await submit(lane, place(sale, KIM, "a", 1), place(sale, LEE, "b", 2))
    await lane.stop()

    assert [answer.outcome for answer in answers] == [LaterOutcome.BUSY] * 2
    assert (ears.batches, ears.retries, ears.bisections) == ([], 2, 0)
    assert ears.refusals == {Reason.FENCED: 2}
    assert await market.tables() == before


async def test_only_the_journals_key_is_the_fence(market: Market) -> None:
    """Another unique key that is broken is the fault of a command, and is looked for."""
    await market.sale(seats=1)
    raw = await market.raw()
    twice = {
        Fault.FENCE: "INSERT INTO journal SELECT * FROM journal",
        Fault.DATA: "INSERT INTO seats SELECT * FROM seats",
    }
    for fault, statement in twice.items():
        with pytest.raises(asyncpg.UniqueViolationError) as broken:
            await raw.execute(statement)
        assert fault_of(broken.value) is fault


@pytest.mark.parametrize(
    "statements",
    [
        [COUNT, RAISE],
        [RAISE, COUNT],
        [COUNT, "SAVEPOINT s", RAISE, "RELEASE s"],
        [RAISE, "SAVEPOINT s", COUNT, "RELEASE s"],
        ["SAVEPOINT s", COUNT, "ROLLBACK TO s"],
        ["SAVEPOINT s", RAISE, "RELEASE s", "SAVEPOINT s", COUNT, "RELEASE s"],
    ],
    ids="; ".join,
)
async def test_who_writes_the_stream_too_may_change_its_rows(
    database_dsn: str, market: Market, statements: list[str]
) -> None:
    """In whatever order and under whatever savepoints, as long as both are committed together."""
    await market.sale(stocks=[5], products=[{1: 1}])
    connection = await asyncpg.connect(database_dsn)
    try:
        await connection.execute("BEGIN")
        for statement in statements:
            await connection.execute(statement)
        assert await connection.execute("COMMIT") == "COMMIT"
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statements",
    [
        [COUNT],
        ["SELECT 1 FROM sales FOR UPDATE", COUNT],
        ["UPDATE sales SET paused = true", COUNT],
        [COUNT, "SAVEPOINT s", RAISE, "ROLLBACK TO s"],
        [RAISE, "COMMIT", "BEGIN", COUNT],
        ["UPDATE sales SET version = version + 1 WHERE sale <> 1", COUNT],
        ["DELETE FROM stocks"],
    ],
    ids="; ".join,
)
async def test_who_does_not_may_not(
    database_dsn: str, market: Market, statements: list[str]
) -> None:
    """Locking is not enough, nor is another sale's version, nor what a savepoint has undone."""
    await market.sale(stocks=[5], products=[{1: 1}])
    before = await market.rows("SELECT * FROM stocks")
    connection = await asyncpg.connect(database_dsn)
    try:
        await connection.execute("BEGIN")
        for statement in statements:
            await connection.execute(statement)
        with pytest.raises(asyncpg.AssertError, match="without the sale"):
            await connection.execute("COMMIT")
    finally:
        await connection.close()
    assert await market.rows("SELECT * FROM stocks") == before
