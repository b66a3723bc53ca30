"""A room for tests of the gate: real keys and documents, served by a small server on loopback.

Only the network peer is made up. What it serves can be changed while it runs; what it is told is
kept.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import msgspec

from sunseo.gate.decision import GateCore
from sunseo.passes.keys import GateKeys, KeyRing
from sunseo.passes.tokens import Pass

ROOM = 42
EPOCH = 3
T0 = 1_790_000_000_000
PATIENCE_S = 120.0


class Room:
    """What Sunseo would be to a gate."""

    def __init__(self, ed25519: bool = False) -> None:
        self.ring = KeyRing(1, {0: b"the secret of the room in the tests"}, 0)
        self.ed25519 = ed25519
        self.now_ms = T0
        self.members: dict[str, Any] = {}
        self.answers: dict[str, tuple[int, Any]] = {}  # by path's last name, instead of its own
        self.told: list[tuple[str, Any]] = []
        self.keys_told: list[str | None] = []
        self.polls = 0
        self.was_told = threading.Event()
        self.holding = threading.Event()  # renewals wait while it is clear
        self.holding.set()
        self.url = ""

    @property
    def keys(self) -> GateKeys:
        return self.ring.gate_keys(ROOM, self.ed25519)

    def document(self) -> bytes:
        plain = {
            "room": ROOM,
            "epoch": EPOCH,
            "phase": "open",
            "mode": "fifo",
            "poll": {"floor": 2, "ceiling": 60, "divisor": 10},
            "pass": {"ttl": 60, "renew_before": 30},
            "revoked": [],
            "fail_mode": "closed",
            **self.members,
            "now": self.now_ms,
        }
        body = json.dumps(plain, separators=(",", ":"))[:-1].encode()
        signature = self.ring.state_signature(ROOM, body, self.ed25519)
        return body + f',"signature":"{signature}"}}'.encode()

    def ticket(self, **changes: Any) -> Pass:
        plain = Pass(
            ROOM,
            *(EPOCH, 7, self.now_ms, uuid4(), bytes(16), True, self.now_ms + 60_000, uuid4()),
        )
        return msgspec.structs.replace(plain, **changes)

    def sealed(self, ticket: Pass | None = None) -> str:
        return self.ring.seal(ticket or self.ticket(), self.ed25519)

    def renew(self, body: Any) -> tuple[int, Any]:
        results = []
        for text in body["passes"]:
            old = self.ring.open_pass(text, ROOM)
            new = msgspec.structs.replace(
                old,
                renewal=old.renewal + 1,
                issued_at_ms=self.now_ms,
                expires_at_ms=self.now_ms + 60_000,
            )
            results.append({"outcome": "renewed", "pass": self.sealed(new)})
        return 200, {"results": results}

    def answer(self, name: str, body: Any) -> tuple[int, Any]:
        if name == "renew":
            assert self.holding.wait(PATIENCE_S)
        self.told.append((name, body))
        self.was_told.set()
        if name in self.answers:
            return self.answers[name]
        return self.renew(body) if name == "renew" else (200, {})


def _handler(room: Room) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            room.polls += 1
            status, body = room.answers.get("state", (200, None))
            self._send(status, room.document() if body is None else body)

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["content-length"]))
            room.keys_told.append(self.headers["authorization"])
            status, body = room.answer(self.path.rpartition("/")[2], json.loads(sent))
            self._send(status, json.dumps(body).encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def serving(ed25519: bool = False) -> Iterator[Room]:
    """A room on a free port of loopback."""
    room = Room(ed25519)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(room))
    server.daemon_threads = True
    room.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield room
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def watched(core: GateCore) -> Iterator[GateCore]:
    """A gate whose first look at the room is done; its threads end with the block."""
    core.start()
    try:
        assert core.poller.looked.wait(PATIENCE_S)
        yield core
    finally:
        core.stop()
