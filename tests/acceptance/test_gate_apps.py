"""The gate in front of real frameworks: FastAPI, Django by ASGI and WSGI, Flask's kind of app."""

import asyncio
import sys
import threading
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, NamedTuple

import django
import msgspec
import pytest
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from fastapi import FastAPI, Request, Response, WebSocket

from sunseo.room.gate import asgi, wsgi
from sunseo.room.gate.courier import Courier, Signals
from sunseo.room.gate.policy import BypassRules
from tests.gate_room import PATIENCE_S, ROOM, Room, serving, watched

PASS = f"sunseo_pass_{ROOM}"


class Got(NamedTuple):
    """An answer: header names in lower case, cookies apart."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Elsewhere(NamedTuple):
    """A room at a running server, as far as a gate has to know it."""

    url: str
    keys: bytes


def got(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Got:
    pairs = [(name.lower(), value) for name, value in headers]
    cookies = [value for name, value in pairs if name == "set-cookie"]
    return Got(status, dict(pairs), cookies, body)


def fastapi_app() -> FastAPI:
    app = FastAPI()

    @app.get("/{path:path}")
    async def read(path: str, request: Request, response: Response) -> dict[str, Any]:
        if command := request.query_params.get("command"):
            response.headers["Waiting-Room-Command"] = command
        return {"headers": dict(request.headers), "path": "/" + path}

    @app.websocket("/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.headers.get("sunseo-pass-id", "nobody"))
        await socket.close()

    return app


def django_view(request: HttpRequest, path: str) -> HttpResponse:
    seen = {name.lower(): value for name, value in request.headers.items()}
    response = HttpResponse(msgspec.json.encode({"headers": seen, "path": "/" + path}))
    if command := request.GET.get("command"):
        response["Waiting-Room-Command"] = command
    return response


urlpatterns = [re_path(r"^(?P<path>.*)$", django_view)]


def django_apps() -> tuple[Any, Any]:
    if not django_settings.configured:
        django_settings.configure(
            ROOT_URLCONF=sys.modules[__name__], ALLOWED_HOSTS=["*"], SECRET_KEY="x", USE_TZ=True
        )
        django.setup()
    return get_asgi_application(), get_wsgi_application()


def flask_like(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    request = WSGIRequest({**environ, "wsgi.input": BytesIO()})
    response = django_view(request, request.path[1:])
    start_response("200 OK", list(response.items()))
    return [response.content]


class Asgi:
    """Calls an ASGI app behind the gate."""

    def __init__(self, app: Any, there: Room | Elsewhere, room: int = ROOM, **options: Any) -> None:
        self.gate = asgi.WaitingRoomMiddleware(
            app, room=room, keys=there.keys, sunseo_url=there.url, **options
        )
        self.keeper = self.gate.keeper

    def ask(
        self, target: str = "/buy", headers: dict[str, str] | None = None, method: str = "GET"
    ) -> Got:
        return asyncio.run(self._ask(target, headers or {}, method))

    async def _ask(self, target: str, headers: dict[str, str], method: str) -> Got:
        raw, _, query = target.partition("?")
        sent: list[Any] = []
        gone = asyncio.Event()
        requested = False

        async def receive() -> Any:
            nonlocal requested
            if requested:
                await gone.wait()
                return {"type": "http.disconnect"}
            requested = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        pairs = {"host": "shop.example", "accept": "text/html", **headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs.items()],
            "client": ("192.0.2.7", 5555),
            "server": ("shop.example", 443),
        }
        await self.gate(scope, receive, send)
        gone.set()
        return got(
            sent[0]["status"],
            [(name.decode(), value.decode()) for name, value in sent[0]["headers"]],
            b"".join(message.get("body", b"") for message in sent[1:]),
        )


class Wsgi:
    """Calls a WSGI app behind the gate."""

    def __init__(self, app: Any, room: Room, **options: Any) -> None:
        self.gate = wsgi.WaitingRoomMiddleware(
            app, room=ROOM, keys=room.keys, sunseo_url=room.url, **options
        )
        self.keeper = self.gate.keeper

    def ask(
        self, target: str = "/buy", headers: dict[str, str] | None = None, method: str = "GET"
    ) -> Got:
        raw, _, query = target.partition("?")
        started: list[tuple[int, list[tuple[str, str]]]] = []
        pairs = {"host": "shop.example", "accept": "text/html", **(headers or {})}
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": raw,
            "RAW_URI": target,
            "QUERY_STRING": query,
            "REMOTE_ADDR": "192.0.2.7",
            "SERVER_NAME": "shop.example",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.version": (1, 0),
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in pairs.items()},
        }

        def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> None:
            started.append((int(status[:3]), headers))

        body = self.gate(environ, start_response)
        content = b"".join(body)
        if (close := getattr(body, "close", None)) is not None:
            close()
        [(status, sent)] = started
        return got(status, sent, content)


Site = Asgi | Wsgi
SITES = ("fastapi", "django asgi", "django wsgi", "flask")


def site_of(name: str, room: Room, **options: Any) -> Site:
    if name == "fastapi":
        return Asgi(fastapi_app(), room, **options)
    if name == "flask":
        return Wsgi(flask_like, room, **options)
    by_asgi, by_wsgi = django_apps()
    return (
        Asgi(by_asgi, room, **options) if name.endswith("asgi") else Wsgi(by_wsgi, room, **options)
    )


@pytest.fixture
def room() -> Iterator[Room]:
    with serving() as room:
        yield room


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, room: Room) -> Iterator[Site]:
    site = site_of(request.param, room, renewal_wait_s=PATIENCE_S)
    with watched(site.keeper):
        yield site


def cookie(text: str) -> dict[str, str]:
    return {"cookie": f"{PASS}={text}"}


def test_site_serves_who_has_a_pass(site: Site, room: Room) -> None:
    """The app learns the pass id from the gate, whichever way the pass was shown."""
    ticket = room.ticket()
    text = room.sealed(ticket)
    for headers in (cookie(text), {"Sunseo-Pass": text}):
        answer = site.ask("/buy/7", headers)
        assert answer.status == 200
        assert answer.json["path"] == "/buy/7"
        assert answer.json["headers"]["sunseo-pass-id"] == str(ticket.pass_id)
        assert answer.json["headers"]["sunseo-pass"] == text
        assert answer.cookies == []


def test_site_is_not_reached_without_a_pass(site: Site) -> None:
    """A browser is sent to the line, a program is told where it is; HEAD has no body."""
    browser = site.ask("/buy?seat=7")
    assert browser.status == 303
    assert browser.headers["location"].endswith(
        "?return=https%3A%2F%2Fshop.example%2Fbuy%3Fseat%3D7"
    )
    program = site.ask(headers={"accept": "application/json"})
    assert program.status == 403
    assert program.json["outcome"] == "pass_required"
    assert site.ask(headers={"accept": "application/json"}, method="HEAD").body == b""


def test_headers_of_ours_that_a_client_made_up_are_gone(site: Site, room: Room) -> None:
    """In every spelling that a framework might take for ours, with and without a pass."""
    ticket = room.ticket()
    spoofed = {
        "Sunseo-Pass-Id": "made-up",
        "Sunseo_Pass_Id": "made-up",
        "SUNSEO-ROOM": "made-up",
        "Sunseo-Anything": "made-up",
        "Waiting-Room-Command": "complete",
    }
    seen = site.ask("/buy", {**spoofed, **cookie(room.sealed(ticket))}).json["headers"]

    assert "made-up" not in seen.values()
    assert seen["sunseo-pass-id"] == str(ticket.pass_id)
    assert "waiting-room-command" not in seen
    room.members["mode"] = "passthrough"
    room.now_ms += 1
    assert site.keeper.watcher.look_once()
    assert not [name for name in site.ask("/buy", spoofed).json["headers"] if "sunseo" in name]


def test_back_from_the_line(site: Site, room: Room) -> None:
    """The pass in the address becomes a cookie, and with it the site is open."""
    text = room.sealed()
    back = site.ask(f"/buy?seat=7&sunseo_pass={text}")

    assert back.status == 303
    assert back.headers["location"] == "/buy?seat=7"
    [kept] = back.cookies
    assert kept == f"{PASS}={text}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"
    assert site.ask("/buy?seat=7", {"cookie": kept.split(";")[0]}).status == 200


def test_pass_is_renewed_in_its_second_half(site: Site, room: Room) -> None:
    """The renewed pass comes with the same answer, and is the one that is told on from then."""
    young = room.ticket(expires_at_ms=room.now_ms + 31_000, issued_at_ms=room.now_ms - 29_000)
    assert site.ask("/buy", cookie(room.sealed(young))).cookies == []
    old = room.ticket(expires_at_ms=room.now_ms + 20_000, issued_at_ms=room.now_ms - 40_000)
    [renewed] = site.ask("/buy", cookie(room.sealed(old))).cookies

    text = renewed.split(";")[0].partition("=")[2]
    ticket = room.ring.open_pass(text, ROOM)
    assert (ticket.pass_id, ticket.renewal) == (old.pass_id, 1)
    assert [told for told, _ in room.told] == ["renew"]
    again = site.ask("/buy", cookie(room.sealed(old)))
    assert again.cookies == [renewed]
    assert again.json["headers"]["sunseo-pass"] == text
    assert [told for told, _ in room.told] == ["renew"]


def test_passes_of_a_crowd_are_renewed_together(room: Room) -> None:
    """Fifty visitors at once are a handful of requests, not fifty."""
    site = site_of("flask", room)
    tickets = [
        room.ticket(expires_at_ms=room.now_ms + 20_000, issued_at_ms=room.now_ms - 40_000)
        for _ in range(50)
    ]
    notes = [site.keeper.courier.ask_renewal(ticket, room.sealed(ticket)) for ticket in tickets]
    with watched(site.keeper):
        for note in notes:
            assert note is not None
            assert note.result(PATIENCE_S) is not None

    assert len(room.told) == 1
    assert len(room.told[0][1]["passes"]) == 50


@pytest.mark.parametrize("name", ["fastapi", "flask"])
def test_late_renewal_reaches_the_next_answer(name: str, room: Room) -> None:
    """Nobody waits for a slow room; other processes are told by a cookie to leave it alone."""
    site, other = (site_of(name, room, renewal_wait_s=0.0) for _ in range(2))
    old = room.ticket(expires_at_ms=room.now_ms + 20_000, issued_at_ms=room.now_ms - 40_000)
    room.holding.clear()
    with watched(site.keeper), watched(other.keeper):
        [hint] = site.ask("/buy", cookie(room.sealed(old))).cookies
        assert hint.startswith(f"sunseo_renewing_{ROOM}=")
        both = {"cookie": f"{PASS}={room.sealed(old)}; {hint.split(';')[0]}"}
        assert other.ask("/buy", both).cookies == []
        note = site.keeper.courier.ask_renewal(old, room.sealed(old))
        room.holding.set()
        assert note is not None
        assert note.result(PATIENCE_S) is not None

        assert [told for told, _ in room.told] == ["renew"]
        [renewed] = site.ask("/buy", both).cookies
        assert renewed.startswith(f"{PASS}=")


@pytest.mark.parametrize(
    ("command", "told"), [("complete", "complete"), ("leave", "leave"), ("revoke", "leave")]
)
def test_the_app_ends_a_pass(site: Site, room: Room, command: str, told: str) -> None:
    """By a header of its answer, which nobody outside sees; the pass is over here at once."""
    text = room.sealed()
    answer = site.ask(f"/buy?command={command}", cookie(text))

    assert answer.status == 200
    assert "waiting-room-command" not in answer.headers
    assert answer.cookies == [f"{PASS}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"]
    assert site.ask("/buy", cookie(text)).status == 303
    assert room.was_told.wait(PATIENCE_S)
    assert room.told == [(told, {"pass": text})]


def test_unknown_command_ends_nothing(site: Site, room: Room) -> None:
    """It is taken out of the answer all the same."""
    text = room.sealed()
    answer = site.ask("/buy?command=reset", cookie(text))

    assert "waiting-room-command" not in answer.headers
    assert site.ask("/buy", cookie(text)).status == 200


@pytest.mark.parametrize("target", ["//evil.example/x", "/a/..%2fbuy", "/static%2f..%2fbuy"])
def test_tricks_with_paths_do_not_get_past(room: Room, target: str) -> None:
    """Neither by an open prefix nor by guarding only a part, in any framework."""
    for name in SITES:
        site = site_of(name, room, protect=("/buy",), bypass=BypassRules(paths=("/static",)))
        with watched(site.keeper):
            assert site.ask(target).status == 303


def test_health_is_told_with_a_key(room: Room) -> None:
    """How slow the site is, as 99 of 100 answers were, against the operator's target."""
    site = site_of("fastapi", room, signals=Signals("sunseo_key", 0.5, "shop"))
    with watched(site.keeper):
        text = room.sealed()
        for _ in range(3):
            site.ask("/buy", cookie(text))
    courier = site.keeper.courier
    courier._signal_due = 0.0
    courier.run_once()
    courier._origin.close()

    [(name, body)] = room.told
    assert (name, body["source"], body["target"]) == ("signals", "shop", 0.5)
    assert 0 < body["measured"] < PATIENCE_S
    assert room.keys_told == ["Bearer sunseo_key"]


