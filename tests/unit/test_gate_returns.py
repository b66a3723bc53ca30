"""The way back from the line leads to the same address, to the letter, in every gate alike."""

import json
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

import pytest

from sunseo import auth_request
from sunseo.gate.answers import Addresses, GateAnswer, handed_over, refused
from sunseo.gate.asgi import WaitingRoomMiddleware as OfAsgi
from sunseo.gate.policy import GateRequest
from sunseo.gate.wsgi import WaitingRoomMiddleware as OfWsgi
from sunseo.passes.polling import Poll
from sunseo.room.pages.returns import allowed_return, with_pass
from tests.gate_room import ROOM, Room
from tests.tidy.sources import ROOT

SITE = "https://shop.example"
WHERE = Addresses(ROOM, "https://rooms.example", "https://rooms.example/r/42")
TABLE: list[dict[str, str]] = json.loads((ROOT / "tests" / "returns.json").read_text())["cases"]
HEADERS = {"host": "shop.example", "accept": "text/html"}


def by_asgi(path: str, query: str) -> GateRequest:
    gate = OfAsgi(None, room=ROOM, keys=Room().keys, sunseo_url="https://rooms.example")  # type: ignore[arg-type]  # no app is asked
    scope = {
        "method": "GET",
        "path": decoded(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(name.encode(), value.encode()) for name, value in HEADERS.items()],
        "scheme": "https",
    }
    return gate._asked(scope)


def by_wsgi(path: str, query: str, *, is_told: bool = True) -> GateRequest:
    gate = OfWsgi(None, room=ROOM, keys=Room().keys, sunseo_url="https://rooms.example")  # type: ignore[arg-type]  # no app is asked
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
        "QUERY_STRING": query,
        "wsgi.url_scheme": "https",
        "HTTP_HOST": HEADERS["host"],
        "HTTP_ACCEPT": HEADERS["accept"],
    }
    if is_told:
        environ["RAW_URI"] = f"{path}?{query}" if query else path
    return gate._asked(environ)


def by_nginx(path: str, query: str) -> GateRequest:
    headers = {
        **HEADERS,
        "x-original-uri": f"{path}?{query}" if query else path,
        "x-original-method": "GET",
        "x-original-host": HEADERS["host"],
        "x-original-scheme": "https",
    }
    return auth_request._asked(headers)


def decoded(path: str) -> str:
    return unquote_to_bytes(path.encode("latin-1")).decode("utf-8", "replace")


def location(answer: GateAnswer | None) -> str:
    assert answer is not None
    return dict(answer.headers)["location"]


@pytest.mark.parametrize("read", [by_asgi, by_wsgi, by_nginx])
@pytest.mark.parametrize("case", TABLE, ids=lambda case: ascii(case["asked"]))
def test_everybody_comes_back_to_where_she_was(case: dict[str, str], read: Any) -> None:
    """To the line and back from it with a pass; what may lead to another host begins anew."""
    path, _, query = case["asked"].partition("?")
    asked = read(path, query)

    to_the_line = location(refused(asked, WHERE, "no_pass", Poll()))
    [back] = parse_qs(urlsplit(to_the_line).query)["return"]
    assert back == SITE + case["back"]

    allowed = allowed_return(back, (SITE,))
    assert allowed == back
    handed = with_pass(allowed, "sealed").removeprefix(SITE)
    from_the_line = read(*handed.split("?", 1))
    assert location(handed_over(from_the_line, ("set-cookie", "a=b"))) == case["back"]


@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("/100%25-off", "/100%25-off"),
        ("/%E3%88%9C%EC%84%A0%EC%8A%88", "/%E3%88%9C%EC%84%A0%EC%8A%88"),
        ("/a;v=1", "/a;v=1"),
        ("/%2Fevil.example", "/"),
        ("/%5Cevil.example", "/"),
        ("/%ff", "/"),
    ],
)
def test_a_server_that_keeps_the_line_to_itself_brings_back_what_it_can(
    path: str, back: str
) -> None:
    """Of a decoded path the meaning comes back; what it no longer tells apart stays here."""
    asked = by_wsgi(path, "", is_told=False)

    [address] = parse_qs(urlsplit(location(refused(asked, WHERE, "no_pass", Poll()))).query)[
        "return"
    ]
    assert address == SITE + back
