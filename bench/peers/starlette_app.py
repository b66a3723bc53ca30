"""The HTTP half of the peers on our own web stack: Starlette and msgspec on Granian."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bench.peers.identity import (
    ORGANISATION,
    BadToken,
    PeerSettings,
    hold_id,
    person_of,
    request_digest,
)
from bench.peers.rules import REFUSAL_BY_CODE, Ask, problem

Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class ProductAsk(msgspec.Struct, forbid_unknown_fields=True):
    product: Number
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000)]


class HoldAsk(msgspec.Struct, forbid_unknown_fields=True):
    seats: Annotated[list[Number], msgspec.Meta(max_length=100)] = msgspec.field(
        default_factory=list
    )
    products: Annotated[list[ProductAsk], msgspec.Meta(max_length=100)] = msgspec.field(
        default_factory=list
    )


class HoldView(msgspec.Struct):
    hold: UUID
    state: str
    seats: list[int]
    products: list[ProductAsk]
    units: int
    amount: int
    currency: str
    expires_at: datetime
    renewals_left: int


Place = Callable[[Ask], Awaitable[tuple[str, HoldView | None]]]
"""Places a hold: its outcome's code, and how the hold looks if there is one."""

Opening = Callable[[PeerSettings], AbstractAsyncContextManager[Place]]
"""Opens connections, yields a way of placing holds, closes them."""

read_ask = msgspec.json.Decoder(HoldAsk).decode
write_json = msgspec.json.Encoder().encode


def answer(outcome: str, view: HoldView | None) -> Response:
    if view is not None:
        status = 201 if outcome == "held" else 200
        return Response(write_json(view), status, media_type="application/json")
    refusal = REFUSAL_BY_CODE[outcome]
    return Response(
        write_json(problem(refusal)), refusal.status, media_type="application/problem+json"
    )


def bad_request(status: int, title: str, detail: str) -> Response:
    document = {"title": title, "status": status, "detail": detail}
    return Response(write_json(document), status, media_type="application/problem+json")


def create_app(opening: Opening) -> Starlette:
    """Build the application around one way of placing a hold."""
    settings = PeerSettings.from_environment()
    places: list[Place] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with opening(settings) as place:
            places.append(place)
            yield

    async def place_hold(request: Request) -> Response:
        try:
            person = person_of(request.headers.get("authorization"), settings)
        except BadToken:
            return bad_request(401, "Unauthorized", "The token is absent or not valid.")
        key = request.headers.get("idempotency-key")
        if not key or len(key) > 255:
            return bad_request(400, "Bad request", "An Idempotency-Key is needed.")
        try:
            body = read_ask(await request.body())
        except msgspec.ValidationError as error:
            return bad_request(422, "Unprocessable", str(error))
        except msgspec.DecodeError as error:
            return bad_request(400, "Bad request", str(error))

        sale = request.path_params["sale"]
        quantities: dict[int, int] = {}
        for product in body.products:
            quantities[product.product] = quantities.get(product.product, 0) + product.quantity
        ask = Ask(
            organisation=ORGANISATION,
            sale=sale,
            hold=hold_id(person, sale, key),
            person=person.id,
            digest=request_digest(body.seats, quantities.items()),
            seats=sorted(set(body.seats)),
            quantities=dict(sorted(quantities.items())),
        )
        return answer(*await places[0](ask))

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("live")

    return Starlette(
        routes=[
            Route("/v1/sales/{sale:int}/holds", place_hold, methods=["POST"]),
            Route("/livez", livez),
        ],
        lifespan=lifespan,
    )
