"""Build every part of a worker in order, and stop them cleanly: the only file that knows them all.

State       A worker is BUILT, STARTED, then STOPPED.
Guarantee   What is started last is stopped first: no new turns of background loops, then the lanes
            drain (every caller gets an answer), then connections close.
On failure  A worker starts without the database and is not ready until the database is there.
"""

import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy.exc import SQLAlchemyError

from sunseo.booking.capability import BookingCapability
from sunseo.booking.commands import PlaceHoldOutcome
from sunseo.booking.halt import OF_DISK, SellingHalt
from sunseo.capability import BackgroundTurn, Capability, Check
from sunseo.checkout.capability import CheckoutCapability
from sunseo.checkout.part import flush_of_sales
from sunseo.core.clock import ClockGuard
from sunseo.core.later import Later
from sunseo.core.loops import Repeat
from sunseo.core.processes import exit_with_starter
from sunseo.engine.applying import FOLLOWING, LaneLimits
from sunseo.engine.lane import Lane
from sunseo.engine.lanes import EngineLane, EngineLanes
from sunseo.identity.capability import IdentityCapability
from sunseo.journal.capability import JournalCapability
from sunseo.journal.tail import JournalTail
from sunseo.operators.command import OperatorCommands
from sunseo.operators.keys import KeyFinder
from sunseo.postgres.address.existing import place_of
from sunseo.postgres.connection import ConnectionLimits, LaneConnection
from sunseo.postgres.disk import DiskWatch
from sunseo.postgres.errors import outage_of
from sunseo.postgres.pipelined.pipeline import PipelineConnection
from sunseo.postgres.pool import create_cold_engine, open_connections
from sunseo.postgres.readiness import hindrance_of
from sunseo.room.capability import RoomCapability, SaleSource
from sunseo.room.line.lanes import RoomLane, RoomLanes
from sunseo.room.pacing.health import AnswerTally, WaitWatch
from sunseo.room.pacing.stock import RemainingStock
from sunseo.room.postgres.batch import RoomFlush
from sunseo.room.postgres.store import postgres_store
from sunseo.settings import Settings
from sunseo.telemetry.aside import SetAside
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.telemetry.troubles import Troubles
from sunseo.web.app import App, build_app
from sunseo.web.endpoint import Auth, Endpoint
from sunseo.web.health import health_endpoints
from sunseo.web.limits import Limits
from sunseo.web.server.http_server import HttpServer

HOUSEKEEPING_EVERY_S = 1.0
ROOM_CONNECTIONS = 2  # the board's and the leader's, which wait for nobody else
URGENT_CONNECTIONS = 3  # two to stop and to go on with, one to find out whose key is shown
URGENT_STATEMENT_S = 5.0
URGENT_EVERY_S = 5.0  # one is kept open: PostgreSQL may have none to give when it is wanted
ROOM_STATEMENT_S = 5.0  # a step that takes longer is overtaken by another leader's
GC_THRESHOLDS = (10_000, 50, 100)  # Python's own are 700, 10, 10
BLOCKED_TRY_S = 0.05  # for which a sale that somebody else has locked is waited for at a time
CONNECTIONS_MIN = 16_384  # accepted by a worker: most of them are idle, and one more hears nothing


class WorkerPlan(msgspec.Struct, frozen=True):
    """What the supervisor hands to a worker."""

    settings: Settings
    dsn: str
    secret: str
    metrics_folder: Path
    disk: Path | None  # to be watched; none where PostgreSQL is not ours
    revision: str | None  # of the schema, without which a worker is not ready


