"""The HTTP half of the peers on our own web stack: endpoint table, msgspec, Granian, log lines.

Everything above the service is the product's own, so that these peers differ in how they reach the
truth and in nothing else.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from bench.peers.identity import ORGANISATION, PeerSettings, hold_id, request_digest
from bench.peers.rules import Ask
from sunseo.booking.commands import PlaceHoldOutcome
from sunseo.core.fields import Number32
from sunseo.core.outcome import Refusal
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.identity.persons import Persons, SharedSecretVerifier
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import App, build_app
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Reply
from sunseo.web.health import health_endpoints
from sunseo.web.limits import Limits
from sunseo.web.problems import UnavailableError


class ProductAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    product: Number32
    quantity: Annotated[int, Meta(ge=1, le=1_000)]


class HoldAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seats: Annotated[tuple[Number32, ...], Meta(max_length=100)] = ()
    products: Annotated[tuple[ProductAsk, ...], Meta(max_length=100)] = ()


class HoldView(msgspec.Struct, frozen=True):
    hold: UUID
    state: str
    seats: list[int]
    products: list[ProductAsk]
    units: int
    amount: int
    currency: str
    expires_at: datetime
    renewals_left: int


LATER = "later"
OUTCOME_BY_CODE = {outcome.code: outcome for outcome in PlaceHoldOutcome}

Place = Callable[[Ask], Awaitable[tuple[str, HoldView | None]]]
"""Places a hold: its outcome's code, and how the hold looks if there is one."""

Opening = Callable[[PeerSettings], AbstractAsyncContextManager[Place]]
"""Opens connections, yields a way of placing holds, closes them."""


def ask_of(call: Call) -> Ask:
    body: HoldAsk = call.body
    sale = call.path["sale"]
    quantities: dict[int, int] = {}
    for product in body.products:
        quantities[product.product] = quantities.get(product.product, 0) + product.quantity
    return Ask(
        organisation=ORGANISATION,
        sale=sale,
        hold=hold_id(call.person, sale, call.idempotency_key),
        person=call.person.id,
        digest=request_digest(body.seats, quantities.items()),
        seats=sorted(set(body.seats)),
        quantities=dict(sorted(quantities.items())),
    )


def answer_of(code: str, view: HoldView | None) -> Answer:
    if code == LATER:
        raise UnavailableError
    outcome = OUTCOME_BY_CODE[code]
    if view is None:
        return Refusal(outcome)
    return Reply(body=view, outcome=outcome)


def build(opening: Opening) -> App:
    """Build the application around one way of placing a hold."""
    settings = PeerSettings.from_environment()
    places: list[Place] = []
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        async with opening(settings) as place:
            places.append(place)
            yield

    async def place_hold(call: Call) -> Answer:
        return answer_of(*await places[0](ask_of(call)))

    async def no_operators(_key_id: str) -> bytes | None:
        return None

    verifier = SharedSecretVerifier(settings.jwt_issuer, settings.jwt_secret.encode())
    return build_app(
        [
            Endpoint(
                name="place_hold",
                method="POST",
                path="/v1/sales/{sale:int}/holds",
                summary="Hold seats and units for a while",
                handler=place_hold,
                request=HoldAsk,
                response=HoldView,
                success=201,
                outcomes=PlaceHoldOutcome,
                auth=Auth.PERSON,
                idempotent_key=True,
            ),
            *health_endpoints({}, metrics),
        ],
        Authenticator(Persons(ORGANISATION, [verifier]), OperatorKeys(no_operators)),
        limits=Limits(concurrency_max=16_000, connections_max=32_000),
        metrics=metrics,
        logs=Logs(),
        lifespan=lifespan,
    )


class LazyApp:
    """Builds the application in the worker that serves it: metrics and logs belong to a process."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._app: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            self._app = build(self._opening)
        await self._app(scope, receive, send)
