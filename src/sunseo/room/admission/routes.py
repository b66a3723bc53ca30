"""`GET /v1/rooms/{room}/challenge`: what has to be proved before joining."""

from typing import Annotated

import msgspec
from msgspec import Meta

from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Refusal
from sunseo.passes.keys import KeyRing
from sunseo.passes.tokens import CHARACTERS_MAX, TokenError
from sunseo.room.admission.admission import Admission
from sunseo.room.admission.challenge import ChallengeBody
from sunseo.room.board.board import RoomBoard
from sunseo.room.line.commands import JoinOutcome
from sunseo.web.endpoint import Answer, Call, Endpoint, Header, Reply, Urgency
from sunseo.web.problems import INVALID_QUERY, ProblemError

_NO_STORE: Header = (b"cache-control", b"no-store")


class ChallengeQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`nonce` binds the challenge to the nonce that it will be sent with."""

    nonce: Annotated[str, Meta(max_length=CHARACTERS_MAX)] | None = None


def challenge_endpoints(board: RoomBoard, keys: KeyRing, admission: Admission) -> list[Endpoint]:
    async def read_challenge(call: Call) -> Answer:
        room: int = call.path["room"]
        view = board.look(room)
        if view is None:
            return Refusal(JoinOutcome.UNKNOWN_ROOM)
        nonce = None
        if call.query.nonce is not None:
            try:
                nonce = keys.open_nonce(call.query.nonce, room)
            except TokenError as error:
                raise ProblemError(
                    INVALID_QUERY,
                    field="nonce",
                    expected="a nonce of this room",
                    reason=error.reason,
                ) from None
        challenge = admission.issue(room, view.settings, None if nonce is None else nonce.id)
        return Reply(200, challenge, (_NO_STORE,))

    return [
        Endpoint(
            name="read_challenge",
            method="GET",
            path="/v1/rooms/{room:int}/challenge",
            summary="Get a challenge to solve before joining",
            description="`kind` is `none`, `altcha` (the other members are as ALTCHA's widget "
            "reads them) or `turnstile`. With `nonce` the answer serves that nonce alone. A join "
            "that is refused for want of an answer carries a challenge as well.",
            handler=read_challenge,
            query=ChallengeQuery,
            response=ChallengeBody,
            outcomes=(JoinOutcome.UNKNOWN_ROOM, LaterOutcome.UNREADABLE),
            urgency=Urgency.JOIN,
            cross_origin=True,
        )
    ]
