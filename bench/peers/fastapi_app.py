"""The HTTP half of both FastAPI peers: models, token check, problem documents.

Written as FastAPI's own guides have it, with two things that a team under load soon learns: the
dependency is a coroutine (a plain function would take a thread a request), and refusals are
returned, not raised through the middleware stack.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Path
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bench.peers.identity import (
    ORGANISATION,
    BadTokenError,
    PeerSettings,
    hold_id,
    person_of,
    request_digest,
)
from bench.peers.rules import Ask, Refusal, RefusedError, problem
from sunseo.core.ids import Person

Place = Callable[[AsyncEngine, Ask], Awaitable[tuple[bool, dict[str, Any]]]]
"""Places a hold or finds it placed: whether it is new, and how it looks."""

SeatNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]


class ProductAsk(BaseModel):
    model_config = ConfigDict(extra="forbid")
    product: Annotated[int, Field(ge=1, le=2**31 - 1)]
    quantity: Annotated[int, Field(ge=1, le=1_000)]


class HoldAsk(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seats: Annotated[list[SeatNumber], Field(max_length=100)] = []
    products: Annotated[list[ProductAsk], Field(max_length=100)] = []


class HoldView(BaseModel):
    hold: str
    state: str
    seats: list[int]
    products: list[ProductAsk]
    units: int
    amount: int
    currency: str
    expires_at: datetime
    renewals_left: int


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def refused(refusal: Refusal) -> Response:
    return ProblemResponse(problem(refusal), status_code=refusal.status)


def make_engine(settings: PeerSettings) -> AsyncEngine:
    """Make the pool: as many connections as asked for, none beyond, all kept open."""
    return create_async_engine(
        make_url(settings.database_url).set(drivername="postgresql+asyncpg"),
        pool_size=settings.pool,
        max_overflow=0,
        pool_timeout=60,
    )


def ask_of(person: Person, sale: int, body: HoldAsk, idempotency_key: str) -> Ask:
    quantities: dict[int, int] = {}
    for product in body.products:
        quantities[product.product] = quantities.get(product.product, 0) + product.quantity
    return Ask(
        organisation=ORGANISATION,
        sale=sale,
        hold=hold_id(person, sale, idempotency_key),
        person=person.id,
        digest=request_digest(body.seats, quantities.items()),
        seats=sorted(set(body.seats)),
        quantities=dict(sorted(quantities.items())),
    )


def create_app(place: Place) -> FastAPI:
    """Build the application around one way of placing a hold."""
    settings = PeerSettings.from_environment()
    engine = make_engine(settings)
    app = FastAPI()

    async def signed_in(authorization: Annotated[str | None, Header()] = None) -> Person:
        return person_of(authorization, settings)

    @app.exception_handler(BadTokenError)
    async def unauthorized(_request: object, _error: Exception) -> Response:
        return ProblemResponse({"title": "Unauthorized", "status": 401}, status_code=401)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "live"}

    @app.post("/v1/sales/{sale}/holds", status_code=201, response_model=HoldView)
    async def place_hold(
        sale: Annotated[int, Path(ge=1, le=2**63 - 1)],
        body: HoldAsk,
        person: Annotated[Person, Depends(signed_in)],
        idempotency_key: Annotated[str, Header(min_length=1, max_length=255)],
        response: Response,
    ) -> Any:
        try:
            is_new, view = await place(engine, ask_of(person, sale, body, idempotency_key))
        except RefusedError as refusal:
            return refused(refusal.refusal)
        if not is_new:
            response.status_code = 200
        return view

    return app
