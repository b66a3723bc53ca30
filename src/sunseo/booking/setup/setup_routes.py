"""The HTTP face of set-up: what operators change, and what everybody may read of a sale."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.booking.availability.availability import AvailabilityBoard
from sunseo.booking.setup.change_bodies import SaleChange
from sunseo.booking.setup.sale_list import sale_list_endpoint
from sunseo.booking.setup.setup import QUERIES, SETUP_OUTCOMES, SaleSetup, SetupOutcome
from sunseo.booking.setup.setup_bodies import NewSale, NewSeats, NewStocks
from sunseo.core.clock import Monotonic
from sunseo.core.fields import Number32
from sunseo.core.outcome import Refusal
from sunseo.operators.command import Effect, EffectAnswer
from sunseo.operators.replies import by_of, reply
from sunseo.web.documents import UNCHANGED, Document, Shelf, Version, document_of
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Urgency

OFFER_S = 60  # then a sale is read again, be it only for the database's clock
OFFERS_BYTES_MAX = 16 * 1024 * 1024
IMPORT_BYTES_MAX = 16 * 1024 * 1024  # 50,000 seats told one by one


class SaleCreatedBody(msgspec.Struct, frozen=True):
    sale: int
    version: int


class SaleChangedBody(msgspec.Struct, frozen=True):
    """`changed` names the fields that differed; where none did, the version is the one before."""

    sale: int
    version: int
    changed: list[str]


class SeatsAddedBody(msgspec.Struct, frozen=True, kw_only=True):
    """How many seats are new, with their numbers, and how many were there before."""

    sale: int
    version: int
    seats_added: int
    seats_existing: int = 0
    first_seat: int | None
    last_seat: int | None


class StocksAddedBody(msgspec.Struct, frozen=True):
    """The numbers that stocks and products have, in the order given.

    Those that were there before stand in `stocks_existing` and `products_existing` as well.
    """

    sale: int
    version: int
    stocks: list[int]
    products: list[int]
    stocks_existing: list[int] = []
    products_existing: list[int] = []


class SalePausedBody(msgspec.Struct, frozen=True):
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
    occasion: Number32 | None = None  # of all, where only one has seats


def setup_endpoints(
    setup: SaleSetup,
    engine: AsyncEngine,
    organisation: int,
    board: AvailabilityBoard,
    monotonic: Monotonic = time.monotonic,
) -> list[Endpoint]:
    handlers = SetupHandlers(setup, board)
    reads = SaleReads(engine, organisation, board, monotonic=monotonic)
    return [
        Endpoint(
            name="create_sale",
            method="POST",
            path="/v1/sales",
            summary="Create a sale",
            handler=handlers.create_sale,
            request=NewSale,
            response=SaleCreatedBody,
            success=201,
            outcomes=SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
        ),
        Endpoint(
            name="change_sale",
            method="PATCH",
            path="/v1/sales/{sale:int}",
            summary="Change a sale, or add dates and price classes to it",
            description="Before the sale is on, everything here may change. Once it has opened, "
            "or somebody holds something, names and `closes_at` may, and limits and capacities "
            "may rise; whatever else is named in `fields` and refused, and nothing is changed.",
            handler=handlers.change_sale,
            request=SaleChange,
            response=SaleChangedBody,
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
            response=SeatsAddedBody,
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
            response=StocksAddedBody,
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
            response=SalePausedBody,
            outcomes=SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
            urgency=Urgency.ALWAYS,  # wanted most when there is too much of everything
        ),
        Endpoint(
            name="resume_sale",
            method="POST",
            path="/v1/sales/{sale:int}/resume",
            summary="Let a paused sale go on",
            handler=handlers.resume,
            response=SalePausedBody,
            outcomes=SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
            urgency=Urgency.ALWAYS,  # wanted most when there is too much of everything
        ),
        sale_list_endpoint(engine, organisation),
        Endpoint(
            name="read_sale",
            method="GET",
            path="/v1/sales/{sale:int}",
            summary="Read a sale and what it offers",
            handler=reads.sale,
            response=SaleBody,
            outcomes=(SetupOutcome.UNKNOWN_SALE,),
            urgency=Urgency.JOIN,
            answers=UNCHANGED,
        ),
        Endpoint(
            name="list_seats",
            method="GET",
            path="/v1/sales/{sale:int}/seats",
            summary="List the seats of one occasion, in the order of the availability bitmap",
            description="Without `occasion` it is the only one that has seats.",
            handler=reads.seats,
            response=SeatList,
            query=SeatQuery,
            outcomes=(SetupOutcome.UNKNOWN_SALE, SetupOutcome.OCCASION_REQUIRED),
            urgency=Urgency.JOIN,
            answers=UNCHANGED,
        ),
    ]


class SetupHandlers:
    def __init__(self, setup: SaleSetup, board: AvailabilityBoard) -> None:
        self._setup = setup
        self._board = board

    async def create_sale(self, call: Call) -> Answer:
        answer = await self._setup.create_sale(by_of(call), call.body)
        return self._changed(answer, SaleCreatedBody)

    async def change_sale(self, call: Call) -> Answer:
        answer = await self._setup.change_sale(by_of(call), call.path["sale"], call.body)
        return self._changed(answer, SaleChangedBody)

    async def add_seats(self, call: Call) -> Answer:
        answer = await self._setup.add_seats(by_of(call), call.path["sale"], call.body)
        return self._changed(answer, SeatsAddedBody)

    async def add_stocks(self, call: Call) -> Answer:
        answer = await self._setup.add_stocks(by_of(call), call.path["sale"], call.body)
        return self._changed(answer, StocksAddedBody)

    def _changed(self, answer: EffectAnswer, body: type[msgspec.Struct]) -> Answer:
        """Show what is on offer now at once; other workers do so with their board's next turn."""
        if isinstance(answer, Effect):
            self._board.forget(answer.result["sale"])
        return reply(answer, body)

    async def pause(self, call: Call) -> Answer:
        return await self._set_paused(call, paused=True)

    async def resume(self, call: Call) -> Answer:
        return await self._set_paused(call, paused=False)

    async def _set_paused(self, call: Call, *, paused: bool) -> Answer:
        answer = await self._setup.set_paused(by_of(call), call.path["sale"], paused=paused)
        return reply(answer, SalePausedBody)


