"""The crowd's own HTTP client against a server that answers as each test wants."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from sunseo.rehearsal.http.client import ApiClient, Request
from sunseo.rehearsal.http.connection import (
    ConnectionPool,
    LostError,
    Pace,
    ServerAddress,
    ports_a_source,
    source_addresses,
)
from sunseo.rehearsal.observe.histogram import micros_of
from sunseo.rehearsal.observe.ledger import BadAnswer, Figures, Ledger, Operation

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: "e1"\r\n\r\nok'
UNCHANGED = b'HTTP/1.1 304 Not Modified\r\nETag: "e1"\r\n\r\n'
LATER = b'HTTP/1.1 503 Later\r\nContent-Length: 18\r\nRetry-After: 0\r\n\r\n{"outcome":"busy"}'
ERROR = b'HTTP/1.1 500 No\r\nContent-Length: 28\r\n\r\n{"outcome":"internal_error"}'
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf"
LOOK = Request(Operation.STATE, "GET", "/v1/rooms/1/state")


class Script:
    """A server; each request is answered by the next of `answers`, none closes the connection."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                if answer is HALF:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def talking(script: Script, connections_max: int = 2) -> AsyncIterator[ConnectionPool]:
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    connections = ConnectionPool(
        ServerAddress.of(f"http://127.0.0.1:{script.port}"), connections_max=connections_max
    )
    try:
        yield connections
    finally:
        connections.close()
        server.close()


def request() -> bytes:
    return LOOK.sent("there")


async def test_connection_is_used_again() -> None:
    """Answers come whole, with their ETag, one after the other on one connection."""
    script = Script(OK, UNCHANGED, OK)
    async with talking(script) as connections:
        first, second = await connections.ask(request()), await connections.ask(request())

    assert (first.status, first.body, first.etag) == (200, b"ok", '"e1"')
    assert (second.status, second.body) == (304, b"")
    assert script.connections == 1


async def test_no_more_connections_than_allowed() -> None:
    """Who finds all taken waits for one to be free."""
    script = Script(*[OK] * 12)
    async with talking(script, connections_max=2) as connections:
        answers = await asyncio.gather(*(connections.ask(request()) for _ in range(10)))

    assert [answer.status for answer in answers] == [200] * 10
    assert script.connections == connections.open_max == 2


async def test_idle_connection_that_has_gone_is_replaced() -> None:
    """A server that closes an idle connection just as it is used again loses nobody."""
    script = Script(OK, None, OK, OK)
    async with talking(script) as connections:
        await connections.ask(request())
        answer = await connections.ask(request())

    assert answer.status == 200
    assert script.connections == 2


@pytest.mark.parametrize("answer", [None, HALF, b"no HTTP at all\r\n\r\n"])
async def test_lost_answer_is_told(answer: bytes | None) -> None:
    """Silence, half an answer and nonsense on a fresh connection are losses."""
    async with talking(Script(answer, OK)) as connections:
        with pytest.raises(LostError):
            await connections.ask(request())
        assert (await connections.ask(request())).status == 200


async def test_nobody_there_is_a_loss() -> None:
    """A refused connection is a loss, not an error of ours."""
    script = Script()
    async with talking(script):
        pass
    connections = ConnectionPool(
        ServerAddress.of(f"http://127.0.0.1:{script.port}"), connections_max=1
    )
    with pytest.raises(LostError, match="no connection"):
        await connections.ask(request())
    connections.close()


async def test_cut_request_reaches_the_server() -> None:
    """A visitor who hangs up has sent her request all the same; the next one is not disturbed."""
    script = Script(OK, OK)
    async with talking(script) as connections:
        await connections.cut(request(), after_s=30.0)
        assert (await connections.ask(request())).status == 200

    assert len(script.requests) == 2
    assert script.connections == 2


async def ask(script: Script) -> Ledger:
    ledger, figures = Ledger(), Figures()
    async with talking(script) as connections:
        client = ApiClient(connections, "there", time.monotonic(), ledger, figures)
        await client.ask(LOOK, time.monotonic(), 7, Random(1))
    return ledger


async def test_shed_request_is_sent_again() -> None:
    """503 with Retry-After is no fault: the very same request goes out once more."""
    script = Script(LATER, OK)
    ledger = await ask(script)

    assert ledger.faults == []
    assert len(script.requests) == 2
    assert script.requests[0] == script.requests[1]


async def test_request_in_trouble_is_kept_until_it_is_answered() -> None:
    """Where faults are rehearsed, the ledger has who was put off and for how long."""
    ledger, figures = Ledger(), Figures()
    async with talking(Script(LATER, LATER, OK, OK)) as connections:
        client = ApiClient(
            connections, "there", time.monotonic(), ledger, figures, keeps_troubles=True
        )
        await client.ask(LOOK, time.monotonic(), 7, Random(1))
        await client.ask(LOOK, time.monotonic(), 8, Random(1))

    (troubled,) = ledger.troubled
    assert (troubled.visitor, troubled.operation, troubled.kind) == (7, "state", "later")
    assert (troubled.tries, troubled.answered) == (2, True)
    assert troubled.due <= troubled.noticed <= troubled.until
    kinds = [kind for kinds in figures.answers.values() for kind in kinds.items()]
    assert sum(times for kind, times in kinds if kind == "later") == 2
    assert sum(times for kind, times in kinds if kind == "good") == 2


