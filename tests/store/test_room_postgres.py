"""The rooms' store on PostgreSQL: the suite of all stores, and what befalls only this one."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Generic, TypeVar

import asyncpg
import pytest

from sunseo.core.clock import from_millis
from sunseo.core.later import Later, LaterOutcome
from sunseo.engine.applying import LaneLimits
from sunseo.engine.lane import Lane
from sunseo.operators.command import OperatorCommands
from sunseo.postgres.connection import LaneConnection, Transaction
from sunseo.postgres.errors import constraint_of, fault_of
from sunseo.postgres.pool import create_cold_engine
from sunseo.room.line.commands import (
    EnterOutcome,
    JoinOutcome,
    Leave,
    RoomCommand,
    RoomKey,
    pass_id_of,
)
from sunseo.room.line.lanes import RoomLanes
from sunseo.room.postgres.batch import RoomFlush
from sunseo.room.postgres.load import QUERIES
from sunseo.room.postgres.store import postgres_store
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.store import LineStore, RoomStore
from tests.paper_line import START_MS
from tests.store.cutting_proxy import cutting_proxy
from tests.store.lobby import Lobby, TimedConnection
from tests.store.room_exercise import RoomExercise
from tests.store.room_exercise.premises import (
    ORGANISATION,
    WORKERS,
    Counts,
    Pause,
    Wire,
    ask,
    enter,
    join,
    join_by_account,
    numbers_of,
)

PATIENCE_S = 120


AHEAD = (
    "UPDATE room_leases SET lease_until = lease_until + $1",
    "UPDATE room_passes SET entered_at = entered_at + $1, renewed_at = renewed_at + $1",
    "UPDATE room_passes SET expires_at = expires_at + $1, slot_until = slot_until + $1",
    "UPDATE room_passes SET session_until = session_until + $1",
    "UPDATE room_signals SET at = at + $1",
    "UPDATE room_releases SET released_at = released_at + $1",
)


class PostgresPremises:
    """Rooms on PostgreSQL, and lanes on connections whose clock the test moves."""

    def __init__(self, dsn: str) -> None:
        self.lobby = Lobby(dsn)
        self._workers = [Worker(dsn, TimedConnection(dsn)) for _ in range(WORKERS)]
        self.stores: list[RoomStore] = [worker.store for worker in self._workers]
        self._now_ms = START_MS
        self.let_time_pass(0)
        for worker in self._workers:
            worker.lanes.start()
        self.open_room = self.lobby.open_room
        self.change = self.lobby.change
        self.call_up_to = self.lobby.call_up_to

    def let_time_pass(self, seconds: float) -> None:
        self._now_ms += round(seconds * 1000)
        for worker in self._workers:
            worker.connection.stands_at = from_millis(self._now_ms)

    def let_time_run(self) -> None:
        for worker in self._workers:
            worker.connection.stands_at = None

    async def step_clock(self, seconds: float) -> None:
        for statement in AHEAD:
            await self.lobby.rows(statement, timedelta(seconds=-seconds))

    async def begin_epoch(self, room: RoomKey) -> None:
        await self.lobby.rows(
            "UPDATE room_lines SET epoch = epoch + 1, issued = 0, serving = 0, live = 0"
            " WHERE organisation = $1 AND room = $2",
            *room,
        )

    async def counts(self, room: RoomKey) -> Counts:
        line = await self.lobby.line(room)
        stored = await self.lobby.rows(
            "SELECT count(*) FROM room_passes"
            " WHERE organisation = $1 AND room = $2 AND epoch = $3 AND state = 'live'",
            *room,
            line["epoch"],
        )
        assert stored == [(line["live"],)]  # the counter is the count
        return Counts(*(line[name] for name in Counts._fields))

    async def audited(self) -> list[tuple[str, str, dict[str, Any]]]:
        rows = await self.lobby.rows(
            "SELECT actor, action, details::text FROM audit_log ORDER BY entry"
        )
        return [(actor, action, json.loads(details)) for actor, action, details in rows]

    @asynccontextmanager
    async def behind_wire(self) -> AsyncIterator[tuple[RoomStore, Wire]]:
        async with cutting_proxy(self.lobby.dsn) as proxy:
            worker = Worker(dsn := proxy.dsn(self.lobby.dsn), TimedConnection(dsn))
            worker.connection.stands_at = self._workers[0].connection.stands_at
            worker.lanes.start()
            try:
                yield worker.store, proxy
            finally:
                await worker.close()

    @asynccontextmanager
    async def pausing(self) -> AsyncIterator[tuple[LineStore, Pause]]:
        connection = PausingConnection(self.lobby.dsn)
        async with lanes(connection) as opened:
            yield opened, Pause(connection.decided, connection.go_on)

    @asynccontextmanager
    async def dying_once(self) -> AsyncIterator[LineStore]:
        async with lanes(DyingConnection(self.lobby)) as opened:
            yield opened

    async def close(self) -> None:
        for worker in self._workers:
            await worker.close()
        await self.lobby.close()


C = TypeVar("C", bound=LaneConnection)


class Worker(Generic[C]):
    """What one process has: its store, on one lane and one pool."""

    def __init__(self, dsn: str, connection: C) -> None:
        self.connection = connection
        self.lanes = lanes_on(connection)
        self._engine = create_cold_engine(dsn, size=4)
        engine = self._engine
        commands = OperatorCommands(engine, ORGANISATION)
        self.store = postgres_store(self.lanes, cold=engine, commands=commands, rooms=engine)

    async def close(self) -> None:
        await self.lanes.stop()
        await self.connection.close()
        await self._engine.dispose()


def lanes_on(connection: LaneConnection, limits: LaneLimits | None = None) -> RoomLanes:
    flush = RoomFlush(connection)
    return RoomLanes([Lane(flush, later=Later, fault_of=fault_of, limits=limits or LaneLimits())])


@pytest.fixture
async def premises(database_dsn: str) -> AsyncIterator[PostgresPremises]:
    opened = PostgresPremises(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()


class TestPostgres(RoomExercise):
    """All that every store keeps."""


@asynccontextmanager
async def lanes(connection: LaneConnection) -> AsyncIterator[RoomLanes]:
    opened = lanes_on(connection)
    opened.start()
    try:
        yield opened
    finally:
        await opened.stop()
        await connection.close()


async def submit(store: LineStore, *commands: RoomCommand) -> list[Any]:
    return [answer.result for answer in await asyncio.gather(*map(store.submit, commands))]


async def test_a_join_is_repeated_after_an_unknown_outcome(premises: PostgresPremises) -> None:
    """Two lost acknowledgements: the caller hears that nobody knows, and asking again tells."""
    room = await premises.open_room(RoomSettings())
    async with (
        cutting_proxy(premises.lobby.dsn) as proxy,
        lanes(LaneConnection(proxy.dsn(premises.lobby.dsn))) as cut,
    ):
        proxy.cuts_left = 2
        (unknown,) = await submit(cut, join(room, 1))
        (again,) = await submit(cut, join(room, 1))

    assert unknown.outcome is LaterOutcome.OUTCOME_UNKNOWN
    assert (again.outcome, numbers_of([again])) == (JoinOutcome.REPLAYED, [1])
    assert (await premises.counts(room)).issued == 1


async def test_places_of_one_batch_follow_each_other(premises: PostgresPremises) -> None:
    """A person comes, enters, leaves and comes again, all in one batch; then again in another."""
    room = await premises.open_room(RoomSettings(mode="passthrough"))
    come, places = join_by_account(room, 1), "SELECT number, followed_by FROM room_places"

    await premises.lobby.do(come, enter(room, 1), Leave(room, 1, pass_id_of(1, 5)), come)
    at_first = await premises.lobby.rows(f"{places} ORDER BY number")
    await premises.lobby.do(enter(room, 2), Leave(room, 1, pass_id_of(2, 5)), come)

    assert at_first == [(1, 2), (2, None)]
    assert await premises.lobby.rows(f"{places} ORDER BY number") == [(1, 2), (2, 3), (3, None)]


async def test_no_holder_gets_two_places_even_without_the_lock(premises: PostgresPremises) -> None:
    """Two who both write without locking the line: the second waits, and then is refused."""
    room = await premises.open_room(RoomSettings())
    write = (
        "INSERT INTO room_places (organisation, room, epoch, holder, number, issued_at)"
        " VALUES ($1, $2, 1, '00000000-0000-4000-8000-000000000001', $3, now())"
    )
    first, second = [await asyncpg.connect(premises.lobby.dsn) for _ in range(2)]
    try:
        async with first.transaction():
            await first.execute(write, *room, 1)
            writing = asyncio.ensure_future(second.execute(write, *room, 2))
            await _wait_for_a_lock_wait(premises.lobby)
        with pytest.raises(asyncpg.ExclusionViolationError) as refusal:
            await asyncio.wait_for(writing, PATIENCE_S)
    finally:
        await first.close()
        await second.close()

    assert constraint_of(refusal.value) == "room_places_one_per_holder"


class PausingConnection(LaneConnection):
    """Stops a batch between its decision and its writing, once."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.decided = asyncio.Event()
        self.go_on = asyncio.Event()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as tx:
            yield _PausingTransaction(tx, self)


