"""A small endpoint table, and an app around it, for the tests of the web layer."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import jwt
import msgspec

from sunseo.core.fields import Moment, Name, Number32
from sunseo.core.outcome import Kind, Outcome, Refusal
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys, new_operator_key
from sunseo.identity.persons import GuestIssuer, Persons, SharedSecretVerifier
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import App, build_app
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Reply
from sunseo.web.limits import Limits
from sunseo.web.problems import UnavailableError

SECRET = b"a secret of at least 32 bytes!!!"
ISSUER = "https://host.example"
AWAY = "What is needed is away."
OPERATOR = new_operator_key()
HOLD = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")


class HoldOutcome(Outcome):
    REPLAYED = Kind.REPLAYED, "This is the hold as it stands."
    UNKNOWN_SALE = Kind.ABSENT, "There is no such sale."
    LIMIT_REACHED = Kind.REFUSED, "The limit for one person is reached."
    SEAT_TAKEN = Kind.CONFLICT, "Somebody else has one of these seats."
    SOLD_OUT = Kind.GONE, "Nothing is left."
    HELD = Kind.DONE, "The seats are yours for now."
    LATER = Kind.LATER, "Nothing is known; try again with the same key."


class Draw(msgspec.Struct, forbid_unknown_fields=True):
    """Units of one product."""

    product: Number32
    quantity: Number32


class PlaceHold(msgspec.Struct, forbid_unknown_fields=True):
    """What to hold."""

    seats: Annotated[list[Number32], msgspec.Meta(max_length=100)] = []
    products: Annotated[list[Draw], msgspec.Meta(max_length=10)] = []
    note: Name | None = None
    until: Moment | None = None


class Page(msgspec.Struct, forbid_unknown_fields=True):
    occasion: Number32
    text: Annotated[str, msgspec.Meta(max_length=20)] = ""


class Hold(msgspec.Struct):
    """A hold."""

    hold: UUID
    seats: list[int]


@dataclass
class Shop:
    """The app, what its handlers saw, and the strings to pull."""

    limits: Limits = field(default_factory=Limits)
    answer: Answer = field(default_factory=lambda: Reply(outcome=HoldOutcome.HELD))
    error: BaseException | None = None
    gate: asyncio.Event | None = None
    calls: list[Call] = field(default_factory=list)
    arrivals: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    lookups: list[str] = field(default_factory=list)
    log_fd: int = -1
    app: App = field(init=False)
    logs: Logs = field(init=False)
    guests: GuestIssuer = field(init=False)
    metrics: Metrics = field(init=False)
    lives: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        self.logs = Logs("info", LineWriter(self.log_fd))
        self.guests = GuestIssuer(SECRET)
        persons = Persons(1, [SharedSecretVerifier(ISSUER, SECRET), self.guests])
        self.app = build_app(
            self.table(),
            Authenticator(persons, OperatorKeys(self.look_up)),
            limits=self.limits,
            metrics=self.metrics,
            logs=self.logs,
            lifespan=self.live,
            outage_of=lambda error: AWAY if isinstance(error, ConnectionError) else None,
        )

    def table(self) -> list[Endpoint]:
        return [
            Endpoint(
                name="place_hold",
                method="POST",
                path="/v1/sales/{sale:int}/holds",
                summary="Hold seats",
                handler=self.handle,
                request=PlaceHold,
                response=Hold,
                success=201,
                outcomes=HoldOutcome,
                auth=Auth.PERSON,
                idempotent_key=True,
            ),
            Endpoint(
                name="read_hold",
                method="GET",
                path="/v1/sales/{sale:int}/holds/{hold:uuid}",
                summary="Read a hold",
                handler=self.handle,
                response=Hold,
                auth=Auth.PERSON,
            ),
            Endpoint(
                name="list_seats",
                method="GET",
                path="/v1/sales/{sale:int}/seats",
                summary="List seats",
                handler=self.handle,
                query=Page,
                response=Hold,
            ),
            Endpoint(
                name="pause_sale",
                method="POST",
                path="/v1/sales/{sale:int}/pause",
                summary="Pause a sale",
                handler=self.handle,
                auth=Auth.OPERATOR,
            ),
            Endpoint(
                name="join",
                method="POST",
                path="/join",
                summary="Join with or without a token",
                handler=self.handle,
                auth=Auth.OPTIONAL_PERSON,
            ),
            Endpoint(
                name="echo",
                method="POST",
                path="/echo",
                summary="Take a body from anybody",
                handler=self.handle,
                request=PlaceHold,
            ),
        ]

    async def handle(self, call: Call) -> Answer:
        self.calls.append(call)
        self.arrivals.release()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.answer

    async def arrived(self, count: int) -> None:
        """Wait until so many more calls have reached the handler."""
        for _ in range(count):
            await self.arrivals.acquire()

    async def look_up(self, key_id: str) -> bytes | None:
        self.lookups.append(key_id)
        if key_id == "unreachab2":
            raise UnavailableError
        return OPERATOR.digest if key_id == OPERATOR.key_id else None

    @asynccontextmanager
    async def live(self, _: Any) -> AsyncIterator[None]:
        self.lives.append("started")
        yield
        self.lives.append("stopped")


def token(secret: bytes = SECRET, **claims: Any) -> str:
    """A token of the host's issuer, valid for an hour unless `claims` say otherwise."""
    full = {"iss": ISSUER, "sub": "user-1", "exp": int(time.time()) + 3600, **claims}
    kept = {name: value for name, value in full.items() if value is not None}
    return jwt.encode(kept, secret, "HS256")


def person_headers(key: str = "key-1", bearer: str | None = None) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {bearer or token()}",
        "Idempotency-Key": key,
        "Content-Type": "application/json",
    }


def refused(outcome: Outcome, **extra: Any) -> Refusal:
    return Refusal(outcome, extra=extra)