async def test_crowd_can_come_by_another_way() -> None:
    """Connections go to a proxy where one is given, and name the server all the same."""
    script = Script(OK)
    async with talking(script):
        there = ServerAddress.of("http://shop.example")
        connections = ConnectionPool(there, connections_max=1, via=script.port)
        assert (await connections.ask(LOOK.sent(there.authority))).status == 200
        connections.close()

    assert b"Host: shop.example\r\n" in script.requests[0]


async def test_error_is_a_fault_in_the_ledger() -> None:
    """A 500 is kept with who got it and for what."""
    (fault,) = (await ask(Script(ERROR))).faults

    assert isinstance(fault, BadAnswer)
    assert (fault.visitor, fault.operation, fault.status, fault.outcome) == (
        7,
        "state",
        500,
        "internal_error",
    )


async def test_latency_counts_from_when_it_was_due() -> None:
    """A request that was due ten seconds ago has taken ten seconds already."""
    figures = Figures()
    async with talking(Script(OK)) as connections:
        client = ApiClient(connections, "there", time.monotonic() - 60, Ledger(), figures)
        await client.ask(LOOK, time.monotonic() - 10, 1, Random(1))

    (counts,) = figures.latencies["state"].values()
    ((bucket, times),) = counts.items()
    assert times == 1
    assert micros_of(bucket) > 9.8e6


async def test_slow_line_brings_the_whole_request() -> None:
    """Piece by piece, what arrives is the request, and its connection is used again."""
    script = Script(OK, OK)
    async with talking(script) as connections:
        answer = await connections.ask(request(), Pace(piece_bytes=7, pause_s=0.001))
        assert (await connections.ask(request())).status == 200

    assert (answer.status, answer.body) == (200, b"ok")
    assert script.requests == [request(), request()]
    assert script.connections == 1


NEVER_WHOLE = Pace(piece_bytes=16, pause_s=3600.0)


class Impatient(Script):
    """Answers as soon as there is anything to read."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while self.answers and (piece := await reader.read(4096)):
            self.requests.append(piece)
            writer.write(self.answers.pop(0) or b"")
        writer.close()


async def test_server_that_answers_too_early_is_not_asked_again_on_that_connection() -> None:
    """Nothing more of the request is sent then, and the next one does not follow half of it."""
    script = Impatient(OK, OK)
    async with talking(script) as connections:
        assert (await connections.ask(request(), NEVER_WHOLE)).status == 200
        assert (await connections.ask(request())).status == 200

    assert script.requests == [request()[:16], request()]
    assert script.connections == 2


async def test_time_that_a_slow_line_needs_is_not_the_servers() -> None:
    """Latency counts from when the line would have carried all of the request."""
    figures = Figures()
    async with talking(Impatient(OK)) as connections:
        client = ApiClient(connections, "there", time.monotonic() - 60, Ledger(), figures)
        await client.ask(LOOK, time.monotonic() - 10, 1, Random(1), NEVER_WHOLE)

    (counts,) = figures.latencies["state"].values()
    assert counts == {0: 1}
    assert NEVER_WHOLE.takes_s(16) == 0.0
    assert NEVER_WHOLE.takes_s(33) == 7200.0


def test_request_carries_what_it_must() -> None:
    """Token, key, pass, ETag and body go out as headers and content."""
    sent = Request(Operation.HOLD, "POST", "/v1/sales/1/holds", b"{}", "t", "k", "p", '"e"').sent(
        "host:1"
    )

    assert sent == (
        b"POST /v1/sales/1/holds HTTP/1.1\r\nHost: host:1\r\nAuthorization: Bearer t\r\n"
        b'Idempotency-Key: k\r\nSunseo-Pass: p\r\nIf-None-Match: "e"\r\n'
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_addresses() -> None:
    """URLs name host, port and TLS; what is no server's address is refused."""
    assert ServerAddress.of("http://127.0.0.1:8000") == ("127.0.0.1", 8000, False, "127.0.0.1:8000")
    assert ServerAddress.of("https://shop.example")[:3] == ("shop.example", 443, True)
    for wrong in ("shop.example", "ftp://shop.example", "http://shop.example/path"):
        with pytest.raises(ValueError, match="not like"):
            ServerAddress.of(wrong)


def test_loopback_has_more_addresses_for_more_connections() -> None:
    """One address has too few ports for 50,000 connections; elsewhere there is one address."""
    assert source_addresses("127.0.0.1", 4_000, 20_000) == [""]
    three = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert source_addresses("127.0.0.1", 50_000, 20_000) == three
    assert source_addresses("shop.example", 50_000, 20_000) == [""]
    assert ports_a_source() > 0


async def test_who_waits_longest_is_served_first() -> None:
    """With all connections taken, nobody who comes later overtakes."""
    served: list[int] = []

    async def go(connections: ConnectionPool, number: int) -> None:
        await connections.ask(request())
        served.append(number)
        await connections.ask(request())

    async with talking(Script(*[OK] * 40), connections_max=1) as connections:
        await asyncio.gather(*(go(connections, number) for number in range(20)))

    assert served == list(range(20))


async def test_visitor_who_goes_while_waiting_takes_nothing_along() -> None:
    """A connection that is handed to somebody just cancelled goes to the next one."""
    async with talking(Script(*[OK] * 4), connections_max=1) as connections:
        first = asyncio.create_task(connections.ask(request()))
        gone = asyncio.create_task(connections.ask(request()))
        last = asyncio.create_task(connections.ask(request()))
        first.add_done_callback(lambda _done: gone.cancel())

        assert (await last).status == 200
        assert (await first).status == 200
        await asyncio.gather(gone, return_exceptions=True)
        assert (await connections.ask(request())).status == 200
