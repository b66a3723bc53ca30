"""HTTP/1.1 to one server, for many visitors at once, on as little of a core as can be.

State       Each connection is IDLE or serves one exchange; idle ones are used again, the latest
            first, so that a crowd that shrinks lets the others run out. Who finds all taken waits,
            and is served in the order of coming.
Guarantee   An exchange ends with a whole answer, or with LostError. Only a connection that had been
            idle and breaks before it says anything is replaced without a word: the server was about
            to close it.
Clock       Monotonic; one sweep a second ends exchanges that take too long.
On failure  A connection with any error is closed and never used again.
"""

import asyncio
import ssl
import time
from collections import deque
from itertools import cycle
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import httptools

SWEEP_S = 1.0
PASS_COOKIE = b"sunseo_pass_"
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
PORTS_ELSEWHERE = 16_384  # of a source address, where Linux does not tell: as RFC 6335 has it


class LostError(Exception):
    """The connection could not be made, broke, or stayed silent for too long."""


class NoConnectionError(LostError):
    """Nothing was sent."""


class HttpResponse(NamedTuple):
    status: int
    body: bytes
    etag: str
    retry_after: str | None
    pass_: str = ""  # a gate's, from its cookie


class Pace(NamedTuple):
    """How slowly a poor line carries what is sent: piece by piece, with a pause after each.

    Answers come at full speed: those of a room or a sale fit into the buffers of both kernels, so
    that no server could tell who reads them slowly.
    """

    piece_bytes: int
    pause_s: float

    def takes_s(self, length: int) -> float:
        """From the first piece of a request to its last."""
        return self.pause_s * max(0, -(-length // self.piece_bytes) - 1)


class ServerAddress(NamedTuple):
    """A server as its URL names it."""

    host: str
    port: int
    is_tls: bool
    authority: str  # as in the Host header

    @classmethod
    def of(cls, url: str) -> "ServerAddress":
        """Read a URL.

        Raises:
            ValueError: it is not http(s)://host[:port].
        """
        parts = urlsplit(url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path not in ("", "/")
        ):
            raise ValueError(f"{url} is not like http://host:port")
        is_tls = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if is_tls else 80), is_tls, parts.netloc)


class ConnectionPool:
    """Connections to one server.

    Args:
        connections_max: open at once; an exchange beyond that waits for one to be free.
        parts: wires of this kind on this machine, which share its ports.
        timeout_s: after which an exchange without an answer is lost.
        via: a port on loopback that leads there, where the way is a proxy's.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        connections_max: int,
        parts: int = 1,
        timeout_s: float = 30.0,
        via: int | None = None,
    ) -> None:
        self._address = address
        self._way = (address.host, address.port) if via is None else ("127.0.0.1", via)
        self._connections_max = connections_max
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._tls = ssl.create_default_context() if address.is_tls else None
        sources = source_addresses(self._way[0], connections_max * parts, ports_a_source())
        self._sources = cycle(sources)
        self._idle: dict[_Connection, None] = {}
        self._in_flight: dict[_Connection, float] = {}
        self._waiting: deque[asyncio.Future[_Connection | None]] = deque()
        self._open = 0
        self.open_max = 0
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    async def ask(self, request: bytes, pace: Pace | None = None) -> HttpResponse:
        """Send a request, at a pace where one is given, and wait for its answer.

        Raises:
            LostError: nobody knows whether it was carried out.
        """
        while True:
            connection = self._take_idle() or await self._take()
            try:
                return await connection.exchange(request, pace)
            except LostError:
                if not (connection.was_idle and not connection.heard):
                    raise
            finally:
                self._give_back(connection)

    async def cut(self, request: bytes, after_s: float) -> None:
        """Send a request and hang up after a while, whatever has come back."""
        connection = await self._take()
        try:
            exchange = connection.exchange(request)
            exchange.add_done_callback(_discard_result)
            await asyncio.wait([exchange], timeout=after_s)
            exchange.cancel()
        finally:
            connection.abort()
            self._give_back(connection)

    def close(self) -> None:
        self._sweeper.cancel()
        for connection in [*self._idle, *self._in_flight]:
            connection.abort()

    def _take_idle(self) -> "_Connection | None":
        if not self._idle:
            return None
        connection, _ = self._idle.popitem()
        connection.was_idle = True
        self._in_flight[connection] = time.monotonic() + self._timeout_s
        return connection

    async def _take(self) -> "_Connection":
        if (idle := self._take_idle()) is not None:
            return idle
        if self._open < self._connections_max:
            self._open += 1
            connection = await self._connect()
        else:
            connection = await self._wait() or await self._connect()
        self._in_flight[connection] = time.monotonic() + self._timeout_s
        return connection

    async def _wait(self) -> "_Connection | None":
        """Queue for a connection that is given back, or for the right to open one."""
        turn: asyncio.Future[_Connection | None] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was our turn just then
                self._pass_on(turn.result())
            raise

    async def _connect(self) -> "_Connection":
        """Open a connection; its slot is taken already."""
        self.open_max = max(self.open_max, self._open)
        connection = _Connection(self)
        source = next(self._sources)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._loop.create_connection(
                    lambda: connection,
                    *self._way,
                    ssl=self._tls,
                    server_hostname=self._address.host if self._tls else None,
                    local_addr=(source, 0) if source else None,
                )
        except (OSError, TimeoutError) as error:
            self._pass_on(None)
            raise NoConnectionError(f"no connection: {error}") from None
        except asyncio.CancelledError:
            self._pass_on(None)
            raise
        return connection

    def _give_back(self, connection: "_Connection") -> None:
        self._in_flight.pop(connection, None)
        if connection.is_usable:
            connection.was_idle = True
            self._pass_on(connection)
        else:
            connection.abort()

    def new_answer(self) -> "asyncio.Future[HttpResponse]":
        return self._loop.create_future()

    def forget(self, connection: "_Connection") -> None:
        """A connection has closed."""
        self._idle.pop(connection, None)
        self._pass_on(None)

    def _pass_on(self, connection: "_Connection | None") -> None:
        """Give a connection, or the slot of one, to whoever has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        if connection is None:
            self._open -= 1
        else:
            self._idle[connection] = None

    def _sweep(self) -> None:
        now = time.monotonic()
        late = []
        for connection, deadline in self._in_flight.items():
            if deadline > now:
                break  # oldest first
            late.append(connection)
        for connection in late:
            connection.heard = True  # so that the loss is told, not mended
            connection.abort()
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)


