"""What visitors carry: places, passes, nonces and receipts, fixed-width and signed.

Verifying gives an object or raises; there is no third way. The layout is published in
docs/protocol/tokens.md with test vectors, so that other languages can verify too. Nothing here
knows a master secret, and importing it is cheap: gates in other people's apps do so.
"""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec

from sunseo.core.signing import (
    ED25519_SIGNATURE_BYTES,
    MAC_BYTES,
    Verify,
    decode_base64url,
    encode_base64url,
)

VERSION = 1
BINDING_BYTES = 16
NO_BINDING = bytes(BINDING_BYTES)
"""Of a place whose holder is an account: she shows a person's token, not a secret."""

Reason = Literal[
    "malformed",  # not the one spelling of a token of this kind: alphabet, length, flags
    "version",  # of a layout that we do not know
    "kind",  # a token, but of another kind
    "room",  # of another room
    "key",  # names a key that we do not have
    "signature",  # changed by somebody, or signed by somebody else
    "epoch",  # of a line that the operator has reset since
    "expired",
]


class TokenError(ValueError):
    """A token is not what it should be; `reason` is one of a closed set.

    Only "epoch" and "expired" speak of tokens that are genuine.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class TokenKind(IntEnum):
    """What a token is; the second byte of each."""

    PLACE = 1
    PASS = 2
    NONCE = 3
    RECEIPT = 4


class Place(msgspec.Struct, frozen=True, gc=False):
    """A number in line. Times are milliseconds since 1970, UTC.

    Attributes:
        holder: the person's id where `account`, otherwise the nonce's.
        binding: 16 bytes: the beginning of SHA-256 of the browser's secret, zeros with `account`.
    """

    room: int
    epoch: int
    number: int
    issued_at_ms: int
    holder: UUID
    binding: bytes
    account: bool = False


class Pass(msgspec.Struct, frozen=True, gc=False):
    """Permission to be inside until `expires_at_ms`; `pass_id` stays through all renewals."""

    room: int
    epoch: int
    number: int
    issued_at_ms: int
    holder: UUID
    binding: bytes
    account: bool
    expires_at_ms: int
    pass_id: UUID
    renewal: int = 0


class Nonce(msgspec.Struct, frozen=True, gc=False):
    """The first of the two requests that a number takes. `id` is minute and 12 random bytes."""

    room: int
    minute: int
    id: UUID


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Proof of having registered for a draw."""

    room: int
    epoch: int
    issued_at_ms: int
    holder: UUID
    binding: bytes
    account: bool
    entrant: UUID


Token = Place | Pass | Nonce | Receipt

_ACCOUNT = 0x01
_ED25519 = 0x80

_HEAD = struct.Struct(">BBBBQIQQ16s16s")
_PASS = struct.Struct(_HEAD.format + "Q16sI")
_RECEIPT = struct.Struct(_HEAD.format + "16s")
_NONCE = struct.Struct(">BBBBQI12s")
_MINUTE = struct.Struct(">I")
_ROOM = struct.Struct(">Q")
_ROOM_AT = 4


class _Layout(NamedTuple):
    body_bytes: int
    prefix: bytes
    flags: int  # those that may be set


_LAYOUTS = {
    TokenKind.PLACE: _Layout(_HEAD.size, b"sunseo:place:v1\0", _ACCOUNT),
    TokenKind.PASS: _Layout(_PASS.size, b"sunseo:pass:v1\0", _ACCOUNT | _ED25519),
    TokenKind.NONCE: _Layout(_NONCE.size, b"sunseo:nonce:v1\0", 0),
    TokenKind.RECEIPT: _Layout(_RECEIPT.size, b"sunseo:receipt:v1\0", _ACCOUNT),
}
STATE_PREFIX = b"sunseo:state:v1\0"
CHARACTERS_MAX = 208  # a pass signed with Ed25519; anything longer is not even decoded


def kind_of(token: Token) -> TokenKind:
    match token:
        case Place():
            return TokenKind.PLACE
        case Pass():
            return TokenKind.PASS
        case Nonce():
            return TokenKind.NONCE
        case Receipt():
            return TokenKind.RECEIPT


def seal(token: Token, key_id: int, sign: Callable[[bytes], bytes], ed25519: bool = False) -> str:
    """Write and sign a token.

    Args:
        token: what is signed; struct.error if a number does not fit its field.
        key_id: 0 to 255, names the master secret from which `sign` derives.
        sign: gives 16 bytes, or 64 with `ed25519`.
        ed25519: for a pass only.
    """
    kind = kind_of(token)
    if ed25519 and kind is not TokenKind.PASS:
        raise ValueError("only passes are signed with Ed25519")
    body = _written(token, key_id, _ED25519 if ed25519 else 0)
    return encode_base64url(body + sign(_LAYOUTS[kind].prefix + body))


