"""Server-sent events of a room, for pages that would rather listen than poll.

State       A stream is OPEN until its reader leaves, is too slow, or the worker drains.
Guarantee   A reader gets the newest state, never a queue of old ones: whoever reads slowly skips
            states. No more streams than the cap are open; one more is told to come back, and to
            poll meanwhile. A stream reads nothing from the database.
Clock       The event loop's, for heartbeats and for patience with slow readers.
On failure  A reader that takes nothing for `SEND_PATIENCE_S` is dropped; it comes back by itself.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from starlette.types import Message, Receive, Scope, Send

from sunseo.room.board.board import RoomView
from sunseo.web.endpoint import Header
from sunseo.web.raw import RawAnswer

HEARTBEAT_S = 15.0  # proxies close what is silent for a minute, some for half of one
SEND_PATIENCE_S = 10.0
RETRY_MS = 3000  # after which a browser connects again
RETRY_AFTER_S = 30  # told to one stream too many

STREAM_HEADERS: list[Header] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"access-control-allow-origin", b"*"),
]

_FULL = (
    b'{"type":"/problems/streams_full","title":"Too many listen already","status":503,'
    b'"detail":"This server keeps no more streams open. Poll the state instead.",'
    b'"outcome":"streams_full"}'
)
_FULL_HEADERS: list[Header] = [
    (b"content-type", b"application/problem+json"),
    (b"cache-control", b"no-store"),
    (b"access-control-allow-origin", b"*"),
    (b"retry-after", str(RETRY_AFTER_S).encode()),
]


class Streams:
    """All streams of one worker.

    Args:
        answers: where the streams of each room are put by their path, for the app to serve.

    Attributes:
        open: streams at this moment.
        draining: whether all are to end.
    """

    def __init__(
        self,
        answers: dict[str, RawAnswer],
        streams_max: int,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._answers = answers
        self._streams_max = streams_max
        self._rooms: dict[int, _Room] = {}
        self.heartbeat_s = heartbeat_s
        self.open = 0
        self.draining = False

    def publish(self, view: RoomView) -> None:
        """Tell all who listen to a room that it has changed."""
        room = self._rooms.get(view.room)
        if room is None:
            room = self._rooms[view.room] = _Room(self)
            self._answers[f"/v1/rooms/{view.room}/events"] = room
        room.tell(event_of(view))

    def drain(self) -> None:
        """End all streams, and begin no more."""
        self.draining = True
        for room in self._rooms.values():
            room.tell(b"")

    @contextmanager
    def admitted(self) -> Iterator[bool]:
        """Count one more stream for as long as it is open; false where there is no room for it."""
        if self.draining or self.open >= self._streams_max:
            yield False
            return
        self.open += 1
        try:
            yield True
        finally:
            self.open -= 1


class _Room:
    """Those who listen to one room, as an answer to GET; to HEAD, how that would begin."""

    methods = frozenset({"GET", "HEAD"})

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._event = b""
        self._changed = asyncio.Event()

    def tell(self, event: bytes) -> None:
        self._event = event
        self._changed.set()
        self._changed = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.admitted() as is_admitted:
            if not is_admitted:
                await send(_start(503, _FULL_HEADERS))
                body = b"" if scope["method"] == "HEAD" else _FULL
                await send({"type": "http.response.body", "body": body})
                return
            if scope["method"] == "HEAD":
                await send(_start(200, STREAM_HEADERS))
                await send({"type": "http.response.body", "body": b""})
                return
            gone = asyncio.ensure_future(_gone(receive))
            try:
                await self._tell_all(send, gone)
            finally:
                gone.cancel()

    async def _tell_all(self, send: Send, gone: "asyncio.Future[None]") -> None:
        await send(_start(200, STREAM_HEADERS))
        piece = b"retry: %d\n\n" % RETRY_MS + self._event
        while not self._streams.draining and not gone.done():
            changed = self._changed  # taken before the piece goes out: no change is missed
            sent = self._event
            try:
                await asyncio.wait_for(send(_piece(piece)), SEND_PATIENCE_S)
            except TimeoutError:
                return
            if self._event is sent and not self._streams.draining:
                piece = await self._next(changed, gone)
            else:
                piece = self._event
        if not gone.done():
            await send({"type": "http.response.body", "body": b""})

    async def _next(self, changed: asyncio.Event, gone: "asyncio.Future[None]") -> bytes:
        """The next state, or a heartbeat when there is none for a while."""
        news = asyncio.ensure_future(changed.wait())
        either: set[asyncio.Future[Any]] = {news, gone}
        try:
            await asyncio.wait(
                either,
                timeout=self._streams.heartbeat_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            return self._event if news.done() else b":\n\n"
        finally:
            news.cancel()


def event_of(view: RoomView) -> bytes:
    """The newest state as an event; its id grows with every change of line or settings."""
    state = msgspec.json.encode(view.state)
    name = b"%d.%d.%d.%d" % (view.version, view.epoch, view.issued, view.serving)
    return b"id: " + name + b"\nevent: state\ndata: " + state + b"\n\n"


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(status: int, headers: list[Header]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def _piece(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}
