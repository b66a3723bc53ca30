"""How a gate decides: inside, outside, back from the line, and when the room is silent."""

from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.gate.answers import GateAnswer
from sunseo.gate.decision import Decision, GateCore
from sunseo.gate.options import GateOptions
from sunseo.gate.policy import BypassRules, GateRequest
from sunseo.gate.poller import monotonic_ms
from tests.gate_room import ROOM, T0, Room

PASS = f"sunseo_pass_{ROOM}"
URL = "https://rooms.example"


class Bench:
    """A core without threads: its room's documents are laid before it by hand."""

    def __init__(self, **options: Any) -> None:
        self.room = Room()
        plain = {"room": ROOM, "keys": self.room.keys, "sunseo_url": URL, **options}
        self.core = GateCore(GateOptions(**plain))
        self.core.start = lambda: None  # type: ignore[method-assign]  # no threads here

    def hear(self, **members: Any) -> None:
        """The room's document arrives now, and `now` is T0 unless the room says otherwise."""
        self.room.members.update(members)
        state = self.core.verifier.state(self.room.document())
        self.core.poller.state = state
        self.core.poller.clock.learn(state.now, monotonic_ms())

    def fall_silent(self, for_ms: int) -> None:
        """Nothing has come from the room for so long."""
        self.core.poller.failures = 1
        self.core.poller.clock.learn(self.room.now_ms + for_ms, monotonic_ms())

    def judge(self, cookie: str = "", shown: str | None = None, **asked: Any) -> Decision:
        return self.core.judge(cookie, shown, lambda: request(**asked))


def request(path: str = "/buy", **more: Any) -> GateRequest:
    return GateRequest(
        method=more.get("method", "GET"),
        path=path,
        raw_path=more.get("raw_path"),
        query=more.get("query", ""),
        headers={"host": "shop.example", "accept": "text/html", **more.get("headers", {})},
        scheme="https",
        client=None,
    )


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.hear()
    return bench


def cookie_of(text: str) -> str:
    return f"theme=dark; {PASS}={text}; a=b"


def header(answer: GateAnswer | None, name: str) -> str:
    assert answer is not None
    [value] = [value for key, value in answer.headers if key == name]
    return value


def refusal(verdict: Decision) -> str:
    """Why a browser was sent to the line."""
    assert verdict.answer is not None
    assert verdict.answer.status == 303
    query = parse_qs(urlsplit(header(verdict.answer, "location")).query)
    return query.get("refused", ["no_pass"])[0]


def test_pass_lets_in_by_cookie_or_header(bench: Bench) -> None:
    """Either way the pass is told on, and nothing is asked of anybody."""
    ticket = bench.room.ticket()
    text = bench.room.sealed(ticket)

    assert bench.judge(cookie_of(text)) == Decision(None, ticket, text)
    assert bench.judge(shown=text) == Decision(None, ticket, text)


def test_nobody_gets_in_without_a_pass(bench: Bench) -> None:
    """A browser is sent to the line with the way back; the site sees nothing of it."""
    verdict = bench.judge(query="seat=7&note=a%20b")

    assert verdict.ticket is None
    assert header(verdict.answer, "location") == (
        f"{URL}/r/42?return=https%3A%2F%2Fshop.example%2Fbuy%3Fseat%3D7%26note%3Da%2520b"
    )
    assert header(verdict.answer, "cache-control") == "no-store"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"epoch": 2}, "epoch"),
        ({"room": 43}, "room"),
        ({"expires_at_ms": T0 - 5_001}, "expired"),
    ],
)
def test_pass_that_is_not_good_is_refused(bench: Bench, changes: Any, reason: str) -> None:
    """Of an epoch before, of another room, or expired beyond the skew; the page is told why."""
    text = bench.room.sealed(bench.room.ticket(**changes))

    assert refusal(bench.judge(cookie_of(text))) == reason


def test_expiry_allows_for_skew(bench: Bench) -> None:
    """Five seconds, no more."""
    text = bench.room.sealed(bench.room.ticket(expires_at_ms=T0 - 4_000))
    assert bench.judge(cookie_of(text)).ticket is not None


