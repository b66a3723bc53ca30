"""A lane's connection that is lost: what was committed is what is told, or that nobody knows."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import asyncpg
import pytest

from sunseo.core.later import Fault
from sunseo.postgres.connection import ConnectionLimits
from sunseo.postgres.errors import fault_of
from sunseo.postgres.pipelined.lost import CommitUnknownError, NothingDoneError
from sunseo.postgres.pipelined.pipeline import PipelineConnection
from sunseo.postgres.pipelined.segments import Statement
from sunseo.postgres.pipelined.session import PipelineSession
from tests.store.cutting_proxy import CuttingProxy, Way, cutting_proxy
from tests.store.pipeline_house import (
    BEGIN,
    COMMIT,
    PATIENCE_S,
    ROLLBACK,
    House,
    error_of,
    found,
    house,
    keep,
    until,
)

__all__ = ["house"]

Fate = Literal["done", "not done", "unknown"]
TABLE = "CREATE TABLE pairs (run integer, batch integer, half text, PRIMARY KEY (run, batch, half))"
LANES_ARE_GONE = """
SELECT NOT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'sunseo lane'
)
"""


RUNS_MAX = 200


class Pairs:
    """Runs of two batches, the second sent behind the commit of the first; each writes a pair."""

    def __init__(self, watching: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.watching = watching
        self.told: dict[tuple[int, int], Fate] = {}

    async def run(self, run: int, session: PipelineSession) -> None:
        def half(batch: int, name: str) -> Statement:
            query = "INSERT INTO pairs VALUES ($1::text::integer, $2::text::integer, $3::text)"
            return query, (str(run), str(batch), name)

        session.send([BEGIN, half(1, "a")])
        first = session.send([half(1, "b"), COMMIT])
        behind = session.send([BEGIN, half(2, "a")])
        self.told[run, 1] = await fate_of(first)
        begun = await fate_of(behind)
        assert begun != "unknown", "nothing was sent that could commit it"
        self.told[run, 2] = "not done"
        if begun == "done":
            self.told[run, 2] = await fate_of(session.send([half(2, "b"), COMMIT]))

    async def compared(self) -> Counter[tuple[Fate, int]]:
        """How often each thing was told while so many halves were there, once all has ended."""
        await found(self.watching, LANES_ARE_GONE)
        rows = await self.watching.fetch("SELECT run, batch, count(*) FROM pairs GROUP BY 1, 2")
        there = {(row["run"], row["batch"]): row["count"] for row in rows}
        return Counter((fate, there.get(key, 0)) for key, fate in self.told.items())


async def fate_of(future: "asyncio.Future[Any]") -> Fate:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await future
    except NothingDoneError:
        return "not done"
    except CommitUnknownError:
        return "unknown"
    return "done"


@pytest.fixture
async def pairs(database_dsn: str) -> AsyncIterator[Pairs]:
    watching = await asyncpg.connect(database_dsn)
    await watching.execute(TABLE)
    try:
        yield Pairs(watching)
    finally:
        await watching.close()


@contextmanager
def unseen(house: House) -> Iterator[None]:
    """Have a session not look at its connection meanwhile, as one that is busy otherwise."""
    session, loop = house.session, asyncio.get_running_loop()
    loop.remove_reader(session._socket)
    yield
    if session.is_alive:
        loop.add_reader(session._socket, session._on_readable)


def middles_and_ends(stream: bytes) -> Iterator[int]:
    """Places to cut a stream of messages at: within each, and right behind it."""
    place = 0
    while place < len(stream):
        length = 1 + int.from_bytes(stream[place + 1 : place + 5])
        yield place + length // 2
        place += length
        yield place


async def run_cut(
    pairs: Pairs, proxy: CuttingProxy, dsn: str, run: int, at: tuple[Way, int]
) -> int:
    """Run once, with the wire cut there; how far it could have been cut."""
    lane = PipelineConnection(proxy.dsn(dsn))
    session = await lane.session()
    proxy.arm(*at)
    await pairs.run(run, session)
    proxy.disarm()
    passed = len(proxy.passed[at[0]])
    lane.drop()
    return passed


@pytest.mark.parametrize("way", ["up", "down"])
async def test_wherever_the_wire_is_cut_nothing_wrong_is_told(
    pairs: Pairs, database_dsn: str, way: Way
) -> None:
    """Done is there whole, not done is not there at all, unknown is one or the other."""
    async with cutting_proxy(database_dsn) as proxy:
        whole = await run_cut(pairs, proxy, database_dsn, 0, (way, 1_000_000))
        places = sorted({0, *middles_and_ends(bytes(proxy.passed[way][:whole]))})
        for run, place in enumerate(places, 1):
            await run_cut(pairs, proxy, database_dsn, run, (way, place))
        assert proxy.cut >= len(places) - 1  # behind the last there may be nothing

    seen = await pairs.compared()
    wrong = {("done", 0), ("done", 1), ("not done", 1), ("not done", 2), ("unknown", 1)}
    assert not wrong & set(seen), seen
    assert seen["done", 2] >= 10
    assert seen["not done", 0] >= 10
    # Cut on the way there a COMMIT may not have arrived; on the way back it surely had.
    assert seen["unknown", 0 if way == "up" else 2] >= 2


async def test_whenever_it_is_dropped_nothing_wrong_is_told(
    pairs: Pairs, database_dsn: str
) -> None:
    """The same, when this side hangs up while segments are in flight."""
    for run in range(1, RUNS_MAX):
        lane = PipelineConnection(database_dsn)
        running = asyncio.ensure_future(pairs.run(run, await lane.session()))
        for _ in range(run * run // 4):
            await asyncio.sleep(0)
        is_over = running.done()
        lane.drop()
        await running
        if is_over:
            break

    seen = await pairs.compared()
    wrong = {("done", 0), ("done", 1), ("not done", 1), ("not done", 2), ("unknown", 1)}
    assert not wrong & set(seen), seen
    assert seen["not done", 0] >= 1
    assert seen["unknown", 0] + seen["unknown", 2] >= 1


async def test_a_commit_that_waits_when_it_is_dropped_is_unknown(house: House) -> None:
    """And what was sent without a commit is not done: neither is told as the other."""
    blocker = await asyncpg.connect(house.dsn)
    await blocker.execute("BEGIN; INSERT INTO kept VALUES (1)")
    pid = await house.backend()
    committing = house.send([BEGIN, keep(1), COMMIT])
    behind = house.send([BEGIN, keep(2)])
    await house.waiting_for_a_lock(pid)
    house.lane.drop()
    errors = [await error_of(committing), await error_of(behind)]
    await blocker.execute("ROLLBACK")
    await blocker.close()

    assert [type(error) for error in errors] == [CommitUnknownError, NothingDoneError]
    assert [fault_of(error) for error in errors] == [Fault.INFRASTRUCTURE] * 2
    await house.connect()
    await house.send([BEGIN, keep(3), COMMIT])
    await house.gone(pid)
    assert set(await house.kept()) in ({3}, {1, 3})


async def test_what_runs_outside_of_a_transaction_may_be_done(house: House) -> None:
    """Its end commits it, so that it is unknown when its answer does not come."""
    blocker = await asyncpg.connect(house.dsn)
    await blocker.execute("BEGIN; INSERT INTO kept VALUES (1)")
    pid = await house.backend()
    writing = house.send([keep(1)])
    await house.waiting_for_a_lock(pid)
    house.lane.drop()
    await blocker.close()

    assert isinstance(await error_of(writing), CommitUnknownError)


async def test_a_session_that_is_killed_while_idle_has_done_nothing(house: House) -> None:
    """What is sent to it is told as not done, and the next session does it."""
    pid = await house.backend()
    with unseen(house):
        await house.watching.execute("SELECT pg_terminate_backend($1)", pid)
        await house.gone(pid)
        sent = house.send([BEGIN, keep(1), COMMIT])
    assert isinstance(await error_of(sent), NothingDoneError)
    assert not house.session.is_alive
    await house.connect()
    await house.send([BEGIN, keep(2), COMMIT])

    assert await house.kept() == [2]


async def test_the_end_of_an_idle_session_is_seen(house: House) -> None:
    """Without anything being sent: who asks for a session gets another one."""
    ended = house.session
    await house.watching.execute("SELECT pg_terminate_backend($1)", await house.backend())
    await until(lambda: asyncio.sleep(0, not ended.is_alive))

    assert await house.connect() is not ended
    assert isinstance(await error_of(ended.send([BEGIN, keep(1)])), NothingDoneError)
    assert [answer.tag for answer in await ended.send([ROLLBACK])] == ["ROLLBACK"]


@pytest.mark.parametrize("rest", [[keep(2)], [keep(3), COMMIT], [COMMIT]])
async def test_a_transaction_that_idled_for_too_long_is_over(
    house: House, rest: list[Statement]
) -> None:
    """The server's word (25P03) says that it never came to what was sent, be it a COMMIT."""
    async with house.limited(idle_in_transaction_s=0.05) as other:
        pid = await other.backend()
        await other.send([BEGIN, keep(1)])
        with unseen(other):
            await house.gone(pid)
            sent = other.send(rest)
        error = await error_of(sent)
        later = await error_of(other.send([keep(4)]))

    assert [type(error), type(later)] == [NothingDoneError, NothingDoneError]
    assert await house.kept() == []