def _written(token: Token, key_id: int, signed_by: int) -> bytes:
    match token:
        case Place():
            return _HEAD.pack(*_head(token, TokenKind.PLACE, key_id, signed_by, token.number))
        case Pass():
            return _PASS.pack(
                *_head(token, TokenKind.PASS, key_id, signed_by, token.number),
                token.expires_at_ms,
                token.pass_id.bytes,
                token.renewal,
            )
        case Receipt():
            return _RECEIPT.pack(
                *_head(token, TokenKind.RECEIPT, key_id, signed_by, 0), token.entrant.bytes
            )
        case Nonce():
            stamped = token.id.bytes
            if _MINUTE.unpack_from(stamped)[0] != token.minute:
                raise ValueError("a nonce's id begins with its minute")
            return _NONCE.pack(
                VERSION,
                TokenKind.NONCE,
                key_id,
                0,
                token.room,
                token.minute,
                stamped[_MINUTE.size :],
            )


def _head(
    token: Place | Pass | Receipt, kind: TokenKind, key_id: int, signed_by: int, number: int
) -> tuple[int | bytes, ...]:
    if len(token.binding) != BINDING_BYTES:  # pack would pad or cut it without a word
        raise ValueError("a binding has 16 bytes")
    flags = signed_by | (_ACCOUNT if token.account else 0)
    return (
        VERSION,
        kind,
        key_id,
        flags,
        token.room,
        token.epoch,
        number,
        token.issued_at_ms,
        token.holder.bytes,
        token.binding,
    )


def unseal(
    text: str, kind: TokenKind, room: int, key_of: Callable[[int, bool], Verify | None]
) -> bytes:
    """Decode a token and verify it, and give its body.

    Args:
        text: as it came from outside, whatever it is.
        kind: the only one that is accepted.
        room: the only one that is accepted.
        key_of: finds the verification of a key id, HMAC or (True) Ed25519; None if unknown.

    Raises:
        TokenError: the first of these that applies: not base64url ("malformed"), "version", "kind",
            wrong flags or length ("malformed"), "room", "key", "signature". "epoch" and "expired"
            are the caller's to judge.
    """
    if not 4 <= len(text) <= CHARACTERS_MAX:
        raise TokenError("malformed")
    try:
        raw = decode_base64url(text)
    except ValueError:
        raise TokenError("malformed") from None
    if raw[0] != VERSION:
        raise TokenError("version")
    if raw[1] != kind:
        raise TokenError("kind" if raw[1] in _LAYOUTS else "malformed")
    layout = _LAYOUTS[kind]
    if len(raw) < layout.body_bytes:
        raise TokenError("malformed")
    flags = raw[3]
    ed25519 = flags >= _ED25519
    size = layout.body_bytes
    signature_bytes = ED25519_SIGNATURE_BYTES if ed25519 else MAC_BYTES
    if flags & ~layout.flags or len(raw) != size + signature_bytes:
        raise TokenError("malformed")
    body = raw[:size]
    if _ROOM.unpack_from(body, _ROOM_AT)[0] != room:
        raise TokenError("room")
    verify = key_of(raw[2], ed25519)
    if verify is None:
        raise TokenError("key")
    if not verify(layout.prefix + body, raw[size:]):
        raise TokenError("signature")
    return body


def read_place(body: bytes) -> Place:
    _, _, _, flags, room, epoch, number, issued_at, holder, binding = _HEAD.unpack(body)
    return Place(
        room, epoch, number, issued_at, UUID(bytes=holder), binding, bool(flags & _ACCOUNT)
    )


def read_pass(body: bytes) -> Pass:
    fields = _PASS.unpack(body)
    _, _, _, flags, room, epoch, number, issued_at, holder, binding = fields[:10]
    expires_at, pass_id, renewal = fields[10:]
    return Pass(
        room,
        epoch,
        number,
        issued_at,
        UUID(bytes=holder),
        binding,
        bool(flags & _ACCOUNT),
        expires_at,
        UUID(bytes=pass_id),
        renewal,
    )


def read_receipt(body: bytes) -> Receipt:
    fields = _RECEIPT.unpack(body)
    _, _, _, flags, room, epoch, _, issued_at, holder, binding, entrant = fields
    return Receipt(
        room,
        epoch,
        issued_at,
        UUID(bytes=holder),
        binding,
        bool(flags & _ACCOUNT),
        UUID(bytes=entrant),
    )


def read_nonce(body: bytes) -> Nonce:
    _, _, _, _, room, minute, rest = _NONCE.unpack(body)
    return Nonce(room, minute, UUID(bytes=_MINUTE.pack(minute) + rest))