def test_revoked_pass_is_refused(bench: Bench) -> None:
    """As soon as the room's document lists it."""
    ticket = bench.room.ticket()
    text = bench.room.sealed(ticket)
    assert bench.judge(cookie_of(text)).ticket == ticket

    bench.hear(revoked=[str(ticket.pass_id)])
    assert refusal(bench.judge(cookie_of(text))) == "revoked"


def test_a_good_pass_is_found_behind_a_bad_one(bench: Bench) -> None:
    """Another host of the domain may have set a cookie of this name; five are too many."""
    good, bad = bench.room.sealed(), "x" * 144
    tossed = f"{PASS}={bad}; {PASS}={good}"
    assert bench.judge(tossed).ticket is not None
    assert refusal(bench.judge("; ".join([f"{PASS}={bad}"] * 4 + [f"{PASS}={good}"]))) == "version"


def test_cookie_of_another_room_is_not_looked_at(bench: Bench) -> None:
    """`sunseo_pass_421` is not `sunseo_pass_42`."""
    assert refusal(bench.judge(f"sunseo_pass_421={bench.room.sealed()}")) == "no_pass"


def test_program_gets_a_problem_document(bench: Bench) -> None:
    """Where to join, where to ask, how often; nothing that it would have to scrape."""
    answer = bench.judge(headers={"accept": "application/json"}).answer

    assert answer is not None
    assert answer.status == 403
    assert header(answer, "content-type") == "application/problem+json"
    document = msgspec.json.decode(answer.body)
    assert document["type"] == f"{URL}/problems/pass_required"
    assert document["room"] == 42
    assert document["reason"] == "no_pass"
    assert document["join"]["nonces"] == f"{URL}/v1/rooms/42/nonces"
    assert document["state"] == f"{URL}/v1/rooms/42/state"
    assert document["poll"] == {"floor": 2.0, "ceiling": 60.0, "divisor": 10.0}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"accept": "application/problem+json"}, 403),
        ({"accept": "*/*", "x-requested-with": "XMLHttpRequest"}, 403),
        ({"accept": "*/*", "sec-fetch-mode": "cors"}, 403),
        ({"accept": "*/*", "sec-fetch-mode": "navigate"}, 303),
        ({"accept": "*/*"}, 303),
        ({"accept": "text/html,application/json;q=0.9"}, 303),
    ],
)
def test_programs_are_told_from_browsers(bench: Bench, headers: Any, status: int) -> None:
    """By what they accept and how they fetch."""
    answer = bench.judge(headers=headers).answer
    assert answer is not None
    assert answer.status == status


def returned_to(verdict: Decision) -> list[str]:
    location = header(verdict.answer, "location")
    assert location.startswith(f"{URL}/r/42")
    return parse_qs(urlsplit(location).query).get("return", [])


def test_way_back_leads_to_this_site(bench: Bench) -> None:
    """Not to a path that could be a host, not to a Host that is none, not to a foreign Referer."""
    assert returned_to(bench.judge("", path="//evil.example/x")) == ["https://shop.example/"]
    assert returned_to(bench.judge("", path="/\\evil.example")) == ["https://shop.example/"]
    assert returned_to(bench.judge("", headers={"host": "evil.example/@shop"})) == []
    assert returned_to(bench.judge("", headers={"host": "a.example\r\nx: y"})) == []
    foreign = {"referer": "https://shop.example.evil.example/form"}
    assert returned_to(bench.judge("", method="POST", headers=foreign)) == ["https://shop.example/"]
    own = {"referer": "https://shop.example/form?a=1"}
    assert returned_to(bench.judge("", method="POST", headers=own)) == [own["referer"]]
    assert returned_to(bench.judge("", path="/" + "a" * 3000)) == ["https://shop.example/"]


def test_way_back_can_be_fixed() -> None:
    """With `site_url` a made-up Host changes nothing."""
    bench = Bench(site_url="https://shop.example")
    bench.hear()
    verdict = bench.judge("", headers={"host": "evil.example"})

    assert returned_to(verdict) == ["https://shop.example/buy"]


