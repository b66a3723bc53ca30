"""The HTTP face of holds and availability."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Literal

import msgspec

from sunseo.booking.availability.availability import AvailabilityBoard
from sunseo.booking.availability.snapshot import Snapshot
from sunseo.booking.bodies import HoldBody, HoldList, HoldRequest, hold_body
from sunseo.booking.commands import PlaceHoldOutcome, ReleaseHoldOutcome, RenewHoldOutcome
from sunseo.booking.rules import HoldAnswer
from sunseo.booking.service import HoldService
from sunseo.booking.setup.setup import SetupOutcome
from sunseo.core.fields import Number32
from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Refusal
from sunseo.engine.entry import Answer
from sunseo.engine.part import PartAnswer
from sunseo.web.documents import UNCHANGED, Document, Shelf, Version, document_of, takes_gzip
from sunseo.web.endpoint import Answer as WebAnswer
from sunseo.web.endpoint import Auth, Call, Endpoint, LaneHandler, Reply, Urgency

OCTETS = "application/octet-stream"
PASS_HEADER = "sunseo-pass"  # noqa: S105 - a name, nothing secret
Heard = asyncio.Future[Answer[PartAnswer]]
MADE_BYTES_MAX = 32 * 1024 * 1024  # of answers that a worker keeps


class StockAvailability(msgspec.Struct, frozen=True):
    """A stock; `starts_at` and `ends_at` are those of an appointment, null where it is none."""

    stock: int
    occasion: int
    name: str
    starts_at: datetime | None
    ends_at: datetime | None
    capacity: int
    free: int
    held: int
    sold: int


class OccasionAvailability(msgspec.Struct, frozen=True):
    """Seats of one occasion; `states` has one digit a seat, in the order of the seat list."""

    occasion: int
    free: int
    held: int
    sold: int
    states: str


class Availability(msgspec.Struct, frozen=True):
    """What is free, at most about a tenth of a second old; `version` is the ETag."""

    sale: int
    version: int
    paused: bool
    occasions: list[OccasionAvailability]
    stocks: list[StockAvailability]


class AvailabilityQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`form=bitmap` gives two bits a seat as octets, of one occasion or of all in turn."""

    form: Literal["json", "bitmap"] | None = None
    occasion: Number32 | None = None


def hold_endpoints(service: HoldService, board: AvailabilityBoard) -> list[Endpoint]:
    handlers = HoldHandlers(service)
    availability = AvailabilityHandlers(board)
    return [
        Endpoint(
            name="place_hold",
            method="POST",
            path="/v1/sales/{sale:int}/holds",
            summary="Hold seats and products, all of them or none",
            description="Where a waiting room stands in front of the sale, send your pass as "
            "`Sunseo-Pass`. Repeating a request that was carried out needs no pass any more.",
            handler=LaneHandler(handlers.place, _reply),
            request=HoldRequest,
            response=HoldBody,
            success=201,
            outcomes=(*PlaceHoldOutcome, *LaterOutcome),
            auth=Auth.PERSON,
            idempotent_key=True,
        ),
        Endpoint(
            name="list_holds",
            method="GET",
            path="/v1/sales/{sale:int}/holds",
            summary="List your own holds in a sale",
            handler=handlers.list_own,
            response=HoldList,
            auth=Auth.PERSON,
        ),
        Endpoint(
            name="read_hold",
            method="GET",
            path="/v1/sales/{sale:int}/holds/{hold:uuid}",
            summary="Read one of your own holds",
            handler=handlers.read,
            response=HoldBody,
            outcomes=(RenewHoldOutcome.UNKNOWN_HOLD,),
            auth=Auth.PERSON,
        ),
        Endpoint(
            name="renew_hold",
            method="POST",
            path="/v1/sales/{sale:int}/holds/{hold:uuid}/renew",
            summary="Give a hold its full time again",
            handler=LaneHandler(handlers.renew, _reply),
            response=HoldBody,
            outcomes=(*RenewHoldOutcome, *LaterOutcome),
            auth=Auth.PERSON,
            idempotent_key=True,
        ),
        Endpoint(
            name="release_hold",
            method="POST",
            path="/v1/sales/{sale:int}/holds/{hold:uuid}/release",
            summary="Let go of a hold before its time",
            description="Releasing twice is the same as once, whatever the key.",
            handler=LaneHandler(handlers.release, _reply),
            response=HoldBody,
            outcomes=(*ReleaseHoldOutcome, *LaterOutcome),
            auth=Auth.PERSON,
            idempotent_key=True,
        ),
        Endpoint(
            name="read_availability",
            method="GET",
            path="/v1/sales/{sale:int}/availability",
            summary="See what is free",
            description="Two forms: JSON, and a bitmap of two bits a seat (0 free, 1 held, 2 "
            "sold), four seats a byte, the first in the lowest bits, in the order of the seat "
            "list. Ask with `?form=bitmap` or `Accept: application/octet-stream`; with "
            "`If-None-Match` an unchanged version is answered 304.",
            handler=availability.read,
            response=Availability,
            outcomes=(SetupOutcome.UNKNOWN_SALE, SetupOutcome.UNKNOWN_OCCASION),
            query=AvailabilityQuery,
            answers=UNCHANGED,
            media=(OCTETS,),
            # Refused before joins are, it would keep those inside from buying for as long as
            # others come. It costs hardly more than a refusal, and waits for nothing.
            urgency=Urgency.LOOK,
        ),
    ]


