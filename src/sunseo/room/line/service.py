"""What visitors can do in a room: tokens are opened and sealed here, the store decides the rest.

Nothing of this touches the database by itself: what is forged, too old or somebody else's is
refused before it costs the room's line anything.
"""

import hmac
import time
from collections.abc import Callable
from enum import unique
from hashlib import sha256
from random import getrandbits
from secrets import token_bytes
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from sunseo.core.clock import Instant, from_millis, to_millis
from sunseo.core.ids import ID_BYTES, Person
from sunseo.core.later import Later
from sunseo.core.outcome import Kind, Outcome, Refusal
from sunseo.core.signing import decode_base64url
from sunseo.engine.entry import Answer
from sunseo.identity.persons import GUEST_ISSUER
from sunseo.passes.keys import KeyRing, nonce_at
from sunseo.passes.polling import PolledState, next_poll_s, poll_after_s
from sunseo.passes.tokens import BINDING_BYTES, NO_BINDING, Nonce, Pass, Place, Receipt, TokenError
from sunseo.room.admission.admission import Admission, JoinRequest
from sunseo.room.board.state import pass_terms_of, poll_of
from sunseo.room.line.answers import (
    EndAnswer,
    Ended,
    EnterAnswer,
    Entered,
    EnterLater,
    JoinAnswer,
    Joined,
    Registered,
    RenewAnswer,
    Renewed,
)
from sunseo.room.line.commands import (
    Complete,
    Enter,
    EnterOutcome,
    Join,
    JoinOutcome,
    Leave,
    Renew,
    Revoke,
    pass_id_of,
)
from sunseo.room.line.lanes import StoreAnswer
from sunseo.room.line.line import SECOND_MS, LineEntrant, LinePass, LinePlace, RoomTerms
from sunseo.room.line.rules import RoomAnswer
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.store import LineStore

MINUTE_S = 60
NONCE_WINDOW_S = 900
RANDOM_BITS = 64

T = TypeVar("T")
H = TypeVar("H", Entered, Renewed)
_End: TypeAlias = Complete | Leave | Revoke


@unique
class HolderOutcome(Outcome):
    """Why a request does not reach the line: its token, or who sent it. In precedence."""

    INVALID_TOKEN = Kind.REFUSED, "This is no genuine token of this kind and room."
    PERSON_REQUIRED = Kind.REFUSED, "This room is for persons: send a session's or account's token."
    ACCOUNT_REQUIRED = Kind.REFUSED, "This room is for accounts: send your account's token."
    BINDING_REQUIRED = Kind.REFUSED, "Send a person's token, or bind the place to a secret."
    WRONG_HOLDER = Kind.REFUSED, "The place is somebody else's, or its secret or token is missing."


class KnownRoom(Protocol):
    """What a worker knows of a room without asking the database."""

    @property
    def settings(self) -> RoomSettings: ...
    @property
    def state(self) -> PolledState: ...
    @property
    def epoch(self) -> int: ...
    @property
    def void(self) -> frozenset[UUID]: ...
    @property
    def now(self) -> Instant: ...