def test_back_from_the_line_with_a_pass(bench: Bench) -> None:
    """The pass becomes a cookie, and the address is clean again."""
    text = bench.room.sealed()
    answer = bench.core.handover("", request(query=f"seat=7&sunseo_pass={text}&b=%2F"))

    assert header(answer, "location") == "/buy?seat=7&b=%2F"
    assert header(answer, "set-cookie") == (
        f"{PASS}={text}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"
    )
    assert header(answer, "referrer-policy") == "no-referrer"


def test_back_from_the_line_never_leads_elsewhere(bench: Bench) -> None:
    """No address that a browser would read as another host, no header by line breaks."""
    query = f"sunseo_pass={bench.room.sealed()}"
    for path in ("//evil.example/x", "/\\evil.example", "/\t/evil.example", "https://evil.example"):
        assert bench.core.handover("", request(path, query=query)) is None

    split = bench.core.handover("", request("/a", query=f"x=1\r\nset-cookie: a=b&{query}"))
    assert "\r" not in header(split, "location")
    assert "\n" not in header(split, "location")


BENCH = Bench()
bent = st.text(st.one_of(st.sampled_from("/\\\t\r\n.;%@:?#&= "), st.characters()), max_size=30)


def lands_on(location: str) -> str:
    """Where a browser would go: it takes tabs and line breaks out, and backslashes for slashes."""
    assert location.isascii()
    assert location.isprintable()
    tidied = location.replace("\\", "/")
    return urlsplit(urljoin("https://shop.example/here", tidied)).netloc


@given(path=bent, query=bent)
def test_no_address_leads_from_the_gate_to_another_host(path: str, query: str) -> None:
    """Whatever is asked: back from the line one stays here, and to the line it says here."""
    BENCH.hear()
    query = f"{query}&sunseo_pass={BENCH.room.sealed()}"
    for whole in (path, "/" + path, "//" + path):
        back = BENCH.core.handover("", request(whole, query=query))
        if back is not None:
            assert lands_on(header(back, "location")) == "shop.example"
        refused = BENCH.judge("", path=whole, query=query)
        assert lands_on(header(refused.answer, "location")) == "rooms.example"
        for address in returned_to(refused):
            assert address.startswith("https://shop.example/")
            assert lands_on(address) == "shop.example"


def test_bad_pass_in_the_address_sets_no_cookie(bench: Bench) -> None:
    """It is as if it were not there: no loop between line and site, and no POST is redirected."""
    expired = bench.room.sealed(bench.room.ticket(expires_at_ms=T0 - 60_000))
    assert bench.core.handover("", request(query=f"sunseo_pass={expired}")) is None
    assert bench.core.handover("", request(query="sunseo_pass=")) is None
    good = bench.room.sealed()
    assert bench.core.handover("", request(query=f"sunseo_pass={good}", method="POST")) is None

    verdict = bench.judge(query=f"a=1&sunseo_pass={expired}")
    assert returned_to(verdict) == ["https://shop.example/buy?a=1"]


def test_a_link_with_a_foreign_pass_takes_away_nobodys_own(bench: Bench) -> None:
    """Else an attacker could have a visitor book under the attacker's pass."""
    own, foreign = bench.room.sealed(), bench.room.sealed()
    answer = bench.core.handover(cookie_of(own), request(query=f"sunseo_pass={foreign}"))

    assert own in header(answer, "set-cookie")


def test_passthrough_lets_everybody_in(bench: Bench) -> None:
    """While the room says so, and no longer."""
    bench.hear(mode="passthrough")
    assert bench.judge().answer is None
    bench.room.now_ms += 1
    bench.hear(mode="fifo")
    assert refusal(bench.judge()) == "no_pass"


def test_closed_room_keeps_who_is_inside(bench: Bench) -> None:
    """Closing lets nobody in; it throws nobody out before her pass ends."""
    bench.hear(mode="closed", phase="closed")
    assert refusal(bench.judge()) == "no_pass"
    assert bench.judge(cookie_of(bench.room.sealed())).answer is None


