"""What an attacker has: connections that say what she likes, tokens, and other people's visits.

The tests see more than she does: the server's secret and its database, to tell what has moved.
"""

import asyncio
import base64
import hashlib
import http.client
import json
import os
import socket
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg

from sunseo.core.ids import Person
from sunseo.passes.keys import KeyRing
from tests.acceptance.serving import ISSUER, Answer, Serving, seen_by_all, token, until

SECRET = "the secret of the server that is attacked"
RETIRED = "a secret that was in use until last week"
RETIRED_ID = 7
ORGANISATION = 1
RING = KeyRing(ORGANISATION, {0: SECRET.encode(), RETIRED_ID: RETIRED.encode()}, 0)
PATIENCE_S = 120.0

T = TypeVar("T")


class Wire:
    """One kept-alive connection, always to the same worker. Nothing is added that is not said."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        bearer: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if bearer is not None:
            sent["authorization"] = f"Bearer {bearer}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["content-type"] = "application/json"
        try:
            self._http.request(method, target, data, sent)
            response = self._http.getresponse()
        except (ConnectionError, http.client.HTTPException):  # closed after what came before
            self._http.close()
            self._http.request(method, target, data, sent)
            response = self._http.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read())

    def close(self) -> None:
        self._http.close()


class Visitor:
    """Who comes by the API, with a secret of her own or with a person's token."""

    def __init__(self, wire: Wire, room: int, bearer: str | None = None) -> None:
        self.wire = wire
        self.path = f"/v1/rooms/{room}"
        self.bearer = bearer
        self.secret = None if bearer else b64(os.urandom(32))
        self.nonce = ""
        self.place = ""
        self.number = 0
        self.ticket = ""

    def fetch_nonce(self) -> str:
        answer = self.wire.ask("POST", f"{self.path}/nonces")
        assert answer.status == 201, answer
        self.nonce = answer.json["nonce"]
        return self.nonce

    def join(self) -> Answer:
        if not self.nonce:
            self.fetch_nonce()
        body = {} if self.secret is None else {"binding": binding_of(self.secret)}
        target = f"{self.path}/places/{self.nonce}"
        answer = self.wire.ask("PUT", target, body, self.bearer)
        self.place = answer.json.get("place", self.place)
        self.number = answer.json.get("number", self.number)
        return answer

    def enter(self, place: str | None = None) -> Answer:
        body = {"place": self.place if place is None else place}
        if self.secret is not None:
            body["secret"] = self.secret
        answer = self.wire.ask("POST", f"{self.path}/enter", body, self.bearer)
        self.ticket = answer.json.get("pass", self.ticket)
        return answer

    def say(self, what: str, ticket: str | None = None) -> Answer:
        shown = {"pass": self.ticket if ticket is None else ticket}
        answer = self.wire.ask("POST", f"{self.path}/{what}", shown)
        if ticket is None:
            self.ticket = answer.json.get("pass", self.ticket)
        return answer


def inside(server: Serving, wire: Wire, room: int, bearer: str | None = None) -> Visitor:
    """A visitor who has joined, was called and has entered."""
    visitor = Visitor(wire, room, bearer)
    assert visitor.join().status in (200, 201)
    call_up_to(server, room, visitor.number)
    answer = visitor.enter()
    assert answer.status == 201, answer
    return visitor


def create_room(server: Serving, operator: str, sale: int | None = None, **settings: Any) -> int:
    """A room that both workers know."""
    given = {"holders": "anyone", "capacity": 1000} if sale is None else {}
    body = {"name": "Room", "sale": sale, "settings": given | settings}
    answer = server.ask("POST", "/v1/rooms", body, bearer=operator)
    assert answer.status == 201, answer
    room: int = answer.json["room"]
    seen_by_all(server, room, lambda state: bool(state["epoch"]))
    return room


def change(server: Serving, operator: str, room: int, **settings: Any) -> None:
    answer = server.ask(
        "PATCH",
        f"/v1/rooms/{room}",
        {"settings": settings},
        bearer=operator,
        headers={"idempotency-key": str(uuid4())},
    )
    assert answer.status == 200, answer