def test_websockets_are_guarded(room: Room) -> None:
    """A handshake without a pass is refused; one with a pass tells the app whose it is."""
    site = Asgi(fastapi_app(), room)
    ticket = room.ticket()

    async def shake(headers: list[tuple[bytes, bytes]]) -> list[Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "websocket",
            "scheme": "wss",
            "path": "/ws",
            "raw_path": b"/ws",
            "query_string": b"",
            "headers": headers,
            "client": None,
        }
        await site.gate(scope, receive, send)
        return sent

    with watched(site.keeper):
        [refused] = asyncio.run(shake([(b"host", b"shop.example")]))
        assert refused["type"] == "websocket.close"
        shown = [(b"cookie", cookie(room.sealed(ticket))["cookie"].encode())]
        messages = asyncio.run(shake(shown))
        assert messages[1]["text"] == str(ticket.pass_id)


def test_threads_start_with_the_first_request(room: Room) -> None:
    """A gate works under servers that tell it nothing of their start, and after a fork."""
    site = site_of("flask", room)
    before = threading.active_count()
    assert site.ask("/buy").status == 303
    assert site.keeper.watcher.looked.wait(PATIENCE_S)
    assert threading.active_count() >= before + 2
    site.keeper.stop()


def test_a_forked_process_gets_threads_of_its_own(room: Room) -> None:
    """A server that loads the app first and forks then has a working gate in each process."""
    site = site_of("flask", room)
    with watched(site.keeper):
        watcher, courier = site.keeper.watcher, site.keeper.courier
        site.keeper._pid += 1  # as it would look to a child
        assert site.ask("/buy", cookie(room.sealed())).status == 200
        assert site.keeper.watcher is not watcher
        assert site.keeper.courier is not courier
        assert site.keeper.watcher.looked.wait(PATIENCE_S)
        watcher.stop()
        courier.stop()


