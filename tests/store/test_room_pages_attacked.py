"""The waiting page under attack: what is sent is not what a browser of good will would send."""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from sunseo.room.admission.altcha import solve
from sunseo.room.admission.challenge import ChallengeBody
from sunseo.room.setup.settings import Message
from tests.store.foyer import SHOP, Browser, Foyer, open_foyer

HTML = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{7*7}}</textarea>"


@pytest.fixture
async def foyer(database_dsn: str) -> AsyncIterator[Foyer]:
    async with open_foyer(database_dsn) as opened:
        yield opened


async def called(foyer: Foyer, room: int, **options: str) -> Browser:
    """A browser whose turn it is."""
    browser = Browser(foyer, room, back=options.get("back", ""))
    await browser.arrive()
    await foyer.call_up_to(room, 1)
    await browser.refresh()
    assert browser.page.heading == "It is your turn"
    return browser


async def test_operators_texts_are_texts(foyer: Foyer) -> None:
    """Markup in a message or a name is shown as written, on every page that has it."""
    room = await foyer.open_room(name=HTML, message=Message(ko=HTML, en=HTML))
    closed = await foyer.open_room(name=HTML, message=Message(en=HTML), mode="closed")
    browser = Browser(foyer, room)
    for page in (
        await browser.open(),
        await browser.refresh(),
        await Browser(foyer, closed).open(),
    ):
        assert not {"img", "textarea"} & set(page.tags)
        assert "inline" not in page.scripts
        assert "<img" not in page.html
        assert "49" not in page.html.split("<main")[1].split("data-line")[0]
        assert "&lt;script&gt;" in page.html


@pytest.mark.parametrize("lang", ["ko", "en", '"><script>'])
async def test_links_texts_are_texts(foyer: Foyer, lang: str) -> None:
    """Whatever stands in the query comes back escaped or not at all."""
    room = await foyer.open_room()
    back = quote(f'{SHOP}/"><script>alert(1)</script>')
    page = await Browser(foyer, room).open(f"/r/{room}?lang={quote(lang)}&return={back}")

    assert "<script" not in page.html
    assert "inline" not in page.scripts


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        f"{SHOP}.evil.example/",
        f"{SHOP}@evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
    ],
)
async def test_nobody_is_sent_elsewhere(foyer: Foyer, back: str) -> None:
    """A link with a strange return address gets its own page; a form leads to the room's host."""
    room = await foyer.open_room()
    browser = await called(foyer, room)
    page = browser.page
    await browser.open(f"/r/{room}?return={quote(back)}")
    assert (browser.answer.status, browser.page.heading) == (400, "This link is not valid")
    assert "evil" not in browser.page.html
    assert not browser.set_cookies

    browser.page = page
    browser.page.form = f"/r/{room}/enter?return={quote(back)}"
    await browser.press()
    assert browser.answer.headers["location"].startswith(f"{SHOP}/?sunseo_pass=")


async def test_room_without_return_hosts_keeps_the_pass_to_itself(foyer: Foyer) -> None:
    """Where no address is allowed, nobody gets a link with a pass in it."""
    room = await foyer.open_room(return_hosts=())
    browser = await called(foyer, room)
    browser.page.form = f"/r/{room}/enter?return={quote(SHOP)}"
    await browser.press()

    assert (browser.answer.status, browser.page.heading) == (200, "You are in")
    assert "location" not in browser.answer.headers
    assert "sunseo_pass" not in browser.page.html


async def test_forms_of_others_do_nothing(foyer: Foyer) -> None:
    """Without her own token, from another site, or without her cookies, nobody enters."""
    room = await foyer.open_room()
    browser, stranger = await called(foyer, room), Browser(foyer, room)
    await stranger.arrive()
    page, cookies = browser.page, dict(browser.cookies)

    for fields, headers in (
        ({"token": ""}, {}),
        ({"token": "x" * 22}, {}),
        ({"token": stranger.page.fields["token"]}, {}),
        ({}, {"sec_fetch_site": "cross-site"}),
        ({}, {"sec_fetch_site": "same-site"}),
    ):
        browser.page = page
        await browser.press(fields, **headers)
        assert (browser.answer.status, browser.page.heading) == (403, "Please try that again")
    browser.page = page
    browser.cookies = {}
    await browser.press()
    assert browser.answer.status == 403
    assert await foyer.lobby.rows("SELECT number FROM room_passes") == []

    browser.page, browser.cookies = page, cookies
    await browser.press(sec_fetch_site="same-origin")
    assert browser.answer.status == 303