class Rooms(Protocol):
    """All rooms, as of a moment ago."""

    def look(self, room: int) -> KnownRoom | None: ...


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who asks: a person where a token says so, and the address as text where anybody counts it."""

    person: Person | None = None
    client: str | None = None


class RoomService:
    """One organisation's, in one process.

    Args:
        lines: decide and keep.
        rooms: the board; a room that was made a moment ago may not be on it yet.
        keys: open and seal tokens.
        admission: limits and challenges before the line.
        nonce_window_s: in which a nonce can be joined with.
        wall: clock of nonces.
    """

    def __init__(
        self,
        lines: LineStore,
        rooms: Rooms,
        keys: KeyRing,
        admission: Admission,
        organisation: int,
        *,
        nonce_window_s: int = NONCE_WINDOW_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._lines = lines
        self._rooms = rooms
        self._keys = keys
        self._admission = admission
        self._organisation = organisation
        self._nonce_window_s = nonce_window_s
        self._wall = wall

    def counts_networks(self, room: int) -> bool:
        """Whether it matters from where somebody joins or asks for a nonce."""
        view = self._rooms.look(room)
        return view is not None and _counts_networks(view.settings)

    def give_nonce(self, room: int, client: str | None) -> tuple[Nonce, str] | Refusal:
        """A signed nonce, of which nothing is kept."""
        view = self._rooms.look(room)
        if view is None:
            return Refusal(JoinOutcome.UNKNOWN_ROOM)
        if refusal := self._admission.admit_nonce(room, client, view.settings):
            return refusal
        nonce = nonce_at(room, int(self._wall()) // MINUTE_S)
        return nonce, self._keys.seal(nonce)

    async def join(
        self,
        room: int,
        token: str,
        caller: Caller,
        *,
        binding: str | None = None,
        challenge: str | None = None,
    ) -> Answer[JoinAnswer]:
        """Take a number for who calls: a person, or the bearer of the nonce and a secret.

        `token` is a nonce of this room; `binding` binds the place to a secret (base64url) where
        there is no person; `challenge` is the solved one, where the room asks for one.
        """
        view = self._rooms.look(room)
        if view is None:
            return _unasked(Refusal(JoinOutcome.UNKNOWN_ROOM))
        nonce = _opened(self._keys.open_nonce, token, room)
        if isinstance(nonce, Refusal):
            return _unasked(nonce)
        person = caller.person
        if outcome := refuse_holder(view.settings, person, binding):
            return _unasked(Refusal(outcome))
        request = JoinRequest(
            room=room,
            holder=nonce.id if person is None else person.id,
            nonce=nonce.id,
            settings=view.settings,
            person=person,
            client=caller.client,
            challenge=challenge,
        )
        if refusal := await self._admission.admit(request):
            return _unasked(refusal)
        answer = await self._lines.submit(
            Join(
                room=(self._organisation, room),
                holder=request.holder,
                entrant=_entrant_id(view.settings),
                binding=None if person is not None else _uuid_of(binding),
                is_late=self._is_late(nonce),
            )
        )
        if isinstance(answer.result, Later):
            self._admission.forget_failures(request)
        return _with(answer, self._joined(room, answer.result))

    async def enter(
        self, room: int, token: str, person: Person | None, secret: str | None
    ) -> Answer[EnterAnswer]:
        """Turn a place into a pass, for its holder: the person, or who has its `secret`."""
        place = _opened(self._keys.open_place, token, room)
        if isinstance(place, Refusal):
            return _unasked(place)
        if not is_holder(place, person, secret):
            return _unasked(Refusal(HolderOutcome.WRONG_HOLDER))
        random = getrandbits(RANDOM_BITS)  # tells epochs apart; what guards is the signature
        new_pass = pass_id_of(place.number, random)
        key = self._organisation, room
        command = Enter(key, place.epoch, place.number, place.holder, new_pass)
        answer = await self._lines.submit(command)
        return _with(answer, self._entered(place, answer.result))

    async def renew(self, room: int, token: str) -> Answer[RenewAnswer]:
        """Give a pass its full time again; whoever has it may ask."""
        shown = _opened(self._keys.open_pass, token, room)
        if isinstance(shown, Refusal):
            return _unasked(shown)
        key = self._organisation, room
        command = Renew(key, shown.epoch, shown.pass_id, shown.renewal)
        answer = await self._lines.submit(command)
        result = answer.result
        if not isinstance(result, RoomAnswer) or result.held is None or result.terms is None:
            return _with(answer, Refusal(result.outcome))
        return _with(answer, self._held(Renewed, shown, result.outcome, result.terms, result.held))

    async def leave(self, room: int, token: str, *, revoke: bool = False) -> Answer[EndAnswer]:
        """Give the slot back; with `revoke` no gate takes the pass any more, wherever it is."""
        return await self._end(Revoke if revoke else Leave, room, token)

    async def complete_by(self, room: int, token: str) -> Answer[EndAnswer]:
        """Give the slot back because what its holder came for is done."""
        return await self._end(Complete, room, token)

    async def complete(self, shown: Pass) -> Answer[EndAnswer]:
        """The same for a pass that was verified already."""
        return await self._submit_end(Complete, shown)

    def admission_of(self, token: str, room: int) -> Pass:
        """Verify a pass as a gate does: by its signature, and by what the board knows.

        Raises:
            TokenError: it is not genuine, of another room or epoch, expired, or void before that.
        """
        shown = self._keys.open_pass(token, room)
        view = self._rooms.look(room)
        if view is None or shown.epoch != view.epoch:
            raise TokenError("epoch")
        skew_ms = view.settings.skew_s * SECOND_MS
        if shown.expires_at_ms + skew_ms <= to_millis(view.now) or shown.pass_id in view.void:
            raise TokenError("expired")
        return shown

    async def _end(self, end: type[_End], room: int, token: str) -> Answer[EndAnswer]:
        shown = _opened(self._keys.open_pass, token, room)
        if isinstance(shown, Refusal):
            return _unasked(shown)
        return await self._submit_end(end, shown)

    async def _submit_end(self, end: type[_End], shown: Pass) -> Answer[EndAnswer]:
        key = self._organisation, shown.room
        answer = await self._lines.submit(end(key, shown.epoch, shown.pass_id))
        outcome = answer.result.outcome
        ended = Ended(outcome) if outcome.kind.is_success else Refusal(outcome)
        return _with(answer, ended)

    def _joined(self, room: int, result: StoreAnswer) -> JoinAnswer:
        if not isinstance(result, RoomAnswer) or result.terms is None:
            return Refusal(result.outcome)
        outcome, epoch, serving, terms = result.outcome, result.epoch, result.serving, result.terms
        if result.place is not None:
            number = result.place.number
            wait_s = self._poll_after_s(room, terms.settings, number - serving)
            sealed = self._sealed_place(room, epoch, result.place)
            return Joined(outcome, sealed, epoch, number, serving, wait_s)
        if result.entrant is not None:
            receipt = self._sealed_receipt(room, epoch, result.entrant)
            wait_s = self._poll_after_s(room, terms.settings, None)
            return Registered(outcome, receipt, epoch, serving, wait_s)
        return Refusal(outcome, extra={"opens_at": terms.opens_at} if terms.opens_at else {})

    def _entered(self, place: Place, result: StoreAnswer) -> EnterAnswer:
        if not isinstance(result, RoomAnswer) or result.terms is None:
            return Refusal(result.outcome)
        outcome, settings = result.outcome, result.terms.settings
        if result.held is not None:
            return self._held(Entered, place, outcome, result.terms, result.held)
        if outcome.kind is Kind.WAITING:
            return EnterLater(outcome, settings.poll_floor_s)
        if outcome is not EnterOutcome.NOT_SERVED:
            return Refusal(outcome)
        ahead = place.number - result.serving
        wait_s = self._poll_after_s(place.room, settings, ahead)
        extra = {"ahead": ahead, "serving": result.serving, "poll_after_s": wait_s}
        return Refusal(outcome, extra=extra)

    def _held(
        self,
        kind: type[H],
        bearer: Place | Pass,
        outcome: Outcome,
        terms: RoomTerms,
        held: LinePass,
    ) -> H:
        """The pass and how long it lasts. The last renewal of a session is not to be renewed."""
        left_ms = held.expires_at_ms - terms.now_ms
        if held.expires_at_ms < held.session_until_ms:
            left_ms -= pass_terms_of(terms.settings).renew_before * SECOND_MS
        return kind(
            outcome=outcome,
            sealed=self._sealed_pass(bearer, held, terms.settings),
            expires_at=from_millis(held.expires_at_ms),
            renew_after_s=max(0, left_ms // SECOND_MS),
            session_until=from_millis(held.session_until_ms),
        )

    def _poll_after_s(self, room: int, settings: RoomSettings, ahead: int | None) -> int:
        view = self._rooms.look(room)
        if view is None:
            return round(poll_after_s(poll_of(settings), ahead, None))
        return round(next_poll_s(view.state, ahead, to_millis(view.now)))

    def _sealed_place(self, room: int, epoch: int, place: LinePlace) -> str:
        binding = NO_BINDING if place.binding is None else place.binding.bytes
        is_account = place.binding is None
        return self._keys.seal(
            Place(room, epoch, place.number, place.issued_at_ms, place.holder, binding, is_account)
        )

    def _sealed_receipt(self, room: int, epoch: int, entrant: LineEntrant) -> str:
        binding = NO_BINDING if entrant.binding is None else entrant.binding.bytes
        return self._keys.seal(
            Receipt(
                room=room,
                epoch=epoch,
                issued_at_ms=entrant.registered_at_ms,
                holder=entrant.holder,
                binding=binding,
                account=entrant.binding is None,
                entrant=entrant.entrant,
            )
        )

    def _sealed_pass(self, bearer: Place | Pass, held: LinePass, settings: RoomSettings) -> str:
        """The pass as it stands: the same text, however often it is asked for."""
        return self._keys.seal(
            Pass(
                room=bearer.room,
                epoch=bearer.epoch,
                number=held.number,
                issued_at_ms=held.renewed_at_ms,
                holder=held.holder,
                binding=bearer.binding,
                account=bearer.account,
                expires_at_ms=held.expires_at_ms,
                pass_id=held.pass_id,
                renewal=held.renewal,
            ),
            ed25519=settings.pass_signature == "ed25519",  # noqa: S105 - an algorithm's name
        )

    def _is_late(self, nonce: Nonce) -> bool:
        return self._wall() >= (nonce.minute + 1) * MINUTE_S + self._nonce_window_s


def refuse_holder(
    settings: RoomSettings, person: Person | None, binding: str | None
) -> HolderOutcome | None:
    """Why a room takes no place for this holder."""
    if person is None:
        if settings.holders != "anyone":
            return HolderOutcome.PERSON_REQUIRED
        return HolderOutcome.BINDING_REQUIRED if binding is None else None
    if settings.holders == "accounts" and person.issuer == GUEST_ISSUER:
        return HolderOutcome.ACCOUNT_REQUIRED
    return None


def is_holder(place: Place, person: Person | None, secret: str | None) -> bool:
    """Whether who calls is who joined."""
    if place.account:
        return person is not None and person.id == place.holder
    if secret is None:
        return False
    binding = sha256(decode_base64url(secret)).digest()[:BINDING_BYTES]
    return hmac.compare_digest(binding, place.binding)


def _counts_networks(settings: RoomSettings) -> bool:
    """Whether it matters from where a join comes: otherwise nobody looks."""
    return settings.network_joins_max is not None or settings.challenge != "none"


def _entrant_id(settings: RoomSettings) -> UUID:
    """An id for the draw that nobody can guess; where no draw is near, any will do."""
    if settings.mode == "random":
        return UUID(bytes=token_bytes(ID_BYTES))
    # A system call for every join would cost as much as the rest of it.
    return UUID(int=getrandbits(8 * ID_BYTES))


def _unasked(refusal: Refusal) -> Answer[Any]:
    """What was refused before the store was asked has taken none of its time."""
    return Answer(refusal, 0.0, 0.0)


def _with(answer: Answer[StoreAnswer], result: T) -> Answer[T]:
    return Answer(result, answer.waited_s, answer.flush_s)


def _opened(open_token: Callable[[str, int], T], token: str, room: int) -> T | Refusal:
    try:
        return open_token(token, room)
    except TokenError as error:
        return Refusal(HolderOutcome.INVALID_TOKEN, extra={"reason": error.reason})


def _uuid_of(binding: str | None) -> UUID | None:
    return None if binding is None else UUID(bytes=decode_base64url(binding))
