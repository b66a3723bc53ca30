"""The web layer on the real server: what bytes on a socket can do to it."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.web_http.shop import token

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from sunseo.core.processes import exit_with_starter
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics, prepare
from sunseo.web.app import build_app
from sunseo.identity.authenticator import Authenticator
from sunseo.web.health import health_endpoints
from sunseo.web.server.http_server import HttpServer
from sunseo.web.limits import Limits
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.identity.persons import Persons, SharedSecretVerifier
from sunseo.web.server.workers import Workers, preload
from tests.unit.web_http.shop import ISSUER, SECRET, Shop

FOLDER, PORT, WORKERS = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
LIMITS = Limits(
    head_timeout_s=1.0,
    body_timeout_s=1.0,
    body_bytes_max=20_000,
    concurrency_max=64,
    connections_max=80,
)


def serve(listener):
    exit_with_starter()
    shop = Shop()
    metrics = Metrics.open(FOLDER / "metrics")
    logs = Logs("info", LineWriter(os.open(FOLDER / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)))
    logs.bridge()

    @asynccontextmanager
    async def lifespan(_):
        yield
        logs.close()

    async def look_up(_):
        return None

    app = build_app(
        [*shop.table(), *health_endpoints({}, metrics)],
        Authenticator(Persons(1, [SharedSecretVerifier(ISSUER, SECRET)]), OperatorKeys(look_up)),
        limits=LIMITS,
        metrics=metrics,
        logs=logs,
        lifespan=lifespan,
    )
    HttpServer(app, LIMITS).run([listener])


if __name__ == "__main__":
    preload("sunseo.web.server.http_server", "tests.unit.web_http.shop")
    prepare(FOLDER / "metrics")
    listeners = []
    for _ in range(WORKERS):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", PORT))
        listeners.append(listener)
    Workers(listeners, serve, on_death=print, kill_after_s=10).run()
"""


@dataclass
class Server:
    """A running server."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    async def exchange(self, *pieces: bytes, answers: int = 1) -> list["Answer"]:
        """Write the pieces on a new connection and read so many answers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            async with asyncio.timeout(15):
                return [await read_answer(reader) for _ in range(answers)]
        finally:
            writer.close()

    async def ready(self) -> "Server":
        for _ in range(1200):
            try:
                await self.exchange(GET_LIVE)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)
            else:
                return self
        raise AssertionError("the server does not answer")

    def stop(self) -> list[dict[str, Any]]:
        """Stop it as an operator would, and give the lines of its log."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status, *fields = head.split("\r\n")
    headers = {}
    for line in filter(None, fields):
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    length = int(headers.get("content-length", "0"))
    return Answer(int(status.split()[1]), headers, await reader.readexactly(length))


def start(folder: Path, workers: int) -> Server:
    (folder / "server.py").write_text(PROGRAM)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "server.py", str(folder), str(port), str(workers)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return Server(folder, port, process)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start(tmp_path_factory.mktemp("server"), workers=1)
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture
async def server(running: Server) -> Server:
    return await running.ready()


GET_LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def post(body: bytes, *headers: str, length: bool = True) -> bytes:
    lines = ["POST /echo HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(*chunks: bytes) -> bytes:
    head = post(b"", "Transfer-Encoding: chunked", length=False)
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


async def test_hold_over_http(server: Server) -> None:
    """A whole request with token, key and body is answered 201, twice over one connection."""
    body = b'{"seats":[1,2]}'
    request = (
        "POST /v1/sales/1/holds HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token()}\r\nIdempotency-Key: k\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body

    answers = await server.exchange(request, request, answers=2)

    assert [answer.status for answer in answers] == [201, 201]


async def test_chunked_body_is_read(server: Server) -> None:
    """A body without a length is joined and decoded."""
    (answer,) = await server.exchange(chunked(b'{"seats":', b"[1]}"))

    assert answer.status == 200


async def test_pieces_and_pipelines_get_the_same_answers(server: Server) -> None:
    """A request in two pieces, and several in one piece, are answered in order, as one is alone."""
    whole = post(b'{"seats":[1]}')

    (alone,) = await server.exchange(whole)
    (pieces,) = await server.exchange(whole[:40], whole[40:-3], whole[-3:])
    piped = await server.exchange(whole + GET_LIVE + whole + whole, answers=4)

    assert [a.status for a in piped] == [200, 200, 200, 200]
    assert [a.body for a in (pieces, piped[0], piped[2], piped[3])] == [alone.body] * 4
    assert without_variable(pieces) == without_variable(alone) == without_variable(piped[3])


def without_variable(answer: "Answer") -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k not in ("date", "x-request-id")}


async def test_head_has_the_headers_of_get(server: Server) -> None:
    """HEAD tells the length of what GET sends, and sends nothing of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(GET_LIVE.replace(b"GET", b"HEAD") + GET_LIVE)
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    answer = await read_answer(reader)
    writer.close()

    assert f"content-length: {answer.headers['content-length']}" in head
    assert answer.status == 200


