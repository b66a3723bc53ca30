"""What visitors bring along: nonces to join with, and places to enter with."""

import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from bench.room.database import ORGANISATION
from bench.tokens import SECRET
from sunseo.passes.keys import KeyRing, nonce_at
from sunseo.passes.tokens import BINDING_BYTES, Place

BROWSER_SECRET = bytes(range(32))
"""Everybody's: what it costs to check does not depend on it."""

BINDING = sha256(BROWSER_SECRET).digest()[:BINDING_BYTES]
JOIN_BODY = '{"binding":"' + urlsafe_b64encode(BINDING).decode().rstrip("=") + '"}'


def key_ring() -> KeyRing:
    """The keys of the servers under test."""
    return KeyRing(ORGANISATION, {0: SECRET.encode()}, 0)


def write_nonces(path: Path, room: int, count: int) -> None:
    """Write fresh nonces, one a line."""
    ring, minute = key_ring(), int(time.time()) // 60
    _write(path, (ring.seal(nonce_at(room, minute)) for _ in range(count)))


def write_places(path: Path, room: int, count: int) -> None:
    """Write what to enter with, for the numbers from one, one request's body a line."""
    ring, now_ms = key_ring(), int(time.time() * 1000)
    secret = urlsafe_b64encode(BROWSER_SECRET).decode().rstrip("=")
    places = (
        ring.seal(Place(room, 1, number, now_ms, UUID(int=number), BINDING, account=False))
        for number in range(1, count + 1)
    )
    _write(path, (f'{{"place":"{place}","secret":"{secret}"}}' for place in places))


def write_rows(path: Path, room: int, count: int) -> None:
    """Write the same for the peer, whose place is the id of a row."""
    rows = (UUID(int=(room << 64) + number) for number in range(1, count + 1))
    _write(path, (f'{{"place":"{row}"}}' for row in rows))


def _write(path: Path, lines: Iterator[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
