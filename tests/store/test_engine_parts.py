"""Invented parts on real rows: lanes whose streams overlap never deadlock, and lose nothing."""

import asyncio
from collections import Counter
from random import Random
from uuid import UUID

import asyncpg
import pytest

from sunseo.engine.batch import BatchFlush
from sunseo.engine.entry import Defer
from sunseo.engine.part import Command
from sunseo.postgres.pipelined.statements import BEGIN, COMMIT, Statement
from tests.bazaar import Errand, Transfer, flush_of_bazaar, open_bazaar
from tests.store.market import PATIENCE_S, Market

LANES, ROUNDS, BATCH = 3, 40, 12
TILLS, STALLS, COINS = 4, 6, 300
# However asyncpg puts it that the server has ended a session.
GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
SEED = 20261130  # fixed: the race is in the timing, not in the commands


async def run(flush: BatchFlush, rounds: list[list[Command]]) -> Counter[str]:
    """Answer batch after batch as a lane does; no error is expected, least of all a deadlock."""
    heard: Counter[str] = Counter()
    ahead: list[Command] = []
    rounds = [*rounds]
    while rounds or ahead:
        commands, ahead = [*ahead, *(rounds.pop(0) if rounds else [])], []
        for answer in await flush(commands) if commands else ():
            if isinstance(answer, Defer):
                ahead.append(answer.command)
            else:
                heard[answer.outcome.name] += 1
    return heard


def rounds_of(lane: int) -> list[list[Command]]:
    """Transfers and errands over the same few streams, half of them known to another lane too."""
    dice = Random(f"{SEED} {lane}")

    def command(number: int) -> Command:
        effect = UUID(int=number if number % 2 else lane * 1_000_000 + number)
        if dice.random() < 0.3:
            return Errand(effect, dice.randint(1, STALLS))
        stalls = tuple(dice.sample(range(1, STALLS + 1), dice.randint(1, 4)))
        return Transfer(effect, dice.randint(1, TILLS), stalls)

    return [[command(turn * BATCH + place) for place in range(BATCH)] for turn in range(ROUNDS)]


async def test_lanes_with_overlapping_streams_never_deadlock(market: Market) -> None:
    """Three lanes pay from the same tills at the same stalls: all answered, every coin counted.

    One skips what is locked, and the others wait for it.
    """
    raw = await market.raw()
    await open_bazaar(raw, TILLS, STALLS, COINS)
    heard = sum(
        await asyncio.gather(
            *(
                run(flush_of_bazaar(market.connection(), waits=lane > 0), rounds_of(lane))
                for lane in range(LANES)
            )
        ),
        Counter[str](),
    )

    assert heard.total() == LANES * ROUNDS * BATCH
    assert heard["PAID"] > ROUNDS
    assert heard["REPLAYED"] > ROUNDS
    assert heard["PAID"] == await market.value("SELECT count(*) FROM notes")
    told = "SELECT kind, stream, sum((e->>'coins')::int), max(version), count(DISTINCT version)"
    journal = await market.rows(
        f"{told} FROM journal, jsonb_array_elements(events) AS e GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert journal == await market.rows(
        "SELECT 'account', number, coins - $1, version, version FROM tills WHERE version > 0"
        " UNION ALL SELECT 'sale', number, coins, version, version FROM stalls WHERE version > 0"
        " ORDER BY 1, 2",
        COINS,
    )


async def test_the_opposite_order_would_deadlock(market: Market) -> None:
    """What the order of streams prevents: stall before till against till before stall is 40P01."""
    await open_bazaar(await market.raw(), 1, 1, 1)
    one, other = await market.raw(), await market.raw()
    till, stall = (f"SELECT 1 FROM {table} FOR NO KEY UPDATE" for table in ("tills", "stalls"))  # noqa: S608 - two names from here
    for connection, first in ((one, till), (other, stall)):
        await connection.execute("BEGIN")
        await connection.execute(first)

    results = await asyncio.gather(one.execute(stall), other.execute(till), return_exceptions=True)
    assert [type(result) for result in results].count(asyncpg.DeadlockDetectedError) == 1


async def test_a_transaction_is_not_gone_on_with_in_another_session(market: Market) -> None:
    """What is sent to a session that has ended fails, and none of it is done by a new one."""
    raw = await market.raw()
    await open_bazaar(raw, 1, 1, 1)
    connection = market.connection()
    session = await connection.session()
    await session.send([BEGIN, Statement("/* pay */ UPDATE tills SET coins = 0")])
    await raw.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'sunseo lane'"
    )

    lost = Statement("/* get */ UPDATE stalls SET coins = 1")
    with pytest.raises(GONE):
        await session.send([lost, COMMIT])
    with pytest.raises(GONE):
        await session.send([lost, COMMIT])
    assert await connection.session() is not session
    assert await market.rows("SELECT t.coins, s.coins FROM tills t, stalls s") == [(1, 0)]


async def test_segments_run_in_the_order_in_which_they_were_sent(market: Market) -> None:
    """Nobody waits for an answer before the next segment is sent, and all of them are in order."""
    await open_bazaar(await market.raw(), 1, 1, 0)
    session = await market.connection().session()

    def add(coins: int) -> Statement:
        query = "/* add */ UPDATE tills SET coins = coins * 10 + $1::text::bigint"
        return Statement(query, (str(coins),))

    sent = [session.send([BEGIN, add(2 * n), add(2 * n + 1), COMMIT]) for n in range(4)]
    answers = await asyncio.wait_for(asyncio.gather(*sent), PATIENCE_S)
    assert [answer[-1].tag for answer in answers] == ["COMMIT"] * 4
    assert await market.value("SELECT coins FROM tills") == 1234567


async def test_a_till_never_pays_more_than_it_has(market: Market) -> None:
    """Two lanes empty one till at the same moment; the floor is held by the lock, not by luck."""
    await open_bazaar(await market.raw(), 1, 2, 10)
    wanted: list[list[Command]] = [
        [Transfer(UUID(int=lane * 100 + n), 1, (lane + 1,)) for n in range(9)] for lane in (0, 1)
    ]
    heard = await asyncio.gather(
        *(run(flush_of_bazaar(market.connection()), [batch]) for batch in wanted)
    )
    assert sum(heard, Counter[str]()) == {"PAID": 10, "TOO_POOR": 8}
    assert await market.rows("SELECT coins FROM tills") == [(0,)]
