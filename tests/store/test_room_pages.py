"""The waiting page without scripts: a visitor's way from the link to the pass, and back again."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from sunseo.web.limits import Limits
from tests.store.foyer import SHOP, Browser, Foyer, open_foyer

BACK = f"{SHOP}/concert?seat=A%201&x=+#map"


@pytest.fixture
async def foyer(database_dsn: str) -> AsyncIterator[Foyer]:
    async with open_foyer(database_dsn) as opened:
        yield opened


async def test_number_is_given_on_the_second_request(foyer: Foyer) -> None:
    """The first answer carries a nonce, the second request brings it back and gets a number."""
    room = await foyer.open_room(serving=3)
    browser = Browser(foyer, room)

    first = await browser.open()
    assert (first.heading, await foyer.places(room)) == (
        "One moment, you are getting your number",
        0,
    )
    assert first.refresh == (1, f"/r/{room}?began=1")
    second = await browser.refresh()
    assert (second.heading, await foyer.places(room)) == ("You are next", 1)
    assert second.texts["ahead"] == "0"


async def test_journey_without_scripts(foyer: Foyer) -> None:
    """From the site's redirect through the line, by a button, back to where she came from."""
    room = await foyer.open_room()
    for _ in range(3):
        await Browser(foyer, room).arrive()
    browser = Browser(foyer, room, back=BACK)
    await browser.arrive()
    assert (browser.page.heading, browser.page.texts["ahead"]) == ("You are in line", "3")

    await foyer.call_up_to(room, 2)
    await browser.refresh()
    assert browser.page.texts["ahead"] == "1"
    await foyer.call_up_to(room, 4)
    await browser.refresh()
    assert browser.page.heading == "It is your turn"

    await browser.press()
    assert browser.answer.status == 303
    location = browser.answer.headers["location"]
    assert location.startswith(f"{SHOP}/concert?seat=A%201&x=+&sunseo_pass=")
    assert location.endswith("#map")
    assert foyer.pass_in(location, room).number == 4


async def test_place_survives_reload_second_tab_and_return(foyer: Foyer) -> None:
    """Whatever she does in the same browser, she keeps one number and takes no second one."""
    room = await foyer.open_room()
    browser = Browser(foyer, room)
    await browser.arrive()
    for address in (None, f"/r/{room}?lang=ko", f"/r/{room}?utm_source=x&fbclid=y&began=1"):
        await browser.open(address)
        assert '"number":1,' in browser.page.data["data-line"]

    assert await foyer.places(room) == 1


async def test_entering_twice_gives_the_same_pass(foyer: Foyer) -> None:
    """An answer that was lost is asked for again."""
    room = await foyer.open_room()
    browser = Browser(foyer, room, back=BACK)
    await browser.arrive()
    await foyer.call_up_to(room, 1)
    await browser.refresh()
    page = browser.page
    await browser.press()
    first = browser.answer.headers["location"]
    browser.page = page
    await browser.press()

    assert browser.answer.headers["location"] == first


async def test_full_room_keeps_the_place_and_lets_in_later(foyer: Foyer) -> None:
    """When everything inside is taken she is told so, and enters as soon as somebody leaves."""
    room = await foyer.open_room(capacity=1)
    one, two = Browser(foyer, room), Browser(foyer, room, back=BACK)
    for browser in (one, two):
        await browser.arrive()
    await foyer.call_up_to(room, 2)
    for browser in (one, two):
        await browser.open()
        await browser.press()
    assert browser.answer.headers["location"].startswith(f"/r/{room}?return=")
    await browser.follow()
    assert browser.page.heading == "One moment more"
    assert browser.page.form == f"/r/{room}/enter?{urlencode({'return': BACK})}"

    await foyer.change(room, capacity=2)
    await browser.press()
    assert foyer.pass_in(browser.answer.headers["location"], room).number == 2


async def test_persons_get_a_guest_session_by_themselves(foyer: Foyer) -> None:
    """In a room for persons the page opens a session, and the place is that person's."""
    room = await foyer.open_room(holders="persons")
    other = await foyer.open_room(holders="persons")
    browser = Browser(foyer, room, back=BACK)
    await browser.arrive()
    session = browser.cookies["sunseo_guest"]
    await foyer.call_up_to(room, 1)
    await browser.refresh()
    await browser.press()
    person, _ = foyer.persons.person_of(session.encode())
    passed = foyer.pass_in(browser.answer.headers["location"], room)
    assert (passed.holder, passed.account) == (person.id, True)

    browser.room = other
    await browser.arrive()
    assert browser.cookies["sunseo_guest"] == session


async def test_lost_session_offers_to_join_again(foyer: Foyer) -> None:
    """A place without its session is worth nothing, and she is told how to go on."""
    room = await foyer.open_room(holders="persons")
    browser = Browser(foyer, room)
    await browser.arrive()
    await foyer.call_up_to(room, 1)
    await browser.refresh()
    del browser.cookies["sunseo_guest"]
    await browser.press()

    assert (browser.answer.status, browser.page.heading) == (403, "Please try that again")
    await browser.press()
    await browser.follow()
    await browser.refresh()
    assert browser.page.heading == "You are next"


