"""The HTTP face of a room for visitors: nonce, place, pass, and back out again."""

import asyncio
from typing import TypeVar, assert_never

import msgspec

from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Refusal
from sunseo.engine.entry import Answer
from sunseo.room.admission.admission import AdmissionOutcome
from sunseo.room.line.answers import (
    EndAnswer,
    Ended,
    Entered,
    EnterLater,
    HeldPass,
    Joined,
    Registered,
    RenewAnswer,
    Renewed,
)
from sunseo.room.line.bodies import (
    EndedBody,
    EnterBody,
    JoinBody,
    LeaveRequest,
    NonceBody,
    PassBody,
    PassRequest,
    PlaceBody,
    RenewBody,
    RenewedBody,
    RenewedPass,
)
from sunseo.room.line.commands import EndPassOutcome, EnterOutcome, JoinOutcome, RenewOutcome
from sunseo.room.line.service import Caller, HolderOutcome, RoomService
from sunseo.web.client_address import ClientAddresses
from sunseo.web.endpoint import Answer as WebAnswer
from sunseo.web.endpoint import Auth, Call, Endpoint, Header, Reply, Urgency

T = TypeVar("T")
P = TypeVar("P", bound=PassBody)

NO_STORE: tuple[Header, ...] = ((b"cache-control", b"no-store"),)
ENDED = (*EndPassOutcome, HolderOutcome.INVALID_TOKEN, *LaterOutcome)


def room_endpoints(service: RoomService, addresses: ClientAddresses) -> list[Endpoint]:
    handlers = RoomHandlers(service, addresses)
    return [
        Endpoint(
            name="give_nonce",
            method="POST",
            path="/v1/rooms/{room:int}/nonces",
            summary="Get a nonce to join with",
            description="The first of the two requests that a number takes. Nothing is stored.",
            handler=handlers.give_nonce,
            response=NonceBody,
            success=201,
            outcomes=(
                JoinOutcome.UNKNOWN_ROOM,
                AdmissionOutcome.TOO_MANY_JOINS,
                LaterOutcome.UNREADABLE,
            ),
            urgency=Urgency.JOIN,
            cross_origin=True,
        ),
        Endpoint(
            name="join_room",
            method="PUT",
            path="/v1/rooms/{room:int}/places/{nonce:str}",
            summary="Join the line",
            description="Sent again, it gives the same place: by the nonce, and by the person "
            "where one is known. With 202 there is a `receipt` instead of a place: the number will "
            "be drawn; ask again with the same nonce when the draw is over.",
            handler=handlers.join,
            request=JoinBody,
            response=PlaceBody,
            success=201,
            outcomes=(*AdmissionOutcome, *HolderOutcome, *JoinOutcome, *LaterOutcome),
            auth=Auth.OPTIONAL_PERSON,
            urgency=Urgency.JOIN,
            cross_origin=True,
        ),
        Endpoint(
            name="enter_room",
            method="POST",
            path="/v1/rooms/{room:int}/enter",
            summary="Turn a place into a pass",
            description="One pass a place; sent again, it gives the same pass. With 202 the place "
            "is kept; ask again after `poll_after_s`.",
            handler=handlers.enter,
            request=EnterBody,
            response=PassBody,
            success=201,
            outcomes=(
                HolderOutcome.INVALID_TOKEN,
                HolderOutcome.WRONG_HOLDER,
                *EnterOutcome,
                *LaterOutcome,
            ),
            auth=Auth.OPTIONAL_PERSON,
            cross_origin=True,
        ),
        Endpoint(
            name="renew_pass",
            method="POST",
            path="/v1/rooms/{room:int}/renew",
            summary="Give a pass its full time again",
            description="The answer carries a new token of the same pass. An older token than the "
            "last but one, or one after its grace, revokes the pass: somebody else has it. With "
            "`passes` many are renewed, each answered by its own `outcome`.",
            handler=handlers.renew,
            request=RenewBody,
            response=RenewedBody,
            outcomes=(HolderOutcome.INVALID_TOKEN, *RenewOutcome, *LaterOutcome),
            cross_origin=True,
        ),
        Endpoint(
            name="leave_room",
            method="POST",
            path="/v1/rooms/{room:int}/leave",
            summary="Give the slot back before its time",
            handler=handlers.leave,
            request=LeaveRequest,
            response=EndedBody,
            outcomes=ENDED,
            cross_origin=True,
        ),
        Endpoint(
            name="complete_visit",
            method="POST",
            path="/v1/rooms/{room:int}/complete",
            summary="Give the slot back because all is done",
            description="For the site behind the room, when somebody has what she came for.",
            handler=handlers.complete,
            request=PassRequest,
            response=EndedBody,
            outcomes=ENDED,
            cross_origin=True,
        ),
    ]


