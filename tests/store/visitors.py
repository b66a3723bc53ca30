"""Visitors of rooms over HTTP, in this process: a real database behind, a board that is told."""

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from sunseo.core.clock import Instant, from_millis
from sunseo.core.later import Later
from sunseo.core.networks import TrustedProxies
from sunseo.engine.lane import Lane
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.identity.persons import GuestIssuer, Persons, SharedSecretVerifier
from sunseo.passes.keys import KeyRing
from sunseo.passes.polling import Poll
from sunseo.postgres.errors import fault_of, outage_of
from sunseo.room.admission.admission import Admission
from sunseo.room.board.state import ShownSpeed, poll_of
from sunseo.room.line.lanes import RoomLanes
from sunseo.room.line.routes import room_endpoints
from sunseo.room.line.service import RoomService
from sunseo.room.postgres.batch import RoomFlush
from sunseo.room.setup.settings import RoomSettings
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import build_app
from sunseo.web.client_address import ClientAddresses
from sunseo.web.limits import Limits
from tests.asgi import Response, ask
from tests.store.lobby import ORGANISATION, Lobby, TimedConnection
from tests.unit.web_http.shop import ISSUER, OPERATOR, SECRET

START_MS = 1_790_000_000_000
KEYS = KeyRing(ORGANISATION, {0: SECRET}, 0)


class Document(msgspec.Struct):
    """What the room's state would tell of when to ask again."""

    poll: Poll
    speed: ShownSpeed | None = ShownSpeed(8.0, 10.0, 12.0)
    phase: str = "open"
    opens_at: int | None = None
    halted: str | None = None


class View(msgspec.Struct):
    """What the board would know of a room."""

    settings: RoomSettings
    now: Instant
    state: Document
    epoch: int = 1
    revoked: tuple[UUID, ...] = ()

    @property
    def void(self) -> frozenset[UUID]:
        return frozenset(self.revoked)


class Entrance:
    """An app with the visitors' endpoints; time stands still until a test moves it."""

    def __init__(self, dsn: str) -> None:
        self.lobby = Lobby(dsn)
        self.views: dict[int, View] = {}
        self.guests = GuestIssuer(SECRET)
        self.now_ms = START_MS
        self._connection = TimedConnection(dsn)
        self.lanes = RoomLanes([Lane(RoomFlush(self._connection), later=Later, fault_of=fault_of)])
        self.addresses = ClientAddresses(TrustedProxies())
        self.service = RoomService(
            self.lanes,
            self,
            KEYS,
            Admission({}),
            ORGANISATION,
            wall=lambda: self.now_ms / 1000,
        )
        persons = Persons(ORGANISATION, [SharedSecretVerifier(ISSUER, SECRET), self.guests])
        self.app = build_app(
            room_endpoints(self.service, self.addresses),
            Authenticator(persons, OperatorKeys(_digest_of)),
            limits=Limits(),
            metrics=Metrics(),
            logs=Logs("error", LineWriter(-1)),
            outage_of=outage_of,
        )
        self.let_time_pass(0)

    def look(self, room: int) -> View | None:
        return self.views.get(room)

    async def open_room(self, settings: RoomSettings | None = None, *, serving: int = 0) -> int:
        settings = settings or RoomSettings()
        _, room = await self.lobby.open_room(settings, serving=serving)
        document = Document(poll_of(settings))
        self.views[room] = View(settings, from_millis(self.now_ms), document)
        return room

    async def call_up_to(self, room: int, number: int) -> None:
        await self.lobby.call_up_to((ORGANISATION, room), number)

    def let_time_pass(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)
        self._connection.stands_at = from_millis(self.now_ms)
        for view in self.views.values():
            view.now = from_millis(self.now_ms)

    async def ask(
        self, method: str, path: str, body: Any = None, bearer: str | None = None
    ) -> Response:
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        if body is None:
            return await ask(self.app, method, path, b"", headers=headers)
        headers["content-type"] = "application/json"
        return await ask(self.app, method, path, json.dumps(body).encode(), headers=headers)

    async def post(self, room: int, what: str, body: Any, bearer: str | None = None) -> Response:
        return await self.ask("POST", f"/v1/rooms/{room}/{what}", body, bearer)

    async def close(self) -> None:
        await self.lanes.stop()
        await self._connection.close()
        await self.lobby.close()


class Visitor:
    """Somebody who wants in, by a secret of her own or by a person's token."""

    def __init__(self, entrance: Entrance, room: int, bearer: str | None = None) -> None:
        self.entrance = entrance
        self.room = room
        self.bearer = bearer
        self.secret = b64(os.urandom(32)) if bearer is None else None
        self.nonce = ""
        self.place = ""
        self.pass_ = ""

    async def fetch_nonce(self) -> Response:
        answer = await self.entrance.ask("POST", f"/v1/rooms/{self.room}/nonces")
        self.nonce = answer.json.get("nonce", "")
        return answer

    async def join(self, **changes: Any) -> Response:
        """Join, with a nonce fetched before or now."""
        if not self.nonce:
            await self.fetch_nonce()
        body = {} if self.secret is None else {"binding": binding_of(self.secret)}
        path = f"/v1/rooms/{self.room}/places/{self.nonce}"
        answer = await self.entrance.ask("PUT", path, body | changes, self.bearer)
        self.place = answer.json.get("place", self.place)
        return answer

    async def enter(self) -> Response:
        body = {"place": self.place}
        if self.secret is not None:
            body["secret"] = self.secret
        answer = await self.entrance.post(self.room, "enter", body, self.bearer)
        self.pass_ = answer.json.get("pass", self.pass_)
        return answer

    async def renew(self) -> Response:
        answer = await self.entrance.post(self.room, "renew", {"pass": self.pass_})
        self.pass_ = answer.json.get("pass", self.pass_)
        return answer

    async def leave(self) -> Response:
        return await self.entrance.post(self.room, "leave", {"pass": self.pass_})

    async def complete(self) -> Response:
        return await self.entrance.post(self.room, "complete", {"pass": self.pass_})


@asynccontextmanager
async def open_entrance(dsn: str, *, started: bool = True) -> AsyncIterator[Entrance]:
    """An entrance; its lanes answer LATER until they are started."""
    entrance = Entrance(dsn)
    if started:
        entrance.lanes.start()
    try:
        yield entrance
    finally:
        await entrance.close()


def said(answer: Response) -> tuple[int, str]:
    """The status and the outcome of a refusal."""
    return answer.status, answer.json["outcome"]


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def binding_of(secret: str) -> str:
    raw = urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    return b64(sha256(raw).digest()[:16])


async def _digest_of(key_id: str) -> bytes | None:
    return OPERATOR.digest if key_id == OPERATOR.key_id else None
