"""The waiting page of a site that keeps no pass: nobody goes in circles, or is suspected of it."""

from collections.abc import AsyncIterator

import pytest

from tests.store.foyer import SHOP, Browser, Foyer, open_foyer

BACK = f"{SHOP}/concert"


@pytest.fixture
async def foyer(database_dsn: str) -> AsyncIterator[Foyer]:
    async with open_foyer(database_dsn) as opened:
        yield opened


async def test_site_that_keeps_no_cookies_does_not_go_in_circles(foyer: Foyer) -> None:
    """Who comes back from it a second time, within seconds, is told why, and goes on by hand only.

    Back, and looking again, show the same; what she sends herself begins a new count.
    """
    room = await foyer.open_room(mode="passthrough")
    browser = Browser(foyer, room, back=BACK)
    await browser.arrive()
    for _ in range(2):
        for _ in range(2):
            await browser.press()
            assert browser.answer.status == 303
            assert browser.answer.headers["location"].startswith(f"{SHOP}/concert")
            await browser.open()
        for _ in range(3):
            assert browser.answer.status == 200
            assert browser.page.heading == "The site you want to visit needs cookies"
            assert browser.page.refresh is None
            assert "data-line" not in browser.page.data
            await browser.open()
    assert await foyer.places(room) == 1


async def test_tabs_that_were_opened_together_do_not_count_for_each_other(foyer: Foyer) -> None:
    """Each was shown before the first was sent back, so that nobody has come back from anywhere."""
    room = await foyer.open_room(mode="passthrough")
    browser = Browser(foyer, room, back=BACK)
    await browser.arrive()
    opened = browser.page
    for _ in range(5):
        browser.page = opened
        await browser.press()
        assert browser.answer.status == 303
    await browser.open()
    assert browser.page.heading == "It is your turn"


@pytest.mark.parametrize(
    ("cookie", "told"),
    [
        ("2.{now}", True),
        ("2.{ago}", False),
        ("3.{ago}", True),  # told already
        ("9.1", False),  # long ago
        ("9.99999999999", False),  # a time that is yet to come
        ("-1.x", False),
        ("..", False),
        ("", False),
    ],
)
async def test_only_coming_back_at_once_says_that_nothing_was_kept(
    foyer: Foyer, cookie: str, told: bool
) -> None:
    """Who comes later, or with a count that is none of ours, is sent on as ever."""
    room = await foyer.open_room(mode="passthrough")
    browser = Browser(foyer, room, back=BACK)
    await browser.arrive()
    view = foyer.board.look(room)
    assert view is not None
    now = int(view.now.timestamp())
    browser.cookies[f"sunseo_sent_{room}"] = cookie.format(now=now, ago=now - 60)
    await browser.open()
    assert (browser.page.heading == "The site you want to visit needs cookies") is told
    await browser.press()
    assert browser.answer.status == 303


@pytest.mark.parametrize("sent", ["", "x", "-1", "9999999999"])
async def test_count_that_a_form_makes_up_is_nobody_elses_trouble(foyer: Foyer, sent: str) -> None:
    """She is let in whatever it says; at worst she is told too early, and goes on by hand."""
    room = await foyer.open_room(mode="passthrough")
    browser = Browser(foyer, room, back=BACK)
    await browser.arrive()
    await browser.press({"sent": sent})
    assert browser.answer.status == 303
    await browser.open()
    await browser.press()
    assert browser.answer.status == 303
