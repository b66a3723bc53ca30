"""The keys of an organisation's rooms: seal tokens, open them, sign the state document.

All subkeys derive from a master secret, one for each kind of token in each room, so that a gate
can be handed the key of its own room's passes and forge nothing else. Secrets rotate by key id:
new tokens take the current one, those of retired secrets stay valid until they expire.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from secrets import token_bytes
from uuid import UUID

import msgspec

from sunseo.core.signing import (
    Ed25519Signer,
    Verify,
    derive_key,
    ed25519_verifier,
    encode_base64url,
    mac16,
    mac_verifier,
)
from sunseo.passes.tokens import (
    STATE_PREFIX,
    Nonce,
    Pass,
    Place,
    Receipt,
    Token,
    TokenKind,
    kind_of,
    read_nonce,
    read_pass,
    read_place,
    read_receipt,
    seal,
    unseal,
)

SECRET_BYTES_MIN = 32
SUBKEYS_KEPT_MAX = 4096
"""Visitors name rooms in paths, whether they exist or not: what is kept for them has a bound."""

SIGNERS_KEPT_MAX = 256

_PURPOSES = {
    TokenKind.PLACE: b"place",
    TokenKind.PASS: b"pass",
    TokenKind.NONCE: b"nonce",
    TokenKind.RECEIPT: b"receipt",
}
_STATE = b"state"
_ED25519_SEED = b"pass-ed25519"


class GateKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a gate needs of one master secret, all base64url."""

    id: int
    pass_key: str | None = None  # HMAC of passes
    state_key: str | None = None  # HMAC of the state document
    public_key: str | None = None  # Ed25519, of both


class GateKeys(msgspec.Struct, frozen=True):
    """The keys of one room's gate, the current one first.

    Attributes:
        algorithm: "hmac" (these keys can mint passes of this room: keep them secret) or "ed25519"
            (they cannot: they may be published).
    """

    room: int
    algorithm: str
    keys: tuple[GateKey, ...]


def nonce_at(room: int, minute: int) -> Nonce:
    """A fresh nonce of a minute since 1970."""
    return Nonce(room, minute, UUID(bytes=minute.to_bytes(4, "big") + token_bytes(12)))


class KeyRing:
    """Seals and opens the tokens of one organisation.

    Args:
        organisation: enters every subkey.
        secrets: master secrets by key id, 0 to 255, of at least 32 bytes each.
        current: the key id that new tokens take.

    Raises:
        ValueError: a secret is too short, or an id out of range or missing.
    """

    def __init__(self, organisation: int, secrets: Mapping[int, bytes], current: int) -> None:
        if current not in secrets:
            raise ValueError(f"there is no secret with the current id {current}")
        for key_id, secret in secrets.items():
            if not 0 <= key_id <= 255:
                raise ValueError(f"secret id {key_id} is not between 0 and 255")
            if len(secret) < SECRET_BYTES_MIN:
                raise ValueError(f"secret {key_id} is shorter than {SECRET_BYTES_MIN} bytes")
        self._organisation = organisation
        self._secrets = dict(secrets)
        self._current = current
        self._subkey = lru_cache(SUBKEYS_KEPT_MAX)(self._derive)
        self._signer = lru_cache(SIGNERS_KEPT_MAX)(self._make_signer)
        self._verifier = lru_cache(SUBKEYS_KEPT_MAX)(self._make_verifier)

    def seal(self, token: Token, ed25519: bool = False) -> str:
        """Sign with the current key. The same token gives the same text."""
        key_id = self._current
        if ed25519:
            return seal(token, key_id, self._signer(key_id, token.room).sign, ed25519=True)
        key = self._subkey(_PURPOSES[kind_of(token)], key_id, token.room)
        return seal(token, key_id, partial(mac16, key))

    def open_place(self, text: str, room: int) -> Place:
        """Verify a place of this room; the epoch is for the caller to compare.

        Raises:
            TokenError: see `tokens.unseal`; so do all of these.
        """
        return read_place(unseal(text, TokenKind.PLACE, room, self._find(TokenKind.PLACE, room)))

    def open_pass(self, text: str, room: int) -> Pass:
        """Verify a pass of this room; epoch and expiry are for the caller to compare."""
        return read_pass(unseal(text, TokenKind.PASS, room, self._find(TokenKind.PASS, room)))

    def open_nonce(self, text: str, room: int) -> Nonce:
        """Verify a nonce of this room; its age is for the caller to judge."""
        return read_nonce(unseal(text, TokenKind.NONCE, room, self._find(TokenKind.NONCE, room)))

    def open_receipt(self, text: str, room: int) -> Receipt:
        return read_receipt(
            unseal(text, TokenKind.RECEIPT, room, self._find(TokenKind.RECEIPT, room))
        )

    def state_signature(self, room: int, document: bytes, ed25519: bool = False) -> str:
        """Sign a state document: its bytes before `,"signature":"`."""
        message = STATE_PREFIX + document
        if ed25519:
            return encode_base64url(self._signer(self._current, room).sign(message))
        return encode_base64url(mac16(self._subkey(_STATE, self._current, room), message))

    def gate_keys(self, room: int, ed25519: bool = False) -> GateKeys:
        """What a gate in front of this room verifies with; encode it as JSON."""
        ids = sorted(self._secrets, key=lambda key_id: (key_id != self._current, key_id))
        keys = tuple(self._gate_key(key_id, room, ed25519) for key_id in ids)
        return GateKeys(room, "ed25519" if ed25519 else "hmac", keys)

    def keys_for(self, purpose: bytes, room: int) -> tuple[bytes, ...]:
        """Subkeys for something of the room that is no token, the current one first.

        Args:
            purpose: not the name of a kind of token; never contains a zero byte.
            room: which room.
        """
        ids = sorted(self._secrets, key=lambda key_id: (key_id != self._current, key_id))
        return tuple(self._subkey(purpose, key_id, room) for key_id in ids)

    def _gate_key(self, key_id: int, room: int, ed25519: bool) -> GateKey:
        if ed25519:
            public_key = self._signer(key_id, room).public_key
            return GateKey(key_id, public_key=encode_base64url(public_key))
        return GateKey(
            key_id,
            pass_key=encode_base64url(self._subkey(_PURPOSES[TokenKind.PASS], key_id, room)),
            state_key=encode_base64url(self._subkey(_STATE, key_id, room)),
        )

    def _find(self, kind: TokenKind, room: int) -> Callable[[int, bool], Verify | None]:
        return partial(self._verifier, kind, room)

    def _make_verifier(
        self, kind: TokenKind, room: int, key_id: int, ed25519: bool
    ) -> Verify | None:
        if key_id not in self._secrets:
            return None
        if ed25519:
            return ed25519_verifier(self._signer(key_id, room).public_key)
        return mac_verifier(self._subkey(_PURPOSES[kind], key_id, room))

    def _derive(self, purpose: bytes, key_id: int, room: int) -> bytes:
        return derive_key(self._secrets[key_id], purpose, self._organisation, room)

    def _make_signer(self, key_id: int, room: int) -> Ed25519Signer:
        return Ed25519Signer(self._subkey(_ED25519_SEED, key_id, room))
