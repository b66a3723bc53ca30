"""Ways to the front that are none: rejoining, tabs, cookies, accounts, nonces in bulk."""

import time

import pytest

from sunseo.passes.keys import nonce_at
from tests.attacks.attacker import (
    RING,
    Crowd,
    Serving,
    Visitor,
    Wire,
    b64,
    call_up_to,
    create_room,
    guest,
    inside,
    line_of,
    request,
    token,
    unb64,
)

STRANGERS = 30


@pytest.fixture(scope="module")
def fair(server: Serving, operator: str) -> int:
    """A room that calls nobody by itself in the time of a test."""
    return create_room(server, operator, rate_max=0.001)


def test_rejoining_gives_the_place_of_before(server: Serving, operator: str, wire: Wire) -> None:
    """A person with new nonces, other devices, other workers: always her own number."""
    room = create_room(server, operator, holders="persons", rate_max=0.001)
    first = Visitor(wire, room, token("rejoiner"))
    first.join()
    other = Visitor(wire, room, token("somebody else"))
    other.join()
    path = f"/v1/rooms/{room}"
    nonces = [wire.ask("POST", f"{path}/nonces").json["nonce"] for _ in range(20)]
    bearer = f"authorization: Bearer {token('rejoiner')}"
    answers = Crowd(server.port).storm(
        [request("PUT", f"{path}/places/{nonce}", {}, bearer) for nonce in nonces]
    )

    assert {answer.json["number"] for answer in answers} == {first.number}
    assert line_of(server, room)["issued"] == 2


@pytest.mark.parametrize("ending", ["leave", "complete", "revoke"])
def test_leaving_and_rejoining_goes_to_the_end(
    server: Serving, operator: str, wire: Wire, ending: str
) -> None:
    """Her turn is used up: another join, on all devices at once, is one number, behind all."""
    room = create_room(server, operator, holders="persons", rate_max=0.001)
    visitor = inside(server, wire, room, token("twice"))
    waiting = [Visitor(wire, room, token(f"waiting {nth}")) for nth in range(3)]
    for one in waiting:
        one.join()
    used_up, old_nonce = visitor.place, visitor.nonce
    if ending == "revoke":
        wire.ask("POST", f"{visitor.path}/leave", {"pass": visitor.ticket, "revoke": True})
    else:
        visitor.say(ending)
    nonces = [old_nonce, *(visitor.fetch_nonce() for _ in range(9))]
    bearer = f"authorization: Bearer {token('twice')}"
    answers = Crowd(server.port).storm(
        [request("PUT", f"{visitor.path}/places/{nonce}", {}, bearer) for nonce in nonces]
    )
    visitor.join()

    assert sorted(answer.status for answer in answers) == [200] * 9 + [201]
    assert {answer.json["number"] for answer in answers} == {waiting[-1].number + 1}
    assert visitor.number == waiting[-1].number + 1 == line_of(server, room)["issued"]
    gone = "pass_revoked" if ending == "revoke" else "pass_done"
    assert visitor.enter(used_up).json["outcome"] == gone
    assert visitor.enter().json["outcome"] == "not_served"
    assert line_of(server, room)["live"] == 0
    call_up_to(server, room, visitor.number)
    assert visitor.enter().status == 201
    assert visitor.enter(used_up).json["outcome"] == gone
    assert line_of(server, room)["live"] == 1


