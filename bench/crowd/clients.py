"""Ways to speak HTTP/1.1 from Python, each doing the calls of one visitor after another.

All run on uvloop. None but our own counts anything, reads the documents, or has habits: what they
are spared is what our driver does besides.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from random import Random
from typing import NamedTuple, cast

import aiohttp
import httptools
import httpx

from bench.crowd.canned import PASS, PLACE, TOKEN
from sunseo.rehearsal.http.client import ApiClient, Request
from sunseo.rehearsal.http.connection import ConnectionPool, ServerAddress
from sunseo.rehearsal.observe.ledger import Figures, Ledger, Operation

POLLS = 4  # of a visitor in line
ID = "00000000-0000-4000-8000-000000000001"


class Call(NamedTuple):
    operation: Operation
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def calls() -> Iterator[Call]:
    """One visitor's journey, in its order. What documents have not changed since is not sent."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    json = {"Content-Type": "application/json"}
    inside = {**bearer, "Idempotency-Key": ID, "Sunseo-Pass": PASS, **json}
    looks = {"If-None-Match": '"0"'}
    place = b'{"place":"' + PLACE.encode() + b'"}'
    yield Call(Operation.GUEST, "POST", "/v1/guests", json, b"{}")
    yield Call(Operation.NONCE, "POST", "/v1/rooms/1/nonces", json, b"{}")
    yield Call(Operation.JOIN, "PUT", "/v1/rooms/1/places/" + "n" * 44, bearer | json, b"{}")
    for _ in range(POLLS):
        yield Call(Operation.STATE, "GET", "/v1/rooms/1/state", looks, b"")
    yield Call(Operation.ENTER, "POST", "/v1/rooms/1/enter", bearer | json, place)
    yield Call(Operation.LOOK, "GET", "/v1/sales/1/availability", looks, b"")
    yield Call(Operation.HOLD, "POST", "/v1/sales/1/holds", inside, b'{"seats":[7,8]}')
    yield Call(Operation.ORDER, "POST", "/v1/sales/1/orders", inside, f'{{"hold":"{ID}"}}'.encode())


class Client(ABC):
    """
    Args:
        url: of the canned server.
        connections: so many visitors at a time.
    """

    def __init__(self, url: str, connections: int) -> None:
        self.url = url
        self.connections = connections
        self.done = 0

    async def run(self, until: float) -> None:
        """Send visitors on their way, one after another, until that monotonic moment."""
        try:
            await asyncio.gather(*(self._one_by_one(until) for _ in range(self.connections)))
        finally:
            await self.close()

    async def _one_by_one(self, until: float) -> None:
        journey = list(calls())
        while time.monotonic() < until:
            for call in journey:
                await self.ask(call)
                self.done += 1

    @abstractmethod
    async def ask(self, call: Call) -> None:
        """Send a request and read all of its answer, which must be a success."""

    @abstractmethod
    async def close(self) -> None: ...


class Aiohttp(Client):
    def __init__(self, url: str, connections: int) -> None:
        super().__init__(url, connections)
        self._session = aiohttp.ClientSession(
            url,
            connector=aiohttp.TCPConnector(limit=connections),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def ask(self, call: Call) -> None:
        method, path = call.method, call.path
        async with self._session.request(
            method, path, data=call.body or None, headers=call.headers
        ) as answer:
            await answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{path} was answered {answer.status}")

    async def close(self) -> None:
        await self._session.close()


class Httpx(Client):
    def __init__(self, url: str, connections: int) -> None:
        super().__init__(url, connections)
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._client = httpx.AsyncClient(base_url=url, limits=limits, timeout=60.0)

    async def ask(self, call: Call) -> None:
        method, path = call.method, call.path
        answer = await self._client.request(method, path, content=call.body, headers=call.headers)
        if answer.status_code >= 400:
            raise RuntimeError(f"{path} was answered {answer.status_code}")

    async def close(self) -> None:
        await self._client.aclose()


class Bare(Client):
    """The least there can be: a socket and a parser each, and no way back from errors."""

    def __init__(self, url: str, connections: int) -> None:
        super().__init__(url, connections)
        self._address = ServerAddress.of(url)
        self._open: dict[asyncio.Task[None] | None, _BareConnection] = {}

    async def ask(self, call: Call) -> None:
        lines = [f"{call.method} {call.path} HTTP/1.1", f"Host: {self._address.authority}"]
        lines += [f"{name}: {value}" for name, value in call.headers.items()]
        if call.method != "GET":
            lines.append(f"Content-Length: {len(call.body)}")
        connection = self._open.get(task := asyncio.current_task())
        if connection is None:
            connection = self._open[task] = _BareConnection()
            await asyncio.get_running_loop().create_connection(
                lambda: connection, self._address.host, self._address.port
            )
        status = await connection.exchange("\r\n".join(lines).encode() + b"\r\n\r\n" + call.body)
        if status >= 400:
            raise RuntimeError(f"{call.path} was answered {status}")

    async def close(self) -> None:
        for connection in self._open.values():
            connection.close()


class _BareConnection(asyncio.Protocol):
    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None
        self.body = b""

    async def exchange(self, request: bytes) -> int:
        assert self._transport is not None  # noqa: S101 - it has been made by then
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # TCP gives no other

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.body = b""

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self._answer is not None:
            self._answer.set_result(self._parser.get_status_code())


class Ours(Client):
    """Our door and wire: pooled connections, sent again when shed, counted, with a histogram."""

    def __init__(self, url: str, connections: int) -> None:
        super().__init__(url, connections)
        address = ServerAddress.of(url)
        self._connections = ConnectionPool(address, connections_max=connections)
        zero = time.monotonic()
        self._client = ApiClient(self._connections, address.authority, zero, Ledger(), Figures())
        self._dice = Random(1)

    async def ask(self, call: Call) -> None:
        headers = call.headers
        request = Request(
            call.operation,
            call.method,
            call.path,
            call.body,
            token=TOKEN if "Authorization" in headers else "",
            key=headers.get("Idempotency-Key", ""),
            pass_=headers.get("Sunseo-Pass", ""),
            etag=headers.get("If-None-Match", ""),
        )
        reply = await self._client.ask(request, time.monotonic(), 1, self._dice)
        if reply.status >= 400:
            raise RuntimeError(f"{call.path} was answered {reply.status}")

    async def close(self) -> None:
        self._connections.close()


CLIENTS: dict[str, type[Client]] = {
    "bare": Bare,
    "door": Ours,
    "aiohttp": Aiohttp,
    "httpx": Httpx,
}
