"""The pages' pure parts: texts, languages, return addresses, cookies, and what a line shows."""

import re
from datetime import UTC, datetime
from string import Formatter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.core.languages import LANGUAGES
from sunseo.html.cookies import COOKIES_MAX, CookieJar, read_cookies
from sunseo.html.language import language_of
from sunseo.html.page import policy_of
from sunseo.room.board.state import ShownSpeed
from sunseo.room.pages.cookies import BrowserVisit
from sunseo.room.pages.notices import NOTICES, said_of_status
from sunseo.room.pages.returns import allowed_return, site_of, with_pass
from sunseo.room.pages.screen import time_text, wait_text
from sunseo.room.pages.texts import CATALOGUES, EN, KO, Texts
from sunseo.web.endpoint import Call, Record

SHOP = "https://shop.example"
ORIGINS = (SHOP, "http://localhost:8080")


def holes(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("name", Texts.__struct_fields__)
def test_text_stands_in_both_languages(name: str) -> None:
    """Each text is there in Korean and English, with the same things to fill in."""
    korean, english = getattr(KO, name), getattr(EN, name)

    assert korean
    assert english or name == "ahead_unit"  # English needs no counter word
    assert holes(korean) == holes(english)
    assert name in ("name", "direction", "countdown") or korean != english


def test_catalogues_are_all_there() -> None:
    """Every language that a room can have has its texts; Korean ones are Korean."""
    assert set(CATALOGUES) == set(LANGUAGES)
    hangul = [text for text in msgspec.structs.astuple(KO) if re.search("[가-힣]", str(text))]
    assert len(hangul) >= len(Texts.__struct_fields__) - 2


def test_notices_have_their_texts() -> None:
    """A page that says one thing has a heading and an explanation for it."""
    said = {*NOTICES.values(), *(said_of_status(status) for status in (400, 404, 429, 500, 503))}
    for page in said:
        assert getattr(EN, page.heading)
        assert getattr(EN, f"{page.heading}_more")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        (f"{SHOP}/concert?seat=1#map", f"{SHOP}/concert?seat=1#map"),
        (SHOP, f"{SHOP}/"),
        (f"{SHOP}:443/x", f"{SHOP}:443/x"),
        ("HTTPS://Shop.Example/Path", f"{SHOP}/Path"),
        (f"{SHOP}?x=1", f"{SHOP}?x=1"),
        (f"{SHOP}/공연", f"{SHOP}/%EA%B3%B5%EC%97%B0"),
        ("http://localhost:8080/x", "http://localhost:8080/x"),
        (f"{SHOP}//evil.example", f"{SHOP}//evil.example"),
    ],
)
def test_return_to_an_allowed_origin(address: str, allowed: str) -> None:
    """Any path of an origin on the list, whatever is in it."""
    assert allowed_return(address, ORIGINS) == allowed


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/",
        "/concert",
        "//evil.example",
        "///evil.example",
        r"\\evil.example",
        r"https:\\shop.example",
        r"https:/\shop.example",
        "https:shop.example",
        "https:/shop.example",
        "https:///shop.example",
        "javascript:alert(1)",
        "JaVaScRiPt://shop.example/%0aalert(1)",
        "data:text/html,x",
        "http://shop.example/",  # the other scheme
        f"{SHOP}.evil.example/",
        f"{SHOP}@evil.example/",
        f"{SHOP}:443@evil.example/",
        f"https://user@{SHOP.removeprefix('https://')}/",
        f"{SHOP}:8443/",
        f"{SHOP}:/",
        "https://evil.example/https://shop.example/",
        "https://evil.example?https://shop.example/",
        "https://evil.example#https://shop.example/",
        "https://evil.example\\@shop.example/",
        f"{SHOP}\\.evil.example/",
        f"{SHOP}/\\evil.example",
        f"{SHOP}/\r\nset-cookie: x=1",
        f"{SHOP}/\x00",
        f" {SHOP}/",
        f"{SHOP} /",
        f"{SHOP}\t.evil.example/",
        f"{SHOP}%2eevil.example/",
        "https://shop。example/",
        "https://\uff53hop.example/",
        "https://sho\u200bp.example/",
        f"{SHOP}./",
        f"{SHOP}/" + "x" * 3000,
    ],
)
def test_return_to_anywhere_else_is_refused(address: str) -> None:
    """Whatever a browser might read differently from us is not on the list."""
    found = allowed_return(address, ORIGINS)

    assert found is None or re.fullmatch(r"https://shop\.example/[\x21-\x7e]*", found), found
    assert found is None or "%" in found  # only what was encoded harmlessly into a path