def test_an_old_nonce_is_no_way_back_in(server: Serving, operator: str, wire: Wire) -> None:
    """It still gives the place that she has, and no other one when that is used up."""
    room = create_room(server, operator, holders="persons", rate_max=0.001)
    visitor = inside(server, wire, room, token("old nonce"))
    visitor.nonce = RING.seal(nonce_at(room, int(time.time()) // 60 - 24 * 60))
    assert visitor.join().status == 200
    visitor.say("leave")

    assert visitor.join().json["outcome"] == "nonce_expired"
    assert line_of(server, room)["issued"] == visitor.number


def test_many_tabs_are_one_place(server: Serving, fair: int) -> None:
    """The page in many tabs of one browser: one cookie, one number."""
    first = server.ask("GET", f"/r/{fair}")
    assert first.status == 200, first
    cookie = first.headers["set-cookie"].partition(";")[0]
    issued = line_of(server, fair)["issued"]

    tabs = Crowd(server.port).storm([request("GET", f"/r/{fair}", None, f"cookie: {cookie}")] * 16)

    assert {tab.status for tab in tabs} == {200}
    assert line_of(server, fair)["issued"] == issued + 1


def test_cleared_cookies_begin_at_the_end(server: Serving, fair: int, wire: Wire) -> None:
    """Who throws her place away gets a later one; no edited cookie gives an earlier one."""
    waiting = Visitor(wire, fair)
    waiting.join()
    numbers = []
    for _ in range(5):
        page = server.ask("GET", f"/r/{fair}")
        cookie = page.headers["set-cookie"].partition(";")[0]
        server.ask("GET", f"/r/{fair}", headers={"cookie": cookie})
        numbers.append(line_of(server, fair)["issued"])

    assert numbers == [waiting.number + nth for nth in range(1, 6)]
    assert waiting.enter().json["outcome"] == "not_served"


def test_many_accounts_of_ones_own_are_refused_where_accounts_count(
    server: Serving, operator: str, wire: Wire
) -> None:
    """Guest sessions cost nothing, so a room for accounts takes none of them, nor any secret."""
    room = create_room(server, operator, holders="accounts")
    outcomes = {Visitor(wire, room, guest(server)).join().json["outcome"] for _ in range(5)}
    stranger = Visitor(wire, room).join()

    assert outcomes == {"account_required"}
    assert stranger.json["outcome"] == "person_required"
    assert Visitor(wire, room, token("an account")).join().status == 201
    assert line_of(server, room)["issued"] == 1


def test_many_accounts_from_one_network_are_slowed(
    server: Serving, operator: str, wire: Wire
) -> None:
    """Whatever they call themselves, and whatever X-Forwarded-For they write."""
    room = create_room(server, operator, network_joins_max=10)
    path = f"/v1/rooms/{room}"
    nonces = []
    began = time.monotonic()
    while (given := wire.ask("POST", f"{path}/nonces")).status == 201:
        nonces.append(given.json["nonce"])
        assert len(nonces) < 1000
    joins = [
        request(
            "PUT",
            f"{path}/places/{nonce}",
            {"binding": b64(number.to_bytes(16, "big"))},
            f"x-forwarded-for: 203.0.{number}.7",
            f"x-real-ip: 203.0.{number}.8",
            f"forwarded: for=203.0.{number}.9",
        )
        for number, nonce in enumerate(nonces)
    ]

    answers = Crowd(server.port).storm(joins)

    minutes = (time.monotonic() - began) / 60  # in which some are allowed again
    refused = [answer for answer in answers if answer.status == 429]
    joined = len(answers) - len(refused)
    assert given.status == 429
    assert 40 <= len(nonces) <= 41 + 40 * minutes  # four a join, in the worker that was asked
    assert line_of(server, room)["issued"] == joined <= 22 + 20 * minutes  # of two workers
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert {answer.json["outcome"] for answer in refused} == {"too_many_joins"}


def test_nonces_in_bulk_hold_no_places(server: Serving, fair: int, wire: Wire) -> None:
    """A drawer full of nonces is no place in line: numbers go by the moment of joining."""
    hoarded = [Visitor(wire, fair) for _ in range(STRANGERS)]
    for one in hoarded:
        one.fetch_nonce()
    issued = line_of(server, fair)["issued"]
    honest = Visitor(wire, fair)
    honest.join()
    for one in hoarded:
        one.join()

    assert honest.number == issued + 1
    assert [one.number for one in hoarded] == [
        honest.number + nth for nth in range(1, STRANGERS + 1)
    ]


def test_one_nonce_serves_one_visitor(server: Serving, fair: int, wire: Wire) -> None:
    """Many secrets on one nonce: the first binds it, the others get a place they cannot use."""
    owner = Visitor(wire, fair)
    owner.join()
    call_up_to(server, fair, owner.number)
    thieves = [Visitor(wire, fair) for _ in range(3)]
    for thief in thieves:
        thief.nonce = owner.nonce
        assert thief.join().json["place"] == owner.place
        assert thief.enter().json["outcome"] == "wrong_holder"
    assert owner.enter().status == 201


def test_nonces_of_ones_own_making_are_none(server: Serving, fair: int, wire: Wire) -> None:
    """Bytes that look like a nonce, from the past or the future, signed with nothing."""
    visitor = Visitor(wire, fair)
    real = visitor.fetch_nonce()
    raw = bytearray(unb64(real))
    raw[16:28] = bytes(12)
    for made in (b64(bytes(raw)), b64(b"\1\3\0\0" + bytes(40)), b64(bytes(44))):
        visitor.nonce = made
        assert visitor.join().json["outcome"] == "invalid_token"
    late = RING.seal(nonce_at(fair, int(time.time()) // 60 - 24 * 60))
    visitor.nonce = late
    assert visitor.join().json["outcome"] == "nonce_expired"
