"""A scripted room that speaks the documented protocol, on a clock that the test moves.

The real one cannot be told what time it is. This one can, and counts what it is asked:

    with scripted_room(speed=10) as peer:
        peer.advance(60)
        assert peer.asked["GET state"] == 1

State       Places by nonce, passes by number; `now_ms` and `serving` move by `advance` alone.
Guarantee   One answer at a time, so that figures are exact.
On failure  What it does not understand it answers 400, which fails the test that caused it.
"""

import base64
import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "src/sunseo/room/pages/static/sunseo.js"
ROOM = 42
START_MS = 1_790_000_000_000
PASS_TTL_S = 60
GRACE_S = 10


@dataclass
class RoomPeer:
    """One room, whose line moves at `speed` numbers a second."""

    speed: float = 10.0
    ahead: int = 0
    now_ms: int = START_MS
    serving: float = 0.0
    issued: int = 0
    epoch: int = 1
    changes: dict[str, Any] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    asked_at: list[tuple[str, int]] = field(default_factory=list)
    faults: deque[tuple[int, dict[str, str], dict[str, Any]]] = field(default_factory=deque)
    places: dict[str, dict[str, Any]] = field(default_factory=dict)
    passes: dict[int, dict[str, Any]] = field(default_factory=dict)
    bodies: list[tuple[str, Any, str | None]] = field(default_factory=list)
    challenge: bool = False
    instead_of_places: tuple[int, dict[str, Any]] | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self.issued = self.ahead

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def total(self) -> int:
        """All requests: the page, the script and preflights, too."""
        return self.asked.total()

    def advance(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)
        self.serving = min(self.issued, self.serving + self.speed * seconds)

    # Answers: status, headers, body

    def answer(self, method: str, what: str, name: str, body: Any, bearer: str | None) -> Any:
        self.asked[f"{method} {what}"] += 1
        self.asked_at.append((f"{method} {what}", self.now_ms))
        if method == "OPTIONS":
            return 204, {}, None
        if body is not None:
            self.bodies.append((what, body, bearer))
        if self.faults:
            return self.faults.popleft()
        match method, what:
            case "GET", "state":
                return 200, {"ETag": f'"{self.now_ms}"'}, self.state()
            case "POST", "nonces":
                nonce = f"nonce-{len(self.places)}-{self.asked['POST nonces']}"
                return 201, {}, {"nonce": nonce, "minute": self.now_ms // 60_000}
            case "PUT", "places":
                return self.join(name, body, bearer)
            case "POST", "enter":
                return self.enter(body, bearer)
            case "POST", "renew":
                return self.renew(body)
            case "POST", "leave":
                return self.leave(body)
        return 400, {}, {"outcome": "not_understood"}

    def state(self) -> dict[str, Any]:
        speed = {"v10": self.speed * 0.8, "v50": self.speed, "v90": self.speed * 1.25}
        return {
            "room": ROOM,
            "epoch": self.epoch,
            "phase": "open",
            "mode": "fifo",
            "issued": self.issued,
            "serving": int(self.serving),
            "speed": speed,
            "slowed": None,
            "units_left": 100,
            "sold_out": False,
            "message": None,
            "opens_at": None,
            "poll": {"floor": 2, "ceiling": 60, "divisor": 10},
            "pass": {"ttl": PASS_TTL_S, "renew_before": 20},
            "revoked": [],
            "fail_mode": "closed",
            "now": self.now_ms,
            **self.changes,
            "signature": "of a scripted room",
        }

    def join(self, nonce: str, body: Any, bearer: str | None) -> Any:
        if self.challenge and body.get("challenge") != "solved":
            refusal = {"outcome": "challenge_required", "challenge": "turnstile"}
            return 403, {}, refusal
        if self.instead_of_places is not None:
            status, answer = self.instead_of_places
            return status, {}, answer
        holder = bearer or nonce
        replay = holder in self.places
        if not replay:
            self.issued += 1
            place = {"number": self.issued, "binding": body.get("binding"), "bearer": bearer}
            self.places[holder] = place | {"epoch": self.epoch, "token": f"place-{self.issued}"}
        place = self.places[holder]
        shown = {"place": place["token"], "number": place["number"], "epoch": place["epoch"]}
        more = {"serving": int(self.serving), "poll_after_s": 2}
        return 200 if replay else 201, {}, shown | more

    def enter(self, body: Any, bearer: str | None) -> Any:
        place = next(one for one in self.places.values() if one["token"] == body["place"])
        if place["bearer"] != bearer or place["binding"] != binding_of(body.get("secret")):
            return 403, {}, {"outcome": "wrong_holder"}
        if place["epoch"] != self.epoch:
            return 410, {}, {"outcome": "other_epoch"}
        number = place["number"]
        if number > self.serving:
            return 409, {}, {"outcome": "not_served", "ahead": number - int(self.serving)}
        held = self.passes.get(number)
        if held is None:
            held = {"renewal": 0, "renewed_ms": 0, "state": "live"}
            self.passes[number] = held | {"expires_ms": self.now_ms + PASS_TTL_S * 1000}
            return 201, {}, self.shown_pass(number)
        if held["state"] != "live":
            return 410, {}, {"outcome": f"pass_{held['state']}"}
        if held["expires_ms"] <= self.now_ms:
            held["renewal"] += 1
            held["expires_ms"] = self.now_ms + PASS_TTL_S * 1000
        return 200, {}, self.shown_pass(number)

    def shown_pass(self, number: int) -> dict[str, Any]:
        held = self.passes[number]
        return {
            "pass": f"pass-{number}-{held['renewal']}",
            "expires_at": iso(held["expires_ms"]),
            "renew_after_s": 40,
            "session_until": iso(self.now_ms + 900_000),
        }

    def renew(self, body: Any) -> Any:
        number, renewal = (int(part) for part in body["pass"].split("-")[1:])
        held = self.passes[number]
        if held["state"] != "live":
            return 410, {}, {"outcome": f"pass_{held['state']}"}
        if held["expires_ms"] <= self.now_ms:
            return 410, {}, {"outcome": "pass_expired"}
        if renewal == held["renewal"] - 1 and self.now_ms <= held["renewed_ms"] + GRACE_S * 1000:
            return 200, {}, self.shown_pass(number)
        if renewal != held["renewal"]:
            held["state"] = "revoked"
            return 403, {}, {"outcome": "pass_revoked"}
        held["renewal"] += 1
        held["renewed_ms"] = self.now_ms
        held["expires_ms"] = self.now_ms + PASS_TTL_S * 1000
        return 200, {}, self.shown_pass(number)

    def leave(self, body: Any) -> Any:
        self.passes[int(body["pass"].split("-")[1])]["state"] = "done"
        return 200, {}, {}


def binding_of(secret: str | None) -> str | None:
    """The first 16 bytes of SHA-256 of a browser's secret, as the protocol has it."""
    if secret is None:
        return None
    raw = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    assert 16 <= len(raw) <= 64
    digest = hashlib.sha256(raw).digest()[:16]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat().replace("+00:00", "Z")


PAGE = b"""<!doctype html><meta charset="utf-8"><title>A shop</title>
<button id="buy">Buy</button><output id="line"></output>"""

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT",
    "Access-Control-Allow-Headers": "authorization, content-type, idempotency-key",
    "Access-Control-Max-Age": "86400",
    "Access-Control-Expose-Headers": "Retry-After, ETag",
}


@contextmanager
def scripted_room(**given: Any) -> Iterator[RoomPeer]:
    """Serve a room on loopback."""
    peer = RoomPeer(**given)
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            raw = self.rfile.read(length)
            path = self.path.split("?")[0]
            if path == "/sunseo.js":
                peer.asked["GET script"] += 1
                return self.send(200, {"Content-Type": "text/javascript"}, SCRIPT.read_bytes())
            if not path.startswith(f"/v1/rooms/{ROOM}/"):
                peer.asked["GET page"] += path == "/shop"
                return self.send(200, {"Content-Type": "text/html"}, PAGE)
            what, _, name = path.removeprefix(f"/v1/rooms/{ROOM}/").partition("/")
            bearer = self.headers.get("authorization")
            body = json.loads(raw) if raw else None
            with one_at_a_time:
                status, headers, answer = peer.answer(self.command, what, name, body, bearer)
            sent = b"" if answer is None else json.dumps(answer).encode()
            return self.send(status, CORS | {"Content-Type": "application/json"} | headers, sent)

        def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in http.server
            """Say nothing."""

        do_GET = do_POST = do_PUT = do_OPTIONS = respond  # noqa: N815 - their names in http.server

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    peer.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
