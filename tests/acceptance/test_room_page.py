"""The waiting page of a running server, in a real browser: with scripts and without."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs
from uuid import uuid4
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from sunseo.gate.wsgi import WaitingRoomMiddleware
from tests.acceptance.browsers import chromium, expect, needs_chromium
from tests.acceptance.serving import PATIENCE_S, Serving, running, until
from tests.gate_room import watched

if TYPE_CHECKING:  # which it takes half a second to import
    from playwright.sync_api import Browser, BrowserContext, Page, Route

pytestmark = needs_chromium

TOKEN = "a token of the widget"
WIDGET = f"""
for (const box of document.querySelectorAll(".cf-turnstile[data-sitekey=site]")) {{
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = "cf-turnstile-response";
    field.value = "{TOKEN}";
    box.append(field);
}}
"""

# What a person sees on the way; each language its own.
KO = {"turn": "입장할 차례입니다", "enter": "입장하기", "paused": "잠시 멈춰 있습니다"}
EN = {"turn": "It is your turn", "enter": "Go in", "paused": "The line has been stopped"}


class Siteverify(BaseHTTPRequestHandler):
    """Turnstile's verifying end: what the stub of its widget gives is a good token, once."""

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        good = form["response"] == [TOKEN] and form["secret"] == ["secret"]
        answer = json.dumps({"success": good, "error-codes": []}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def siteverify() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Siteverify) as service:
        thread = Thread(target=service.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{service.server_port}/siteverify"
        service.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, siteverify: str) -> Iterator[Serving]:
    data = tmp_path_factory.mktemp("page") / "data"
    keys = {"turnstile_site_key": "site", "turnstile_secret": "secret"}
    with running(data, workers=1, turnstile_url=siteverify, **keys) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


class Room:
    """One room of the server, and the site behind it: an address that only takes what is sent."""

    def __init__(self, server: Serving, key: str, **settings: Any) -> None:
        self.server, self._key = server, key
        given = {"return_hosts": [server.url], "poll_floor_s": 1, "poll_ceiling_s": 2, **settings}
        answer = server.ask(
            "POST",
            "/v1/rooms",
            {"name": "가을 콘서트 <b>2026</b>", "settings": given},
            bearer=key,
            key=str(uuid4()),
        )
        assert answer.status == 201, answer.body
        self.number: int = answer.json["room"]
        until(lambda: server.ask("GET", f"/r/{self.number}").status == 200, "the room is shown")

    @property
    def url(self) -> str:
        return f"{self.server.url}/r/{self.number}"

    def do(self, what: str) -> None:
        path = f"/v1/rooms/{self.number}/{what}"
        answer = self.server.ask("POST", path, bearer=self._key, key=str(uuid4()))
        assert answer.status < 300, answer.body

    def keys(self) -> bytes:
        """What a gate needs."""
        answer = self.server.ask("GET", f"/v1/rooms/{self.number}/keys", bearer=self._key)
        assert answer.status == 200, answer.body
        return answer.body

    def change(self, **settings: Any) -> None:
        answer = self.server.ask(
            "PATCH",
            f"/v1/rooms/{self.number}",
            {"settings": settings},
            bearer=self._key,
            headers={"Idempotency-Key": str(uuid4())},
        )
        assert answer.status < 300, answer.body