@pytest.fixture
def courier(room: Room) -> Iterator[Courier]:
    """A courier without its thread: the tests take its turns."""
    courier = site_of("flask", room).keeper.courier
    courier._now_ms = lambda: room.now_ms
    yield courier
    courier._origin.close()


def test_renewal_is_tried_again_until_it_is_answered(room: Room, courier: Courier) -> None:
    """A room that is busy, or answers nonsense for the whole batch, loses nobody her pass."""
    old = room.ticket(expires_at_ms=room.now_ms + 20_000)
    note = courier.ask_renewal(old, room.sealed(old))
    assert note is not None
    for busy in ((503, {}), (200, {"results": [{"outcome": "outcome_unknown"}]})):
        room.answers["renew"] = busy
        assert not courier.run_once()
        assert not note.done()
    del room.answers["renew"]
    assert courier.run_once()

    renewed = note.result(0)
    assert renewed is not None
    assert renewed.ticket.renewal == 1


@pytest.mark.parametrize(
    ("outcome", "over"),
    [("pass_revoked", True), ("pass_done", True), ("session_over", False), ("room_closed", False)],
)
def test_refused_renewal_is_not_asked_for_again(
    room: Room, courier: Courier, outcome: str, over: bool
) -> None:
    """A revoked pass is over at once; one whose session is over is good until it expires."""
    old = room.ticket(expires_at_ms=room.now_ms + 20_000)
    room.answers["renew"] = (200, {"results": [{"outcome": outcome}]})
    note = courier.ask_renewal(old, room.sealed(old))
    assert courier.run_once()

    assert note is not None
    assert note.result(0) is None
    assert (old.pass_id in courier.ended) == over
    assert courier.ask_renewal(old, room.sealed(old)) is None


def test_renewed_pass_that_is_none_is_refused(room: Room, courier: Courier) -> None:
    """The room's word is verified like a visitor's: another's pass, an older one, a forged one."""
    for given in (room.sealed(), "x" * 144, None):
        old = room.ticket(expires_at_ms=room.now_ms + 20_000)
        room.answers["renew"] = (200, {"results": [{"outcome": "renewed", "pass": given}]})
        note = courier.ask_renewal(old, room.sealed(old))
        assert courier.run_once()
        assert note is not None
        assert note.result(0) is None


def test_what_cannot_be_told_is_dropped_in_the_end(room: Room, courier: Courier) -> None:
    """Notes about passes that have long expired do not pile up while the room is away."""
    room.answers = {name: (503, {}) for name in ("renew", "complete")}
    old = room.ticket(expires_at_ms=room.now_ms + 20_000)
    note = courier.ask_renewal(old, room.sealed(old))
    other = room.ticket()
    courier.end("complete", other, room.sealed(other))
    assert not courier.run_once()
    room.now_ms += 200_000
    courier.run_once()

    assert note is not None
    assert note.result(0) is None
    assert courier.dropped == 2
    assert courier.run_once()