@given(address=st.text(max_size=80) | st.text(max_size=40).map(lambda text: SHOP + text))
def test_whatever_is_allowed_begins_with_an_allowed_origin(address: str) -> None:
    """No text at all leads elsewhere, and none breaks a header."""
    found = allowed_return(address, ORIGINS)
    if found is not None:
        assert re.match(r"(https://shop\.example(:443)?|http://localhost:8080)[/?#]", found)
        assert re.fullmatch(r"[\x21-\x5b\x5d-\x7e]+", found)


def test_nothing_is_allowed_by_an_empty_list() -> None:
    """A room without return addresses sends nobody anywhere."""
    assert allowed_return(f"{SHOP}/", ()) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"{SHOP}/", f"{SHOP}/?sunseo_pass=P"),
        (f"{SHOP}/x?a=1&b=%20+&c", f"{SHOP}/x?a=1&b=%20+&c&sunseo_pass=P"),
        (f"{SHOP}/x?sunseo_pass=old&a=1#f", f"{SHOP}/x?a=1&sunseo_pass=P#f"),
        (f"{SHOP}/x?sunseo%5Fpass=old", f"{SHOP}/x?sunseo_pass=P"),
        (f"{SHOP}?x", f"{SHOP}/?x&sunseo_pass=P"),
    ],
)
def test_pass_is_handed_over_in_the_query(address: str, expected: str) -> None:
    """The rest of the address stays to the letter; an old pass goes."""
    assert with_pass(address, "P") == expected
    assert site_of(address) == "shop.example"


@pytest.mark.parametrize(
    ("asked", "remembered", "accepted", "language"),
    [
        (None, None, None, "ko"),
        (None, None, "en-US,en;q=0.9,ko;q=0.8", "en"),
        (None, None, "ko;q=0.8,en;q=0.9", "en"),
        (None, None, "en;q=0, ko;q=0.1", "ko"),
        (None, "en", "ko", "en"),
        ("ko", "en", "en", "ko"),
        ("KO-kr", None, "en", "ko"),
        ("<script>", None, "*", "ko"),
        (None, None, ",;q=,en;q=nan,=;" * 100, "ko"),
    ],
)
def test_language(
    asked: str | None, remembered: str | None, accepted: str | None, language: str
) -> None:
    """Asked for, remembered, preferred, or else the first."""
    assert language_of(asked, remembered, accepted) == language


def test_language_stays_within_the_rooms_own() -> None:
    """A room that has one language speaks it, whatever is asked."""
    assert language_of("ko", "ko", "ko", ("en",)) == "en"


def test_visit_survives_its_cookie() -> None:
    """What is written is read again, whole."""
    visit = BrowserVisit(BrowserVisit.fresh("n").secret, "nonce", "place", 7, 3)
    entrant = visit.registered(2, "receipt")

    assert BrowserVisit.read(visit.write()) == visit
    assert BrowserVisit.read(entrant.write()) == entrant
    assert (entrant.is_registered_in(2), entrant.is_registered_in(1)) == (True, False)
    assert len(visit.binding) == 16
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", visit.write())


@given(value=st.text(max_size=120) | st.lists(st.text(max_size=50), max_size=8).map(".".join))
def test_any_cookie_is_a_visit_or_none(value: str) -> None:
    """No cookie makes the page fail."""
    visit = BrowserVisit.read(value)
    assert visit is None or len(visit.binding) == 16


def test_form_token_belongs_to_one_secret() -> None:
    """A form of another browser is not one's own, and the token does not tell the secret."""
    hers, his = BrowserVisit.fresh("n"), BrowserVisit.fresh("n")

    assert hers.is_own_form(hers.form_token)
    assert not hers.is_own_form(his.form_token)
    assert not hers.is_own_form("")
    assert not hers.is_own_form("\ud800é")
    assert hers.form_token not in hers.secret


