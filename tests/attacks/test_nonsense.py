"""Nonsense of every sort, at the service, the page and the gate: no error of ours, and no way in.

An attack that nobody thought of begins as an answer that nobody meant. So whatever is sent, 500 is
a finding: it says that some bytes got further than they should.
"""

import asyncio
import http.client
import json
import re
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sunseo.gate.asgi import WaitingRoomMiddleware
from tests.attacks.attacker import RING, Serving, Visitor, Wire, create_room, inside
from tests.gate_room import ROOM, Room, serving

EXAMPLES = settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F))
TOKENISH = st.one_of(
    st.text(string.ascii_letters + string.digits + "-_", max_size=210),
    st.integers(0, 60).map(lambda n: "AQIAAQAAAAAAAAAqAAAAAw"[: n % 23] + "A" * n),
    st.text(max_size=20),
)
LATIN = st.text([chr(code) for code in range(0x20, 0x100) if code != 0x7F], max_size=60)


class Target:
    """A room with a visitor inside, whose genuine tokens can be mixed with nonsense."""

    def __init__(self, server: Serving, operator: str) -> None:
        self.wire = Wire(server.port)
        self.room = create_room(server, operator, return_hosts=["https://shop.example"])
        self.visitor: Visitor = inside(server, self.wire, self.room)


@pytest.fixture(scope="module")
def target(server: Serving, operator: str) -> Iterator[Target]:
    made = Target(server, operator)
    yield made
    made.wire.close()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TOKENISH),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["pass", "passes", "place", "secret", "x"]), inner),
    ),
    max_leaves=8,
)
ENDPOINTS = ("enter", "renew", "leave", "complete", "nonces", "places/AQMA", "places/x", "state")


@EXAMPLES
@given(
    what=st.sampled_from(ENDPOINTS),
    body=st.one_of(
        JSON,
        st.builds(lambda text: {"pass": text}, TOKENISH),
        st.builds(lambda a, b: {"place": a, "secret": b}, TOKENISH, TOKENISH),
        st.builds(lambda text: {"passes": [text] * 3}, TOKENISH),
        st.builds(lambda a: {"binding": a, "challenge": a}, TOKENISH),
    ),
    method=st.sampled_from(["POST", "PUT", "GET", "DELETE", "OPTIONS", "HEAD"]),
)
def test_nonsense_at_the_service_is_refused(
    target: Target, what: str, body: Any, method: str
) -> None:
    """Any JSON, any token, any method: an answer that was meant."""
    answer = target.wire.ask(method, f"/v1/rooms/{target.room}/{what}", body)
    assert answer.status < 500, answer


@EXAMPLES
@given(
    cookie=st.one_of(
        LATIN,
        st.builds(lambda *parts: ".".join(("1", *parts)), *[TOKENISH] * 5),
        st.builds(lambda place: f"1..{'A' * 43}.{place}.0.0", TOKENISH),
        st.builds(lambda nonce: f"1.{nonce}.{'A' * 43}..9.9", TOKENISH),
    ),
    query=st.text(VISIBLE.replace("#", ""), max_size=80),
    language=LATIN,
)
def test_nonsense_at_the_page_is_shown_a_page(
    target: Target, cookie: str, query: str, language: str
) -> None:
    """Any cookie, query and language: a page, never an error of ours."""
    named = f"sunseo_room_{target.room}={cookie}; sunseo_guest={cookie}; sunseo_language={cookie}"
    plain = re.sub(r"[\x00-\x1f\x7f]", "?", named)
    headers = {
        "cookie": plain.encode("latin-1", "replace").decode("latin-1"),
        "accept-language": language,
        "sec-purpose": language[:10],
    }
    answer = target.wire.ask("GET", f"/r/{target.room}?{query}", headers=headers)
    if answer.status == 400 and not answer.body:
        return  # no address at all, as the HTTP parser says
    assert answer.status < 500 or answer.status == 503, answer
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@EXAMPLES
@given(raw=st.binary(min_size=1, max_size=300), kind=st.sampled_from(["json", "form", "none"]))
def test_bytes_that_are_nothing_are_refused(target: Target, raw: bytes, kind: str) -> None:
    """Not JSON, not UTF-8, not a form."""
    path = f"/v1/rooms/{target.room}/enter" if kind == "json" else f"/r/{target.room}/enter"
    media = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
    http_ = http.client.HTTPConnection("127.0.0.1", target.wire.port, timeout=30)
    http_.request("POST", path, raw, {"content-type": media.get(kind, "text/plain")})
    assert 400 <= http_.getresponse().status < 500
    http_.close()


@pytest.fixture(scope="module")
def gate() -> Iterator[tuple[WaitingRoomMiddleware, Room, list[str]]]:
    reached: list[str] = []

    async def site(scope: Any, _receive: Any, send: Any) -> None:
        reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with serving() as room:
        guarded = WaitingRoomMiddleware(site, room=ROOM, keys=room.keys, sunseo_url=room.url)
        guarded.core.start()
        assert guarded.core.poller.looked.wait(30)
        yield guarded, room, reached
        guarded.core.stop()


# The gate's own threads draw their jitter meanwhile, which Hypothesis takes for dice in a strategy.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(max_size=30),
    query=st.one_of(LATIN, st.builds("sunseo_pass={}".format, TOKENISH)),
    cookie=st.one_of(
        LATIN,
        st.builds(f"sunseo_pass_{ROOM}={{}}".format, TOKENISH),
        st.builds(f"sunseo_open_{ROOM}={{0}}; sunseo_renewing_{ROOM}={{0}}".format, TOKENISH),
    ),
    shown=st.one_of(st.none(), TOKENISH),
    host=LATIN,
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "get", "X"]),
)
def test_nonsense_at_the_gate_neither_opens_nor_breaks_it(  # noqa: PLR0917 - all of a request
    gate: tuple[WaitingRoomMiddleware, Room, list[str]],
    path: str,
    query: str,
    cookie: str,
    shown: str | None,
    host: str,
    method: str,
) -> None:
    """Any path, query, cookie, header and host: the gate answers, the site hears nothing."""
    guarded, _, reached = gate
    headers = [(b"cookie", _bytes(cookie)), (b"host", _bytes(host)), (b"referer", _bytes(host))]
    if shown is not None:
        headers.append((b"sunseo-pass", _bytes(shown)))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    readable = path.encode("utf-8", "replace").decode()
    scope = {
        "type": "http",
        "method": method,
        "path": "/" + readable,
        "raw_path": ("/" + readable).encode(),
        "query_string": _bytes(query),
        "headers": headers,
        "scheme": "https",
        "client": ("203.0.113.9", 1),
    }
    asyncio.run(guarded(scope, receive, send))
    assert sent[0]["status"] in (303, 403, 503)
    assert reached == []


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def test_good_pass_opens_the_same_gate(
    gate: tuple[WaitingRoomMiddleware, Room, list[str]],
) -> None:
    """So that the refusals above mean something."""
    guarded, room, _ = gate
    text = room.sealed()
    assert guarded.core.verifier.open(text).room == ROOM
    assert RING.gate_keys(ROOM) != room.keys
    assert json.loads(room.document())["room"] == ROOM
