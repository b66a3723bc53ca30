"""Operator keys: `sunseo_<key id>_<secret>`, of which only a SHA-256 digest is stored.

A secret of 256 random bits needs no slow hash: nobody can try them all, stored digests or not.

State       What was looked up in the last `ttl_s`, present or absent, at most `entries_max`.
Guarantee   A revoked key stops working within `ttl_s`. Guessing asks the store at most once a key
            id and `ttl_s`. Comparison takes the same time wherever it fails.
Clock       A monotonic clock, for the age of entries only.
On failure  The lookup's error passes through: an unreachable store answers 503, never 401.
"""

import hmac
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import NamedTuple

from sunseo.core.clock import Monotonic

PREFIX = "sunseo_"
KEY = re.compile(r"sunseo_(?P<key_id>[a-z2-7]{10})_(?P<secret>[A-Za-z0-9_-]{43})")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_NO_DIGEST = bytes(32)

DigestLookup = Callable[[str], Awaitable[bytes | None]]
"""Gives the stored digest of a key id, None if there is none or it was revoked."""


class OperatorKey(NamedTuple):
    """A new key. `text` is shown once and never stored."""

    key_id: str
    text: str
    digest: bytes


def new_operator_key() -> OperatorKey:
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    secret = urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    text = f"{PREFIX}{key_id}_{secret}"
    return OperatorKey(key_id, text, digest_of(text))


def digest_of(text: str) -> bytes:
    """What is stored of a key: SHA-256 over the whole of it."""
    return sha256(text.encode()).digest()


class OperatorKeys:
    """Verifies operator keys against stored digests."""

    def __init__(
        self,
        lookup: DigestLookup,
        *,
        ttl_s: float = 5.0,
        entries_max: int = 1000,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._ttl_s = ttl_s
        self._entries_max = entries_max
        self._monotonic = monotonic
        self._digests: dict[str, tuple[float, bytes | None]] = {}

    async def verify(self, text: str) -> str | None:
        """The key's id if the key is valid, else None."""
        match = KEY.fullmatch(text)
        if match is None:
            return None
        stored = await self._digest(match["key_id"])
        same = hmac.compare_digest(digest_of(text), stored or _NO_DIGEST)
        return match["key_id"] if same and stored else None

    async def _digest(self, key_id: str) -> bytes | None:
        now = self._monotonic()
        known = self._digests.get(key_id)
        if known is not None and now - known[0] < self._ttl_s:
            return known[1]
        digest = await self._lookup(key_id)
        if len(self._digests) >= self._entries_max:
            self._digests.clear()  # rare, and cheaper than keeping order for it
        self._digests[key_id] = (now, digest)
        return digest
