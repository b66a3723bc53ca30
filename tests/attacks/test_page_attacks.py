"""The waiting page in a real browser, under attack: scripts in texts, foreign forms, false ways.

tests/store/test_room_pages_attacked.py asks the same of the HTML; here a browser runs what there
is to be run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest

from tests.acceptance.browsers import chromium, needs_chromium
from tests.attacks.attacker import (
    Serving,
    create_room,
    line_of,
    request,
    say,
    until,
)

if TYPE_CHECKING:  # which it takes half a second to import
    from playwright.sync_api import Browser, Dialog, Page

MARK = "hacked"
SCRIPTS = (
    f"<script>window.{MARK}=1</script>",
    f"<img src=x onerror='window.{MARK}=1'>",
    f"'\"><svg onload=window.{MARK}=1>",
    f"</script><script>window.{MARK}=1</script>",
    f"{{{{constructor.constructor('window.{MARK}=1')()}}}}",
    f"javascript:window.{MARK}=1",
    f"\u2028window.{MARK}=1//",
    f"<a href=javascript:window.{MARK}=1 autofocus onfocus=window.{MARK}=1>x</a>",
    f"<meta http-equiv=refresh content='0;url=javascript:window.{MARK}=1'>",
    f'<!--<script>-->"}};window.{MARK}=1;//',
)
ADDRESSES = (
    f"javascript:window.{MARK}=1",
    f"data:text/html,<script>window.opener.{MARK}=1</script>",
    f'https://shop.example/"><script>window.{MARK}=1</script>',
    f"https://shop.example/?'><img src=x onerror=window.{MARK}=1>",
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "https://shop.example@evil.example/",
    "https://shop.example.evil.example/",
    "https://evil.example/https://shop.example/",
    "https://shop.example:443@evil.example",
    "https:evil.example",
    "https://shop.example%2eevil.example/",
    "https://shop.example\t.evil.example/",
    "http://shop.example/",
    "https://shop.example\r\nset-cookie: a=b",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@contextmanager
def opened(browser: Browser, *, scripts: bool = True) -> Iterator[tuple[Page, list[str]]]:
    """A page, and what went wrong or was asked of strangers in it."""
    context = browser.new_context(java_script_enabled=scripts, locale="en-GB")
    context.set_default_timeout(30_000)
    seen: list[str] = []
    page = context.new_page()

    def note(dialog: Dialog) -> None:
        seen.append(f"dialog {dialog.message}")
        dialog.dismiss()

    page.on("dialog", note)
    page.on("request", lambda one: seen.append(one.url) if is_strange(one.url) else None)
    try:
        yield page, seen
    finally:
        context.close()


def is_strange(url: str) -> bool:
    return "evil" in (urlsplit(url).hostname or "")


def is_hacked(page: Page) -> bool:
    return bool(page.evaluate(f"Boolean(window.{MARK})"))


@needs_chromium
def test_no_script_of_an_operators_text_runs(
    server: Serving, operator: str, browser: Browser
) -> None:
    """Markup in message and name, in every context of the page: shown as it is written."""
    text = " ".join(SCRIPTS)[:900]
    room = create_room(server, operator, message={"ko": text, "en": text}, paused=True)
    named = server.ask(
        "PATCH",
        f"/v1/rooms/{room}",
        {"name": SCRIPTS[0] + SCRIPTS[2]},
        bearer=operator,
        headers={"idempotency-key": "rename"},
    )
    assert named.status in (200, 422)
    with opened(browser) as (page, seen):
        page.goto(f"{server.url}/r/{room}")
        page.wait_for_url(f"**/r/{room}?began=1**")
        page.wait_for_selector("text=onerror")
        assert "<script>" in page.inner_text("body")
        assert not is_hacked(page)
        assert page.evaluate("document.querySelectorAll('svg[onload], img[onerror]').length") == 0
        assert seen == []


@needs_chromium
@pytest.mark.parametrize("back", ADDRESSES)
def test_no_return_address_leads_elsewhere_or_runs(
    server: Serving, operator: str, browser: Browser, back: str, going: int
) -> None:
    """A link with a false way back: nothing of it runs, no address of it is followed."""
    with opened(browser) as (page, seen):
        page.goto(f"{server.url}/r/{going}?return={quote(back, safe='')}&lang=<script>&held='\">")
        page.wait_for_load_state()
        assert not is_hacked(page)
        assert page.evaluate("location.host") == f"127.0.0.1:{server.port}"
        links = page.evaluate("[...document.links].map((link) => link.href)")
        assert all(link.startswith((server.url, "https://shop.example/")) for link in links), links
        assert seen == []


@pytest.fixture(scope="module")
def going(server: Serving, operator: str) -> int:
    return create_room(server, operator, return_hosts=["https://shop.example"])


class Evil(BaseHTTPRequestHandler):
    """Another site, whose page sends forms to the room as soon as it is looked at."""

    target = ""

    def do_GET(self) -> None:
        page = f"""<!doctype html><title>Win a ticket</title>