class _PausingTransaction(Transaction):
    def __init__(self, tx: Transaction, pauses: PausingConnection) -> None:
        super().__init__(tx._connection)
        self._pauses = pauses

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        if query == QUERIES["write_lines"]:
            self._pauses.decided.set()
            await self._pauses.go_on.wait()
        return await super().fetch(query, *arguments)


class DyingConnection(LaneConnection):
    """Is killed by the server when a batch is about to be written, once."""

    def __init__(self, lobby: Lobby) -> None:
        super().__init__(lobby.dsn)
        self.lobby = lobby
        self.is_doomed = True

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as tx:
            yield _DyingTransaction(tx, self)


class _DyingTransaction(Transaction):
    def __init__(self, tx: Transaction, dying: DyingConnection) -> None:
        super().__init__(tx._connection)
        self._dying = dying

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        if query == QUERIES["write_lines"] and self._dying.is_doomed:
            self._dying.is_doomed = False
            ((process,),) = await super().fetch("SELECT pg_backend_pid()")
            killed = await self._dying.lobby.rows("SELECT pg_terminate_backend($1)", process)
            assert killed == [(True,)]
        return await super().fetch(query, *arguments)


async def test_two_workers_wait_for_each_other_at_the_line(premises: PostgresPremises) -> None:
    """The second decides by what the first has written, though it had begun before."""
    room = await premises.open_room(RoomSettings(capacity=1), serving=2)
    connection = PausingConnection(premises.lobby.dsn)
    async with lanes(connection) as paused:
        first = asyncio.ensure_future(submit(paused, enter(room, 1), join(room, 1)))
        await asyncio.wait_for(connection.decided.wait(), PATIENCE_S)
        second = asyncio.ensure_future(ask(premises.stores[0].lines, enter(room, 2), join(room, 1)))
        await _wait_for_a_lock_wait(premises.lobby)
        connection.go_on.set()
        answers = await asyncio.wait_for(asyncio.gather(first, second), PATIENCE_S)

    assert [a.outcome for a in answers[0]] == [EnterOutcome.ENTERED, JoinOutcome.JOINED]
    assert [a.outcome for a in answers[1]] == [EnterOutcome.ROOM_FULL, JoinOutcome.REPLAYED]


