"""What the pages ask of a room: the same that the JSON endpoints offer, in the same words."""

from dataclasses import dataclass

import msgspec

from sunseo.core.ids import Person
from sunseo.core.outcome import Kind, Outcome
from sunseo.room.line.bodies import EnterBody, JoinBody
from sunseo.room.line.rules import RoomAnswer
from sunseo.room.line.service import RoomService
from sunseo.web.endpoint import Call, Refusal


class Joined(msgspec.Struct, frozen=True):
    """A number in line, and the sealed place that says so."""

    place: str
    epoch: int
    number: int
    serving: int


class Registered(msgspec.Struct, frozen=True):
    """Takes part in the draw, as the sealed receipt says; the number comes with the same nonce."""

    epoch: int
    receipt: str


class Entered(msgspec.Struct, frozen=True):
    """A pass, sealed."""

    sealed: str


class Waits(msgspec.Struct, frozen=True):
    """It is her turn, but nobody can be let in just now; the place is kept."""

    after_s: int


class Declined(msgspec.Struct, frozen=True):
    """Any other answer."""

    outcome: Outcome
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the pages get their answers."""

    service: RoomService

    def new_nonce(self, call: Call, room: int) -> str | Declined:
        given = self.service.give_nonce(room, call)
        return _declined(given) if isinstance(given, Refusal) else given[1]

    async def join(
        self, call: Call, room: int, nonce: str, body: JoinBody, person: Person | None
    ) -> Joined | Registered | Declined:
        """Join for a guest session, or for who has the secret of the binding."""
        if person is not None:
            call.person = person
            body = JoinBody(None, body.challenge)
        answer = await self.service.join(room, nonce, call, body)
        if isinstance(answer, Refusal):
            return _declined(answer)
        call.record.lane_wait_s, call.record.db_s = answer.waited_s, answer.flush_s
        result = answer.result
        if not isinstance(result, RoomAnswer):
            return Declined(result.outcome)
        if result.place is not None:
            sealed = self.service.seal_place(room, result.epoch, result.place)
            return Joined(sealed, result.epoch, result.place.number, result.serving)
        if result.entrant is None:
            return Declined(result.outcome)
        receipt = self.service.seal_receipt(room, result.epoch, result.entrant)
        return Registered(result.epoch, receipt)

    async def enter(
        self, call: Call, room: int, body: EnterBody, person: Person | None
    ) -> Entered | Waits | Declined:
        """Turn a place into a pass."""
        entered = await self.service.enter(room, person, body)
        if isinstance(entered, Refusal):
            return _declined(entered)
        answer = entered.answer
        call.record.lane_wait_s, call.record.db_s = answer.waited_s, answer.flush_s
        result = answer.result
        if not isinstance(result, RoomAnswer) or result.terms is None:
            return Declined(result.outcome)
        settings = result.terms.settings
        if result.held is not None:
            return Entered(self.service.seal_pass(entered.bearer, result.held, settings))
        if result.outcome.kind is Kind.WAITING:
            return Waits(settings.poll_floor_s)
        return Declined(result.outcome)


def _declined(refusal: Refusal) -> Declined:
    return Declined(refusal.outcome, refusal.retry_after_s)
