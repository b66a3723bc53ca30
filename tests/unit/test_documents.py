"""Documents kept ready: made once, bounded, named by content, sent as the caller takes them."""

import asyncio
import gzip
import os

import pytest

from sunseo.web.documents import (
    PART_BYTES,
    Document,
    Shelf,
    Version,
    document_of,
    etag_of,
    is_named,
    takes_gzip,
)
from sunseo.web.endpoint import BodyStream, Call, Record, Reply

LONG = b'{"seats":[' + b'{"row":"1"},' * 500 + b"{}]}"


class Maker:
    """Makes documents when a test lets it, and counts them."""

    def __init__(self) -> None:
        self.made = 0
        self.version: Version = (1,)
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.error: Exception | None = None

    async def __call__(self) -> tuple[Version, Document]:
        self.made += 1
        version = self.version
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return version, document_of(b"%d" % self.made)


def call(**headers: str) -> Call:
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Call(Record("id", "GET", 0.0), sent, {}, {"headers": list(sent.items())})


def headers_of(reply: Reply) -> dict[bytes, bytes]:
    return dict(reply.headers)


async def test_all_who_ask_at_once_share_one_making() -> None:
    """A hundred readers get the same document, which was made once; so do all who come later."""
    shelf, maker = Shelf[Document](), Maker()
    maker.go_on.clear()
    readers = [asyncio.ensure_future(shelf.find("a", (1,), maker)) for _ in range(100)]
    await asyncio.sleep(0)
    readers[0].cancel()
    maker.go_on.set()

    found = await asyncio.gather(*readers[1:])
    later = await shelf.find("a", (1,), maker)

    assert maker.made == 1
    assert {document.body for document in found} == {b"1"}
    assert later is found[0]


async def test_only_a_newer_version_is_made_anew() -> None:
    """What was made of a later version than asked for will do; an older one will not."""
    shelf, maker = Shelf[Document](), Maker()
    maker.version = (3,)
    await shelf.find("a", (2,), maker)
    assert (await shelf.find("a", (3,), maker)).body == b"1"

    maker.version = (4,)
    assert (await shelf.find("a", (4,), maker)).body == b"2"
    assert shelf.size == 1  # the older one is gone


async def test_what_failed_is_not_kept() -> None:
    """All who waited are told, and the next one who asks has it made."""
    shelf, maker = Shelf[Document](), Maker()
    maker.error = ConnectionError("the database is away")
    told = await asyncio.gather(
        *(shelf.find("a", (1,), maker) for _ in range(3)), return_exceptions=True
    )
    assert told == [maker.error] * 3

    maker.error = None
    assert (await shelf.find("a", (1,), maker)).body == b"2"


async def test_memory_is_bounded() -> None:
    """What nobody asked for the longest time makes room; one that is too large is alone."""
    shelf = Shelf[Document](bytes_max=30)

    async def made(size: int) -> tuple[Version, Document]:
        return (1,), Document(b"x" * size, None, "")

    for name in "abc":
        await shelf.find(name, (1,), lambda: made(10))
    await shelf.find("a", (1,), lambda: made(10))
    await shelf.find("d", (1,), lambda: made(10))
    assert (sorted(shelf._kept), shelf.size) == (["a", "c", "d"], 30)  # type: ignore[type-var]  # all are texts

    await shelf.find("e", (1,), lambda: made(100))
    assert (list(shelf._kept), shelf.size) == (["e"], 100)


def test_the_same_content_is_the_same_document() -> None:
    """Whoever makes it when: bytes, compressed bytes and name; other content has another name."""
    first, other = document_of(LONG), document_of(LONG)

    assert first == other
    assert first.packed is not None
    assert gzip.decompress(first.packed) == LONG
    assert len(first.packed) < len(LONG) / 10
    assert document_of(LONG + b" ").tag != first.tag
    assert document_of(b"short").packed is None


def test_each_form_has_an_etag_of_its_own() -> None:
    """Compressed for those who take it; 304 for those who have just that form."""
    document = document_of(LONG)
    plain, packed = etag_of(document.tag, packed=False), etag_of(document.tag, packed=True)

    full, small = document.reply(call()), document.reply(call(accept_encoding="gzip, br"))
    assert (full.body, small.body) == (LONG, document.packed)
    assert headers_of(full) == {b"etag": plain.encode(), b"vary": b"Accept-Encoding"}
    assert headers_of(small) == {
        b"etag": packed.encode(),
        b"vary": b"Accept-Encoding",
        b"content-encoding": b"gzip",
    }

    same = document.reply(call(accept_encoding="gzip", if_none_match=packed))
    assert (same.status, same.body, headers_of(same)[b"etag"]) == (304, None, packed.encode())
    assert document.reply(call(if_none_match=plain)).status == 304
    assert document.reply(call(if_none_match=packed)).status == 200


async def test_what_is_long_is_sent_in_parts() -> None:
    """Each is small, between two of them others have a turn, and together they are the document."""
    document = document_of(os.urandom(5 * PART_BYTES + 1))
    stream = document.reply(call()).body
    turns: list[str] = []

    async def others() -> None:
        for _ in range(100):
            turns.append("others")
            await asyncio.sleep(0)

    assert isinstance(stream, BodyStream)
    asking = asyncio.ensure_future(others())
    parts = []
    async for part in stream.parts:
        parts.append(part)
        turns.append("part")
    await asking

    assert b"".join(parts) == document.body
    assert stream.size == len(document.body)
    assert max(map(len, parts)) == PART_BYTES
    assert turns[:12] == ["part", "others"] * 6


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("br, zstd", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5, *;q=0", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("x-gzip", True),
        ("gzipped", False),
    ],
)
def test_who_takes_gzip(accepted: str | None, takes: bool) -> None:
    """Who names it or everything, and does not rule it out by a weight of zero."""
    assert takes_gzip(accepted) is takes


@pytest.mark.parametrize(
    ("named", "is_it"),
    [
        (None, False),
        ('"a"', True),
        ('"b", "a"', True),
        ('W/"a"', True),
        ("*", True),
        ('"aa"', False),
        ('"b"', False),
        ("a", False),
    ],
)
def test_who_has_a_document_already(named: str | None, is_it: bool) -> None:
    """Who lists its ETag, as strong or as weak, or any at all."""
    assert is_named('"a"', named) is is_it