def test_before_the_first_document_only_passes_count() -> None:
    """A gate that has just started sends to the line who shows no pass."""
    bench = Bench()
    bench.core.poller.clock.learn(T0, monotonic_ms())

    assert refusal(bench.judge()) == "no_pass"
    assert bench.judge(cookie_of(bench.room.sealed())).answer is None


def test_fail_closed_keeps_passes_until_they_expire(bench: Bench) -> None:
    """Silence lets nobody in; the answer says when to try again, to people and programs."""
    text = bench.room.sealed()
    bench.fall_silent(16_000)
    assert bench.judge(cookie_of(text)).answer is None
    page, problem = bench.judge().answer, bench.judge(headers={"accept": "application/json"}).answer
    assert page is not None
    assert problem is not None
    assert (page.status, header(page, "retry-after")) == (503, "5")
    assert "대기열" in page.body.decode()
    assert "waiting room" in page.body.decode()
    assert (problem.status, header(problem, "retry-after")) == (503, "5")

    bench.fall_silent(66_000)
    verdict = bench.judge(cookie_of(text)).answer
    assert verdict is not None
    assert verdict.status == 503


def test_fail_last_known_keeps_who_was_inside(bench: Bench) -> None:
    """Time stands still for those inside, for a quarter of an hour; nobody else gets in."""
    bench.hear(fail_mode="last_known")
    text = bench.room.sealed()
    expired = bench.room.sealed(bench.room.ticket(expires_at_ms=T0 - 6_000))
    bench.fall_silent(600_000)
    assert bench.judge(cookie_of(text)).answer is None
    assert bench.judge(cookie_of(expired)).answer is not None
    assert bench.judge().answer is not None

    bench.fall_silent(900_001)
    assert bench.judge(cookie_of(text)).answer is not None


def test_fail_last_known_keeps_passing_through(bench: Bench) -> None:
    """The mode that the room last had goes on."""
    bench.hear(fail_mode="last_known", mode="passthrough")
    bench.fall_silent(60_000)
    assert bench.judge().answer is None


def test_fail_open_lets_in_at_a_rate(bench: Bench) -> None:
    """So many newcomers, who then stay welcome by a signed cookie; the others are told to wait."""
    bench.hear(fail_mode="open", open_rate_max=3)
    bench.fall_silent(60_000)
    let_in = [verdict for verdict in (bench.judge() for _ in range(5)) if verdict.answer is None]
    assert len(let_in) == 3

    [(_, cookie)] = let_in[0].cookies
    mine = cookie.split(";")[0]
    assert bench.judge(mine).answer is None
    assert bench.judge(mine[:-1] + ("A" if mine[-1] != "A" else "Q")).answer is not None
    bench.fall_silent(60_000 + 301_000)
    for _ in range(5):
        bench.judge()
    assert bench.judge(mine).answer is not None


def test_the_rooms_voice_ends_the_fail_mode(bench: Bench) -> None:
    """When documents come again, the line is asked again."""
    bench.hear(fail_mode="open", open_rate_max=3)
    bench.fall_silent(60_000)
    assert bench.judge().answer is None
    bench.room.now_ms += 60_500
    bench.hear()
    assert refusal(bench.judge()) == "no_pass"


def test_bypass_and_open_paths_need_no_pass() -> None:
    """What the rules let through goes on without a pass, and without a cookie of ours."""
    bench = Bench(bypass=BypassRules(paths=("/static",)))
    bench.hear()
    assert bench.judge(path="/static/a.css") == Decision()
    assert bench.judge(path="/static/../buy").answer is not None


def test_keys_of_another_room_are_refused() -> None:
    """A gate with keys that open nothing does not start."""
    with pytest.raises(ValueError, match="keys of room 42"):
        Bench(room=43)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"fail_mode": "never"}, "fail_mode"),
        ({"open_rate_max": 0}, "above zero"),
        ({"sunseo_url": "rooms.example"}, "absolute"),
        ({"page_url": "javascript:alert(1)"}, "absolute"),
        ({"sunseo_url": "ftp://rooms.example"}, "absolute"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(wrong: Any, says: str) -> None:
    """Noticed at the start, not at the opening."""
    with pytest.raises(ValueError, match=says):
        Bench(**wrong)
