"""The middleware under a real server, asked over the wire with addresses that clients tidy up."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.acceptance.gate_wire import cookie, free_port, get, process, say
from tests.gate_room import ROOM, Room, serving

PROGRAM = """
import asyncio, sys
from granian.constants import Interfaces
from granian.server.embed import Server
from sunseo.gate.asgi import WaitingRoomMiddleware
from sunseo.gate.policy import BypassRules
from tests.acceptance.gate_sites import fastapi_app

url, keys, port = sys.argv[1:]
app = WaitingRoomMiddleware(
    fastapi_app(), room=42, keys=keys, sunseo_url=url, bypass=BypassRules(paths=("/static",))
)
server = Server(app, port=int(port), interface=Interfaces.ASGI, log_enabled=False)
asyncio.run(server.serve())
"""

TRICKS = (
    "/static/../buy",
    "/static/..%2fbuy",
    "/static/%2e%2e/buy",
    "/static/%2E%2E%2Fbuy",
    "/static%2f..%2fbuy",
    "/static/%252e%252e/buy",
    "/static//../buy",
    "//static/a.css",
    "//evil.example/static",
    "/static;/../buy",
    "/static/..;/buy",
    "/static\\..\\buy",
    "/static/..%5cbuy",
    "/static/%c0%ae%c0%ae/buy",
    "/static/%ef%bc%8e%ef%bc%8e/buy",
    "/static/a%00/../../buy",
    "/STATIC/a.css",
    "http://shop.example/buy",
    "http://shop.example/static/../buy",
    "http://evil.example//static/a.css",
    "/buy?x=/static",
    "/staticx",
    "/static?/../buy",
    "*",
)


class Site(NamedTuple):
    """A server with the gate before an app, and the room."""

    room: Room
    port: int


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    root = Path(__file__).parents[2]
    with serving() as room:
        port = free_port()
        start = f"import sys; sys.path.insert(0, {str(root)!r})\n{PROGRAM}"
        keys = msgspec.json.encode(room.keys).decode()
        command = (sys.executable, "-c", start, room.url, keys, str(port))
        with process(*command, port=port):
            yield Site(room, port)


@pytest.mark.parametrize("target", TRICKS)
def test_address_opens_no_more_than_it_says(site: Site, target: str) -> None:
    """What is let through without a pass is below /static, for the app as for the gate."""
    answer = get(site.port, target)

    if answer.status == 200:
        assert answer.seen["path"].startswith("/static")
        assert ".." not in answer.seen["path"]
        assert target.startswith("/static?")
    else:
        assert answer.status in (303, 400)
        assert "//evil" not in (answer.header("location") or "").partition("?")[0]


def test_open_prefix_and_passes_open(site: Site) -> None:
    """So that the refusals above mean something."""
    assert get(site.port, "/static/a.css").seen["path"] == "/static/a.css"
    assert get(site.port, "/static/%EA%B3%B5%EC%97%B0.css").status == 200
    ticket = site.room.ticket()
    seen = get(site.port, "/buy/7", Cookie=cookie(site.room.sealed(ticket))).seen
    assert seen["headers"]["sunseo-pass-id"] == str(ticket.pass_id)


@pytest.mark.parametrize("target", ["//evil.example/x", "/\\evil.example", "http://evil.example/x"])
def test_hand_over_never_leads_to_another_host(site: Site, target: str) -> None:
    """A link with a good pass and a double slash is no open redirect."""
    answer = get(site.port, f"{target}?sunseo_pass={site.room.sealed()}")

    location = answer.header("location") or ""
    assert not location.startswith(("//", "/\\", "http://evil"))


def test_cookies_in_several_headers_are_one(site: Site) -> None:
    """HTTP/2 and some proxies split them."""
    lines = f"GET /buy HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nCookie: {cookie(site.room.sealed())}"
    assert say(site.port, lines).status == 200


def test_made_up_headers_do_not_arrive(site: Site) -> None:
    """Over the wire, in every spelling, beside a good pass."""
    spoofed = "Sunseo-Pass-Id: made-up\r\nSunseo_Pass_Id: made-up\r\nSUNSEO-PASS-ID: made-up"
    lines = f"GET /buy HTTP/1.1\r\nHost: a\r\n{spoofed}\r\nCookie: {cookie(site.room.sealed())}"
    assert "made-up" not in say(site.port, lines).seen["headers"].values()


def test_pass_of_another_room_does_not_open(site: Site) -> None:
    """Even where its cookie has this room's name."""
    other = site.room.sealed(site.room.ticket(room=ROOM + 1))
    answer = get(site.port, Cookie=cookie(other))
    assert "refused=room" in (answer.header("location") or "")