async def test_forms_are_forms(foyer: Foyer) -> None:
    """JSON, other types and unknown or missing fields are refused with a page, and do nothing."""
    room = await foyer.open_room()
    browser = await called(foyer, room)
    page = browser.page
    for fields, media, status in (
        ({}, "application/json", 415),
        ({}, "text/plain", 415),
        ({}, "multipart/form-data; boundary=x", 415),
        ({"admin": "1"}, "application/x-www-form-urlencoded", 422),
        ({"token": "x" * 1000}, "application/x-www-form-urlencoded", 422),
    ):
        browser.page = page
        await browser.press(fields, content_type=media)
        assert browser.answer.status == status
        assert browser.answer.headers["content-type"] == "text/html; charset=utf-8"
        assert browser.page.heading == "Please try that again"
    assert await foyer.lobby.rows("SELECT number FROM room_passes") == []


@pytest.mark.parametrize(
    "headers",
    [{"sec_purpose": "prefetch"}, {"sec_purpose": "prefetch;prerender"}, {"purpose": "prefetch"}],
)
async def test_prefetching_takes_nothing(foyer: Foyer, headers: dict[str, str]) -> None:
    """A page that is loaded in advance joins nobody, sets no cookie and is not kept."""
    room = await foyer.open_room()
    browser = Browser(foyer, room)
    await browser.open(**headers)
    assert (browser.answer.status, browser.set_cookies) == (503, [])

    await browser.open()
    await browser.open(**headers)
    assert (browser.answer.status, browser.set_cookies) == (503, [])
    assert await foyer.places(room) == 0


async def test_head_takes_nothing(foyer: Foyer) -> None:
    """Link checkers and previews take neither nonce nor number."""
    room = await foyer.open_room()
    browser = Browser(foyer, room)
    await browser.open(method="HEAD")
    assert (browser.answer.status, browser.answer.body, browser.set_cookies) == (200, b"", [])

    await browser.open()
    await browser.open(method="HEAD")
    assert browser.set_cookies == []
    assert await foyer.places(room) == 0


async def test_forged_cookies_are_as_if_not_there(foyer: Foyer) -> None:
    """A cookie that was edited, or is of another room or visitor, gives no place of its own."""
    room, other = await foyer.open_room(), await foyer.open_room()
    browser = Browser(foyer, room)
    await browser.arrive()
    name = f"sunseo_room_{room}"
    version, nonce, secret, place, began, served = browser.cookies[name].split(".")
    edited = place[:40] + ("A" if place[40] != "A" else "B") + place[41:]

    for forged in (
        f"{version}.{nonce}.{secret}.{edited}.{began}.{served}",
        f"{version}.{nonce}.{secret}.{place[:-2]}.{began}.{served}",
        f"{version}.AAAA.{secret}.AAAA.0.0",
        f"2.{nonce}.{secret}.{place}.{began}.{served}",
        f"{version}.{nonce}.short.{place}.{began}.{served}",
        "%00%ff",
        "x" * 5000,
    ):
        attacker = Browser(foyer, room)
        attacker.cookies = {name: forged}
        await attacker.open()
        assert attacker.page.heading == "One moment, you are getting your number", forged
    elsewhere = Browser(foyer, other)
    elsewhere.cookies = {f"sunseo_room_{other}": browser.cookies[name]}
    await elsewhere.open()
    assert elsewhere.page.heading == "One moment, you are getting your number"
    assert await foyer.places(room) == 1


async def test_place_without_its_secret_does_not_enter(foyer: Foyer) -> None:
    """Who copied a place, but not the secret that it is bound to, cannot use it."""
    room = await foyer.open_room()
    browser, thief = await called(foyer, room), Browser(foyer, room)
    await thief.open()
    name = f"sunseo_room_{room}"
    mine, hers = thief.cookies[name].split("."), browser.cookies[name].split(".")
    thief.cookies[name] = ".".join([*mine[:3], *hers[3:]])
    await thief.open()
    await thief.press()

    assert thief.answer.status == 403
    assert await foyer.lobby.rows("SELECT number FROM room_passes") == []


