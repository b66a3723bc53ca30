"""What the gate costs a request: `python bench/gate.py`, in this process, without a network.

Each row is the time from calling the ASGI app to its answer, with a browser's usual headers. Of
many rounds the quietest is shown: on a machine that does other things too, the rest measures those.
"""

import asyncio
import gc
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from sunseo.gate.asgi import App, WaitingRoomMiddleware
from sunseo.gate.poller import monotonic_ms
from tests.gate_room import ROOM, Room

REQUESTS = 1_000  # in a round
ROUNDS = 40
VISITORS = 6_000  # more than a gate remembers, so that each pass is verified anew
HOUR_MS = 3_600_000


class Times(NamedTuple):
    """Microseconds."""

    p50: float
    p99: float


async def bare(_: Any, __: Any, send: Any) -> None:
    start = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": start})
    await send({"type": "http.response.body", "body": b"ok"})


def request(cookie: bytes) -> dict[str, Any]:
    headers = [
        (b"host", b"shop.example"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0"),
        (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        (b"accept-encoding", b"gzip, deflate, br, zstd"),
        (b"accept-language", b"ko-KR,ko;q=0.9,en;q=0.8"),
        (b"sec-fetch-mode", b"navigate"),
        (b"upgrade-insecure-requests", b"1"),
        (b"cookie", cookie),
    ]
    return {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": "/buy/7",
        "raw_path": b"/buy/7",
        "query_string": b"from=mail",
        "headers": headers,
        "client": ("192.0.2.1", 5555),
    }


async def measure(app: App, cookies: Sequence[bytes]) -> Times:
    """Of the round with the lowest p99."""
    return min(await measure_rounds(app, cookies), key=lambda times: times.p99)


async def measure_rounds(app: App, cookies: Sequence[bytes]) -> list[Times]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        pass

    scopes = [request(cookie) for cookie in cookies]
    gc.collect()
    gc.freeze()  # six thousand requests lying ready are the benchmark's, not the gate's
    rounds = []
    number = 0
    for _ in range(ROUNDS):
        taken = []
        for _ in range(REQUESTS):
            number += 1
            scope = scopes[number % len(scopes)]
            begun = time.perf_counter_ns()
            await app(scope, receive, send)
            taken.append(time.perf_counter_ns() - begun)
        rounds.append(times_of(taken))
    return rounds


def times_of(taken_ns: list[int]) -> Times:
    taken_ns.sort()
    return Times(taken_ns[REQUESTS // 2] / 1e3, taken_ns[REQUESTS * 99 // 100] / 1e3)


def guarded(room: Room) -> WaitingRoomMiddleware:
    """A gate whose threads are not started: its room's document is laid before it."""
    gate = WaitingRoomMiddleware(bare, room=ROOM, keys=room.keys, sunseo_url="http://127.0.0.1:9")
    core = gate.core
    core._pid = os.getpid()  # noqa: SLF001 - or the first request would start them
    core.poller.state = core.verifier.state(room.document())
    core.poller.clock.learn(core.poller.state.now, monotonic_ms())
    return gate


async def compare() -> None:
    print(f"{'':40}{'p50':>8}{'p99':>8}   microseconds")
    show("the app alone", await measure(bare, [b""]))
    for ed25519 in (False, True):
        room = Room(ed25519)
        gate = guarded(room)
        algorithm = "Ed25519" if ed25519 else "HMAC"
        cookies = [
            f"theme=dark; sunseo_pass_{ROOM}={room.sealed(ticket)}".encode()
            for ticket in (
                room.ticket(issued_at_ms=room.now_ms, expires_at_ms=room.now_ms + HOUR_MS)
                for _ in range(VISITORS)
            )
        ]
        show(f"{algorithm}: first request of a pass", await measure(gate, cookies))
        show(f"{algorithm}: its later requests", await measure(gate, cookies[:100]))
        show(f"{algorithm}: no pass, sent to the line", await measure(gate, [b"theme=dark"]))


def show(name: str, times: Times) -> None:
    print(f"{name:40}{times.p50:8.1f}{times.p99:8.1f}")


if __name__ == "__main__":
    asyncio.run(compare())
