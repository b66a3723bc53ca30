"""Floods: of polls, of joins, of streams, of connections that say little or far too much."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import asyncpg
import psutil
import pytest

from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.identity.persons import Persons
from sunseo.room.line.routes import room_endpoints
from sunseo.room.setup.settings import RoomSettings
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import build_app
from sunseo.web.limits import Limits
from tests.asgi import Response
from tests.attacks.attacker import (
    Crowd,
    Serving,
    Visitor,
    Wire,
    create_room,
    inside,
    request,
    rows,
    say,
    until,
)
from tests.attacks.conftest import STREAMS_MAX
from tests.store.visitors import Visitor as Caller
from tests.store.visitors import open_entrance

POLLS = 3000
WORKERS = 2


def cache_busting(room: int, polls: int) -> Iterator[str]:
    """Addresses that no cache has seen, for one and the same document."""
    for number in range(polls):
        yield f"/v1/rooms/{room}/state?_={uuid4().hex}&number={number}&nonsense[]=%00%ff"


@contextmanager
def frozen_database(server: Serving) -> Iterator[None]:
    """PostgreSQL stands still: whoever asks it anything waits until the end."""
    number = server.postmaster()
    assert number is not None
    postmaster = psutil.Process(number)
    processes = [postmaster, *postmaster.children()]
    try:
        for process in processes:
            process.suspend()
        yield
    finally:
        for process in processes:
            process.resume()


def test_poll_flood_asks_the_database_nothing(server: Serving, operator: str, wire: Wire) -> None:
    """With cache-busting queries and odd headers, while PostgreSQL stands still: all answered."""
    room = create_room(server, operator)
    other = Wire(server.port)
    with frozen_database(server):
        for number, target in enumerate(cache_busting(room, 600)):
            headers = {"cookie": f"bust={number}", "cache-control": "no-cache", "pragma": "x"}
            answer = (wire, other)[number % 2].ask("GET", target, headers=headers)
            assert answer.status == 200
            assert "set-cookie" not in answer.headers
            assert "vary" not in answer.headers
    other.close()


def test_poll_flood_by_the_databases_own_count(server: Serving, operator: str, wire: Wire) -> None:
    """As pg_stat_statements counts: what runs in the background, and nothing for the polls."""
    room = create_room(server, operator)
    before = calls_of(server)
    for target in cache_busting(room, POLLS):
        assert wire.ask("GET", target).status == 200
    counted = {query: calls - before.get(query, 0) for query, calls in calls_of(server).items()}
    assert sum(counted.values()) > 0, "nothing was counted, so nothing was seen"
    assert max(counted.values()) < POLLS / 10, counted


def calls_of(server: Serving) -> dict[str, int]:
    """How often each statement has run, by its text."""
    return dict(
        rows(server, "SELECT query, sum(calls)::bigint FROM pg_stat_statements GROUP BY query")
    )


def test_polls_for_rooms_that_do_not_exist_cost_no_query_either(
    server: Serving, operator: str, wire: Wire
) -> None:
    """Made-up rooms, nonces and tokens are refused without the database."""
    create_room(server, operator)
    with frozen_database(server):
        for number in range(10**9, 10**9 + 200):
            assert wire.ask("GET", f"/v1/rooms/{number}/state").status == 404
            assert wire.ask("POST", f"/v1/rooms/{number}/nonces").status == 404
            refused = wire.ask("POST", f"/v1/rooms/{number}/enter", {"place": "A" * 107})
            assert refused.status == 403


async def test_join_flood_is_shed_and_entering_still_works(database_dsn: str) -> None:
    """The line stands still, joins pile up: the next ones hear 503 at once, who enters is served.

    Joins may take 85 of a hundred seats; the rest is kept for those whose turn it is.
    """
    async with open_entrance(database_dsn) as entrance:
        room = await entrance.open_room(RoomSettings(), serving=0)
        app = build_app(
            room_endpoints(entrance.service, entrance.addresses),
            Authenticator(Persons(1, []), OperatorKeys(_no_operator)),
            limits=Limits(concurrency_max=40),
            metrics=Metrics(),
            logs=Logs("error", LineWriter(-1)),
        )
        entrance.app = app
        called = [Caller(entrance, room) for _ in range(5)]
        for one in called:
            await one.join()
        await entrance.call_up_to(room, 5)
        flood = [Caller(entrance, room) for _ in range(200)]
        for one in flood:
            await one.fetch_nonce()

        blocker = await asyncpg.connect(database_dsn)
        async with blocker.transaction():
            await blocker.execute("SELECT 1 FROM room_lines WHERE room = $1 FOR UPDATE", room)
            joins = [asyncio.ensure_future(one.join()) for one in flood]
            shed = await _first(joins, 200 - 34)
            enters = [asyncio.ensure_future(one.enter()) for one in called]
            await asyncio.sleep(0)
        await blocker.close()
        entered = await asyncio.gather(*enters)
        joined = [answer for answer in await asyncio.gather(*joins) if answer.status != 503]

        assert {answer.json["outcome"] for answer in shed} == {"overloaded"}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in shed)
        assert {answer.status for answer in entered} == {201}
        assert [answer.status for answer in joined] == [201] * 34


async def _first(waiting: list["asyncio.Task[Response]"], count: int) -> list[Response]:
    """So many answers, while the others wait."""
    done: list[Response] = []
    for answer in asyncio.as_completed(waiting):
        done.append(await answer)
        if len(done) == count:
            return done
    raise AssertionError("too few answers")


async def _no_operator(_key_id: str) -> bytes | None:
    return None


def test_streams_are_exhausted_and_polling_goes_on(
    server: Serving, operator: str, wire: Wire
) -> None:
    """One attacker takes all streams: the others are told to poll, which they can, and to join."""
    room = create_room(server, operator)
    target = f"/v1/rooms/{room}/events"
    with ExitStack() as stack:
        opened = [stack.enter_context(stream(server.port, target)) for _ in range(60)]
        heads = [head_of(one) for one in opened]
        listening = [head for head in heads if head.startswith(b"HTTP/1.1 200")]
        refused = [head for head in heads if head.startswith(b"HTTP/1.1 503")]
        assert len(listening) == WORKERS * STREAMS_MAX
        assert len(refused) == 60 - len(listening)
        assert all(b"retry-after: 30" in head.lower() for head in refused)
        assert wire.ask("GET", f"/v1/rooms/{room}/state").status == 200
        assert Visitor(wire, room).join().status == 201

    def is_free() -> bool:
        with stream(server.port, target) as another:
            return head_of(another).startswith(b"HTTP/1.1 200")

    until(is_free, "streams that were left can be had again")


@contextmanager
def stream(port: int, target: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        yield connection


def head_of(connection: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(4096)
        if not piece:
            break
        read += piece
    return read


SLOW = {
    "a head that does not end": b"GET /v1/rooms/1/state HTTP/1.1\r\nhost: x\r\nx-a: ",
    "nothing at all": b"",
    "half a request line": b"GET /v1/ro",
    "a body that does not come": (
        b"POST /v1/rooms/1/enter HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b'content-length: 4000\r\n\r\n{"place":'
    ),
    "chunks that do not end": (
        b"POST /v1/rooms/1/renew HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b'transfer-encoding: chunked\r\n\r\n8\r\n{"pass":\r\n'
    ),
}


def test_slow_clients_take_nothing_from_the_others(
    server: Serving, operator: str, wire: Wire
) -> None:
    """Two hundred connections that dawdle, in five ways: the others come, wait and enter."""
    room = create_room(server, operator)
    with ExitStack() as stack:
        for number in range(200):
            begun = list(SLOW.values())[number % len(SLOW)]
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            slow.sendall(begun)
        for _ in range(10):
            inside(server, wire, room).say("leave")
        assert {
            a.status
            for a in Crowd(server.port).storm([request("GET", f"/v1/rooms/{room}/state")] * 50)
        } == {200}


HUGE = {
    "one header of 100 kB": b"x-a: " + b"a" * 100_000,
    "200 headers": b"\r\n".join(b"x-%d: a" % number for number in range(200)),
    "70 headers": b"\r\n".join(b"x-%d: a" % number for number in range(70)),
    "a token of 20 kB": b"authorization: Bearer " + b"a" * 20_000,
    "a cookie of 20 kB": b"cookie: sunseo_room_1=" + b"a" * 20_000,
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_headers_are_refused(server: Serving, operator: str, wire: Wire, name: str) -> None:
    """Whoever sends them is told so, or cut off; the next one on another connection is served."""
    head = b"\r\nhost: x\r\nconnection: close\r\n" + HUGE[name] + b"\r\n\r\n"
    answers = [
        say(server.port, b"POST /v1/rooms/1/nonces HTTP/1.1" + head),
        say(server.port, b"GET /r/1 HTTP/1.1" + head),
    ]
    assert {answer.status for answer in answers} <= {0, 431}, answers
    assert wire.ask("GET", "/v1/rooms/1/state").status == 200


def test_huge_addresses_and_bodies_are_refused(server: Serving, wire: Wire) -> None:
    """Long paths and queries, announced and unannounced bodies beyond the limit."""
    say(server.port, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n")
    body = b'{"pass":"' + b"A" * 70_000 + b'"}'
    announced = say(
        server.port,
        b"POST /v1/rooms/1/renew HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body,
    )
    many = json.dumps({"passes": ["A" * 144] * 201}).encode()
    too_many = say(
        server.port,
        b"POST /v1/rooms/1/renew HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(many) + many,
    )
    assert announced.status in (0, 413)
    assert too_many.status == 422
    assert wire.ask("GET", "/v1/rooms/1/state").status == 200