async def test_shown_numbers_in_the_cookie_decide_nothing(foyer: Foyer) -> None:
    """Who writes herself further to the front sees that, and enters no earlier."""
    room = await foyer.open_room()
    for _ in range(3):
        await Browser(foyer, room).arrive()
    browser = Browser(foyer, room)
    await browser.arrive()
    name = f"sunseo_room_{room}"
    browser.cookies[name] = browser.cookies[name].rsplit(".", 1)[0] + ".999999999"
    await browser.open()
    await browser.press()

    assert browser.answer.status == 303
    assert "sunseo_pass" not in browser.answer.headers["location"]
    assert await foyer.lobby.rows("SELECT number FROM room_passes") == []


async def test_cookies_over_https(foyer: Foyer) -> None:
    """They are the host's alone, encrypted only, out of scripts' reach, and not sent by others."""
    room = await foyer.open_room(holders="persons")
    browser = Browser(foyer, room, https=True)
    await browser.open(f"/r/{room}?lang=ko")

    assert len(browser.set_cookies) == 3
    for line in browser.set_cookies:
        assert re.fullmatch(
            r"__Host-sunseo_(room_\d+|guest|language)=[\w.-]+; Path=/; Max-Age=\d+; "
            r"HttpOnly; SameSite=Lax; Secure",
            line,
        )


async def test_pages_protect_their_readers(foyer: Foyer) -> None:
    """Nothing is kept by caches, framed by others, or told to other sites."""
    room = await foyer.open_room()
    browser = Browser(foyer, room)
    for address in (None, None, "/r/999", "/r/abc"):
        await browser.open(address)
        headers = browser.answer.headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "script-src 'self';" in headers["content-security-policy"]
        assert " style=" not in browser.page.html
        assert not re.search(r"\son\w+=", browser.page.html)


async def test_redirect_with_a_pass_is_kept_by_nobody(foyer: Foyer) -> None:
    """The pass in the address is in no cache and in no referrer."""
    room = await foyer.open_room()
    browser = await called(foyer, room)
    await browser.press()

    assert browser.answer.headers["cache-control"] == "no-store"
    assert browser.answer.headers["referrer-policy"] == "no-referrer"
    assert browser.answer.body == b""


async def test_network_that_floods_is_slowed_with_a_page(foyer: Foyer) -> None:
    """The page says so, with 429 and a time after which it tries again by itself."""
    room = await foyer.open_room(network_joins_max=2)
    browsers = [Browser(foyer, room) for _ in range(3)]
    for browser in browsers:
        browser.headers |= {"x-forwarded-for": "203.0.113.7"}
        await browser.arrive()
    assert [browser.answer.status for browser in browsers] == [200, 200, 429]
    browser = browsers[2]
    assert browser.page.heading == "Too many visitors from your network"
    assert int(browser.answer.headers["retry-after"]) >= 30
    assert browser.page.refresh is not None

    neighbour = Browser(foyer, room)
    neighbour.headers |= {"x-forwarded-for": "203.0.113.7, 198.51.100.1"}
    await neighbour.arrive()
    assert neighbour.answer.status == 200
    assert await foyer.places(room) == 3


async def test_challenge_stands_before_the_number(foyer: Foyer) -> None:
    """Without its answer there is no number; with it there is one, and only for her."""
    room = await foyer.open_room(challenge="altcha", challenge_difficulty=1000)
    browser, other = Browser(foyer, room), Browser(foyer, room)
    for each in (browser, other):
        await each.arrive()
        assert each.page.heading == "A short check before you join"
    answer = solved(browser)

    await other.press({"challenge": answer})
    assert other.answer.status == 403
    assert "did not succeed" in other.page.text
    await browser.press({"challenge": ""})
    assert browser.answer.status == 403
    assert await foyer.places(room) == 0
    await browser.press({"challenge": answer})
    await browser.follow()
    assert (browser.page.heading, await foyer.places(room)) == ("You are next", 1)


def solved(browser: Browser) -> str:
    """Do the work that the page shows."""
    import msgspec

    challenge = msgspec.json.decode(browser.page.data["data-challenge"], type=ChallengeBody)
    answer = solve(challenge)
    assert answer is not None
    return answer


async def test_room_that_asks_for_what_is_not_set_up_lets_nobody_in(foyer: Foyer) -> None:
    """Turnstile without its keys fails closed, with a page."""
    room = await foyer.open_room(challenge="turnstile")
    browser = Browser(foyer, room)
    await browser.arrive()
    await browser.press({"challenge": "token"})

    assert browser.answer.status == 503
    assert "cannot be made" in browser.page.text
    assert await foyer.places(room) == 0
