"""The HTTP face of set-up: what operators change, and what everybody may read of a sale."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.booking.setup import QUERIES, SETUP_OUTCOMES, Setup, SetupOutcome
from sunseo.booking.setup_bodies import NewSale, NewSeats, NewStocks
from sunseo.operators.effects import EffectAnswer
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Refusal, Reply, Urgency
from sunseo.web.fields import Number32

IMPORT_BYTES_MAX = 16 * 1024 * 1024  # 50,000 seats told one by one


class SaleCreated(msgspec.Struct, frozen=True):
    sale: int
    version: int


class SeatsAdded(msgspec.Struct, frozen=True, kw_only=True):
    """How many seats are new, with their numbers, and how many were there before."""

    sale: int
    version: int
    seats_added: int
    seats_existing: int = 0
    first_seat: int | None
    last_seat: int | None


class StocksAdded(msgspec.Struct, frozen=True):
    """The numbers that stocks and products have, in the order given.

    Those that were there before stand in `stocks_existing` and `products_existing` as well.
    """

    sale: int
    version: int
    stocks: list[int]
    products: list[int]
    stocks_existing: list[int] = []
    products_existing: list[int] = []


class SalePaused(msgspec.Struct, frozen=True):
    sale: int
    version: int
    paused: bool


class SaleBody(msgspec.Struct, frozen=True):
    """A sale with what it offers. Prices are in minor units of the currency."""

    sale: int
    version: int
    name: str
    template: str
    currency: str
    time_zone: str
    opens_at: datetime
    closes_at: datetime | None
    is_open: bool
    paused: bool
    hold_ttl_s: int
    renewals_max: int
    order_limit: int | None
    occasion_limit: int | None
    person_limit: int | None
    persons: str | None
    occasions: list[dict[str, Any]]
    price_classes: list[dict[str, Any]]
    products: list[dict[str, Any]]


class SeatBody(msgspec.Struct, frozen=True):
    seat: int
    price_class: int
    section: str
    row: str
    label: str
    x: float
    y: float


class SeatList(msgspec.Struct, frozen=True):
    """The seats of one occasion, in the order of the availability bitmap."""

    sale: int
    occasion: int
    seats: list[SeatBody]


class SeatQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    occasion: Number32 = 1


def setup_endpoints(setup: Setup, engine: AsyncEngine, organisation: int) -> list[Endpoint]:
    handlers = SetupHandlers(setup)
    reads = SaleReads(engine, organisation)
    return [
        Endpoint(
            name="create_sale",
            method="POST",
            path="/v1/sales",
            summary="Create a sale",
            handler=handlers.create_sale,
            request=NewSale,
            response=SaleCreated,
            success=201,
            outcomes=SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
        ),
        Endpoint(
            name="add_seats",
            method="POST",
            path="/v1/sales/{sale:int}/seats",
            summary="Add seats to a sale, one by one or in blocks",
            handler=handlers.add_seats,
            request=NewSeats,
            response=SeatsAdded,
            success=201,
            outcomes=SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
            body_bytes_max=IMPORT_BYTES_MAX,
        ),
        Endpoint(
            name="add_stocks",
            method="POST",
            path="/v1/sales/{sale:int}/stocks",
            summary="Add stocks, and products that draw on them",
            handler=handlers.add_stocks,
            request=NewStocks,
            response=StocksAdded,
            success=201,
            outcomes=SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
        ),
        Endpoint(
            name="pause_sale",
            method="POST",
            path="/v1/sales/{sale:int}/pause",
            summary="Take no new holds until the sale is resumed",
            handler=handlers.pause,
            response=SalePaused,
            outcomes=SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
        ),
        Endpoint(
            name="resume_sale",
            method="POST",
            path="/v1/sales/{sale:int}/resume",
            summary="Let a paused sale go on",
            handler=handlers.resume,
            response=SalePaused,
            outcomes=SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
        ),
        Endpoint(
            name="read_sale",
            method="GET",
            path="/v1/sales/{sale:int}",
            summary="Read a sale and what it offers",
            handler=reads.sale,
            response=SaleBody,
            outcomes=(SetupOutcome.UNKNOWN_SALE,),
            urgency=Urgency.JOIN,
        ),
        Endpoint(
            name="list_seats",
            method="GET",
            path="/v1/sales/{sale:int}/seats",
            summary="List the seats of one occasion, in the order of the availability bitmap",
            handler=reads.seats,
            response=SeatList,
            query=SeatQuery,
            outcomes=(SetupOutcome.UNKNOWN_SALE,),
            urgency=Urgency.JOIN,
        ),
    ]


class SetupHandlers:
    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    async def create_sale(self, call: Call) -> Answer:
        answer = await self._setup.create_sale(call.operator, call.idempotency_key, call.body)
        return _reply(answer, SaleCreated)

    async def add_seats(self, call: Call) -> Answer:
        answer = await self._setup.add_seats(
            call.operator, call.idempotency_key, call.path["sale"], call.body
        )
        return _reply(answer, SeatsAdded)

    async def add_stocks(self, call: Call) -> Answer:
        answer = await self._setup.add_stocks(
            call.operator, call.idempotency_key, call.path["sale"], call.body
        )
        return _reply(answer, StocksAdded)

    async def pause(self, call: Call) -> Answer:
        return await self._set_paused(call, paused=True)

    async def resume(self, call: Call) -> Answer:
        return await self._set_paused(call, paused=False)

    async def _set_paused(self, call: Call, *, paused: bool) -> Answer:
        answer = await self._setup.set_paused(
            call.operator, call.idempotency_key, call.path["sale"], paused=paused
        )
        return _reply(answer, SalePaused)


def _reply(answer: EffectAnswer, body: type[msgspec.Struct]) -> Answer:
    if not answer.outcome.kind.is_success:
        return Refusal(answer.outcome, answer.detail, answer.extra)
    return Reply(None, msgspec.convert(answer.result, body), outcome=answer.outcome)


class SaleReads:
    def __init__(self, engine: AsyncEngine, organisation: int) -> None:
        self._engine = engine
        self._organisation = organisation

    async def sale(self, call: Call) -> Answer:
        where = {"organisation": self._organisation, "sale": call.path["sale"]}
        async with self._engine.connect() as connection:
            found = (await connection.execute(QUERIES["read_sale"], where)).mappings().first()
        if found is None:
            return Refusal(SetupOutcome.UNKNOWN_SALE)
        opened = found["opens_at"] <= found["now"]
        closed = found["closes_at"] is not None and found["closes_at"] <= found["now"]
        fields = dict(found) | {"is_open": opened and not closed and not found["paused"]}
        body = SaleBody(**{name: fields[name] for name in SaleBody.__struct_fields__})
        return Reply(200, body, ((b"etag", f'"{body.version}"'.encode()),))

    async def seats(self, call: Call) -> Answer:
        occasion: int = call.query.occasion
        where = {"organisation": self._organisation, "sale": call.path["sale"]}
        async with self._engine.connect() as connection:
            if (await connection.execute(QUERIES["read_version"], where)).first() is None:
                return Refusal(SetupOutcome.UNKNOWN_SALE)
            rows = await connection.execute(QUERIES["read_seats"], where | {"occasion": occasion})
            seats = [SeatBody(*row) for row in rows]
        # Seats are only ever added, so that a short time in a cache harms nobody.
        cached = ((b"cache-control", b"public, max-age=10"),)
        return Reply(200, SeatList(call.path["sale"], occasion, seats), cached)
