"""Requests sent twice, answers that got lost, and passes that go from hand to hand."""

import socket
import time
from typing import Any
from uuid import UUID

import msgspec
import pytest

from sunseo.gate.decision import GateCore
from sunseo.gate.options import GateOptions
from sunseo.gate.policy import GateRequest
from sunseo.gate.verifier import PassVerifier, gate_keys
from sunseo.passes.tokens import TokenError
from tests.attacks.attacker import (
    RING,
    Crowd,
    Serving,
    Visitor,
    Wire,
    binding_of,
    call_up_to,
    create_room,
    inside,
    line_of,
    request,
    rows,
    seen_by_all,
    until,
)

AT_ONCE = 24  # the same request, on as many connections, over both workers


@pytest.fixture(scope="module")
def room(server: Serving, operator: str) -> int:
    return create_room(server, operator, rate_max=0.001)


def test_join_replayed_at_once_takes_one_number(server: Serving, room: int, wire: Wire) -> None:
    """The same nonce on many connections: one place, the same text for all."""
    visitor = Visitor(wire, room)
    nonce = visitor.fetch_nonce()
    assert visitor.secret is not None
    join = request("PUT", f"{visitor.path}/places/{nonce}", {"binding": binding_of(visitor.secret)})
    issued = line_of(server, room)["issued"]

    answers = Crowd(server.port).storm([join] * AT_ONCE)

    assert {answer.json["place"] for answer in answers} == {answers[0].json["place"]}
    assert sorted(answer.status for answer in answers) == [200] * (AT_ONCE - 1) + [201]
    assert line_of(server, room)["issued"] == issued + 1


def test_enter_replayed_at_once_takes_one_slot(server: Serving, room: int, wire: Wire) -> None:
    """The same place on many connections: one pass, one slot."""
    visitor = Visitor(wire, room)
    visitor.join()
    call_up_to(server, room, visitor.number)
    live = line_of(server, room)["live"]
    body = {"place": visitor.place, "secret": visitor.secret}

    answers = Crowd(server.port).storm([request("POST", f"{visitor.path}/enter", body)] * AT_ONCE)

    assert sorted(answer.status for answer in answers) == [200] * (AT_ONCE - 1) + [201]
    assert len({answer.json["pass"] for answer in answers}) == 1
    assert line_of(server, room)["live"] == live + 1


def test_renewal_replayed_at_once_counts_once(server: Serving, room: int, wire: Wire) -> None:
    """The same pass on many connections, as after a lost answer: one next token, nobody revoked."""
    visitor = inside(server, wire, room)
    body = {"pass": visitor.ticket}

    answers = Crowd(server.port).storm([request("POST", f"{visitor.path}/renew", body)] * AT_ONCE)

    assert {answer.status for answer in answers} == {200}
    (renewed,) = {answer.json["pass"] for answer in answers}
    assert RING.open_pass(renewed, room).renewal == 1