class RoomHandlers:
    def __init__(self, service: RoomService, addresses: ClientAddresses) -> None:
        self._service = service
        self._addresses = addresses

    async def give_nonce(self, call: Call) -> WebAnswer:
        room: int = call.path["room"]
        given = self._service.give_nonce(room, self._client_of(call, room))
        if isinstance(given, Refusal):
            return given
        nonce, token = given
        return Reply(201, NonceBody(token, nonce.minute), NO_STORE)

    async def join(self, call: Call) -> WebAnswer:
        room: int = call.path["room"]
        body: JoinBody = call.body
        caller = Caller(call.known_person, self._client_of(call, room))
        asked = self._service.join(
            room, call.path["nonce"], caller, binding=body.binding, challenge=body.challenge
        )
        match noted(call, await asked):
            case Joined() as joined:
                told = PlaceBody(
                    joined.epoch, joined.serving, joined.poll_after_s, joined.place, joined.number
                )
                return Reply(None, told, outcome=joined.outcome)
            case Registered() as entrant:
                told = PlaceBody(
                    entrant.epoch, entrant.serving, entrant.poll_after_s, receipt=entrant.receipt
                )
                return Reply(202, told, outcome=entrant.outcome)
            case Refusal() as refusal:
                return refusal
            case never:
                assert_never(never)

    async def enter(self, call: Call) -> WebAnswer:
        body: EnterBody = call.body
        asked = self._service.enter(call.path["room"], body.place, call.known_person, body.secret)
        match noted(call, await asked):
            case Entered() as entered:
                return Reply(None, _pass_body(PassBody(), entered), outcome=entered.outcome)
            case EnterLater() as later:
                told = PassBody(poll_after_s=later.poll_after_s)
                return Reply(None, told, outcome=later.outcome)
            case Refusal() as refusal:
                return refusal
            case never:
                assert_never(never)

    async def renew(self, call: Call) -> WebAnswer:
        room: int = call.path["room"]
        body: RenewBody = call.body
        if body.pass_ is None:
            asked = (self._service.renew(room, one) for one in body.passes)
            renewed = [_one_of_many(noted(call, one)) for one in await asyncio.gather(*asked)]
            return Reply(200, RenewedBody(results=renewed), NO_STORE)
        match noted(call, await self._service.renew(room, body.pass_)):
            case Renewed() as one:
                return Reply(None, _pass_body(RenewedBody(), one), NO_STORE, outcome=one.outcome)
            case Refusal() as refusal:
                return refusal
            case never:
                assert_never(never)

    async def leave(self, call: Call) -> WebAnswer:
        body: LeaveRequest = call.body
        ended = await self._service.leave(call.path["room"], body.pass_, revoke=body.revoke)
        return _ended(noted(call, ended))

    async def complete(self, call: Call) -> WebAnswer:
        ended = await self._service.complete_by(call.path["room"], call.body.pass_)
        return _ended(noted(call, ended))

    def _client_of(self, call: Call, room: int) -> str | None:
        return self._addresses.client_of(call) if self._service.counts_networks(room) else None


def noted(call: Call, answer: Answer[T]) -> T:
    """Put a command's times in lane and database into the request's record."""
    if answer.flush_s:
        call.record.lane_wait_s, call.record.db_s = answer.waited_s, answer.flush_s
    return answer.result


def _pass_body(blank: P, held: HeldPass) -> P:
    return msgspec.structs.replace(
        blank,
        pass_=held.sealed,
        expires_at=held.expires_at,
        renew_after_s=held.renew_after_s,
        session_until=held.session_until,
    )


def _one_of_many(answer: RenewAnswer) -> RenewedPass:
    told = RenewedPass(outcome=answer.outcome.code)
    return told if isinstance(answer, Refusal) else _pass_body(told, answer)


def _ended(answer: EndAnswer) -> WebAnswer:
    match answer:
        case Ended(outcome):
            return Reply(200, EndedBody(outcome.code), NO_STORE, outcome=outcome)
        case Refusal() as refusal:
            return refusal
        case never:
            assert_never(never)
