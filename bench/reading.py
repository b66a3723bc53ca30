"""What reading does to buying: `python -m bench.reading`.

One buyer holds and releases a seat, again and again, while somebody reads a document of the hall
in a loop: first nobody, then from our server, then the same bytes from another program (a small
asyncio server that does nothing else). The rounds alternate, and medians of them are printed, with
how many times as long a hold takes beside a reader of ours as beside one of the other program's.
"""

import argparse
import asyncio
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import uvloop

from bench.servers import free_port, running

READING = {
    "seats": "/v1/sales/1/seats?occasion=1",
    "sale": "/v1/sales/1",
    "availability": "/v1/sales/1/availability",
    "bitmap": "/v1/sales/1/availability?form=bitmap",
    "openapi": "/openapi.json",
}
HOST = "127.0.0.1"


class Round(NamedTuple):
    """Milliseconds of a hold, and reads a second meanwhile."""

    median_ms: float
    p99_ms: float
    reads_s: float


class Shop:
    """Our server with one hall, and one who buys in it."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self._key = key
        self._wire = http.client.HTTPConnection(HOST, port)
        self._number = 0

    def set_up(self, seats: int, products: int) -> None:
        sale = {
            "name": "Hall",
            "currency": "KRW",
            "time_zone": "Asia/Seoul",
            "opens_at": "2026-01-01T00:00:00Z",
            "price_classes": [{"name": "Free", "price": 0}],
            "occasions": [{"name": "One", "starts_at": "2030-01-01T00:00:00Z"}],
        }
        self._operate("/v1/sales", sale)
        rows = max(1, seats // 100)
        block = {
            "occasion": 1,
            "price_class": 1,
            "section": "A",
            "rows": rows,
            "seats_per_row": seats // rows,
        }
        self._operate("/v1/sales/1/seats", {"blocks": [block]})
        for start in range(1, products + 1, 300):
            numbers = range(start, min(start + 300, products + 1))
            stocks = [{"occasion": 1, "name": f"Slot {n}", "capacity": 9} for n in numbers]
            offers = [{"name": f"Visit {n}", "price": 0, "draws": [{"stock": n}]} for n in numbers]
            self._operate("/v1/sales/1/stocks", {"stocks": stocks, "products": offers})
        self._guest = self._ask("/v1/guests", None, {})["token"]

    def buy(self, seconds: float) -> list[float]:
        """Hold and release for so long; milliseconds of each hold."""
        taken: list[float] = []
        end = time.monotonic() + seconds
        headers = {"authorization": f"Bearer {self._guest}"}
        while time.monotonic() < end:
            self._number += 1
            keyed = headers | {"idempotency-key": f"hold-{self._number}-{os.getpid()}"}
            before = time.perf_counter()
            hold = self._ask("/v1/sales/1/holds", {"seats": [7]}, keyed)["hold"]
            taken.append((time.perf_counter() - before) * 1000)
            self._ask(f"/v1/sales/1/holds/{hold}/release", None, keyed)
        return taken

    def _operate(self, path: str, body: dict[str, Any]) -> None:
        self._number += 1
        key = {"authorization": f"Bearer {self._key}", "idempotency-key": f"{self._number}"}
        self._ask(path, body, key)

    def _ask(self, path: str, body: object, headers: dict[str, str]) -> Any:
        sent = b"" if body is None else json.dumps(body).encode()
        typed = headers | ({"content-type": "application/json"} if sent else {})
        self._wire.request("POST", path, sent, typed)
        answer = self._wire.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{path} was answered {answer.status}: {text.decode()}")
        return json.loads(text)


@contextmanager
def shop(folder: Path, seats: int, products: int) -> Iterator[Shop]:
    port = free_port()
    serve = [sys.executable, "-m", "sunseo", "serve", "--data", str(folder / "data")]
    log, ready = folder / "sunseo.log", f"http://{HOST}:{port}/readyz"
    with running([*serve, "--port", str(port)], {}, log, ready):
        made = [sys.executable, "-m", "sunseo", "keys", "create", "bench", "--data"]
        key = subprocess.run(
            [*made, str(folder / "data")], check=True, capture_output=True, text=True
        ).stdout.strip()
        opened = Shop(port, key)
        opened.set_up(seats, products)
        yield opened


# The other program


def answer_of(port: int, path: str, encoding: str) -> bytes:
    """What our server sends, with its head."""
    with socket.create_connection((HOST, port)) as wire:
        return read_once(wire, request_for(path, encoding))


def serve_bytes(port: int, file: str) -> None:
    """Answer everything with the bytes of a file."""
    answer = Path(file).read_bytes()

    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = cast(asyncio.Transport, transport)  # sockets give no other

        def data_received(self, data: bytes) -> None:
            if data.endswith(b"\r\n\r\n"):
                self._transport.write(answer)

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, HOST, port)
        await server.serve_forever()

    uvloop.run(serve())


@contextmanager
def other_program(folder: Path, answer: bytes) -> Iterator[int]:
    port, file = free_port(), folder / "answer"
    file.write_bytes(answer)
    command = [sys.executable, "-m", "bench.reading", "--serve", str(port), str(file)]
    with running(command, {}, folder / "other.log", f"http://{HOST}:{port}/"):
        yield port


# Who reads


def request_for(path: str, encoding: str) -> bytes:
    accepts = f"Accept-Encoding: {encoding}\r\n" if encoding != "identity" else ""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{accepts}\r\n".encode()


def read_once(wire: socket.socket, request: bytes) -> bytes:
    wire.sendall(request)
    got = bytearray()
    while (head := got.find(b"\r\n\r\n")) < 0:
        got += _received(wire)
    fields = bytes(got[:head]).lower().split(b"\r\n")
    length = next(int(f.split(b":")[1]) for f in fields if f.startswith(b"content-length:"))
    while len(got) < head + 4 + length:
        got += _received(wire)
    return bytes(got)


def _received(wire: socket.socket) -> bytes:
    if not (data := wire.recv(1 << 18)):
        raise SystemExit("the server hung up on its reader")
    return data


def read_in_a_loop(port: int, path: str, encoding: str) -> None:
    """Read until the starter closes our input; then print how often and for how many seconds."""
    request, reads = request_for(path, encoding), 0
    os.set_blocking(0, False)
    with socket.create_connection((HOST, port)) as wire:
        read_once(wire, request)
        print("reading", flush=True)
        began = time.monotonic()
        while not _told_to_stop():
            read_once(wire, request)
            reads += 1
    print(reads / (time.monotonic() - began))


def _told_to_stop() -> bool:
    try:
        return os.read(0, 1) == b""
    except BlockingIOError:
        return False


@contextmanager
def reader(port: int, path: str, encoding: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "bench.reading", "--read", str(port), path, encoding]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None or process.stdout.readline() != "reading\n":
            raise SystemExit(f"nobody reads {path}")
        yield process


def beside(shop_: Shop, port: int | None, path: str, encoding: str, seconds: float) -> Round:
    if port is None:
        return _round(shop_.buy(seconds), 0.0)
    with reader(port, path, encoding) as process:
        taken = shop_.buy(seconds)
        told, _ = process.communicate("")
    return _round(taken, float(told))


def _round(taken: Sequence[float], reads_s: float) -> Round:
    ordered = sorted(taken)
    return Round(statistics.median(ordered), ordered[int(len(ordered) * 0.99)], reads_s)


def compare(folder: Path, shop_: Shop, options: argparse.Namespace, what: str) -> None:
    path = READING[what]
    answer = answer_of(shop_.port, path, options.encoding)
    with other_program(folder, answer) as port:
        ports = {"nobody": None, "ours": shop_.port, "another": port}
        rounds: dict[str, list[Round]] = {name: [] for name in ports}
        for _ in range(options.rounds):
            for name, where in ports.items():
                rounds[name].append(beside(shop_, where, path, options.encoding, options.seconds))
    print(f"{what} ({options.encoding}, {len(answer):,} bytes)")
    medians = {}
    for name, several in rounds.items():
        middle = Round(*(statistics.median(column) for column in zip(*several, strict=True)))
        medians[name] = middle.median_ms
        print(
            f"  beside {name:8} a hold takes {middle.median_ms:7.2f} ms (p99 {middle.p99_ms:7.2f}),"
            f" {middle.reads_s:8.1f} reads a second"
        )
    print(f"  ours against another: {medians['ours'] / medians['another']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--what", nargs="+", choices=READING, default=list(READING))
    parser.add_argument("--encoding", choices=("identity", "gzip"), default="identity")
    parser.add_argument("--seats", type=int, default=50_000)
    parser.add_argument("--products", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    if options.serve:
        serve_bytes(int(options.serve[0]), options.serve[1])
    elif options.read:
        read_in_a_loop(int(options.read[0]), *options.read[1:])
    else:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            opened = stack.enter_context(shop(folder, options.seats, options.products))
            for what in options.what:
                compare(folder, opened, options, what)


if __name__ == "__main__":
    main()
