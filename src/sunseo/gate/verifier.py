"""What a gate can verify by itself: passes, and the room's state document.

A gate has the keys of its own room and no master secret. It needs to ask nobody: a pass that
verifies, has not expired by the room's clock and is not on the list of revoked ones is good.
"""

import re
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from sunseo.core.signing import Verify, decode_base64url, ed25519_verifier, mac_verifier
from sunseo.passes.keys import GateKeys
from sunseo.passes.polling import Poll
from sunseo.passes.tokens import STATE_PREFIX, Pass, TokenError, TokenKind, read_pass, unseal

REMEMBERED_MAX = 4096
"""Genuine passes whose signature is not computed again. Forged ones are never remembered."""

OFFSET_WINDOW_MS = 300_000
"""Documents over which the clock offset is learnt: long enough to meet a fast one, short enough to
follow a clock that drifts."""

_SIGNATURE = b',"signature":"'
_SPELLING = re.compile(rb'([A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{86})"}\s*')


class StateError(ValueError):
    """A state document is not the room's, or not one at all."""


class PassTimes(msgspec.Struct, frozen=True):
    """How long a pass lives, and from how long before its end it is renewed; seconds."""

    ttl: float = 60.0
    renew_before: float = 30.0


class RoomState(msgspec.Struct, frozen=True):
    """What a gate reads of the state document; it has more members than these."""

    room: int
    epoch: int
    phase: str
    mode: str
    now: int
    issued: int = 0
    serving: int = 0
    fail_mode: str = "closed"
    open_rate_max: float | None = None
    revoked: frozenset[UUID] = frozenset()
    poll: Poll = Poll()
    pass_: PassTimes = msgspec.field(default=PassTimes(), name="pass")


_read_state = msgspec.json.Decoder(RoomState).decode
_read_keys = msgspec.json.Decoder(GateKeys).decode


def gate_keys(given: GateKeys | Mapping[str, Any] | str | bytes) -> GateKeys:
    """Read gate keys: as an operator got them, JSON text or decoded.

    Raises:
        ValueError: these are no gate keys.
    """
    if isinstance(given, GateKeys):
        return given
    if isinstance(given, str | bytes):
        return _read_keys(given)
    return msgspec.convert(given, GateKeys)


class PassVerifier:
    """Verifies with a room's HMAC subkeys, or with its Ed25519 public keys.

    Raises:
        ValueError: a key is missing or malformed, or there is none.
    """

    def __init__(self, keys: GateKeys) -> None:
        if keys.algorithm not in ("hmac", "ed25519") or not keys.keys:
            raise ValueError("gate keys need an algorithm, hmac or ed25519, and at least one key")
        self.room = keys.room
        self._ed25519 = keys.algorithm == "ed25519"
        self._passes: dict[int, Verify] = {}
        self._states: list[Verify] = []
        for key in keys.keys:
            if self._ed25519:
                verify = ed25519_verifier(_key_bytes(key.public_key))
                self._passes[key.id] = verify
                self._states.append(verify)
            else:
                self._passes[key.id] = mac_verifier(_key_bytes(key.pass_key))
                self._states.append(mac_verifier(_key_bytes(key.state_key)))
        self.open = lru_cache(REMEMBERED_MAX)(self._open)

    def check(self, text: str, now_ms: float, epoch: int | None, skew_ms: float) -> Pass:
        """A pass that is good at this moment.

        Args:
            text: as the visitor sent it.
            now_ms: the room's time.
            epoch: of the room's line, None if it is not known.
            skew_ms: how long after its expiry a pass is still good.

        Raises:
            TokenError: with any reason.
        """
        ticket: Pass = self.open(text)
        if epoch is not None and ticket.epoch != epoch:
            raise TokenError("epoch")
        if ticket.expires_at_ms + skew_ms <= now_ms:
            raise TokenError("expired")
        return ticket

    def state(self, raw: bytes) -> RoomState:
        """Verify and read a state document.

        Only the signed bytes are read: members that somebody appended do not exist.

        Raises:
            StateError: it is not signed by this room.
        """
        document, _, rest = raw.rpartition(_SIGNATURE)
        spelt = _SPELLING.fullmatch(rest)
        if not document or spelt is None:
            raise StateError("the state document does not end in its signature")
        try:
            signature = decode_base64url(spelt[1].decode())
        except ValueError:
            raise StateError("the signature is not base64url") from None
        if not any(verify(STATE_PREFIX + document, signature) for verify in self._states):
            raise StateError("the state document is not signed by this room")
        try:
            state: RoomState = _read_state(document + b"}")
        except msgspec.DecodeError as error:
            raise StateError(f"the state document cannot be read: {error}") from None
        if state.room != self.room:
            raise StateError(f"the state document is of room {state.room}")
        return state

    def _open(self, text: str) -> Pass:
        return read_pass(unseal(text, TokenKind.PASS, self.room, self._key))

    def _key(self, key_id: int, ed25519: bool) -> Verify | None:
        return self._passes.get(key_id) if ed25519 == self._ed25519 else None


def _key_bytes(text: str | None) -> bytes:
    key = b"" if text is None else decode_base64url(text)
    if len(key) != 32:
        raise ValueError("a gate key has 32 bytes in base64url; this one is missing or was cut")
    return key


class RoomClock:
    """The room's time, learnt from the signed `now` of its documents.

    A document is older when it arrives than when it was signed, by the network and by caches, never
    younger. So the largest difference to our own clock in a window is the closest to the truth. Own
    time is monotonic: a wall clock that is ten minutes wrong, or is set right, moves nothing.
    """

    def __init__(self, wall_ms: float, monotonic_ms: float) -> None:
        self._offset = wall_ms - monotonic_ms  # until the first document
        self._seen: deque[tuple[float, float]] = deque()

    def learn(self, signed_ms: float, monotonic_ms: float) -> None:
        offset = signed_ms - monotonic_ms
        seen = self._seen
        while seen and seen[0][0] < monotonic_ms - OFFSET_WINDOW_MS:
            seen.popleft()
        while seen and seen[-1][1] <= offset:  # an older and smaller one can never win again
            seen.pop()
        seen.append((monotonic_ms, offset))
        self._offset = seen[0][1]

    def forget(self) -> None:
        """Begin anew with the next document: the room's own clock has gone back."""
        self._seen.clear()

    def now_ms(self, monotonic_ms: float) -> float:
        return monotonic_ms + self._offset


def is_older(state: RoomState, known: RoomState) -> bool:
    """Whether a document may have been signed before another one.

    One with an earlier time is the newer one only if its line has come further: then the room's
    clock has gone back. Where the line stands still nobody can tell that from a replay.
    """
    if state.epoch != known.epoch or state.now >= known.now:
        return state.epoch < known.epoch
    return (state.serving, state.issued) <= (known.serving, known.issued)
