"""The script that guards one button, with a running room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from sunseo.core.signing import decode_base64url
from tests.acceptance.browsers import chromium, needs_chromium
from tests.acceptance.room_peer import scripted_room
from tests.acceptance.serving import PATIENCE_S, Serving, running, until
from tests.acceptance.test_gate_room import opened
from tests.docs.pages import blocks_of

if TYPE_CHECKING:  # which it takes half a second to import
    from playwright.sync_api import Browser, BrowserContext, Page, Route

pytestmark = needs_chromium

PRESS = """
([room, options]) => {
  window.stages = [];
  window.turn = null;
  window.failed = null;
  const onUpdate = (wait) => window.stages.push(`${wait.stage} ${wait.position}`);
  window.sunseo.enter(room, { ...options, onUpdate }).then(
    (turn) => { window.turn = turn; },
    (error) => { window.failed = `${error.code}: ${error.message}`; },
  );
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with running(tmp_path_factory.mktemp("button") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def shop() -> Iterator[str]:
    """The address of a shop's page, of another origin than the room's."""
    with scripted_room() as served:
        yield f"http://localhost:{served.port}/shop"


@pytest.fixture
def open_shop(browser: Browser, server: Serving, shop: str) -> Iterator[Callable[[], Page]]:
    """Opens the shop's page as a new visitor, with the script from the running server."""
    contexts: list[BrowserContext] = []

    def open_page() -> Page:
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.goto(shop)
        page.add_script_tag(url=f"{server.url}/sunseo.js")
        return page

    yield open_page
    for context in contexts:
        context.close()


def press(page: Page, room: int, **options: Any) -> None:
    page.evaluate(PRESS, [room, options])


def pass_of(page: Page) -> bytes:
    """The pass, as soon as there is one."""
    page.wait_for_function("turn || failed", timeout=PATIENCE_S * 1000)
    assert page.evaluate("failed") is None
    assert page.evaluate("turn.outcome") == "entered"
    return decode_base64url(page.evaluate("turn.pass"))


def a_room(server: Serving, **settings: Any) -> int:
    _, room = opened(server, poll_floor_s=1, poll_ceiling_s=2, **settings)
    until(lambda: server.ask("GET", f"/v1/rooms/{room}/state").status == 200, "the room is seen")
    return room


def test_the_second_visitor_enters_when_the_first_leaves(
    server: Serving, open_shop: Callable[[], Page]
) -> None:
    """In a room for one, the second waits with her place until the first gives her slot back."""
    room = a_room(server, capacity=1)
    first, second = open_shop(), open_shop()
    press(first, room)
    number = int.from_bytes(pass_of(first)[16:24])
    press(second, room)
    second.wait_for_function("stages.some((stage) => stage === 'waiting 1')")
    assert second.evaluate("turn") is None

    first.evaluate("turn.leave()")

    assert int.from_bytes(pass_of(second)[16:24]) == number + 1


def test_a_person_enters_with_her_session(server: Serving, open_shop: Callable[[], Page]) -> None:
    """In a room for persons the pass names the person, whatever browser she uses."""
    room = a_room(server, holders="persons")
    guest = server.ask("POST", "/v1/guests", {}).json
    stranger, first, second = open_shop(), open_shop(), open_shop()
    for page in (first, second):
        press(page, room, token=guest["token"])
    assert pass_of(first)[32:48].hex() == guest["person"].replace("-", "")
    assert pass_of(second) == pass_of(first)

    press(stranger, room)
    stranger.wait_for_function("failed")
    assert stranger.evaluate("failed").startswith("person_required: ")


def test_proof_of_work_is_done_by_the_script(
    server: Serving, open_shop: Callable[[], Page]
) -> None:
    """A room that asks for ALTCHA's challenge gets it solved without any further part."""
    room = a_room(server, challenge="altcha", challenge_difficulty=20_000)
    page = open_shop()
    press(page, room)

    assert len(pass_of(page)) == 108
    assert "proving null" in page.evaluate("stages")


def test_a_pass_outlives_its_minute(server: Serving, open_shop: Callable[[], Page]) -> None:
    """With passes of six seconds the page holds a renewed one, of the same id."""
    room = a_room(server, pass_ttl_s=6, renewal_grace_s=2)
    page = open_shop()
    press(page, room)
    given = pass_of(page)
    page.wait_for_function(f"turn.pass !== {page.evaluate('turn.pass')!r}", timeout=120_000)

    renewed = pass_of(page)
    assert renewed[72:88] == given[72:88]
    assert int.from_bytes(renewed[88:92]) == 1


def test_a_reload_finds_the_pass_again(
    server: Serving, shop: str, open_shop: Callable[[], Page]
) -> None:
    """Who reloads the shop in the middle of it all has her pass as before."""
    room = a_room(server)
    page = open_shop()
    press(page, room)
    given = pass_of(page)
    page.goto(shop)
    page.add_script_tag(url=f"{server.url}/sunseo.js")
    press(page, room)

    assert pass_of(page)[72:88] == given[72:88]


def test_the_page_of_the_guide_works(server: Serving, open_shop: Callable[[], Page]) -> None:
    """The page that the guide shows waits, orders with the pass as a header, and leaves."""
    room = a_room(server)
    (block,) = blocks_of("docs/guides/one-button.md")
    text = block.text.replace("https://rooms.example", server.url).replace("(42,", f"({room},")
    assert text != block.text
    orders: list[str] = []
    page = open_shop()

    def take(route: Route) -> None:
        orders.append(route.request.headers["sunseo-pass"])
        route.fulfill(status=201, body="{}")

    page.route("**/orders", take)
    page.set_content(text)
    page.wait_for_function("'sunseo' in window")
    page.click("#buy")
    page.wait_for_function("document.querySelector('#line').textContent === 'Done.'")

    assert [len(decode_base64url(one)) for one in orders] == [108]


def test_a_closed_room_says_so(server: Serving, open_shop: Callable[[], Page]) -> None:
    """In a room that is closed the visitor learns it at once."""
    room = a_room(server, mode="closed")
    page = open_shop()
    press(page, room)
    page.wait_for_function("turn || failed")

    assert page.evaluate("turn.outcome") == "closed"
