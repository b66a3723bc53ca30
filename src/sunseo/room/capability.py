"""All rooms of one worker: every part built in order, for wiring to start, serve and stop.

visitors ──► service ──► lanes ──► PostgreSQL ◄── controller (one leader)
polls ─────► board  ◄── a tick ──────┘               ▲
listeners ─► streams ◄── changes                     health, stock
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from sunseo.capability import BackgroundTurn, Capability, Check
from sunseo.core.clock import Instant
from sunseo.core.networks import TrustedProxies
from sunseo.identity.capability import IdentityCapability
from sunseo.passes.keys import KeyRing
from sunseo.room.admission.admission import Admission
from sunseo.room.admission.altcha import Altcha
from sunseo.room.admission.challenge import Challenge
from sunseo.room.admission.routes import challenge_endpoints
from sunseo.room.board.board import RoomBoard, RoomView
from sunseo.room.board.ready import ReadyStates
from sunseo.room.board.state_routes import state_endpoints
from sunseo.room.board.streams import Streams
from sunseo.room.counts import CountingLines, RoomReporter
from sunseo.room.draw.drawer import Drawer
from sunseo.room.draw.routes import draw_endpoints
from sunseo.room.line.expirer import PassExpirer
from sunseo.room.line.lanes import RoomLanes
from sunseo.room.line.routes import room_endpoints
from sunseo.room.line.service import RoomService
from sunseo.room.pacing.controller import Controller, StepReport
from sunseo.room.pacing.health import AnswerTally, SiteHealth, WaitWatch, WorkerHealth
from sunseo.room.pacing.signals import Signals, signal_endpoints
from sunseo.room.pacing.stock import StockOf
from sunseo.room.pages.routes import page_endpoints
from sunseo.room.pages.visitor import Reception
from sunseo.room.setup.revoking import Revoking, revoking_endpoints
from sunseo.room.setup.setup import RoomSetup, SaleExists
from sunseo.room.setup.setup_routes import room_setup_endpoints
from sunseo.room.store import RoomStore
from sunseo.settings import Settings
from sunseo.telemetry.aside import SetAside
from sunseo.telemetry.metrics import Metrics
from sunseo.web.client_address import ClientAddresses
from sunseo.web.endpoint import Endpoint
from sunseo.web.raw import RawAnswer

if TYPE_CHECKING:
    from sunseo.room.admission.turnstile import Turnstile

LEASE_STEPS = 1.5  # with one more step until somebody looks, another leads within 3 s
REPORT_EVERY_S = 1.0
EXPIRE_EVERY_S = 0.5


class SaleSource(NamedTuple):
    """What rooms ask of the rest of the house, which they never import."""

    sale_exists: SaleExists
    stock_of: StockOf


class RoomCapability(Capability):
    """One organisation's rooms in one process.

    Args:
        lanes: of joining and entering, for as long as this runs.
        store: keeps everything; its lines are the lanes.
        identity: tells whose pages are asked for.
        waits: of all lanes whose waiting tells how this worker fares.
        tally: of what this worker answers.
        aside: of what cannot be read.
        on_clock: hears the database's time with every look at the rooms.
        secret: the current master secret.

    Attributes:
        answers: state documents and streams by path, for the app to serve ahead of its router.
    """

    def __init__(
        self,
        settings: Settings,
        secret: str,
        metrics: Metrics,
        *,
        lanes: RoomLanes,
        store: RoomStore,
        identity: IdentityCapability,
        waits: list[WaitWatch],
        tally: AnswerTally,
        outside: SaleSource,
        aside: SetAside,
        on_clock: Callable[[Instant], None] = lambda _now: None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._identity = identity
        organisation = settings.organisation
        self.keys = key_ring(settings, secret)
        self.answers: dict[str, RawAnswer] = {}
        self.streams = Streams(self.answers, settings.room_streams_max)
        self._ready = ReadyStates(self.answers, self.keys)
        self.board = RoomBoard(
            store.board,
            self._ready,
            self._publish,
            aside=aside,
            on_clock=on_clock,
        )
        self._lanes = lanes
        self._lines = CountingLines(store.lines)
        self._turnstile = _turnstile(settings)
        self._addresses = ClientAddresses(TrustedProxies.named(settings.trusted_proxies))
        self.admission = Admission(
            self._challenges(),
            fails=settings.challenge_fails,
            on_unverified=lambda kind: metrics.room_challenges_unverified.labels(kind).inc(),
        )
        self.service = RoomService(
            self._lines,
            self.board,
            self.keys,
            self.admission,
            organisation,
            nonce_window_s=settings.nonce_window_s,
        )
        self._setup = RoomSetup(store.setup, outside.sale_exists)
        leader = uuid4()
        self._worker_health = WorkerHealth(
            store.signals, name=leader.hex[:8], waits=waits, tally=tally
        )
        self._site_health = SiteHealth(store.signals)
        self.controller = Controller(
            store.leader,
            self.board,
            leader=leader,
            lease_s=LEASE_STEPS * settings.room_control_s,
            stock_of=outside.stock_of,
            health_of=self._site_health.of,
            on_step=self._note_step,
            aside=aside,
        )
        self._expirer = PassExpirer(
            organisation, store.leader, self._lines, lambda: self.controller.leads
        )
        self._drawer = Drawer(store.draws, self.board.views, lambda: self.controller.leads)
        self._reporter = RoomReporter(
            metrics,
            self.board,
            lines=self._lines,
            ready=self._ready,
            streams=self.streams,
            health=self._site_health,
        )

    def endpoints(self) -> list[Endpoint]:
        store, organisation = self._store, self._settings.organisation
        return [
            *room_setup_endpoints(self._setup, store.setup, self.keys, self.board),
            *revoking_endpoints(Revoking(self._lines, self.board, store.setup, organisation)),
            *signal_endpoints(Signals(store.signals)),
            *state_endpoints(self.board, self._ready),
            *room_endpoints(self.service, self._addresses),
            *draw_endpoints(store.draws),
            *challenge_endpoints(self.board, self.keys, self.admission),
            *self._pages(),
        ]

    def _pages(self) -> list[Endpoint]:
        """The waiting pages, which open guest sessions by themselves."""
        persons, guests = self._identity.persons, self._identity.guests
        reception = Reception(self.keys, persons, guests, self._settings.guest_session_s)
        return page_endpoints(self.service, self.board, self.admission, self._addresses, reception)

    def turns(self) -> list[BackgroundTurn]:
        """What is to be repeated while the worker runs."""
        control_s = self._settings.room_control_s
        return [
            BackgroundTurn("room_board", self.board.run_once, self._settings.room_tick_s),
            BackgroundTurn("room_controller", self._control, control_s),
            BackgroundTurn("room_drawer", self._drawer.run_once, control_s),
            BackgroundTurn("room_expirer", self._expirer.run_once, EXPIRE_EVERY_S),
            BackgroundTurn("room_health", self._worker_health.run_once, control_s),
            BackgroundTurn("room_reporter", self._reporter.run_once, REPORT_EVERY_S),
        ]

    def start(self) -> None:
        self._lanes.start()

    async def stop(self) -> None:
        """End what is open, give the lead away, and drain the lanes."""
        self.streams.drain()
        await self.controller.stop()
        await self._lanes.stop()
        if self._turnstile is not None:
            await self._turnstile.close()

    def checks(self) -> Mapping[str, Check]:
        return {"room_lanes": self._check_lanes}

    async def _check_lanes(self) -> bool | str:
        return self._lanes.keep_up(self._settings.lane_wait_max_s)

    async def _control(self) -> bool:
        if self.controller.leads:
            await self._site_health.refresh()
        return await self.controller.run_once()

    def _publish(self, view: RoomView) -> None:
        self.streams.publish(view)

    def _note_step(self, report: StepReport) -> None:
        self._reporter.note_step(report)

    def _challenges(self) -> dict[str, Challenge]:
        altcha = Altcha(partial(self.keys.keys_for, b"altcha"))
        challenges: dict[str, Challenge] = {"altcha": altcha}
        if self._turnstile is not None:
            challenges["turnstile"] = self._turnstile
        return challenges


def key_ring(settings: Settings, secret: str) -> KeyRing:
    """The keys of all rooms, from the current secret and the retired ones."""
    retired = settings.retired_secrets or {}
    secrets = {key_id: text.encode() for key_id, text in retired.items()}
    secrets[settings.secret_id] = secret.encode()
    return KeyRing(settings.organisation, secrets, settings.secret_id)


def _turnstile(settings: Settings) -> "Turnstile | None":
    if settings.turnstile_site_key is None or settings.turnstile_secret is None:
        return None
    # A tenth of a worker's start is the import of what it stands on, and few have use for it.
    from sunseo.room.admission.turnstile import Turnstile  # noqa: PLC0415 - as above

    return Turnstile(
        settings.turnstile_site_key,
        settings.turnstile_secret,
        url=settings.turnstile_url,
        timeout_s=settings.turnstile_timeout_s,
    )