async def test_accounts_are_sent_to_their_site(foyer: Foyer) -> None:
    """Where only the host's accounts may wait, the page says where to come from."""
    room = await foyer.open_room(holders="accounts")
    browser = Browser(foyer, room)
    await browser.open()

    assert browser.page.heading == "Please come from the site itself"
    assert browser.page.links[0] == f"{SHOP}/"
    assert not browser.set_cookies


async def test_browser_that_keeps_no_cookies_is_told(foyer: Foyer) -> None:
    """Without cookies it does not loop for ever, and takes no numbers."""
    room = await foyer.open_room()
    browser = Browser(foyer, room)
    await browser.open()
    browser.cookies.clear()
    await browser.refresh()

    assert browser.page.heading == "This page needs cookies"
    assert browser.page.refresh is None
    assert await foyer.places(room) == 0


async def test_before_opening_it_counts_down(foyer: Foyer) -> None:
    """Too early there is no number; from a while before the opening on there is."""
    opens_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    room = await foyer.open_room(opens_at=opens_at, join_early_s=60, time_zone="Asia/Seoul")
    browser = Browser(foyer, room)
    await browser.open()
    assert browser.page.heading == "Not open yet"
    assert "You can join the line from" in browser.page.text
    assert "(Asia/Seoul)" in browser.page.text
    assert not browser.set_cookies

    await foyer.change(room, opens_at=opens_at, join_early_s=86_400)
    await browser.arrive()
    assert await foyer.places(room) == 1
    assert "You have your place" in browser.page.text
    assert browser.page.refresh is not None


async def test_draw_registers_and_then_gives_a_number(foyer: Foyer) -> None:
    """In a room that draws, she is registered once, and gets her number when it opens."""
    opens_at = datetime.now(UTC) + timedelta(hours=1)
    room = await foyer.open_room(mode="random", opens_at=opens_at, join_early_s=86_400)
    browser = Browser(foyer, room)
    await browser.arrive()
    assert browser.page.heading == "You take part in the draw"
    await browser.refresh()
    assert browser.page.heading == "You take part in the draw"
    assert await foyer.places(room) == 0

    await foyer.draw_all(room)
    past = datetime.now(UTC) - timedelta(seconds=5)
    await foyer.change(room, mode="random", opens_at=past)
    await browser.refresh()
    assert browser.page.heading == "You are next"
    assert await foyer.places(room) == 1


async def test_pause_is_told_and_keeps_the_place(foyer: Foyer) -> None:
    """A line that stands still says that it does."""
    room = await foyer.open_room()
    browser = Browser(foyer, room)
    await browser.arrive()
    await foyer.change(room, paused=True)
    await browser.refresh()

    assert browser.page.heading == "The line has been stopped for a moment"
    assert browser.page.texts["notice"].startswith("Nobody is being let in")


async def test_sold_out_is_said_to_the_whole_line(foyer: Foyer) -> None:
    """Who waits is told before the wait is over, and who comes is not made to wait."""
    room = await foyer.open_room()
    waiting, new = Browser(foyer, room), Browser(foyer, room)
    await waiting.arrive()
    await foyer.sell_out(room)
    await waiting.refresh()
    await new.open()

    assert waiting.page.heading == new.page.heading == "Sold out"
    assert not new.set_cookies


async def test_closed_room_says_so(foyer: Foyer) -> None:
    """Nobody gets a number of a room that is closed."""
    room = await foyer.open_room(mode="closed")
    browser = Browser(foyer, room)
    await browser.open()

    assert (browser.answer.status, browser.page.heading) == (200, "This line is closed")
    assert not browser.set_cookies


async def test_line_that_was_started_anew_gives_a_new_number(foyer: Foyer) -> None:
    """After a reset the old place is void; she gets a new one and is told why."""
    room = await foyer.open_room()
    browser = Browser(foyer, room)
    await browser.arrive()
    await foyer.reset(room)
    await browser.refresh()
    await browser.refresh()

    assert browser.page.heading == "You are next"
    assert "started the line anew" in browser.page.texts["notice"]
    assert '"epoch":2,"number":1,' in browser.page.data["data-line"]


async def test_place_that_is_used_up_offers_a_new_one(foyer: Foyer) -> None:
    """After her visit is over she can queue again, at the end."""
    room = await foyer.open_room()
    browser = Browser(foyer, room)
    await browser.arrive()
    await foyer.call_up_to(room, 1)
    await browser.refresh()
    await browser.press()
    await foyer.lobby.rows("UPDATE room_passes SET state = 'left', ended_at = now()")
    await browser.open()
    await browser.press()
    assert (browser.answer.status, browser.page.heading) == (410, "You have already been in")

    await browser.press()
    await browser.follow()
    await browser.refresh()
    assert '"number":2,' in browser.page.data["data-line"]