async def test_a_killed_session_fails_all_in_flight(house: House) -> None:
    """Ended by an operator before a COMMIT was reached: the server's word says that none was."""
    blocker = await asyncpg.connect(house.dsn)
    await blocker.execute("BEGIN; INSERT INTO kept VALUES (1)")
    pid = await house.backend()
    committing = house.send([BEGIN, keep(1), COMMIT])
    behind = house.send([BEGIN, keep(2), COMMIT])
    await house.waiting_for_a_lock(pid)
    await house.watching.execute("SELECT pg_terminate_backend($1)", pid)
    errors = [await error_of(committing), await error_of(behind)]
    await blocker.close()

    assert [type(error) for error in errors] == [NothingDoneError] * 2
    cause = errors[0].__cause__
    assert isinstance(cause, asyncpg.PostgresError)
    assert cause.sqlstate == "57P01"
    assert await house.kept() == []


async def test_without_a_server_nothing_is_done(house: House) -> None:
    """All who ask for a session are told so; it is nobody's fault in a batch."""
    lane = PipelineConnection(house.dsn.replace("port=5432", "port=5999"))
    errors = await asyncio.gather(lane.session(), lane.session(), return_exceptions=True)

    assert [type(error) for error in errors] == [NothingDoneError] * 2
    assert isinstance(errors[0], Exception)
    assert fault_of(errors[0]) is Fault.INFRASTRUCTURE
    assert not lane.is_connected


