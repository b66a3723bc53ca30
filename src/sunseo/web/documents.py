"""Documents that are costly to make: made once a version, compressed, and kept ready to be sent.

State       Of each document the newest version that was made. Together they take at most
            `bytes_max`, or one is there alone; what nobody asked for the longest makes room.
Guarantee   However many ask at once, a version is made once, and one document at a time. Hashing
            and compressing are done in a thread, and what is long is sent in parts between which
            others have their turn. A reader who is slow holds a part of it in memory, no more.
On failure  A document that could not be made is not kept; all who waited for it are told, and the
            next one who asks begins anew.
"""

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from hashlib import sha256
from typing import Generic, Protocol, TypeVar

import msgspec

from sunseo.web.endpoint import BodyStream, Call, Header, Reply

SHELF_BYTES_MAX = 64 * 1024 * 1024  # in each worker: a dozen halls of 50,000 seats
COMPRESSED_FROM = 1024  # bytes; less fits into one packet anyway
PART_BYTES = 64 * 1024  # takes some 30 µs to write, which nobody feels
LEVEL = 4  # seat lists are all repetition: more effort gains little

UNCHANGED = {304: "Unchanged since the `ETag` that `If-None-Match` names."}
"""What every endpoint with an ETag answers besides."""

Version = tuple[int, ...]


class Document(msgspec.Struct, frozen=True):
    """Bytes to be sent, and the same compressed where that is worth it.

    Attributes:
        tag: of the content, the same on every worker.
    """

    body: bytes
    packed: bytes | None
    tag: str

    @property
    def size(self) -> int:
        return len(self.body) + len(self.packed or b"")

    def reply(
        self, call: Call, headers: Sequence[Header] = (), vary: bytes = b"Accept-Encoding"
    ) -> Reply:
        """The document in the form that the caller takes, or 304 where she has it already."""
        packed = self.packed if takes_gzip(call.header("accept-encoding")) else None
        etag = etag_of(self.tag, packed=packed is not None)
        told = [*headers, (b"etag", etag.encode()), (b"vary", vary)]
        if is_known(call, etag):
            return Reply(304, None, told)
        if packed is None:
            return Reply(200, _in_parts(self.body), told)
        return Reply(200, _in_parts(packed), [*told, (b"content-encoding", b"gzip")])


def document_of(body: bytes, tag: str | None = None) -> Document:
    """Compress a document, and name it by its content where it has no other name.

    The same bytes give the same document, whoever makes it when.
    """
    packed = gzip.compress(body, LEVEL, mtime=0) if len(body) >= COMPRESSED_FROM else None
    return Document(body, packed, tag or sha256(body).hexdigest()[:32])


def _in_parts(body: bytes) -> bytes | BodyStream:
    return body if len(body) <= PART_BYTES else BodyStream(_parts(body), len(body))


async def _parts(body: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), PART_BYTES):
        yield body[start : start + PART_BYTES]
        await asyncio.sleep(0)  # a fast reader never makes us wait, and others would


def etag_of(tag: str, *, packed: bool) -> str:
    """The strong ETag: what is compressed has other bytes, and so another one."""
    return f'"{tag}-gzip"' if packed else f'"{tag}"'


class KeptDocument(Protocol):
    @property
    def size(self) -> int:
        """Bytes."""
        ...


K = TypeVar("K", bound=KeptDocument)


class Shelf(Generic[K]):
    """What one worker keeps; see the module."""

    def __init__(self, bytes_max: int = SHELF_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._kept: OrderedDict[Hashable, tuple[Version, K]] = OrderedDict()
        self._making: dict[tuple[Hashable, Version], asyncio.Task[K]] = {}
        self._one_at_a_time = asyncio.Lock()
        self.size = 0

    async def find(
        self, name: Hashable, version: Version, make: Callable[[], Awaitable[tuple[Version, K]]]
    ) -> K:
        """The document of this name, of this version or a later one.

        Args:
            name: what it is, whatever the version.
            version: the oldest one that will do.
            make: makes the newest one there is, and says which that is.
        """
        kept = self._kept.get(name)
        if kept is not None and kept[0] >= version:
            self._kept.move_to_end(name)
            return kept[1]
        key = name, version
        if (making := self._making.get(key)) is None:
            making = self._making[key] = asyncio.create_task(self._make(name, make))
            making.add_done_callback(lambda _: self._making.pop(key))
        # Who gives up leaves the others waiting, and the next one who asks finds it done.
        return await asyncio.shield(making)

    async def _make(self, name: Hashable, make: Callable[[], Awaitable[tuple[Version, K]]]) -> K:
        async with self._one_at_a_time:
            version, made = await make()
        self._keep(name, version, made)
        return made

    def _keep(self, name: Hashable, version: Version, made: K) -> None:
        before = self._kept.pop(name, None)
        if before is not None:
            self.size -= before[1].size
        self._kept[name] = version, made
        self.size += made.size
        while self.size > self._bytes_max and len(self._kept) > 1:
            _, (_, oldest) = self._kept.popitem(last=False)
            self.size -= oldest.size


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether `Accept-Encoding` names gzip, or everything, and does not rule it out."""
    weights: dict[str, bool] = {}
    for part in (accept_encoding or "").lower().split(","):
        coding, _, parameter = part.partition(";")
        weight = parameter.strip().removeprefix("q=").strip()
        weights[coding.strip()] = weight.strip("0.") != "" or not weight
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))


def is_known(call: Call, etag: str) -> bool:
    """Whether the caller has this version: each GET that sends an ETag asks so for 304."""
    return is_named(etag, ",".join(call.header_lines("if-none-match")))


def is_named(etag: str, if_none_match: str | None) -> bool:
    """Whether `If-None-Match` lists this ETag, weak or strong, or is `*`."""
    named = [part.strip().removeprefix("W/") for part in (if_none_match or "").split(",")]
    return etag in named or named == ["*"]