def call_up_to(server: Serving, room: int, number: int) -> None:
    """Call numbers at once, as the leader would do in its own time."""
    rows(
        server,
        "UPDATE room_lines SET serving = greatest(serving, least(issued, $2)) WHERE room = $1",
        room,
        number,
    )


def line_of(server: Serving, room: int) -> dict[str, Any]:
    ((issued, serving, live, epoch),) = rows(
        server, "SELECT issued, serving, live, epoch FROM room_lines WHERE room = $1", room
    )
    return {"issued": issued, "serving": serving, "live": live, "epoch": epoch}


def stored(server: Serving, room: int) -> list[Any]:
    """All that visitors can move in a room, to see that nothing has."""
    return [
        rows(
            server, "SELECT issued, live, departed, entrants FROM room_lines WHERE room = $1", room
        ),
        rows(server, "SELECT * FROM room_places WHERE room = $1 ORDER BY epoch, number", room),
        rows(server, "SELECT * FROM room_passes WHERE room = $1 ORDER BY epoch, number", room),
        rows(server, "SELECT * FROM room_entrants WHERE room = $1 ORDER BY entrant", room),
    ]


def rows(server: Serving, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Look into the database of the server, or reach into it."""
    return in_own_loop(_rows(server.dsn(), query, arguments))


def in_own_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run something in a loop of its own, also where this thread has one that runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _rows(dsn: str, query: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


class Crowd:
    """Many connections that all send at the same moment.

    Each is opened and has all but the last byte of its request sent, before the last bytes go out
    together: what the network would spread arrives at once.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    def storm(self, requests: Sequence[bytes]) -> list[Answer]:
        """Send requests at once, each on a connection of its own; the answers in their order."""
        return in_own_loop(self._storm(requests))

    async def _storm(self, requests: Sequence[bytes]) -> list[Answer]:
        opened = await asyncio.gather(*(self._open(one) for one in requests))
        for (_, writer), request in zip(opened, requests, strict=True):
            writer.write(request[-1:])
        async with asyncio.timeout(PATIENCE_S):
            return list(await asyncio.gather(*(_answer(*ends) for ends in opened)))

    async def _open(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(50):  # the accept queue of a shared machine is short
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                break
            except OSError:
                await asyncio.sleep(0)
        else:
            raise AssertionError("nobody accepts connections")
        writer.write(request[:-1])
        await writer.drain()
        return reader, writer


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
    raw = await reader.read()
    writer.close()
    return read_answer(raw)


def read_answer(raw: bytes) -> Answer:
    """An answer of a connection that was closed after it; status 0 if there is none."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first:
        return Answer(0, {}, b"{}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Answer(int(first.split(" ")[1]), headers, body)


def request(method: str, target: str, body: Any = None, *lines: str) -> bytes:
    """A request as bytes, after which the connection is closed."""
    data = b"" if body is None else json.dumps(body).encode()
    head = [f"{method} {target} HTTP/1.1", "host: rooms.example", "connection: close", *lines]
    if body is not None:
        head += ["content-type: application/json", f"content-length: {len(data)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + data


def say(port: int, raw: bytes) -> Answer:
    """Send bytes exactly as they are, and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall(raw)
        return read_answer(b"".join(iter(lambda: connection.recv(65_536), b"")))


def person_id(subject: str) -> UUID:
    """The id of the person for whom `token(subject)` is signed."""
    return Person.named(ORGANISATION, ISSUER, subject).id


def guest(server: Serving) -> str:
    """A guest session of one's own; anybody may have as many as she likes."""
    answer = server.ask("POST", "/v1/guests")
    assert answer.status == 201, answer
    found: str = answer.json["token"]
    return found


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def binding_of(secret: str) -> str:
    return b64(hashlib.sha256(unb64(secret)).digest()[:16])


__all__ = [
    "ORGANISATION",
    "RING",
    "SECRET",
    "Answer",
    "Crowd",
    "Serving",
    "Visitor",
    "Wire",
    "b64",
    "seen_by_all",
    "token",
    "unb64",
    "until",
]
