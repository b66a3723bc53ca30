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
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from sunseo.core.clock import Instant
from sunseo.core.ids import ID_BYTES, Person
from sunseo.core.later import Later
from sunseo.core.outcome import Kind, Outcome
from sunseo.core.signing import decode_base64url
from sunseo.engine.entry import Answer
from sunseo.identity.persons import GUEST_ISSUER
from sunseo.passes.keys import KeyRing, nonce_at
from sunseo.passes.tokens import BINDING_BYTES, NO_BINDING, Nonce, Pass, Place, Receipt, TokenError
from sunseo.room.admission.admission import Admission, JoinRequest
from sunseo.room.board.state import Shown
from sunseo.room.line.bodies import EnterBody, JoinBody
from sunseo.room.line.commands import (
    Complete,
    Enter,
    Join,
    JoinOutcome,
    Leave,
    Renew,
    Revoke,
    pass_id_of,
)
from sunseo.room.line.lanes import RoomStore, StoreAnswer
from sunseo.room.line.line import SECOND_MS, LineEntrant, LinePass, LinePlace
from sunseo.room.postgres.load import millis_of
from sunseo.room.setup.settings import RoomSettings
from sunseo.web.endpoint import Call, Refusal

MINUTE_S = 60
NONCE_WINDOW_S = 900
RANDOM_BITS = 64

T = TypeVar("T")


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
    def shown(self) -> Shown: ...
    @property
    def epoch(self) -> int: ...
    @property
    def void(self) -> frozenset[UUID]: ...
    @property
    def now(self) -> Instant: ...


class Rooms(Protocol):
    """All rooms, as of a moment ago."""

    def look(self, room: int) -> KnownRoom | None: ...


class PassAnswer(NamedTuple):
    """A store's answer about a pass, and the token that tells whose it is."""

    bearer: Place | Pass
    answer: Answer[StoreAnswer]


class RoomService:
    """One organisation's, in one process.

    Args:
        store: decides and keeps.
        rooms: the board; a room that was made a moment ago may not be on it yet.
        keys: open and seal tokens.
        admission: limits and challenges before the line.
        nonce_window_s: in which a nonce can be joined with.
        wall: clock of nonces.
    """

    def __init__(
        self,
        store: RoomStore,
        rooms: Rooms,
        keys: KeyRing,
        admission: Admission,
        organisation: int,
        *,
        nonce_window_s: int = NONCE_WINDOW_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._keys = keys
        self._admission = admission
        self._organisation = organisation
        self._nonce_window_s = nonce_window_s
        self._wall = wall

    def look(self, room: int) -> KnownRoom | None:
        return self._rooms.look(room)

    def give_nonce(self, room: int, call: Call) -> tuple[Nonce, str] | Refusal:
        """A signed nonce, of which nothing is kept."""
        view = self._rooms.look(room)
        if view is None:
            return Refusal(JoinOutcome.UNKNOWN_ROOM)
        client = self._admission.client_of(call)
        if refusal := self._admission.admit_nonce(room, client, view.settings):
            return refusal
        nonce = nonce_at(room, int(self._wall()) // MINUTE_S)
        return nonce, self._keys.seal(nonce)

    async def join(
        self, room: int, token: str, call: Call, body: JoinBody
    ) -> Answer[StoreAnswer] | Refusal:
        """Take a number for who calls: a person, or the bearer of the nonce and a secret."""
        view = self._rooms.look(room)
        if view is None:
            return Refusal(JoinOutcome.UNKNOWN_ROOM)
        nonce = _opened(self._keys.open_nonce, token, room)
        if isinstance(nonce, Refusal):
            return nonce
        person = call.known_person
        if outcome := refuse_holder(view.settings, person, body.binding):
            return Refusal(outcome)
        holder = nonce.id if person is None else person.id
        request = JoinRequest(
            room=room,
            holder=holder,
            nonce=nonce.id,
            settings=view.settings,
            person=person,
            client=self._admission.client_of(call) if _counts_networks(view.settings) else None,
            challenge=body.challenge,
        )
        if refusal := await self._admission.admit(request):
            return refusal
        answer = await self._store.submit(
            Join(
                room=(self._organisation, room),
                holder=holder,
                entrant=_entrant_id(view.settings),
                binding=None if person is not None else _uuid_of(body.binding),
                is_late=self._is_late(nonce),
            )
        )
        if isinstance(answer.result, Later):
            self._admission.forget_failures(request)
        return answer

    async def enter(
        self, room: int, person: Person | None, body: EnterBody
    ) -> PassAnswer | Refusal:
        """Turn a place into a pass, for its holder."""
        place = _opened(self._keys.open_place, body.place, room)
        if isinstance(place, Refusal):
            return place
        if not is_holder(place, person, body.secret):
            return Refusal(HolderOutcome.WRONG_HOLDER)
        random = getrandbits(RANDOM_BITS)  # tells epochs apart; what guards is the signature
        new_pass = pass_id_of(place.number, random)
        key = self._organisation, room
        command = Enter(key, place.epoch, place.number, place.holder, new_pass)
        return PassAnswer(place, await self._store.submit(command))

    async def renew(self, room: int, token: str) -> PassAnswer | Refusal:
        """Give a pass its full time again; whoever has it may ask."""
        shown = _opened(self._keys.open_pass, token, room)
        if isinstance(shown, Refusal):
            return shown
        key = self._organisation, room
        command = Renew(key, shown.epoch, shown.pass_id, shown.renewal)
        return PassAnswer(shown, await self._store.submit(command))

    async def leave(
        self, room: int, token: str, *, revoke: bool = False
    ) -> Answer[StoreAnswer] | Refusal:
        """Give the slot back; with `revoke` no gate takes the pass any more, wherever it is."""
        shown = _opened(self._keys.open_pass, token, room)
        if isinstance(shown, Refusal):
            return shown
        key = self._organisation, room
        end = Revoke if revoke else Leave
        return await self._store.submit(end(key, shown.epoch, shown.pass_id))

    async def complete_by(self, room: int, token: str) -> Answer[StoreAnswer] | Refusal:
        shown = _opened(self._keys.open_pass, token, room)
        return shown if isinstance(shown, Refusal) else await self.complete(shown)

    async def complete(self, shown: Pass) -> Answer[StoreAnswer]:
        """End a verified pass because what its holder came for is done."""
        key = self._organisation, shown.room
        return await self._store.submit(Complete(key, shown.epoch, shown.pass_id))

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
        if shown.expires_at_ms + skew_ms <= millis_of(view.now) or shown.pass_id in view.void:
            raise TokenError("expired")
        return shown

    def seal_place(self, room: int, epoch: int, place: LinePlace) -> str:
        binding = NO_BINDING if place.binding is None else place.binding.bytes
        is_account = place.binding is None
        return self._keys.seal(
            Place(room, epoch, place.number, place.issued_at_ms, place.holder, binding, is_account)
        )

    def seal_receipt(self, room: int, epoch: int, entrant: LineEntrant) -> str:
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

    def seal_pass(self, bearer: Place | Pass, held: LinePass, settings: RoomSettings) -> str:
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


def _opened(open_token: Callable[[str, int], T], token: str, room: int) -> T | Refusal:
    try:
        return open_token(token, room)
    except TokenError as error:
        return Refusal(HolderOutcome.INVALID_TOKEN, extra={"reason": error.reason})


def _uuid_of(binding: str | None) -> UUID | None:
    return None if binding is None else UUID(bytes=decode_base64url(binding))