async def test_old_clients_get_their_answer_and_the_end(server: Server) -> None:
    """An answer to HTTP/1.0, or to `Connection: close`, is followed by the connection's end."""
    for request in (
        b"GET /livez HTTP/1.0\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        answer = await read_answer(reader)

        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await asyncio.wait_for(reader.read(), 15) == b""
        writer.close()


async def test_silent_connection_is_ended(server: Server) -> None:
    """A connection on which nothing ever comes is ended like one whose head stops coming."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    assert await asyncio.wait_for(reader.read(), 15) == b""
    writer.close()


async def test_health_is_told_though_connections_are_used_up(server: Server) -> None:
    """Beyond the limit of connections health is still answered, and everything else refused."""
    idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(90)]
    try:
        (live,) = await server.exchange(GET_LIVE)
        (other,) = await server.exchange(post(b'{"seats":[1]}'))
    finally:
        for _, writer in idle:
            writer.close()

    assert live.status == 200
    assert (other.status, other.headers["connection"]) == (503, "close")


async def test_stop_answers_what_has_arrived(tmp_path: Path) -> None:
    """Clients in mid-conversation get an answer to each request, the last one with `close`."""
    server = await start(tmp_path, workers=2).ready()
    answered, many = 0, asyncio.Event()

    async def converse() -> str:
        nonlocal answered
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while True:
            writer.write(GET_LIVE)
            answer = await read_answer(reader)  # raises where the connection ends without one
            answered += 1
            if answered == 200:
                many.set()
            if answer.headers.get("connection") == "close":
                writer.close()
                return "close"

    clients = [asyncio.create_task(converse()) for _ in range(32)]
    try:
        await asyncio.wait_for(many.wait(), 30)
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(asyncio.gather(*clients), 30) == ["close"] * 32
        assert server.process.wait(timeout=20) == 0
    finally:
        server.process.kill()
        server.process.wait()


async def test_refusals_keep_the_connection(server: Server) -> None:
    """After a refused body, the same connection serves the next request."""
    answers = await server.exchange(post(b"{"), post(b'{"a":1}'), GET_LIVE, answers=3)

    assert [answer.status for answer in answers] == [400, 422, 200]


async def test_announced_oversize_is_refused_unread(server: Server) -> None:
    """A length above the limit is refused before the body comes."""
    (answer,) = await server.exchange(post(b"", "Content-Length: 1000000000", length=False))

    assert (answer.status, json.loads(answer.body)["outcome"]) == (413, "too_large")


async def test_chunked_oversize_is_cut(server: Server) -> None:
    """Chunks beyond the limit are refused while they are still coming."""
    (answer,) = await server.exchange(
        post(b"", "Transfer-Encoding: chunked", length=False),
        *(b"2000\r\n" + b"x" * 0x2000 + b"\r\n" for _ in range(4)),
    )

    assert (answer.status, json.loads(answer.body)["outcome"]) == (413, "too_large")


async def test_slow_body_ends_in_time(server: Server) -> None:
    """A body that stops coming is answered 408."""
    (answer,) = await server.exchange(post(b"", "Content-Length: 10", length=False), b"{")

    assert (answer.status, json.loads(answer.body)["outcome"]) == (408, "too_slow")


async def test_slow_head_ends_in_time(server: Server) -> None:
    """A head that stops coming ends the connection."""
    with pytest.raises(asyncio.IncompleteReadError):
        await server.exchange(b"GET /livez HTTP/1.1\r\nHos")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 501),
        (b"GET / SPDY/9\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n", 400),
        (post(b"", "Content-Length: -1", length=False), 400),
        (post(b"", "Content-Length: 99999999999999999999999", length=False), 400),
        (post(b"", "Content-Length: 1", "Content-Length: 2", length=False), 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 99 + b"\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET /%ff%00%0a HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /v1/sales/1/seats?occasion=%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/sales/%31/seats?occasion=1 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /livez%0a HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET http://x/livez HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"PROPFIND /livez HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ],
)
async def test_garbage_is_refused(server: Server, request_bytes: bytes, status: int) -> None:
    """Whatever arrives, the answer is a refusal below 500, and the server goes on."""
    (answer,) = await server.exchange(request_bytes)

    assert answer.status == status
    assert (await server.exchange(GET_LIVE))[0].status == 200


async def test_client_that_hangs_up_harms_nobody(server: Server) -> None:
    """Connections dropped in the middle of a body leave nothing behind."""
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(post(b"", "Content-Length: 100", length=False) + b"{")
        await writer.drain()
        writer.transport.abort()

    assert (await server.exchange(GET_LIVE))[0].status == 200


async def test_workers_add_up_their_metrics_and_flush_their_logs(tmp_path: Path) -> None:
    """Two workers give one count, whichever is asked; a stop writes every line of the log."""
    server = await start(tmp_path, workers=2).ready()
    try:
        before = await counted(server)
        await asyncio.gather(*(server.exchange(GET_LIVE) for _ in range(60)))
        assert await counted(server) == before + 60
        lines = server.stop()
    finally:
        server.process.kill()
        server.process.wait()

    requests = [line for line in lines if line["event"] == "request"]
    assert sum(line["route"] == "/livez" for line in requests) == before + 60
    assert len({line["request_id"] for line in requests}) == len(requests)


async def counted(server: Server) -> int:
    (answer,) = await server.exchange(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    found = re.search(
        rb'^sunseo_http_requests_total\{[^}]*route="/livez"[^}]*\} (.*)$', answer.body, re.MULTILINE
    )
    assert found is not None
    return int(float(found[1]))