<iframe name=hidden></iframe>
<form method=post action="{self.target}" target=hidden>
<input name=token value=""><input name=return value="https://shop.example/">
</form><script>
document.forms[0].submit();
fetch("{self.target}", {{method: "POST", mode: "no-cors", credentials: "include",
  headers: {{"content-type": "application/x-www-form-urlencoded"}}, body: "token="}})
  .catch(() => 0).finally(() => document.title = "done");
</script>""".encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def evil_site(target: str) -> Iterator[str]:
    handler = type("Handler", (Evil,), {"target": target})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        thread = Thread(target=site.serve_forever, args=(0.02,))
        thread.start()
        try:
            # Another name than the room's: its cookies are none of this site's.
            yield f"http://localhost:{site.server_port}/"
        finally:
            site.shutdown()
            thread.join()


@needs_chromium
def test_forms_of_another_site_enter_for_nobody(
    server: Serving, operator: str, browser: Browser
) -> None:
    """She waits in one tab and looks at another site: that cannot use up her turn, nor frame it."""
    room = create_room(server, operator, return_hosts=["https://shop.example"], rate_max=0.001)
    with opened(browser) as (page, _):
        page.goto(f"{server.url}/r/{room}")
        until(lambda: line_of(server, room)["issued"] == 1, "she has a number")
        with evil_site(f"{server.url}/r/{room}/enter") as site:
            lure = page.context.new_page()
            lure.goto(site)
            lure.wait_for_function("document.title === 'done'")
            framed = lure.evaluate(
                "new Promise((done) => { const frame = document.createElement('iframe');"
                f"frame.src = '{server.url}/r/{room}'; frame.onload = () => {{ try {{"
                "done(frame.contentDocument ? 'readable' : 'opaque') } catch { done('opaque') } };"
                "document.body.append(frame); })"
            )
            assert framed == "opaque"
    assert line_of(server, room)["live"] == 0


def test_pages_may_not_be_framed_and_run_nothing_inline(
    server: Serving, operator: str, going: int
) -> None:
    """The policy says so to every browser, on the page and on its refusals."""
    for target in (f"/r/{going}", f"/r/{going}?return=javascript:alert(1)", "/r/999999999"):
        answer = server.ask("GET", target)
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "default-src 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin")


@pytest.mark.parametrize("back", ADDRESSES)
def test_page_never_redirects_to_a_strangers_address(
    server: Serving, going: int, back: str
) -> None:
    """Neither opening nor joining nor entering answers with a location outside the list."""
    first = server.ask("GET", f"/r/{going}")
    kept = first.headers["set-cookie"].partition(";")[0]
    body = f"token=x&return={quote(back, safe='')}".encode()
    for what in ("enter", "join"):
        head = (
            f"POST /r/{going}/{what} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: {kept}\r\n"
            "content-type: application/x-www-form-urlencoded\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        answer = say(server.port, head.encode() + body)
        location = answer.headers.get("location", "/")
        assert location.startswith(("/r/", "https://shop.example/")) or location == "/", location
        assert "set-cookie: a=b" not in str(answer.headers)


def test_host_header_changes_no_address(server: Serving, going: int) -> None:
    """No absolute address of the page is made of what a client calls the server."""
    raw = request("GET", f"/r/{going}", None, "x-forwarded-host: evil.example")
    answer = say(server.port, raw.replace(b"host: rooms.example", b"host: evil.example"))
    assert answer.status == 200
    assert b"evil.example" not in answer.body
