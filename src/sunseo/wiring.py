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

from sunseo.booking.availability.availability import AvailabilityBoard
from sunseo.booking.commands import PlaceHoldOutcome
from sunseo.booking.expirer import Expirer
from sunseo.booking.halt import OF_DISK, SellingHalt
from sunseo.booking.routes import hold_endpoints
from sunseo.booking.service import HoldService
from sunseo.booking.setup.setup import Setup
from sunseo.booking.setup.setup_routes import setup_endpoints
from sunseo.checkout.part import flush_of_sales
from sunseo.checkout.room_access import RoomAccess
from sunseo.checkout.routes import order_endpoints
from sunseo.checkout.service import OrderService
from sunseo.core.clock import ClockGuard
from sunseo.core.later import Later
from sunseo.core.loops import Repeat
from sunseo.core.processes import exit_with_starter
from sunseo.engine.applying import FOLLOWING, LaneLimits
from sunseo.engine.lane import Lane
from sunseo.engine.lanes import EngineLane, EngineLanes
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.guests import guest_endpoints
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.identity.persons import GuestIssuer, Persons, PersonVerifier, SharedSecretVerifier
from sunseo.journal.log_sink import LogSink
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
SINK_EVERY_S = 0.5  # a turn asks every sale for news; nobody waits for the log


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
        self._board = AvailabilityBoard(
            self._engine,
            self._organisation,
            JournalTail(self._tail_connection),
            on_lag=metrics.journal_tail_lag_seconds.set,
            aside=self._aside,
        )
        self._expirer = Expirer(
            self._engine, self._organisation, self._lanes, on_turn=self._note_expired
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
            waits=self._waits,
            tally=self._tally,
            outside=SaleSource(self._sale_exists, self._stock_of),
            aside=self._aside,
            on_clock=ClockGuard(self._note_step_back).observe,
        )
        self._sinks: list[LogSink] = []
        self._loops = self._make_loops()

    def app(self) -> App:
        settings = self._settings
        operators = OperatorKeys(KeyFinder(self._urgent_engine, self._organisation).find)
        guests = GuestIssuer(self._plan.secret.encode(), lifetime_s=settings.guest_session_s)
        verifiers: list[PersonVerifier] = [guests]
        if settings.jwt_issuer is not None and settings.jwt_secret is not None:
            verifiers.append(
                SharedSecretVerifier(
                    settings.jwt_issuer, settings.jwt_secret.encode(), settings.jwt_audience
                )
            )
        persons = Persons(self._organisation, verifiers)
        return build_app(
            self._endpoints(guests, persons),
            Authenticator(persons, operators),
            limits=limits_of(settings),
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

    def _endpoints(self, guests: GuestIssuer, persons: Persons) -> list[Endpoint]:
        organisation = self._organisation
        access = RoomAccess(self._rooms.board, self._rooms.service)
        holds = HoldService(self._lanes, self._engine, organisation, self._halt.first, access)
        checks = {
            "database": self._check_database,
            "lanes": self._check_lanes,
            "room_lanes": self._check_room_lanes,
            "rooms": self._halt.checking(PlaceHoldOutcome.ROOMS_NOT_READ),
            "disk": self._halt.checking(*OF_DISK.values()),
        }
        return [
            *guest_endpoints(organisation, guests),
            *setup_endpoints(
                Setup(self._commands),
                self._engine,
                organisation,
                self._board,
            ),
            *hold_endpoints(holds, self._board),
            *order_endpoints(OrderService(self._lanes, self._engine, organisation, access)),
            *self._rooms.endpoints(),
            *self._rooms.pages(persons, guests),
            *health_endpoints(
                checks,
                self._metrics,
                metrics_auth=Auth.PUBLIC if self._settings.metrics_public else Auth.OPERATOR,
                set_aside=self._aside.parts,
            ),
        ]

    @asynccontextmanager
    async def _lifespan(self, _app: Any) -> AsyncIterator[None]:
        self._lanes.start()
        self._rooms.start()
        for loop in self._loops:
            loop.start()
        try:
            yield
        finally:
            for loop in reversed(self._loops):
                await loop.stop()
            await self._leave_roles()
            await self._rooms.stop()
            await self._lanes.stop()
            for connection in (*self._all_lane_connections(), self._tail_connection):
                await connection.close()
            await self._room_engine.dispose()
            await self._urgent_engine.dispose()
            await self._engine.dispose()
            self._logs.writer.close()

    async def _leave_roles(self) -> None:
        """Have another worker take over at once; without a database it does when leases end."""
        for leave in (self._expirer.leave, *(sink.leave for sink in self._sinks)):
            with suppress(SQLAlchemyError, OSError):
                await leave()

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

    def _make_loops(self) -> Sequence[Repeat]:
        settings = self._settings
        loops = [
            self._loop("availability", self._board.run_once, settings.tail_every_s),
            self._loop("expirer", self._expirer.run_once, settings.expire_every_s),
            self._loop("housekeeping", self._keep_house, HOUSEKEEPING_EVERY_S),
            self._loop("urgent_connection", self._keep_connected, URGENT_EVERY_S),
            *(self._loop(*turn) for turn in self._rooms.turns()),
        ]
        if settings.event_log is not None:
            sink = LogSink(self._engine, self._organisation, settings.event_log)
            self._sinks.append(sink)
            loops.append(self._loop("log_sink", sink.run_once, SINK_EVERY_S))
        return loops

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

    async def _sale_exists(self, sale: int) -> bool:
        return await self._board.look(sale) is not None

    async def _stock_of(self, sale: int) -> RemainingStock | None:
        """What a room's sale has left, for the leader, from the availability in memory."""
        snapshot = await self._board.look(sale)
        if snapshot is None:
            return None
        seats = [seat_map.counts for seat_map in snapshot.seat_maps.values()]
        free = sum(free + held for free, held, _ in seats)
        free += sum(max(0, level.capacity - level.sold) for level in snapshot.stocks.values())
        sold = sum(sold for _, _, sold in seats)
        sold += sum(level.sold for level in snapshot.stocks.values())
        return RemainingStock(units_left=free, sold=sold)

    def _halts(self) -> Iterator[PlaceHoldOutcome]:
        """Not on a disk that is nearly full, and not before it is known which sales have rooms."""
        if self._disk is not None and self._disk.state in OF_DISK:
            yield OF_DISK[self._disk.state]
        if not self._rooms.board.is_read:
            yield PlaceHoldOutcome.ROOMS_NOT_READ

    def _note_expired(self, expired: int, late_s: float) -> None:
        self._metrics.holds_expired.inc(expired)
        self._metrics.expirer_lag_seconds.set(late_s)

    def _note_set_aside(self, kind: str, parts: int) -> None:
        self._metrics.set_aside.labels(kind).set(parts)

    def _note_step_back(self, step: timedelta) -> None:
        self._metrics.clock_stepped_back.inc()
        self._logger.error("clock_stepped_back", seconds=step.total_seconds())

    async def _check_database(self) -> bool | str:
        return await hindrance_of(self._engine, self._plan.revision, self._plan.dsn) or True

    async def _check_lanes(self) -> bool | str:
        return self._is_short(self._lanes.expected_wait_s)

    async def _check_room_lanes(self) -> bool | str:
        return self._is_short(self._rooms.expected_wait_s)

    def _is_short(self, wait_s: float) -> bool | str:
        return wait_s <= self._settings.lane_wait_max_s or f"commands wait {wait_s:.1f} s"


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
