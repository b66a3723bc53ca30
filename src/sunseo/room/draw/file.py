"""The file in which a draw is published: one line of JSON, then one line an entrant.

Text, so that a stranger can read it; sorted by id, so that it can be checked in one reading;
versioned and naming its method, so that a later method (a public beacon in place of the secret)
needs no other file. docs/protocol/draw.md is its description.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, Protocol
from zlib import MAX_WBITS, compressobj

import msgspec

FORMAT = "sunseo-draw"
VERSION = 1
METHOD = "commit-reveal"
CHUNK_BYTES = 256 * 1024
MEDIA_TYPE = b"application/gzip"

_GZIP = MAX_WBITS | 16
_LEVEL = 4  # ids are random: more effort gains one byte in a hundred


class DrawHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The file's first line. Bytes are written in lower-case hexadecimal, times in RFC 3339.

    A file of a sealed draw has neither secret nor seed, and its lines have no numbers.
    """

    format: str = FORMAT
    version: int = VERSION
    method: str = METHOD
    state: Literal["sealed", "withheld", "revealed"]
    room: int
    epoch: int
    commitment: str
    committer: str
    independent: bool
    entrants: int
    list_hash: str
    secret: str | None
    seed: str | None
    registrations: list[tuple[str, int]]  # a minute, and how many had registered when it ended
    log: list[dict[str, Any]]


def header_line(header: DrawHeader) -> bytes:
    return msgspec.json.encode(header) + b"\n"


def drawn_lines(rows: Iterable[tuple[bytes, int]]) -> bytes:
    """Lines of ids and their numbers; the ids ascend."""
    return "".join([f"{entrant.hex()} {number}\n" for entrant, number in rows]).encode()


def moment_text(moment: datetime) -> str:
    """A time as the log tells it: UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Squeeze(Protocol):
    """What compresses a stream."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def gzip_compressor() -> Squeeze:
    """The same bytes in, the same bytes out, whoever does it when: no time, no name."""
    return compressobj(_LEVEL, wbits=_GZIP)
