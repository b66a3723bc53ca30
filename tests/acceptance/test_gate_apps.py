"""The gate in front of real frameworks: FastAPI, Django by ASGI and WSGI, Flask's kind of app."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sunseo.gate.policy import BypassRules
from sunseo.gate.sender import SignalOptions
from tests.acceptance.gate_sites import PASS, SITES, Asgi, Site, cookie, fastapi_app, site_of
from tests.gate_room import PATIENCE_S, ROOM, Room, serving, watched


@pytest.fixture
def room() -> Iterator[Room]:
    with serving() as room:
        yield room


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, room: Room) -> Iterator[Site]:
    site = site_of(request.param, room, renewal_wait_s=PATIENCE_S)
    with watched(site.core):
        yield site


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
    assert site.core.poller.look_once()
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
    notes = [site.core.sender.ask_renewal(ticket, room.sealed(ticket)) for ticket in tickets]
    with watched(site.core):
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
    with watched(site.core), watched(other.core):
        [hint] = site.ask("/buy", cookie(room.sealed(old))).cookies
        assert hint.startswith(f"sunseo_renewing_{ROOM}=")
        both = {"cookie": f"{PASS}={room.sealed(old)}; {hint.split(';')[0]}"}
        assert other.ask("/buy", both).cookies == []
        note = site.core.sender.ask_renewal(old, room.sealed(old))
        room.holding.set()
        assert note is not None
        assert note.result(PATIENCE_S) is not None

        assert [told for told, _ in room.told] == ["renew"]
        [renewed] = site.ask("/buy", both).cookies
        assert renewed.startswith(f"{PASS}=")


@pytest.mark.parametrize(
    ("command", "told", "more"),
    [("complete", "complete", {}), ("leave", "leave", {}), ("revoke", "leave", {"revoke": True})],
)
def test_the_app_ends_a_pass(
    site: Site, room: Room, command: str, told: str, more: dict[str, bool]
) -> None:
    """By a header of its answer, which nobody outside sees; the pass is over here at once."""
    text = room.sealed()
    answer = site.ask(f"/buy?command={command}", cookie(text))

    assert answer.status == 200
    assert "waiting-room-command" not in answer.headers
    assert answer.cookies == [f"{PASS}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"]
    assert site.ask("/buy", cookie(text)).status == 303
    assert room.was_told.wait(PATIENCE_S)
    assert room.told == [(told, {"pass": text} | more)]


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
        with watched(site.core):
            assert site.ask(target).status == 303


def test_health_is_told_with_a_key(room: Room) -> None:
    """How slow the site is, as 99 of 100 answers were, against the operator's target."""
    site = site_of("fastapi", room, signals=SignalOptions("sunseo_key", 0.5, "shop"))
    with watched(site.core):
        text = room.sealed()
        for _ in range(3):
            site.ask("/buy", cookie(text))
    sender = site.core.sender
    sender._signal_due = 0.0
    sender.run_once()
    sender._origin.close()

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

    with watched(site.core):
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
    assert site.core.poller.looked.wait(PATIENCE_S)
    assert threading.active_count() >= before + 2
    site.core.stop()


def test_a_forked_process_gets_threads_of_its_own(room: Room) -> None:
    """A server that loads the app first and forks then has a working gate in each process."""
    site = site_of("flask", room)
    with watched(site.core):
        poller, sender = site.core.poller, site.core.sender
        site.core._pid += 1  # as it would look to a child
        assert site.ask("/buy", cookie(room.sealed())).status == 200
        assert site.core.poller is not poller
        assert site.core.sender is not sender
        assert site.core.poller.looked.wait(PATIENCE_S)
        poller.stop()
        sender.stop()
