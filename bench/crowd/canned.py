"""A room and a sale from a can: every call of the journey answered from memory, and nothing kept.

It costs so little that whoever talks to it is the one who is measured. What it says is as long as
what the real server says, changes as often, and leads a visitor through her whole journey.

    python -m bench.crowd.canned --port 8000 --lag 2        # numbers are called after two seconds
    python -m bench.crowd.canned --port 8000 --lag never    # and here nobody is
"""

import argparse
import asyncio
import json
import math
import time
from typing import cast
from uuid import UUID

import httptools
import uvloop

TICK_S = 0.1  # as often as the server's own documents change
SEATS = 2_000
TOKEN = "t" * 180
PLACE = "p" * 120
PASS = "q" * 150
BACKLOG = 8_192


class Can:
    """What is answered now.

    Args:
        lag_s: after which a number is called.
    """

    def __init__(self, lag_s: float) -> None:
        self._lag_s = lag_s
        self._ids = 0
        self._issued_at: list[tuple[float, int]] = []
        self.issued = 0
        self.serving = 0
        self.state = self.state_etag = self.hall = self.hall_etag = b""
        self.tick()

    def tick(self) -> None:
        now = time.monotonic()
        self._issued_at.append((now, self.issued))
        while self._issued_at and self._issued_at[0][0] <= now - self._lag_s:
            _, self.serving = self._issued_at.pop(0)
        tag = f'"{time.monotonic_ns():x}"'
        self.state, self.state_etag = _encoded(self._state()), tag.encode()
        self.hall, self.hall_etag = _encoded(_availability()), tag.encode()

    def _state(self) -> dict[str, object]:
        moves = math.isfinite(self._lag_s)
        speed = {"v10": 80.0, "v50": 100.0, "v90": 120.0} if moves else None
        return {
            "room": 1,
            "epoch": 1,
            "version": 7,
            "phase": "open",
            "issued": self.issued,
            "serving": self.serving,
            "live": 200,
            "capacity": 200,
            "speed": speed,
            "sold_out": False,
            "message": None,
            "opens_at": None,
            "now": int(time.time() * 1000),
            "poll": {"floor": 1, "ceiling": 60 if moves else 240, "divisor": 10},
        }

    def new_number(self) -> int:
        self.issued += 1
        return self.issued

    def new_id(self) -> str:
        self._ids += 1
        return str(UUID(int=self._ids))


def _encoded(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _availability() -> dict[str, object]:
    occasion = {"occasion": 1, "states": "0" * SEATS, "free": SEATS, "held": 0, "sold": 0}
    return {"sale": 1, "version": 7, "occasions": [occasion], "stocks": []}


def _seats() -> bytes:
    listed = [{"seat": n + 1, "x": n % 50, "y": n // 50} for n in range(SEATS)]
    return _encoded({"seats": listed})


class Exchange(asyncio.Protocol):
    """One connection."""

    def __init__(self, can: Can) -> None:
        self._can = can
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._etag = b""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # TCP gives no other

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url
        self._etag = self._body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 13 and name.lower() == b"if-none-match":
            self._etag = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._transport is not None:
            self._transport.write(self._answer())

    def _answer(self) -> bytes:
        can, path = self._can, self._url
        if path.endswith(b"/state"):
            return self._document(can.state, can.state_etag)
        if path.endswith(b"/availability"):
            return self._document(can.hall, can.hall_etag)
        if b"/seats?" in path:
            return _whole(b"200 OK", _seats())
        return _whole(b"201 Created", _encoded(self._made(path)))

    def _document(self, body: bytes, etag: bytes) -> bytes:
        if self._etag == etag:
            return b"HTTP/1.1 304 Not Modified\r\nETag: " + etag + b"\r\n\r\n"
        return _whole(b"200 OK", body, b"ETag: " + etag + b"\r\n")

    def _made(self, path: bytes) -> dict[str, object]:
        can = self._can
        if path.endswith(b"/guests"):
            return {"token": TOKEN, "person": can.new_id(), "expires_in": 7200}
        if path.endswith(b"/nonces"):
            return {"nonce": "n" * 44}
        if b"/places/" in path:
            place = {"outcome": "joined", "place": PLACE, "number": can.new_number(), "epoch": 1}
            return place | {"serving": can.serving, "ahead": 0, "poll_after_s": 1.0}
        if path.endswith((b"/enter", b"/renew")):
            return {"outcome": "entered", "pass": PASS, "renew_after_s": 30, "expires_at": 1}
        if path.endswith(b"/holds"):
            seats = json.loads(self._body)["seats"]
            return {"hold": can.new_id(), "state": "open", "seats": seats, "amount": 0}
        if path.endswith(b"/orders"):
            hold = json.loads(self._body)["hold"]
            return {"order": can.new_id(), "hold": hold, "state": "confirmed", "seats": []}
        return {"outcome": "done"}


def _whole(status: bytes, body: bytes, headers: bytes = b"") -> bytes:
    length = str(len(body)).encode()
    return (
        b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\nContent-Length: " + length
        + b"\r\n" + headers + b"\r\n" + body
    )  # fmt: skip


async def serve(port: int, lag_s: float) -> None:
    can = Can(lag_s)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Exchange(can), "127.0.0.1", port, backlog=BACKLOG)
    while True:
        await asyncio.sleep(TICK_S)
        can.tick()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.crowd.canned")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lag", default="2", help="seconds until a number is called, or `never`")
    given = parser.parse_args()
    lag_s = math.inf if given.lag == "never" else float(given.lag)
    uvloop.run(serve(given.port, lag_s))


if __name__ == "__main__":
    main()