class Worker:
    """All parts of one worker process."""

    def __init__(self, plan: WorkerPlan, metrics: Metrics, logs: Logs) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._organisation = plan.settings.organisation
        self._metrics = metrics
        self._logs = logs
        self._logger = logs.logger("worker")
        self._troubles = Troubles(metrics, self._logger.warning, place_of(plan.settings))
        self._aside = SetAside(self._logger.warning, count=self._note_set_aside)
        self._disk = _disk_watch(plan)
        self._halt = SellingHalt(self._halts, self._logger.warning, metrics.selling_stopped)
        self._tally = AnswerTally()
        self._waits: list[WaitWatch] = []
        self._engine = create_cold_engine(plan.dsn)
        self._urgent_engine = create_cold_engine(
            plan.dsn, size=URGENT_CONNECTIONS, statement_timeout_s=URGENT_STATEMENT_S
        )
        self._commands = OperatorCommands(self._engine, self._organisation, self._urgent_engine)
        self._tail_connection = self._connection()
        self._lane_connections = [
            (self._pipeline(), self._pipeline(lock_timeout_s=BLOCKED_TRY_S))
            for _ in range(plan.settings.lanes)
        ]
        self._lanes = EngineLanes(
            [self._lane(number, *held) for number, held in enumerate(self._lane_connections)]
        )
        finder = KeyFinder(self._urgent_engine, self._organisation)
        self._identity = IdentityCapability(plan.settings, plan.secret, finder.find)
        self._booking = BookingCapability(
            plan.settings,
            metrics,
            engine=self._engine,
            commands=self._commands,
            lanes=self._lanes,
            tail=JournalTail(self._tail_connection),
            halt=self._halt,
            aside=self._aside,
        )
        self._room_engine = create_cold_engine(
            plan.dsn, size=ROOM_CONNECTIONS, statement_timeout_s=ROOM_STATEMENT_S
        )
        self._room_connections = [self._connection() for _ in range(plan.settings.room_lanes)]
        room_lanes = RoomLanes(
            [self._room_lane(*held) for held in enumerate(self._room_connections)]
        )
        self._rooms = RoomCapability(
            plan.settings,
            plan.secret,
            metrics,
            lanes=room_lanes,
            store=postgres_store(
                room_lanes,
                cold=self._engine,
                commands=self._commands,
                rooms=self._room_engine,
            ),
            identity=self._identity,
            waits=self._waits,
            tally=self._tally,
            outside=SaleSource(self._booking.has_sale, self._stock_of),
            aside=self._aside,
            on_clock=ClockGuard(self._note_step_back).observe,
        )
        self._capabilities: Sequence[Capability] = (
            self._identity,
            self._booking,
            CheckoutCapability(
                self._organisation,
                engine=self._engine,
                lanes=self._lanes,
                booking=self._booking,
                rooms=self._rooms,
            ),
            self._rooms,
            JournalCapability(plan.settings, self._engine),
        )
        self._loops = [self._loop(*turn) for turn in self._turns()]

    def app(self) -> App:
        return build_app(
            self.endpoints(),
            self._identity.authenticator,
            limits=limits_of(self._settings),
            metrics=self._metrics,
            logs=self._logs,
            lifespan=self._lifespan,
            outage_of=outage_of,
            raw=self._rooms.answers,
            on_write=self._tally.note,
        )

    def drain(self) -> None:
        """End what would never end by itself: the server is about to wait for all answers."""
        self._rooms.streams.drain()

    def endpoints(self) -> list[Endpoint]:
        """The whole table, health included."""
        checks: dict[str, Check] = {"database": self._check_database, "lanes": self._check_lanes}
        for capability in self._capabilities:
            checks |= capability.checks()
        health = health_endpoints(
            checks,
            self._metrics,
            metrics_auth=Auth.PUBLIC if self._settings.metrics_public else Auth.OPERATOR,
            set_aside=self._aside.parts,
        )
        return [*chain.from_iterable(one.endpoints() for one in self._capabilities), *health]

    @asynccontextmanager
    async def _lifespan(self, _app: Any) -> AsyncIterator[None]:
        self._lanes.start()
        for capability in self._capabilities:
            capability.start()
        for loop in self._loops:
            loop.start()
        try:
            yield
        finally:
            for loop in reversed(self._loops):
                await loop.stop()
            await self._leave_roles()
            for capability in reversed(self._capabilities):
                await capability.stop()
            await self._lanes.stop()
            for connection in (*self._all_lane_connections(), self._tail_connection):
                await connection.close()
            await self._room_engine.dispose()
            await self._urgent_engine.dispose()
            await self._engine.dispose()
            self._logs.writer.close()

    async def _leave_roles(self) -> None:
        """Have another worker take over at once; without a database it does when leases end."""
        for capability in self._capabilities:
            with suppress(SQLAlchemyError, OSError):
                await capability.leave()

    def _connection(self) -> LaneConnection:
        limits = ConnectionLimits(statement_cache=self._settings.statement_cache)
        return LaneConnection(self._plan.dsn, limits=limits)

    def _pipeline(self, **limits: float) -> PipelineConnection:
        held = ConnectionLimits(statement_cache=self._settings.statement_cache)
        return PipelineConnection(self._plan.dsn, limits=replace(held, **limits))

    def _all_lane_connections(self) -> list[LaneConnection | PipelineConnection]:
        return [*chain.from_iterable(self._lane_connections), *self._room_connections]

    def _meter(self, lane: str) -> WaitWatch:
        """A lane's meter, whose longest waits tell how this worker fares."""
        watch = WaitWatch(self._metrics.lane(lane))
        self._waits.append(watch)
        return watch

    def _room_lane(self, number: int, connection: LaneConnection) -> RoomLane:
        clock = ClockGuard(self._note_step_back)
        return Lane(
            RoomFlush(connection, on_clock=clock.observe),
            later=Later,
            fault_of=self._troubles.judge,
            limits=LaneLimits(wait_max_s=self._settings.lane_wait_max_s),
            meter=self._metrics.lane(f"room-{number}"),
        )

    def _lane(
        self, number: int, connection: PipelineConnection, waiting: PipelineConnection
    ) -> EngineLane:
        clock = ClockGuard(self._note_step_back)
        return EngineLane(
            flush_of_sales(connection, clock.observe),
            flush_of_sales(waiting, clock.observe, waits=True),
            later=Later,
            fault_of=self._troubles.judge,
            limits=replace(FOLLOWING, wait_max_s=self._settings.lane_wait_max_s),
            meter=self._meter(f"inventory-{number}"),
        )

    def _turns(self) -> Iterator[BackgroundTurn]:
        for capability in self._capabilities:
            yield from capability.turns()
        yield BackgroundTurn("housekeeping", self._keep_house, HOUSEKEEPING_EVERY_S)
        yield BackgroundTurn("urgent_connection", self._keep_connected, URGENT_EVERY_S)

    def _loop(self, name: str, turn: Callable[[], Awaitable[bool]], every_s: float) -> Repeat:
        return Repeat(turn, every_s=every_s, name=name, on_error=self._troubles.note_failure)

    async def _keep_house(self) -> bool:
        """Report connections and watch the disk."""
        in_use = self._metrics.database_connections.labels
        in_use("lane").set(sum(held.is_connected for held in self._all_lane_connections()))
        in_use("tail").set(self._tail_connection.is_connected)
        in_use("cold").set(open_connections(self._engine))
        in_use("rooms").set(open_connections(self._room_engine))
        in_use("urgent").set(open_connections(self._urgent_engine))
        if self._disk is not None:
            self._disk.check()
        self._halt.note()
        return False

    async def _keep_connected(self) -> bool:
        """Have a connection at hand for operators in a hurry; a broken one is replaced."""
        async with self._urgent_engine.connect():
            pass
        if self._troubles.is_away and await self._check_database() is True:
            self._troubles.note_answer()
        return False

    async def _stock_of(self, sale: int) -> RemainingStock | None:
        """What a room's sale has left, for the leader, from the availability in memory."""
        left = await self._booking.left_of(sale)
        return None if left is None else RemainingStock(*left)

    def _halts(self) -> Iterator[PlaceHoldOutcome]:
        """Not on a disk that is nearly full, and not before it is known which sales have rooms."""
        if self._disk is not None and self._disk.state in OF_DISK:
            yield OF_DISK[self._disk.state]
        if not self._rooms.board.is_read:
            yield PlaceHoldOutcome.ROOMS_NOT_READ

    def _note_set_aside(self, kind: str, parts: int) -> None:
        self._metrics.set_aside.labels(kind).set(parts)

    def _note_step_back(self, step: timedelta) -> None:
        self._metrics.clock_stepped_back.inc()
        self._logger.error("clock_stepped_back", seconds=step.total_seconds())

    async def _check_database(self) -> bool | str:
        return await hindrance_of(self._engine, self._plan.revision, self._plan.dsn) or True

    async def _check_lanes(self) -> bool | str:
        return self._lanes.keep_up(self._settings.lane_wait_max_s)