def _discard_result(exchange: "asyncio.Future[HttpResponse]") -> None:
    """Take note of how it ended, which is of no interest, whoever is still there to hear it."""
    if not exchange.cancelled():
        exchange.exception()


def source_addresses(host: str, connections_max: int, ports: int) -> list[str]:
    """Where connections come from: on loopback as many addresses as ports would run short of."""
    needed = -(-connections_max // ports)
    if needed == 1 or not host.startswith("127."):
        return [""]
    return [f"127.0.0.{number + 1}" for number in range(min(needed, 250))]


def ports_a_source() -> int:
    """Connections to have from one address: some ports are left for others, and for those closed.

    Linux has 28,000 ports for one pair of addresses if nobody has said otherwise.
    """
    try:
        first, last = map(int, PORT_RANGE.read_text("utf-8").split())
    except (OSError, ValueError):
        first, last = 1, PORTS_ELSEWHERE
    return max(1, (last - first + 1) * 3 // 4)


class _Connection(asyncio.Protocol):
    """One connection; its parser calls the methods whose names begin with `on_`."""

    def __init__(self, connections: ConnectionPool) -> None:
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[HttpResponse] | None = None
        self._chunks: list[bytes] = []
        self._etag = ""
        self._retry_after: str | None = None
        self._pass = ""
        self._rest: asyncio.TimerHandle | None = None  # of a request that is sent in pieces
        self.was_idle = False
        self.heard = False
        self.is_usable = False

    def exchange(self, request: bytes, pace: Pace | None = None) -> "asyncio.Future[HttpResponse]":
        """Send a request; its answer is still to come.

        Raises:
            LostError: nothing was sent.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            self.is_usable = False
            raise LostError("the connection is closed")
        self.heard = False
        self.is_usable = False
        answer = self._connections.new_answer()
        self._answer = answer
        if pace is None:
            transport.write(request)
        else:
            self._trickle(request, pace)
        return answer

    def _trickle(self, request: bytes, pace: Pace) -> None:
        """Send the next piece, and the others in their time."""
        self._rest = None
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(request[: pace.piece_bytes])
        if rest := request[pace.piece_bytes :]:
            loop = asyncio.get_running_loop()
            self._rest = loop.call_later(pace.pause_s, self._trickle, rest, pace)

    def abort(self) -> None:
        self.is_usable = False
        if self._transport is not None:
            self._transport.abort()

    # What the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # TCP gives no other

    def data_received(self, data: bytes) -> None:
        self.heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_usable = False
        self._transport = None
        self._connections.forget(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LostError(f"the connection broke: {exc}"))

    # What the parser tells

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 4 and name.lower() == b"etag":
            self._etag = value.decode("latin-1")
        elif len(name) == 11 and name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")
        elif len(name) == 10 and name.lower() == b"set-cookie" and value.startswith(PASS_COOKIE):
            self._pass = value.partition(b"=")[2].partition(b";")[0].decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        chunks, self._chunks = self._chunks, []
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        answer = HttpResponse(
            self._parser.get_status_code(), body, self._etag, self._retry_after, self._pass
        )
        self._etag, self._retry_after, self._pass = "", None, ""
        self.is_usable = self._parser.should_keep_alive() and self._rest is None
        if self._rest is not None:  # answered before all of the question was there
            self._rest.cancel()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