async def _wait_for_a_lock_wait(lobby: Lobby) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with asyncio.timeout(PATIENCE_S):
        while await lobby.rows(waiting) != [(1,)]:
            pass


async def test_batches_over_many_rooms_never_deadlock(premises: PostgresPremises) -> None:
    """Two workers ask for the same rooms in opposite orders; lines are locked in one order."""
    rooms = [await premises.open_room(RoomSettings(capacity=400), serving=400) for _ in range(8)]

    async def worker(store: LineStore, some: list[RoomKey], first: int) -> Counter[str]:
        heard: Counter[str] = Counter()
        for turn in range(25):
            number = first + turn
            commands = [ask_for(room) for room in some for ask_for in (
                lambda room, n=number: join(room, n), lambda room, n=number: enter(room, n),
            )]  # fmt: skip
            heard.update(answer.outcome.name for answer in await submit(store, *commands))
        return heard

    heard = await asyncio.gather(
        worker(premises.stores[0].lines, rooms, 1),
        worker(premises.stores[1].lines, rooms[::-1], 101),
    )

    assert sum(heard, Counter[str]()) == {"JOINED": 400, "ENTERED": 400}
    assert {await premises.counts(room) for room in rooms} == {Counts(1, 450, 400, 50)}


async def test_a_clock_is_read_after_the_lock(premises: PostgresPremises) -> None:
    """Who waited for the line decides at the end of the wait: a pass has lapsed meanwhile."""
    room = await premises.open_room(RoomSettings(capacity=1), serving=2)
    async with lanes(TimedConnection(premises.lobby.dsn)) as real:
        await ask(real, enter(room, 1))
        blocker = PausingConnection(premises.lobby.dsn)
        async with lanes(blocker) as blocking:
            first = asyncio.ensure_future(submit(blocking, join(room, 1)))
            await asyncio.wait_for(blocker.decided.wait(), PATIENCE_S)
            second = asyncio.ensure_future(ask(real, join(room, 2)))
            await _wait_for_a_lock_wait(premises.lobby)
            ((released_at,),) = await premises.lobby.rows("SELECT clock_timestamp()")
            blocker.go_on.set()
            await first
            answer = (await second)[0]

    assert answer.place is not None
    assert from_millis(answer.place.issued_at_ms) > released_at - timedelta(milliseconds=1)
