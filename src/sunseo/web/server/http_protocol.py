"""HTTP/1.1 on one connection: uvicorn's httptools protocol, with a short way for whole requests.

State       A connection WAITS for a request, is BUSY with one, or ENDS.
Guarantee   A request that arrives in one piece, as nearly all do, goes straight to the application
            and its answer is one write; where only a lane has to be waited for, there is a callback
            and no task. What comes in pieces, pipelined, or is answered as a
            stream of events goes uvicorn's own way through ASGI; the application is the same, so
            the answers are. While the server drains, every answer says `Connection: close`.
Clock       The loop's; one look a second at all connections (`HttpServer`), no timers of their own.
On failure  What is not HTTP is answered 400, what is too long 431, both without being routed, and
            the connection ends once the client has had time to read it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import httptools
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from sunseo.web.app import App
from sunseo.web.endpoint import BodyStream, Header, LaneHandler
from sunseo.web.limits import Limits
from sunseo.web.raw import ReadyAnswer
from sunseo.web.server.exchange import Exchange, may_have_length

WRITE_STUCK_S = 60.0  # in which a client takes nothing of an answer
LINGER_S = 2.0  # for a client to read its refusal while it is still sending
SURPLUS_HEAD_S = 2.0  # for the head of a request on a connection that is one too many
ALWAYS_ANSWERED = frozenset({b"/livez", b"/readyz", b"/metrics"})

_CLOSE: Header = (b"connection", b"close")
_BUSY = (
    STATUS_LINE[503] + b"retry-after: 2\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)  # too many connections: nothing is read any further


class Connections(ServerState):
    """What all connections of a process share.

    Args:
        app: for the short way; none where it is some other ASGI application.
    """

    def __init__(self, limits: Limits, app: App | None) -> None:
        super().__init__()
        self.limits = limits
        self.app = app
        self.draining = False
        self.date = b""  # a header line, renewed once a second


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    server_state: Connections
    tasks: set[asyncio.Future[Any]]  # type: ignore[assignment]  # answers of lanes, too

    def __init__(
        self,
        config: Config,
        server_state: Connections,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_bytes_max = 2 * server_state.limits.header_bytes_max
        self._head_bytes = 0  # of a head that has not ended yet
        self._in_head = True
        self._waiting_since: float | None = None
        self._stuck_since: float | None = None
        self._is_surplus = False
        self._is_refused = False
        self._body: list[bytes] | None = None  # of a request that may go the short way

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        super().connection_made(transport)
        self._waiting_since = self.loop.time()
        self._is_surplus = len(self.connections) > self.server_state.limits.connections_max

    def data_received(self, data: bytes) -> None:
        if self._is_refused or self.parser is None:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self.cycle is not None:  # answered in HTTP/1.1, and nothing else spoken after it
                self.cycle.keep_alive = False
        except httptools.HttpParserInvalidMethodError:
            self._refuse(501)
        except httptools.HttpParserError:
            self._refuse(400)
        if self._body is not None:
            self._go_through_asgi(self._body)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._head_bytes_max:
                self._refuse(431)

    def pause_writing(self) -> None:
        self._stuck_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stuck_since = None
        super().resume_writing()

    def expire(self, now: float) -> None:
        """End what has been waited for too long: a head, or room for an answer."""
        if self._stuck_since is not None and now - self._stuck_since > WRITE_STUCK_S:
            self.transport.abort()
        elif self._waiting_since is not None:
            patience_s = self.server_state.limits.head_timeout_s
            if self._is_refused:
                patience_s = LINGER_S
            elif self._is_surplus:
                patience_s = SURPLUS_HEAD_S
            if now - self._waiting_since > patience_s:
                self.transport.close()

    # One request

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._waiting_since = None
        if self.parser.get_http_version() == "1.0" and b"host" not in dict(self.headers):
            self.headers.append(
                (b"host", b"")
            )  # that version demands none, and old probes send none
        app = self.server_state.app
        if self._is_refused:
            return
        if self._is_surplus and self.url not in ALWAYS_ANSWERED:
            self._refuse_surplus()
        elif app is None or not self._is_free or self.parser.should_upgrade():
            self._begin_asgi()
        else:
            self._body = []

    def on_body(self, body: bytes) -> None:
        if self._body is not None:
            self._body.append(body)
        elif not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._body is None:
            if not self._is_refused:
                super().on_message_complete()
            return
        body = b"".join(self._body)
        app = self.server_state.app
        scope = self._scope()
        raw = None if app is None or scope is None else app.raw(scope)
        if app is None or scope is None or not (raw is None or isinstance(raw, ReadyAnswer)):
            self._go_through_asgi(self._body)
            super().on_message_complete()
            return
        self._body = None
        request = self.cycle = WholeRequest(self._keeps_alive())  # type: ignore[assignment]  # its stand-in
        if raw is not None:
            self._write(*raw.answer(scope), request)
            return
        exchange = app.open(scope)
        if exchange.rendered is not None:
            self._send(exchange, request)
            app.settle(exchange)
        elif exchange.lane is not None:
            self._submit(app, exchange, exchange.lane, body, request)
        else:
            task = self.loop.create_task(self._exchange(app, exchange, body, request))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._waiting_since = self.loop.time()

    @property
    def _is_free(self) -> bool:
        cycle: Any = self.cycle  # none before the first request, whatever its type says
        return cycle is None or cycle.response_complete

    # The short way

    def _submit(
        self, app: App, exchange: Exchange, lane: LaneHandler, body: bytes, request: "WholeRequest"
    ) -> None:
        """Let a lane answer: no task, but what it promises, and a callback."""
        heard = app.submit(exchange, lane, body)
        if heard is None:
            self._send(exchange, request)
            app.settle(exchange)
            return

        self.tasks.add(heard)
        heard.add_done_callback(partial(self._hear, app, exchange, lane, request))

    def _hear(
        self,
        app: App,
        exchange: Exchange,
        lane: LaneHandler,
        request: "WholeRequest",
        heard: asyncio.Future[Any],
    ) -> None:
        self.tasks.discard(heard)
        if app.hear(exchange, lane, heard) and self._send(exchange, request) is None:
            app.settle(exchange)
        else:
            self._cut_off(request)

    async def _exchange(
        self, app: App, exchange: Exchange, body: bytes, request: "WholeRequest"
    ) -> None:
        try:
            await app.answer(exchange, body)
            if (stream := self._send(exchange, request)) is not None:
                await self._stream(stream, exchange.record.method == "HEAD", request)
                self._end(request)
        finally:
            if not request.response_complete:
                self._cut_off(request)
        app.settle(exchange)

    def _send(self, exchange: Exchange, request: "WholeRequest") -> BodyStream | None:
        """Send an answer; of a stream the head, and return it for a task to send the rest."""
        if exchange.rendered is None or request.disconnected:
            self._cut_off(request)
            return None
        status, headers, body = exchange.rendered
        if may_have_length(status):
            size = body.size if isinstance(body, BodyStream) else len(body)
            headers.append((b"content-length", b"%d" % size))
        if isinstance(body, BodyStream):
            self.transport.write(self._head(status, headers, request))
            return body
        self._write(status, headers, b"" if exchange.record.method == "HEAD" else body, request)
        return None

    def _cut_off(self, request: "WholeRequest") -> None:
        """End what gets no answer, or none to its end: nothing can follow on this connection."""
        request.response_complete = True
        self._is_refused = True
        self.transport.close()

    async def _stream(self, body: BodyStream, is_head: bool, request: "WholeRequest") -> None:
        async with aclosing(body.parts) as parts:
            if is_head:
                return
            async for part in parts:
                if self.flow.write_paused:
                    await self.flow.drain()
                if request.disconnected:
                    return
                self.transport.write(part)

    def _write(
        self, status: int, headers: Sequence[Header], body: bytes, request: "WholeRequest"
    ) -> None:
        self.transport.write(self._head(status, headers, request) + body)
        self._end(request)

    def _head(self, status: int, headers: Sequence[Header], request: "WholeRequest") -> bytes:
        lines = [STATUS_LINE[status], self.server_state.date]
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
            if name == b"connection":
                request.keep_alive = False
        if not request.keep_alive and _CLOSE not in headers:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _end(self, request: "WholeRequest") -> None:
        request.response_complete = True
        if not request.keep_alive:
            self._is_refused = True  # whatever else has come already
            self.transport.close()
        self.on_response_complete()

    def _keeps_alive(self) -> bool:
        return (
            self.parser.should_keep_alive()
            and not self.server_state.draining
            and self.parser.get_http_version() != "1.0"
        )

    def _scope(self) -> Scope | None:
        """What the application looks at, or none where the target is not simply a path."""
        if not self.url.startswith(b"/") or b"#" in self.url:
            return None
        path, _, query = self.url.partition(b"?")
        return {
            "type": "http",
            "method": self.parser.get_method().decode("ascii"),
            "path": path.decode("ascii"),  # as written: nothing here has a second spelling
            "query_string": query,
            "headers": self.headers,
            "client": self.client,
            "scheme": self.scheme,
        }

    # The way through ASGI

    def _begin_asgi(self) -> None:
        self.scope = {  # type: ignore[typeddict-item]  # the rest is added below
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,  # type: ignore[typeddict-item]  # known since the connection is
            "root_path": self.root_path,
            "headers": self.headers,
            "state": self.app_state.copy(),
        }
        super().on_headers_complete()
        if self.server_state.app is not None:  # the path as it is written, as on the short way
            is_plain = self.url.startswith(b"/")
            path = self.url.partition(b"?")[0] if is_plain else self.scope["raw_path"]
            self.scope["path"] = path.decode("ascii")
        if self.server_state.draining:
            self.cycle.keep_alive = False

    def _go_through_asgi(self, parts: list[bytes]) -> None:
        self._body = None
        self._begin_asgi()
        for part in parts:
            super().on_body(part)

    # Refusals without an application

    def _refuse_surplus(self) -> None:
        self.transport.write(_BUSY)
        self._linger()

    def _refuse(self, status: int) -> None:
        """Answer what cannot be read, unless an answer is being written already."""
        if self._is_free:
            head = b"connection: close\r\ncontent-length: 0\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + self.server_state.date + head)
        self._linger()

    def _linger(self) -> None:
        """Read and forget what still comes: a reset would take our answer away."""
        self._body = None
        self._in_head = False
        self._is_refused = True
        self._waiting_since = self.loop.time()


class WholeRequest:
    """Stands where uvicorn has its cycle, for a request that goes the short way."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False

    @property
    def message_event(self) -> "WholeRequest":
        return self

    def set(self) -> None:
        """Told that the client has left; nobody waits for its body."""