class Offer(msgspec.Struct, frozen=True):
    """A sale as it was read: what hardly ever changes of it, ready to be put into a document.

    Attributes:
        fields: by their names in `SaleBody`; the long ones are JSON already.
        ahead: the database's clock less ours, which is monotonic.
    """

    fields: Mapping[str, Any]
    ahead: datetime
    size: int

    def is_open(self, monotonic_s: float) -> bool:
        now = self.ahead + timedelta(seconds=monotonic_s)
        closes_at = self.fields["closes_at"]
        opened: bool = self.fields["opens_at"] <= now
        return opened and (closes_at is None or closes_at > now)


class SaleReads:
    """What everybody may read of a sale, kept in memory: the board tells when it has changed.

    Guarantee   A sale's parts are read once a version of its catalogue, however many ask, and its
                clock once a minute; whoever has a document already costs no query.
    On failure  What could not be read is not kept, and the next one who asks begins anew.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        organisation: int,
        board: AvailabilityBoard,
        *,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._engine = engine
        self._organisation = organisation
        self._board = board
        self._monotonic = monotonic
        self._offers = Shelf[Offer](OFFERS_BYTES_MAX)
        self._documents = Shelf[Document]()

    async def sale(self, call: Call) -> Answer:
        sale: int = call.path["sale"]
        snapshot = await self._board.look(sale)
        if snapshot is None:
            return Refusal(SetupOutcome.UNKNOWN_SALE)
        version, paused = snapshot.version, snapshot.paused
        minute = int(self._monotonic() // OFFER_S)
        offer = await self._offers.find(
            sale, (snapshot.catalogue_version, minute), partial(self._read_offer, sale, minute)
        )
        is_open = offer.is_open(self._monotonic()) and not paused
        document = await self._documents.find(
            ("sale", sale, is_open),
            (version,),
            partial(_sale_document, offer, version, paused=paused, is_open=is_open),
        )
        return document.reply(call)

    async def seats(self, call: Call) -> Answer:
        sale: int = call.path["sale"]
        snapshot = await self._board.look(sale)
        if snapshot is None:
            return Refusal(SetupOutcome.UNKNOWN_SALE)
        occasion: int | None = call.query.occasion
        if occasion is None:
            seated = sorted(snapshot.seat_maps)
            if len(seated) > 1:
                return Refusal(SetupOutcome.OCCASION_REQUIRED, extra={"occasions": seated})
            occasion = seated[0] if seated else 1
        # Seats are only ever added, so that a short time in a cache harms nobody.
        cached = ((b"cache-control", b"public, max-age=10"),)
        if occasion not in snapshot.seat_maps:
            return document_of(_seat_list(sale, occasion, "")).reply(call, cached)
        document = await self._documents.find(
            ("seats", sale, occasion),
            (snapshot.catalogue_version,),
            partial(self._read_seats, sale, occasion),
        )
        return document.reply(call, cached)

    async def _read_offer(self, sale: int, minute: int) -> tuple[Version, Offer]:
        where = {"organisation": self._organisation, "sale": sale}
        async with self._engine.connect() as connection:
            row = dict((await connection.execute(QUERIES["read_sale"], where)).mappings().one())
        ahead = row["now"] - timedelta(seconds=self._monotonic())
        offer = await asyncio.to_thread(_offer, row, ahead)
        return (row["catalogue_version"], minute), offer

    async def _read_seats(self, sale: int, occasion: int) -> tuple[Version, Document]:
        where = {"organisation": self._organisation, "sale": sale, "occasion": occasion}
        async with self._engine.connect() as connection:
            row = (await connection.execute(QUERIES["read_seats"], where)).one()
        document = await asyncio.to_thread(
            lambda: document_of(_seat_list(sale, occasion, row.seats))
        )
        return (row.catalogue_version,), document


def _offer(row: Mapping[str, Any], ahead: datetime) -> Offer:
    fields = {name: row[name] for name in SaleBody.__struct_fields__ if name in row}
    size = 0
    for occasion in fields["occasions"]:  # PostgreSQL writes times in another form than we do
        occasion["starts_at"] = datetime.fromisoformat(occasion["starts_at"]).astimezone(UTC)
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = msgspec.Raw(msgspec.json.encode(value))
            size += len(fields[name])
    return Offer(fields, ahead, size)


async def _sale_document(
    offer: Offer, version: int, *, paused: bool, is_open: bool
) -> tuple[Version, Document]:
    told = {"version": version, "paused": paused, "is_open": is_open}
    body = msgspec.json.encode(SaleBody(**{**offer.fields, **told}))
    return (version,), await asyncio.to_thread(document_of, body)


def _seat_list(sale: int, occasion: int, seats: str) -> bytes:
    """A `SeatList`, of seats that are JSON already."""
    return f'{{"sale":{sale},"occasion":{occasion},"seats":[{seats}]}}'.encode()