async def test_unknown_room_has_its_own_page(foyer: Foyer) -> None:
    """A mistyped address gives a page, not a document for machines."""
    await foyer.open_room()
    browser = Browser(foyer, 999)
    await browser.open()
    assert (browser.answer.status, browser.page.heading) == (404, "There is no such line")
    await browser.open("/r/abc")
    assert (browser.answer.status, browser.page.heading) == (404, "There is no such line")


@pytest.mark.parametrize(
    ("accepted", "asked", "language"),
    [
        ("ko-KR,ko;q=0.9,en;q=0.8", "", "ko"),
        ("fr,en;q=0.5", "", "en"),
        ("de", "", "ko"),
        ("en", "?lang=ko", "ko"),
        ("ko;q=0.1,en;q=junk", "", "ko"),
        ("en", "?lang=xx", "en"),
    ],
)
async def test_language_is_chosen(foyer: Foyer, accepted: str, asked: str, language: str) -> None:
    """By the link, then by what the browser prefers, else the room's first language."""
    room = await foyer.open_room()
    browser = Browser(foyer, room)
    browser.headers = {"accept-language": accepted}
    await browser.open(f"/r/{room}{asked}")

    assert browser.page.language == language


async def test_language_is_remembered(foyer: Foyer) -> None:
    """Chosen once, it stays on the following pages, where the room has it."""
    room = await foyer.open_room()
    english = await foyer.open_room(languages=("en",))
    browser = Browser(foyer, room)
    await browser.open(f"/r/{room}?lang=ko")
    await browser.refresh()
    assert (browser.page.language, browser.page.heading) == ("ko", "다음 차례입니다")

    await browser.open(f"/r/{english}")
    assert browser.page.language == "en"


async def test_position_never_rises(foyer: Foyer) -> None:
    """A worker that knows less than another does not send her back in line."""
    room = await foyer.open_room(serving=0)
    for _ in range(4):
        await Browser(foyer, room).arrive()
    browser = Browser(foyer, room)
    await browser.arrive()
    late = Foyer(foyer.lobby.dsn)
    await late.board.run_once()
    await foyer.call_up_to(room, 2)
    await browser.refresh()
    assert browser.page.texts["ahead"] == "2"

    browser.foyer = late
    await browser.refresh()
    assert browser.page.texts["ahead"] == "2"
    await late.lobby.close()
    await late.engine.dispose()


async def test_everybody_passes_through(foyer: Foyer) -> None:
    """While a room only passes through, nobody is made to wait."""
    room = await foyer.open_room(mode="passthrough")
    browser = Browser(foyer, room, back=BACK)
    await browser.arrive()
    assert browser.page.heading == "It is your turn"
    await browser.press()

    assert foyer.pass_in(browser.answer.headers["location"], room).number == 1


@pytest.mark.parametrize(("refused", "alone"), [("signature", "false"), ("expired", "true")])
async def test_refused_pass_does_not_go_in_circles(foyer: Foyer, refused: str, alone: str) -> None:
    """Where a gate cannot read our passes, no script sends it one after the other."""
    room = await foyer.open_room(mode="passthrough")
    browser = Browser(foyer, room)
    await browser.arrive()
    await browser.open(f"/r/{room}?refused={refused}")

    assert f'"enters_alone":{alone},' in browser.page.data["data-line"]


async def test_result_of_a_draw_is_awaited_with_patience(foyer: Foyer) -> None:
    """Open, but not drawn yet: the page looks again now and then, not at every tick."""
    opens_at = datetime.now(UTC) + timedelta(hours=1)
    room = await foyer.open_room(mode="random", opens_at=opens_at, join_early_s=86_400)
    browser = Browser(foyer, room)
    await browser.arrive()
    assert '"joins_at":null' in browser.page.data["data-line"]
    await foyer.lobby.rows("UPDATE room_lines SET sealed = true, issued = entrants")
    await foyer.promise(room, state="sealed", independent=True)
    past = datetime.now(UTC) - timedelta(seconds=5)
    await foyer.change(room, mode="random", opens_at=past)
    await browser.refresh()

    assert browser.page.heading == "You take part in the draw"
    assert browser.page.refresh is not None
    assert browser.page.refresh[0] >= 15


async def test_overload_keeps_the_way_back(foyer: Foyer) -> None:
    """A page that is shed tries again by itself, with the return address that it had."""
    room = await foyer.open_room()
    browser = Browser(foyer, room, back=BACK)
    await browser.arrive()
    await foyer.call_up_to(room, 1)
    await browser.refresh()
    foyer.app._limiter._seats = dict.fromkeys(foyer.app._limiter._seats, 0)
    for shed in (browser.open, browser.press):
        page = browser.page
        await shed()
        assert (browser.answer.status, browser.page.heading) == (
            503,
            "Very many people are here right now",
        )
        assert browser.page.refresh == (5, browser.here)
        assert int(browser.answer.headers["retry-after"]) >= 1
        browser.page = page
    foyer.app._limiter._seats = dict.fromkeys(foyer.app._limiter._seats, Limits().concurrency_max)
    await browser.press()
    assert browser.answer.status == 303