class HoldHandlers:
    def __init__(self, service: HoldService) -> None:
        self._service = service

    def place(self, call: Call) -> Heard:
        return self._service.place(
            call.person,
            call.idempotency_key,
            call.path["sale"],
            call.body,
            call.header(PASS_HEADER),
        )

    def renew(self, call: Call) -> Heard:
        return self._service.renew(
            call.person, call.idempotency_key, call.path["sale"], call.path["hold"]
        )

    def release(self, call: Call) -> Heard:
        return self._service.release(call.person, call.path["sale"], call.path["hold"])

    async def list_own(self, call: Call) -> WebAnswer:
        return Reply(200, HoldList(await self._service.own(call.person, call.path["sale"])))

    async def read(self, call: Call) -> WebAnswer:
        own = await self._service.own(call.person, call.path["sale"], call.path["hold"])
        return Reply(200, own[0]) if own else Refusal(RenewHoldOutcome.UNKNOWN_HOLD)


def note_times(call: Call, answer: Answer[PartAnswer]) -> None:
    """Put a command's times in lane and database into the request's record."""
    call.record.lane_wait_s = answer.waited_s
    call.record.db_s = answer.flush_s


def _reply(call: Call, answer: Answer[PartAnswer]) -> WebAnswer:
    note_times(call, answer)
    result = answer.result
    if isinstance(result, HoldAnswer):
        if result.outcome.kind.is_success and result.hold is not None:
            body = hold_body(result.hold, result.currency, result.renewals_left)
            return Reply(None, body, outcome=result.outcome)
        in_the_way = {
            "seats": result.seats,
            "products": result.products,
            "stocks": result.stocks,
        }
        extra: dict[str, object] = {
            what: list(which) for what, which in in_the_way.items() if which
        }
        if result.room is not None:
            extra["room"] = result.room
        if result.times is not None:
            extra["opens_at"], extra["closes_at"] = result.times
        return Refusal(result.outcome, extra=extra)
    return Refusal(result.outcome)


class AvailabilityHandlers:
    """Bytes are made once a version and form, and served from memory to all who look."""

    def __init__(self, board: AvailabilityBoard) -> None:
        self._board = board
        self._made = Shelf[Document](MADE_BYTES_MAX)

    async def read(self, call: Call) -> WebAnswer:
        sale: int = call.path["sale"]
        snapshot = await self._board.look(sale)
        if snapshot is None:
            return Refusal(SetupOutcome.UNKNOWN_SALE)
        query: AvailabilityQuery = call.query
        if query.occasion is not None and query.occasion not in snapshot.seat_maps:
            return Refusal(SetupOutcome.UNKNOWN_OCCASION)
        accepts_octets = OCTETS in (call.header("accept") or "")
        form = query.form or ("bitmap" if accepts_octets else "json")

        headers = [
            (b"cache-control", b"public, max-age=0, s-maxage=1"),
            (b"content-type", OCTETS.encode() if form == "bitmap" else b"application/json"),
        ]
        # Compressed only for those who take that: during a sale each answer lives for a moment.
        packed = takes_gzip(call.header("accept-encoding"))
        document = await self._made.find(
            (sale, form, query.occasion, packed),
            (snapshot.version,),
            partial(_document, sale, snapshot, form, query.occasion, packed=packed),
        )
        return document.reply(call, headers, vary=b"Accept, Accept-Encoding")


async def _document(
    sale: int, snapshot: Snapshot, form: str, occasion: int | None, *, packed: bool
) -> tuple[Version, Document]:
    version = snapshot.version
    body = (bitmap_of if form == "bitmap" else json_of)(sale, snapshot, occasion)
    tag = f"{version}-{form}-{occasion or 0}"
    if not packed:
        return (version,), Document(body, None, tag)
    return (version,), await asyncio.to_thread(document_of, body, tag)


def bitmap_of(_sale: int, snapshot: Snapshot, occasion: int | None) -> bytes:
    """The occasions' bitmaps, one after the other, each padded to whole bytes."""
    return b"".join(
        seat_map.bitmap
        for number, seat_map in snapshot.seat_maps.items()
        if occasion in (None, number)
    )


def json_of(sale: int, snapshot: Snapshot, occasion: int | None) -> bytes:
    occasions = [
        OccasionAvailability(number, *seat_map.counts, seat_map.digits)
        for number, seat_map in snapshot.seat_maps.items()
        if occasion in (None, number)
    ]
    stocks = [
        StockAvailability(
            s.stock,
            s.occasion,
            s.name,
            s.starts_at,
            s.ends_at,
            s.capacity,
            s.free,
            s.held,
            s.sold,
        )
        for s in (
            snapshot.stocks.values() if occasion is None else snapshot.stocks_of.get(occasion, ())
        )
    ]
    body = Availability(sale, snapshot.version, snapshot.paused, occasions, stocks)
    return msgspec.json.encode(body)
