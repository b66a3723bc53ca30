"""Streams of room events: the newest state, a cap, slow readers, and the end of the worker."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.types import Message

from sunseo.room.board import streams as streams_module
from sunseo.room.board.board import RoomView
from sunseo.room.board.state import (
    Shown,
    StateDocument,
    content_of,
    pass_terms_of,
    poll_of,
)
from sunseo.room.board.streams import Streams
from sunseo.room.setup.schedule import phase_at
from sunseo.room.setup.settings import RoomSettings
from sunseo.web.raw import RawAnswer

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PATH = "/v1/rooms/5/events"
SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": PATH, "headers": []}


def view(serving: int) -> RoomView:
    settings = RoomSettings()
    state = StateDocument(
        room=5,
        epoch=1,
        phase="open",
        mode="fifo",
        issued=100,
        serving=serving,
        speed=None,
        slowed=None,
        halted=None,
        draw=None,
        units_left=None,
        sold_out=False,
        message=None,
        opens_at=None,
        poll=poll_of(settings),
        pass_=pass_terms_of(settings),
        revoked=[],
        fail_mode="closed",
        now=0,
    )
    return RoomView(
        room=5,
        version=1,
        name="Room",
        sale=None,
        settings=settings,
        epoch=1,
        issued=100,
        serving=serving,
        live=0,
        departed=0,
        capacity=10,
        draw=None,
        shown=Shown(),
        situation=phase_at(settings, NOW),
        revoked=(),
        now=NOW,
        state=state,
        content=content_of(state),
    )


async def test_head_tells_how_a_stream_would_begin() -> None:
    """The headers of GET and nothing after them, also where there is no room; none is held."""
    for streams_max, status in ((1, 200), (0, 503)):
        answers: dict[str, RawAnswer] = {}
        streams = Streams(answers, streams_max)
        streams.publish(view(1))
        sent: list[Message] = []

        async def send(message: Message, sent: list[Message] = sent) -> None:
            sent.append(message)

        assert "HEAD" in answers[PATH].methods
        await answers[PATH](SCOPE | {"method": "HEAD"}, asyncio.Event().wait, send)  # type: ignore[arg-type]  # nothing is received

        assert (sent[0]["status"], sent[1:]) == (
            status,
            [{"type": "http.response.body", "body": b""}],
        )
        assert streams.open == 0


class Reader:
    """A browser that listens, as fast as the test lets it."""

    def __init__(self, answer: RawAnswer) -> None:
        self.got: asyncio.Queue[Message] = asyncio.Queue()
        self.left = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.task = asyncio.ensure_future(answer(SCOPE, self._receive, self._send))

    async def _receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        self.got.put_nowait(message)

    async def next(self) -> Message:
        return await asyncio.wait_for(self.got.get(), 120)

    async def text(self) -> str:
        return str((await self.next())["body"].decode())


def opened(streams_max: int = 10, heartbeat_s: float = 3600.0) -> tuple[Streams, RawAnswer]:
    answers: dict[str, RawAnswer] = {}
    streams = Streams(answers, streams_max, heartbeat_s)
    streams.publish(view(1))
    return streams, answers[PATH]


async def test_a_listener_gets_the_state_and_every_change() -> None:
    """First the state as it stands, then each new one, with an id that grows."""
    streams, answer = opened()
    reader = Reader(answer)

    start = await reader.next()
    first = await reader.text()
    streams.publish(view(2))
    second = await reader.text()

    assert start["status"] == 200
    assert dict(start["headers"])[b"content-type"] == b"text/event-stream"
    assert first.startswith("retry: 3000\n\nid: 1.1.100.1\nevent: state\ndata: {")
    assert second.startswith("id: 1.1.100.2\nevent: state\ndata: {")
    assert second.endswith("}\n\n")
    reader.left.set()
    await reader.task
    assert streams.open == 0


async def test_a_slow_listener_skips_to_the_newest() -> None:
    """What came while it was not reading is one event: the newest."""
    streams, answer = opened()
    reader = Reader(answer)
    await reader.next()
    await reader.text()
    reader.reads.clear()
    for serving in range(2, 50):
        streams.publish(view(serving))
        await asyncio.sleep(0)
    reader.reads.set()

    got = [await reader.text()]
    while not got[-1].startswith("id: 1.1.100.49"):
        got.append(await reader.text())

    assert len(got) <= 3
    reader.left.set()
    await reader.task


async def test_a_listener_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the patience with slow readers the stream ends, and its slot is free."""
    monkeypatch.setattr(streams_module, "SEND_PATIENCE_S", 0.01)
    streams, answer = opened()
    reader = Reader(answer)
    await reader.next()
    await reader.text()
    reader.reads.clear()
    streams.publish(view(2))

    await asyncio.wait_for(reader.task, 120)

    assert streams.open == 0


async def test_one_stream_too_many_is_told_to_come_back() -> None:
    """Above the cap the answer is 503 with Retry-After; a stream that ends makes room."""
    streams, answer = opened(streams_max=1)
    first = Reader(answer)
    await first.next()
    second = Reader(answer)
    refused = await second.next()
    first.left.set()
    await first.task
    third = Reader(answer)
    admitted = await third.next()

    assert (refused["status"], admitted["status"]) == (503, 200)
    assert dict(refused["headers"])[b"retry-after"] == b"30"
    assert streams.open == 1
    third.left.set()
    await third.task


async def test_silence_is_filled_with_comments() -> None:
    """Proxies close what is silent: a comment goes out when nothing changes."""
    _, answer = opened(heartbeat_s=0.01)
    reader = Reader(answer)
    await reader.next()
    await reader.text()

    assert await reader.text() == ":\n\n"
    reader.left.set()
    await reader.task


async def test_streams_end_when_the_worker_drains() -> None:
    """All streams end properly, and no new one begins."""
    streams, answer = opened()
    reader = Reader(answer)
    await reader.next()
    await reader.text()
    streams.drain()

    assert await reader.next() == {"type": "http.response.body", "body": b""}
    await reader.task
    late = Reader(answer)
    assert (await late.next())["status"] == 503
    await late.task