@pytest.fixture(scope="module")
def make_room(server: Serving) -> Callable[..., Room]:
    key = server.create_key()
    return lambda **settings: Room(server, key, **settings)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages whose mistakes fail the test: errors of scripts and breaches of the policy."""
    contexts: list[BrowserContext] = []
    mistakes: list[str] = []

    def open_one(
        room: Room,
        *,
        back: str = "",
        address: str | None = None,
        own_clock: bool = False,
        routes: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Page:
        context = browser.new_context(**{"locale": "en-GB", **options})
        if own_clock:
            context.clock.install()
        context.set_default_timeout(PATIENCE_S * 1000)
        contexts.append(context)
        for pattern, script in (routes or {}).items():
            context.route(pattern, partial(_answer, script))
        page = context.new_page()
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on("console", lambda line: mistakes.append(line.text) if _is_breach(line) else None)
        page.goto(address or room.url + (f"?return={back}" if back else ""))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert mistakes == []


def _answer(script: str, route: Route) -> None:
    route.fulfill(body=script, content_type="text/javascript")


def _is_breach(line: Any) -> bool:
    return line.type == "error" and "Content Security Policy" in line.text


def heading(page: Page, text: str) -> None:
    expect(page.locator("h1")).to_contain_text(text, timeout=PATIENCE_S * 1000)


@pytest.mark.parametrize(("locale", "texts"), [("ko-KR", KO), ("en-GB", EN)])
def test_journey_with_scripts(
    make_room: Callable[..., Room], open_page: Callable[..., Page], locale: str, texts: Any
) -> None:
    """She waits without a reload, is told the pause, and is led in when it is her turn."""
    room = make_room(paused=True)
    back = f"{room.url}?lang=en"  # this server itself plays the site behind the room
    page = open_page(room, back=back, locale=locale)
    heading(page, texts["paused"])
    page.evaluate("window.stayed = true")
    room.do("resume")
    heading(page, texts["turn"])
    assert page.evaluate("window.stayed") is True
    page.wait_for_url("**sunseo_pass=*")
    assert page.url.startswith(f"{room.url}?lang=en&sunseo_pass=")


def test_journey_without_scripts(
    make_room: Callable[..., Room], open_page: Callable[..., Page]
) -> None:
    """The same by refreshes and a button alone."""
    room = make_room(paused=True)
    page = open_page(room, java_script_enabled=False, back=f"{room.url}?lang=en")
    heading(page, EN["paused"])
    room.do("resume")
    heading(page, EN["turn"])
    page.get_by_role("button", name=EN["enter"]).click()
    page.wait_for_url("**sunseo_pass=*")


class Shop:
    """Somebody else's site, whose /buy our gate guards."""

    def __init__(self) -> None:
        self.guarded: Any = None
        self.server = make_server("127.0.0.1", 0, self._serve, handler_class=_Silent)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def guard(self, room: Room) -> WaitingRoomMiddleware:
        guarded = WaitingRoomMiddleware(
            _shop, room=room.number, keys=room.keys(), sunseo_url=room.server.url, protect=("/buy",)
        )
        self.guarded = guarded
        return guarded

    def _serve(self, environ: Any, start_response: Any) -> Any:
        return self.guarded(environ, start_response)


def _shop(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("content-type", "text/html")])
    inside = f"<h1>Seat {environ['QUERY_STRING']}</h1>{environ.get('HTTP_SUNSEO_PASS_ID', '')}"
    return [inside.encode()]


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    thread = Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("holders", ["anyone", "persons"])
def test_through_the_gate_of_another_site(
    make_room: Callable[..., Room],
    open_page: Callable[..., Page],
    shop: Shop,
    holders: str,
    scripts: bool,
) -> None:
    """She wants a seat, is sent to the line, waits, and comes back to the very page she wanted."""
    room = make_room(return_hosts=[shop.url], holders=holders, paused=True)
    with watched(shop.guard(room).core):
        page = open_page(room, address=f"{shop.url}/buy?seat=A%201", java_script_enabled=scripts)
        assert page.url.startswith(f"{room.url}?return=")
        heading(page, EN["paused"])
        room.do("resume")
        if not scripts:
            page.get_by_role("button", name=EN["enter"]).click()
        heading(page, "Seat seat=A%201")
        assert page.url == f"{shop.url}/buy?seat=A%201"
        page.reload()
        heading(page, "Seat seat=A%201")


def test_name_and_message_are_texts(
    make_room: Callable[..., Room], open_page: Callable[..., Page]
) -> None:
    """What an operator writes is shown as written, at first and when the script renews it."""
    room = make_room(paused=True, message={"en": "<img src=x onerror=alert(1)>"})
    page = open_page(room)
    heading(page, EN["paused"])
    assert page.locator("header").inner_text() == "가을 콘서트 <b>2026</b>"
    assert page.locator("#message").inner_text() == "<img src=x onerror=alert(1)>"

    room.change(message={"en": "<script>alert(2)</script> & so on"})
    expect(page.locator("#message")).to_have_text("<script>alert(2)</script> & so on")
    assert page.locator("main img, main script").count() == 0


