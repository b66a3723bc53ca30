"""Whether a join is let through to the line: limits per network and account, then the challenge.

No database: what is refused here has cost the line nothing. The order is that of cost, so that a
flood is stopped by arithmetic before anything is verified or asked elsewhere.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Literal
from uuid import UUID

import msgspec

from sunseo.core.ids import Person
from sunseo.core.networks import (
    Buckets,
    address_of,
    network_of,
    whole_seconds,
)
from sunseo.core.outcome import Kind, Outcome, Refusal
from sunseo.room.admission.challenge import (
    ANSWER_CHARACTERS_MAX,
    Challenge,
    ChallengeBody,
    Challenged,
    Verdict,
)
from sunseo.room.setup.settings import RoomSettings

ACCOUNT_JOINS_MAX = 30  # a minute: a person who reloads without end, on several devices at once
NONCES_A_JOIN = 4  # a visitor who reloads, goes back and comes again takes a new nonce each time
RETRY_AFTER_S = 5  # when the challenge's service is away

Fails = Literal["closed", "open"]


class AdmissionOutcome(Outcome):
    """Why a join did not reach the line, in order of precedence."""

    TOO_MANY_JOINS = Kind.PACED, "There were too many joins from this network or account."
    CHALLENGE_REQUIRED = Kind.REFUSED, "This room asks for a solved challenge."
    CHALLENGE_FAILED = Kind.REFUSED, "The challenge is not solved, expired or used by another."
    CHALLENGE_UNAVAILABLE = Kind.LATER, "The challenge cannot be verified at the moment."


class JoinRequest(msgspec.Struct, frozen=True):
    """Somebody who wants a number.

    Attributes:
        room: which room.
        holder: who will have the place: the nonce's id, or the person's.
        nonce: the nonce's id.
        settings: of the room.
        person: where a person's token was sent.
        client: her address as text, where it is known.
        challenge: the answer that she sent, whatever it is.
    """

    room: int
    holder: UUID
    nonce: UUID
    settings: RoomSettings
    person: Person | None = None
    client: str | None = None
    challenge: str | None = None


class Admission:
    """Answers the two questions before the line: may she have a nonce, may she join.

    Args:
        challenges: by the name that a room's settings use. A room whose challenge is not here
            (Turnstile without its keys) is answered by `fails`.
        fails: what becomes of a join when its challenge cannot be verified.
        on_unverified: told the challenge's name whenever that happens.
        monotonic: clock of the buckets.
        wall: clock of the challenges.
    """

    def __init__(
        self,
        challenges: Mapping[str, Challenge],
        *,
        fails: Fails = "closed",
        on_unverified: Callable[[str], object] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._challenges = challenges
        self._fails = fails
        self._on_unverified = on_unverified
        self._monotonic = monotonic
        self._wall = wall
        self._joins = Buckets()
        self._nonces = Buckets()
        self._accounts = Buckets()

    def admit_nonce(self, room: int, client: str | None, settings: RoomSettings) -> Refusal | None:
        """None, or why there is no nonce for this client now."""
        most = settings.network_joins_max
        if most is None:
            return None
        key = _key(room, client)
        return _paced(self._nonces.take(key, most * NONCES_A_JOIN, self._monotonic()))

    async def admit(self, request: JoinRequest) -> Refusal | None:
        """None, or why this join does not reach the line."""
        return self._pace(request) or await self._challenge(request)

    def issue(self, room: int, settings: RoomSettings, nonce: UUID | None) -> ChallengeBody:
        """What a visitor has to prove in this room."""
        challenge = self._challenges.get(settings.challenge)
        if challenge is None:
            return ChallengeBody("none")
        return challenge.issue(room, settings.challenge_difficulty, nonce, self._wall())

    def forget_failures(self, request: JoinRequest) -> None:
        """Have a join that was admitted count for no limit: we could not do it, and said so."""
        for buckets, key, most in self._counted(request):
            buckets.give_back(key, most)

    def _pace(self, request: JoinRequest) -> Refusal | None:
        now = self._monotonic()
        for buckets, key, most in self._counted(request):
            if refusal := _paced(buckets.take(key, most, now)):
                return refusal
        return None

    def _counted(self, request: JoinRequest) -> Iterator[tuple[Buckets, bytes, int]]:
        """The buckets that a join takes from, with its key and what they hold."""
        if request.person is not None:
            key = request.room.to_bytes(8, "big") + request.person.id.bytes
            yield self._accounts, key, ACCOUNT_JOINS_MAX
        most = request.settings.network_joins_max
        if most is not None:
            yield self._joins, _key(request.room, request.client), most

    async def _challenge(self, request: JoinRequest) -> Refusal | None:
        kind = request.settings.challenge
        if kind == "none":
            return None
        if not request.challenge:
            return self._ask(AdmissionOutcome.CHALLENGE_REQUIRED, request)
        match await self._verdict(kind, request, request.challenge):
            case "passed":
                return None
            case "failed":
                return self._ask(AdmissionOutcome.CHALLENGE_FAILED, request)
        self._on_unverified(kind)
        if self._fails == "open":
            return None
        return Refusal(AdmissionOutcome.CHALLENGE_UNAVAILABLE, retry_after_s=RETRY_AFTER_S)

    def _ask(self, outcome: AdmissionOutcome, request: JoinRequest) -> Refusal:
        """Refuse, and send a challenge along, so that the next request can be the right one."""
        challenge = self.issue(request.room, request.settings, request.nonce)
        return Refusal(outcome, extra={"challenge": challenge})

    async def _verdict(self, kind: str, request: JoinRequest, answer: str) -> Verdict:
        challenge = self._challenges.get(kind)
        if challenge is None:
            return "unknown"
        if len(answer) > ANSWER_CHARACTERS_MAX:
            return "failed"
        asked = Challenged(request.room, request.holder, request.nonce, request.client)
        return await challenge.verify(answer, asked, self._wall())


def _key(room: int, client: str | None) -> bytes:
    return room.to_bytes(8, "big") + network_of(address_of(client))


def _paced(wait_s: float) -> Refusal | None:
    if wait_s <= 0:
        return None
    return Refusal(AdmissionOutcome.TOO_MANY_JOINS, retry_after_s=whole_seconds(wait_s))
