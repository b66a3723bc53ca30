"""Keys derived for one purpose each, and what is signed with them.

Two ways to sign: HMAC-SHA-256 truncated to 16 bytes (in every language's standard library, 1 µs
in Python), and Ed25519 for whoever must verify but never mint. Whatever is signed begins with a
prefix that names its purpose, so that a signature for one cannot serve for another. Comparisons
take the same time whether the first byte or the last one differs.
"""

import binascii
import hashlib
import hmac
import struct
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

MAC_BYTES = 16
"""128 bits: nobody guesses it, and a token stays short enough for a cookie."""

ED25519_SIGNATURE_BYTES = 64

Verify = Callable[[bytes, bytes], bool]
"""Takes a message and a signature, says whether they belong together."""

KEYS_STARTED_MAX = 4096
"""Keys whose HMAC is kept begun: a dozen for a room, and each issuer's secret."""

_BLOCK_BYTES = 64  # of SHA-256, to which HMAC pads its key
_TO_INNER = bytes(byte ^ 0x36 for byte in range(256))
_TO_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_SCOPE = struct.Struct(">IQ")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def derive_key(secret: bytes, purpose: bytes, organisation: int, room: int) -> bytes:
    """One subkey of 32 bytes for a purpose in a room. Who has it learns nothing of the others.

    Args:
        secret: the master secret.
        purpose: a kind of token, for instance `b"pass"`; never contains a zero byte.
        organisation: 0 to 2^32-1.
        room: 0 to 2^64-1.
    """
    scope = _SCOPE.pack(organisation, room)
    return hmac_sha256(secret, b"sunseo:key:v1\0" + purpose + b"\0" + scope)


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104), all 32 bytes of it.

    The same as `hmac.digest`, which lets go of Python's lock for a microsecond's work. In a worker
    the server's threads wait for that lock all the time, and having it back took 20 µs and more; a
    join that is signed twice costs a fifth less without. What hashes less than 2 kB keeps it.
    """
    inner, outer = _started(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return outer.digest()


class Pads(NamedTuple):
    """HMAC's key, spread out: HMAC(key, message) = SHA-256(outer + SHA-256(inner + message))."""

    inner: bytes
    outer: bytes


def pads_of(key: bytes) -> Pads:
    """Spread a key out once for all messages (RFC 2104): half the work of calling HMAC each."""
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    block = key.ljust(_BLOCK_BYTES, b"\0")
    return Pads(block.translate(_TO_INNER), block.translate(_TO_OUTER))


@lru_cache(KEYS_STARTED_MAX)
def _started(key: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """The two hashes of an HMAC when they have taken the key. To be copied, not changed."""
    inner, outer = pads_of(key)
    return hashlib.sha256(inner), hashlib.sha256(outer)


def mac16(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 of a message, its first 16 bytes."""
    return hmac_sha256(key, message)[:MAC_BYTES]


def mac_matches(key: bytes, message: bytes, mac: bytes) -> bool:
    return hmac.compare_digest(mac16(key, message), mac)


def mac_verifier(key: bytes) -> Verify:
    return partial(mac_matches, key)


class Ed25519Signer:
    """Signs; made from a seed of 32 bytes, deterministic as Ed25519 is."""

    def __init__(self, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - 20 ms of import that rooms with HMAC keys never need
            Ed25519PrivateKey,
        )

        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: bytes = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


def ed25519_verifier(public_key: bytes) -> Verify:
    """Verify with a public key of 32 bytes, which signs nothing.

    Raises:
        ValueError: these bytes are no such key.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - as above
        Ed25519PublicKey,
    )

    key = Ed25519PublicKey.from_public_bytes(public_key)

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


def encode_base64url(raw: bytes) -> str:
    """Base64url without padding."""
    return binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """The only bytes that are written so.

    Padding, foreign characters and set bits beyond the last byte are refused: otherwise one token
    would have many spellings, and whoever keeps a list of refused ones could be fooled.

    Raises:
        ValueError: it is not the canonical base64url of anything.
    """
    ascii_text = text.encode("ascii")  # UnicodeEncodeError is a ValueError
    padded = ascii_text.translate(_FROM_URL) + b"=" * (-len(ascii_text) % 4)
    raw = binascii.a2b_base64(padded)  # binascii.Error is one, too
    if binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=") != ascii_text:
        raise ValueError("not canonical base64url")
    return raw