def _disk_watch(plan: WorkerPlan) -> DiskWatch | None:
    if plan.disk is None:
        return None
    megabyte = 1024 * 1024
    return DiskWatch(
        plan.disk,
        plan.settings.disk_pause_below_mb * megabyte,
        plan.settings.disk_resume_above_mb * megabyte,
    )


def limits_of(settings: Settings) -> Limits:
    return Limits(
        body_bytes_max=settings.body_bytes_max,
        concurrency_max=settings.requests_max,
        connections_max=max(CONNECTIONS_MIN, 2 * settings.requests_max) + settings.room_streams_max,
    )


def serve_worker(plan: WorkerPlan, listener: socket.socket) -> None:
    """Serve with all parts of a worker until SIGINT or SIGTERM: what each worker process does."""
    exit_with_starter()
    metrics = Metrics.open(plan.metrics_folder)
    logs = Logs(plan.settings.log_level)
    logs.writer.on_dropped = metrics.log_lines_dropped.inc
    logs.bridge()
    worker = Worker(plan, metrics, logs)
    app = worker.app()
    # What is there now stays, and what requests leave behind has hardly any cycles: the collector
    # looks less often, and never through all of it, since that pauses everybody for tens of ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    HttpServer(app, limits_of(plan.settings), worker.drain).run([listener])