def call_with(*cookies: str) -> Call:
    pairs = [(b"cookie", cookie.encode("latin-1")) for cookie in cookies]
    return Call(Record("r", "GET", 0.0), dict(pairs), {}, {"headers": pairs})


def test_cookies_are_read_from_all_lines() -> None:
    """HTTP/2 may send each in a line of its own; rubbish is passed over, the first one counts."""
    call = call_with("sunseo_a=1; sunseo_b=2", "sunseo_a=4; =; ;sunseo_d", '__Host-sunseo_e="5"')

    assert read_cookies(call) == {"sunseo_a": "1", "sunseo_b": "2", "__Host-sunseo_e": "5"}


def test_cookies_of_others_do_not_hide_ours() -> None:
    """A browser keeps up to 180 of a site, and the longest-kept come first; ours have a limit."""
    others = "; ".join(f"site{number}={number}" for number in range(180))
    call = call_with(f"{others}; sunseo_a=1")
    many = call_with("; ".join(f"sunseo_{number}=1" for number in range(2 * COOKIES_MAX)))

    assert read_cookies(call) == {"sunseo_a": "1"}
    assert len(read_cookies(many)) == COOKIES_MAX


def test_cookies_of_https_cannot_be_planted() -> None:
    """Over HTTPS only names that no other host can set are read and written."""
    jar = CookieJar(call_with("sunseo_x=planted; __Host-sunseo_x=own"), https=True)
    plain = CookieJar(call_with("sunseo_x=plain"), https=False)
    jar.set("sunseo_x", "new")
    plain.set("sunseo_x", "new", 60)

    assert (jar.get("sunseo_x"), plain.get("sunseo_x")) == ("own", "plain")
    assert jar.headers == [
        (
            b"set-cookie",
            b"__Host-sunseo_x=new; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure",
        )
    ]
    assert plain.headers == [
        (b"set-cookie", b"sunseo_x=new; Path=/; Max-Age=60; HttpOnly; SameSite=Lax")
    ]


@pytest.mark.parametrize(
    ("position", "speed", "text"),
    [
        (10, None, "not known yet"),
        (10, ShownSpeed(0, 0, 0), "not known yet"),
        (0, ShownSpeed(1, 2, 3), "less than a minute"),
        (50, ShownSpeed(1, 2, 3), "less than a minute"),
        (300, ShownSpeed(1, 2, 5), "about 1 to 5 min"),
        (300, ShownSpeed(1, 1, 1), "about 5 min"),
        (1500, ShownSpeed(1, 1.5, 2), "about 13 to 25 min"),
        (1560, ShownSpeed(1, 1.5, 2), "about 13 to 30 min"),
        (7200, ShownSpeed(1, 1, 1), "about 2 h"),
        (36_000, ShownSpeed(1, 2, 5), "about 2 to 10 h"),
    ],
)
def test_wait_is_told_as_a_range(position: int, speed: ShownSpeed | None, text: str) -> None:
    """From the fast case to the slow one, no more exactly than anybody knows."""
    assert wait_text(speed, position, EN) == text


def test_times_are_on_the_rooms_clock() -> None:
    """With the zone's name, in each language's own order."""
    moment = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)

    assert time_text(moment, "Asia/Seoul", "ko") == "11월 22일(일) 09:00 (Asia/Seoul)"
    assert time_text(moment, "America/New_York", "en") == (
        "Sat 21 Nov 2026, 19:00 (America/New York)"
    )


def test_policy_allows_nothing_inline_and_no_other_host() -> None:
    """Scripts and styles come from us alone; forms lead to us and to the return addresses."""
    policy = policy_of((SHOP,))

    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert f"form-action 'self' {SHOP};" in policy
    assert policy.endswith("base-uri 'none'; frame-ancestors 'none'")
    assert "https" not in policy_of()
    assert "frame-src https://challenges.cloudflare.com" in policy_of(turnstile=True)
