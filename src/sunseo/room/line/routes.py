"""The HTTP face of a room for visitors: nonce, place, pass, and back out again."""

import asyncio
from typing import TypeVar

import msgspec

from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Kind
from sunseo.engine.entry import Answer
from sunseo.passes.tokens import Pass, Place
from sunseo.room.admission.admission import AdmissionOutcome
from sunseo.room.board.polling import poll_after_s
from sunseo.room.board.state import pass_terms_of
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
from sunseo.room.line.lanes import StoreAnswer
from sunseo.room.line.line import SECOND_MS, LinePass, RoomTerms
from sunseo.room.line.rules import RoomAnswer
from sunseo.room.line.service import HolderOutcome, RoomService
from sunseo.room.postgres.load import instant_of
from sunseo.web.endpoint import Answer as WebAnswer
from sunseo.web.endpoint import Auth, Call, Endpoint, Header, Refusal, Reply, Urgency

P = TypeVar("P", bound=PassBody)

NO_STORE: tuple[Header, ...] = ((b"cache-control", b"no-store"),)
ENDED = (*EndPassOutcome, HolderOutcome.INVALID_TOKEN, *LaterOutcome)


def room_endpoints(service: RoomService) -> list[Endpoint]:
    handlers = RoomHandlers(service)
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
    def __init__(self, service: RoomService) -> None:
        self._service = service

    async def give_nonce(self, call: Call) -> WebAnswer:
        given = self._service.give_nonce(call.path["room"], call)
        if isinstance(given, Refusal):
            return given
        nonce, token = given
        return Reply(201, NonceBody(token, nonce.minute), NO_STORE)

    async def join(self, call: Call) -> WebAnswer:
        room: int = call.path["room"]
        answer = await self._service.join(room, call.path["nonce"], call, call.body)
        if isinstance(answer, Refusal):
            return answer
        result = _noted(call, answer)
        if not isinstance(result, RoomAnswer) or result.terms is None:
            return Refusal(result.outcome)
        if result.place is not None:
            number = result.place.number
            wait_s = self._poll_after_s(room, result.terms, number - result.serving)
            token = self._service.seal_place(room, result.epoch, result.place)
            body = PlaceBody(result.epoch, result.serving, wait_s, token, number)
            return Reply(None, body, outcome=result.outcome)
        if result.entrant is not None:
            token = self._service.seal_receipt(room, result.epoch, result.entrant)
            wait_s = result.terms.settings.poll_ceiling_s
            body = PlaceBody(result.epoch, result.serving, wait_s, receipt=token)
            return Reply(202, body, outcome=result.outcome)
        opens_at = result.terms.opens_at
        return Refusal(result.outcome, extra={"opens_at": opens_at} if opens_at else {})

    async def enter(self, call: Call) -> WebAnswer:
        room: int = call.path["room"]
        entered = await self._service.enter(room, call.known_person, call.body)
        if isinstance(entered, Refusal):
            return entered
        result = _noted(call, entered.answer)
        if not isinstance(result, RoomAnswer) or result.terms is None:
            return Refusal(result.outcome)
        if result.held is not None:
            body = self._pass_body(PassBody(), entered.bearer, result.held, result.terms)
            return Reply(None, body, outcome=result.outcome)
        if result.outcome.kind is Kind.WAITING:
            wait_s = result.terms.settings.poll_floor_s
            return Reply(None, PassBody(poll_after_s=wait_s), outcome=result.outcome)
        if result.outcome is not EnterOutcome.NOT_SERVED:
            return Refusal(result.outcome)
        ahead = entered.bearer.number - result.serving
        wait_s = self._poll_after_s(room, result.terms, ahead)
        extra = {"ahead": ahead, "serving": result.serving, "poll_after_s": wait_s}
        return Refusal(result.outcome, extra=extra)

    async def renew(self, call: Call) -> WebAnswer:
        room: int = call.path["room"]
        body: RenewBody = call.body
        if body.pass_ is not None:
            return await self._renew(call, room, body.pass_)
        renewed = await asyncio.gather(*(self._renew(call, room, one) for one in body.passes))
        return Reply(200, RenewedBody(results=[_one_of_many(one) for one in renewed]), NO_STORE)

    async def leave(self, call: Call) -> WebAnswer:
        body: LeaveRequest = call.body
        ended = await self._service.leave(call.path["room"], body.pass_, revoke=body.revoke)
        return _ended(call, ended)

    async def complete(self, call: Call) -> WebAnswer:
        return _ended(call, await self._service.complete_by(call.path["room"], call.body.pass_))

    async def _renew(self, call: Call, room: int, token: str) -> WebAnswer:
        renewed = await self._service.renew(room, token)
        if isinstance(renewed, Refusal):
            return renewed
        result = _noted(call, renewed.answer)
        if not isinstance(result, RoomAnswer) or result.held is None or result.terms is None:
            return Refusal(result.outcome)
        body = self._pass_body(RenewedBody(), renewed.bearer, result.held, result.terms)
        return Reply(None, body, NO_STORE, outcome=result.outcome)

    def _pass_body(self, blank: P, bearer: Place | Pass, held: LinePass, terms: RoomTerms) -> P:
        """The pass and how long it lasts. The last renewal of a session is not to be renewed."""
        left_ms = held.expires_at_ms - terms.now_ms
        if held.expires_at_ms < held.session_until_ms:
            left_ms -= pass_terms_of(terms.settings).renew_before * SECOND_MS
        return msgspec.structs.replace(
            blank,
            pass_=self._service.seal_pass(bearer, held, terms.settings),
            expires_at=instant_of(held.expires_at_ms),
            renew_after_s=max(0, left_ms // SECOND_MS),
            session_until=instant_of(held.session_until_ms),
        )

    def _poll_after_s(self, room: int, terms: RoomTerms, ahead: int) -> int:
        view = self._service.look(room)
        return poll_after_s(terms.settings, None if view is None else view.shown.speed, ahead)


def _noted(call: Call, answer: Answer[StoreAnswer]) -> StoreAnswer:
    """Put a command's times in lane and database into the request's record."""
    call.record.lane_wait_s = answer.waited_s
    call.record.db_s = answer.flush_s
    return answer.result


def _one_of_many(answer: WebAnswer) -> RenewedPass:
    if isinstance(answer, Refusal) or answer.outcome is None:
        outcome = answer.outcome
        return RenewedPass(outcome=outcome.code if outcome is not None else "")
    if not isinstance(answer.body, RenewedBody):
        return RenewedPass(outcome=answer.outcome.code)
    body = answer.body
    return RenewedPass(
        body.pass_,
        body.expires_at,
        body.renew_after_s,
        body.session_until,
        outcome=answer.outcome.code,
    )


def _ended(call: Call, answer: Answer[StoreAnswer] | Refusal) -> WebAnswer:
    if isinstance(answer, Refusal):
        return answer
    result = _noted(call, answer)
    if not result.outcome.kind.is_success:
        return Refusal(result.outcome)
    return Reply(200, EndedBody(result.outcome.code), NO_STORE, outcome=result.outcome)