def test_reload_second_tab_and_new_window_keep_the_place(
    make_room: Callable[..., Room], open_page: Callable[..., Page]
) -> None:
    """One browser, one number."""
    room = make_room(paused=True)
    page = open_page(room)
    heading(page, EN["paused"])
    numbers = [_number(page)]
    page.reload()
    numbers.append(_number(page))
    tab = page.context.new_page()
    tab.goto(room.url)
    numbers.append(_number(tab))

    assert numbers == [1, 1, 1]


def test_browser_proves_its_work(
    make_room: Callable[..., Room], open_page: Callable[..., Page]
) -> None:
    """With scripts the challenge solves itself; without, the page says what it needs."""
    room = make_room(paused=True, challenge="altcha", challenge_difficulty=3000)
    heading(open_page(room), EN["paused"])
    silent = open_page(room, java_script_enabled=False)
    heading(silent, "A short check")
    expect(silent.locator("noscript p")).to_be_visible()


def test_widget_of_another_host_is_let_in_where_it_is_needed(
    make_room: Callable[..., Room], open_page: Callable[..., Page]
) -> None:
    """Turnstile's script runs under the page's policy, and its token gets a number."""
    room = make_room(paused=True, challenge="turnstile")
    page = open_page(room, routes={"https://challenges.cloudflare.com/**": WIDGET})
    page.get_by_role("button", name="Join the line").click()
    heading(page, EN["paused"])
    assert _number(page) == 1


def test_closing_is_said_at_once(
    make_room: Callable[..., Room], open_page: Callable[..., Page]
) -> None:
    """Who waits learns it without a reload."""
    room = make_room(paused=True)
    page = open_page(room)
    heading(page, EN["paused"])
    page.evaluate("window.stayed = true")
    room.change(mode="closed")
    heading(page, "This line is closed")
    assert page.evaluate("window.stayed") is True


def test_hidden_page_does_not_enter_and_asks_nothing(
    make_room: Callable[..., Room], open_page: Callable[..., Page]
) -> None:
    """While nobody looks, the page takes no slot; it looks again as soon as it is seen."""
    room = make_room(paused=True)
    page = open_page(room, own_clock=True)
    heading(page, EN["paused"])
    _set_visibility(page, "hidden")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    room.do("resume")
    for _ in range(10):
        page.clock.fast_forward(60_000)
    assert asked == []
    _set_visibility(page, "visible")
    page.wait_for_url("**sunseo_pass=*")


@pytest.mark.parametrize("width", [320, 375, 1280])
def test_page_fits_and_is_accessible(
    make_room: Callable[..., Room], open_page: Callable[..., Page], width: int
) -> None:
    """Nothing is cut off; landmarks, language, one heading and names for what moves are there."""
    room = make_room(paused=True)
    page = open_page(room, viewport={"width": width, "height": 640})
    heading(page, EN["paused"])

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("html").get_attribute("lang") == "en"
    for selector in ("main", "header", "footer", "nav", "h1"):
        assert page.locator(selector).count() == 1
    assert page.locator("#progress").get_attribute("aria-label")
    assert page.locator("#status").get_attribute("aria-live") == "polite"
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        for selector in ("h1", ".facts dt", ".facts dd", "#notice", "footer p", "nav a"):
            assert _contrast(page, selector) >= 4.5, (scheme, selector)


def _number(page: Page) -> int:
    line = json.loads(page.locator("main[data-line]").get_attribute("data-line") or "{}")
    return int(line["number"])


def _set_visibility(page: Page, state: str) -> None:
    page.evaluate(
        """(state) => {
            const own = { value: state, configurable: true };
            Object.defineProperty(document, "visibilityState", own);
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )


def _contrast(page: Page, selector: str) -> float:
    """Between a text and what is behind it, as WCAG 2 reckons."""
    ratio = page.locator(selector).first.evaluate(
        """(element) => {
            const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const luminance = (colour) => {
                const [r, g, b] = parts(colour).map((part) => {
                    const share = part / 255;
                    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const ground = (behind) => {
                const colour = getComputedStyle(behind).backgroundColor;
                return parts(colour)[3] === 0 ? ground(behind.parentElement) : colour;
            };
            const values = [getComputedStyle(element).color, ground(element)].map(luminance);
            return (Math.max(...values) + 0.05) / (Math.min(...values) + 0.05);
        }"""
    )
    return float(ratio)