async def test_a_server_that_never_answers_is_given_up(house: House) -> None:
    """A session that is not made in time is not waited for any longer."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    lane = PipelineConnection(
        f"postgresql://sunseo@127.0.0.1:{port}/sunseo",
        limits=ConnectionLimits(connect_timeout_s=0.1),
    )
    with pytest.raises(NothingDoneError) as told:
        await lane.session()
    for writer in held:
        writer.close()
    server.close()

    assert isinstance(told.value.__cause__, TimeoutError)


async def test_the_next_host_is_tried(house: House) -> None:
    """Of several hosts the first that answers is taken."""
    folder = house.dsn.partition("host=")[2].partition("&")[0]
    lane = PipelineConnection(house.dsn.replace(f"host={folder}", f"host=/nowhere,{folder}"))
    await (await lane.session()).send([BEGIN, keep(1), COMMIT])
    lane.drop()

    assert await house.kept() == [1]


async def test_dropped_while_connecting_it_says_so_and_connects_anew(house: House) -> None:
    """Who waits for a session is told that nothing was done; who asks afterwards gets one."""
    lane = PipelineConnection(house.dsn)
    waiting = asyncio.ensure_future(lane.session())
    await asyncio.sleep(0)
    lane.drop()
    later = await lane.session()

    assert isinstance(await error_of(waiting), NothingDoneError)
    assert await lane.session() is later
    lane.drop()


async def test_a_caller_who_goes_away_leaves_the_session_to_the_next(house: House) -> None:
    """What was begun for one is finished for another; there are never two."""
    lane = PipelineConnection(house.dsn)
    first = asyncio.ensure_future(lane.session())
    await asyncio.sleep(0)
    first.cancel()
    sessions = await asyncio.gather(lane.session(), lane.session())
    lane.drop()

    assert sessions[0] is sessions[1]
    assert first.cancelled()