def test_leaving_replayed_at_once_frees_one_slot(server: Serving, room: int, wire: Wire) -> None:
    """Leaving and completing many times over give back what was taken, once."""
    visitor = inside(server, wire, room)
    live = line_of(server, room)["live"]
    body = {"pass": visitor.ticket}
    storm = [
        request("POST", f"{visitor.path}/{what}", body)
        for what in ("leave", "complete") * (AT_ONCE // 2)
    ]

    answers = Crowd(server.port).storm(storm)

    assert {answer.status for answer in answers} == {200}
    assert line_of(server, room)["live"] == live - 1


@pytest.mark.parametrize("step", ["join", "enter", "renew"])
def test_lost_responses_cost_nothing(server: Serving, room: int, wire: Wire, step: str) -> None:
    """The line goes dead before the answer: what was taken is given again, and only once."""
    visitor = Visitor(wire, room)
    visitor.fetch_nonce()
    if step != "join":
        visitor.join()
        call_up_to(server, room, visitor.number)
    if step == "renew":
        visitor.enter()
    raw = raw_request(visitor, step)
    for _ in range(3):  # sent, and not read
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(raw)
    answers = [repeat(visitor, step, raw, server), repeat(visitor, step, raw, server)]

    assert all(answer.status in (200, 201) for answer in answers), answers
    name = "place" if step == "join" else "pass"
    assert answers[0].json[name] == answers[1].json[name]
    ((places, passes),) = rows(
        server,
        "SELECT count(*), (SELECT count(*) FROM room_passes AS s WHERE s.room = p.room"
        " AND s.number = max(p.number)) FROM room_places AS p"
        " WHERE room = $1 AND holder = $2 GROUP BY room",
        room,
        RING.open_nonce(visitor.nonce, room).id,
    )
    assert (places, passes) == (1, 0 if step == "join" else 1)


def raw_request(visitor: Visitor, step: str) -> bytes:
    assert visitor.secret is not None
    if step == "join":
        body: dict[str, Any] = {"binding": binding_of(visitor.secret)}
        return request("PUT", f"{visitor.path}/places/{visitor.nonce}", body)
    if step == "enter":
        body = {"place": visitor.place, "secret": visitor.secret}
        return request("POST", f"{visitor.path}/enter", body)
    return request("POST", f"{visitor.path}/renew", {"pass": visitor.ticket})


def repeat(visitor: Visitor, step: str, raw: bytes, server: Serving) -> Any:
    (answer,) = Crowd(server.port).storm([raw])
    return answer


def test_shared_pass_ends_for_the_whole_family(server: Serving, operator: str, wire: Wire) -> None:
    """Two friends, one pass: when the second renews an old token it ends, here and at every gate.

    A gate in another process hears of it by nothing but the state document.
    """
    room = create_room(server, operator, renewal_grace_s=0)
    visitor = inside(server, wire, room)
    friends = visitor.ticket
    with gate_of(server, operator, room) as gate:
        assert lets_in(gate, friends)
        renewed = visitor.say("renew")
        time_has_passed(server, room)
        caught = visitor.say("renew", friends)

        assert renewed.status == 200
        assert (caught.status, caught.json["outcome"]) == (410, "pass_revoked")
        assert visitor.say("renew").json["outcome"] == "pass_revoked"
        assert visitor.enter().json["outcome"] == "pass_revoked"
        assert line_of(server, room)["live"] == 0
        pass_id = str(RING.open_pass(friends, room).pass_id)
        seen_by_all(server, room, lambda state: pass_id in state["revoked"])
        until(lambda: gate.poller.look_once() and not lets_in(gate, friends), "the gate hears")
        assert not lets_in(gate, visitor.ticket)
        assert not lets_in(gate, renewed.json["pass"])


def test_sharing_in_step_is_one_visit_of_one_person(
    server: Serving, operator: str, wire: Wire
) -> None:
    """Who shares place and secret, too, is one visitor to us: one slot, one session, one end.

    This is not detected. What it is worth: one pass, which ends with the session for all of them.
    """
    room = create_room(server, operator, session_max_s=60)
    first = inside(server, wire, room)
    second = Visitor(wire, room)
    second.secret, second.place = first.secret, first.place

    assert second.enter().status == 200
    for _ in range(3):
        first.say("renew")
        assert second.enter().status == 200
        assert second.ticket == first.ticket
    assert line_of(server, room)["live"] == 1
    held = RING.open_pass(first.ticket, room)
    assert held.expires_at_ms <= held.issued_at_ms + 60_000


def test_stolen_old_pass_cannot_be_freshened_after_its_grace(
    server: Serving, operator: str, wire: Wire
) -> None:
    """A pass out of a log or a link is renewed by nobody once its owner has gone on."""
    room = create_room(server, operator, renewal_grace_s=0)
    owner = inside(server, wire, room)
    stolen = owner.ticket
    owner.say("renew")
    owner.say("renew")
    time_has_passed(server, room)
    assert owner.say("renew", stolen).json["outcome"] == "pass_revoked"


def time_has_passed(server: Serving, room: int) -> None:
    """Put the last renewals a little into the past: graces are over without anybody sleeping."""
    rows(
        server,
        "UPDATE room_passes SET renewed_at = renewed_at - interval '1 s' WHERE room = $1",
        room,
    )


class gate_of:  # noqa: N801 - used as a function is
    """A gate of this room with the keys and documents of the running server."""

    def __init__(self, server: Serving, operator: str, room: int) -> None:
        keys = server.ask("GET", f"/v1/rooms/{room}/keys", bearer=operator).body
        self._core = GateCore(
            GateOptions(room=room, keys=gate_keys(keys), sunseo_url=server.url, renewal_wait_s=0)
        )

    def __enter__(self) -> GateCore:
        self._core.start()
        assert self._core.poller.looked.wait(30)
        return self._core

    def __exit__(self, *error: object) -> None:
        self._core.stop()


def lets_in(gate: GateCore, ticket: str) -> bool:
    asked = GateRequest("GET", "/buy", b"/buy", "", {}, "https", None)
    return gate.judge("", ticket, lambda: asked).answer is None


def test_gate_refuses_what_the_service_refuses(server: Serving, operator: str, wire: Wire) -> None:
    """Expired, of another room, of another epoch, signed by another: at a gate with real keys."""
    room = create_room(server, operator)
    visitor = inside(server, wire, room)
    held = RING.open_pass(visitor.ticket, room)
    now_ms = round(time.time() * 1000)
    with gate_of(server, operator, room) as gate:
        assert lets_in(gate, visitor.ticket)
        for changes in (
            {"expires_at_ms": now_ms - 6_000},
            {"epoch": 2},
            {"room": room + 1},
        ):
            assert not lets_in(gate, RING.seal(msgspec.structs.replace(held, **changes)))
        assert not lets_in(gate, visitor.place)
        assert not lets_in(gate, RING.seal(held, ed25519=True))


def test_pass_given_back_ends_at_gates_with_its_token(
    server: Serving, operator: str, wire: Wire
) -> None:
    """Enter, give the slot back, stay: a gate that was not told lets in for the token's minute.

    This is not held at once, only bounded: the document lists revoked passes, not those given back.
    """
    room = create_room(server, operator)
    visitor = inside(server, wire, room)
    visitor.say("leave")
    held = RING.open_pass(visitor.ticket, room)
    keys = server.ask("GET", f"/v1/rooms/{room}/keys", bearer=operator).body
    verifier = PassVerifier(gate_keys(keys))

    assert visitor.say("renew").json["outcome"] == "pass_done"
    assert held.expires_at_ms - held.issued_at_ms <= 60_000
    assert verifier.check(visitor.ticket, held.issued_at_ms, 1, 5_000) == held
    with pytest.raises(TokenError):
        verifier.check(visitor.ticket, held.expires_at_ms + 5_000, 1, 5_000)


def test_pass_revoked_by_the_site_ends_at_every_gate(
    server: Serving, operator: str, wire: Wire
) -> None:
    """Thrown out by one process of the site, she goes to another one: it hears of it, too."""
    room = create_room(server, operator)
    visitor = inside(server, wire, room)
    with gate_of(server, operator, room) as thrower, gate_of(server, operator, room) as other:
        assert lets_in(thrower, visitor.ticket)
        assert lets_in(other, visitor.ticket)
        thrower.sender.end("revoke", thrower.verifier.open(visitor.ticket), visitor.ticket)

        assert not lets_in(thrower, visitor.ticket)
        until(lambda: other.poller.look_once() and not lets_in(other, visitor.ticket), "it hears")
    assert visitor.say("renew").json["outcome"] == "pass_revoked"
    assert line_of(server, room)["live"] == 0


def test_revoked_passes_in_bulk_push_no_other_from_the_list(
    server: Serving, operator: str, wire: Wire
) -> None:
    """Somebody has many passes of her own revoked: a document lists a thousand, longest first.

    What falls off the list ends first by itself, at the latest a minute after its last renewal.
    """
    room = create_room(server, operator, capacity=5000)
    rows(
        server,
        "INSERT INTO room_passes (organisation, room, epoch, number, pass_id, holder, state,"
        " renewal, renewed_at, entered_at, expires_at, slot_until, session_until, ended_at)"
        " SELECT 1, $1, 1, n, lpad(to_hex(n), 32, '0')::uuid, gen_random_uuid(), 'revoked', 0,"
        " now(), now(), now() + n * interval '10 ms', now() + interval '1 h', now(), now()"
        " FROM generate_series(1, 1500) AS n",
        room,
    )
    seen_by_all(server, room, lambda state: len(state["revoked"]) == 1000)
    listed = server.ask("GET", f"/v1/rooms/{room}/state").json["revoked"]
    assert min(UUID(one).int for one in listed) == 501
