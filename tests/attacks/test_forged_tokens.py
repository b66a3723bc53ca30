"""Forged and edited tokens: every byte of every kind, against the running service."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sunseo.core.signing import encode_base64url, mac16
from sunseo.gate.verifier import PassVerifier, gate_keys
from sunseo.passes.keys import KeyRing, nonce_at
from sunseo.passes.tokens import TokenError, seal
from tests.attacks.attacker import (
    ORGANISATION,
    RETIRED,
    RETIRED_ID,
    RING,
    SECRET,
    Serving,
    Visitor,
    Wire,
    b64,
    call_up_to,
    create_room,
    inside,
    line_of,
    stored,
    unb64,
)

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
KINDS = ("nonce", "place", "pass", "receipt")


class Loot(NamedTuple):
    """Genuine tokens of one room, and of a draw, that the attacker has for herself."""

    room: int
    draw: int
    visitor: Visitor  # inside
    waiting: Visitor  # has a place, and is not called
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def loot(server: Serving, operator: str) -> Iterator[Loot]:
    wire = Wire(server.port)
    room = create_room(server, operator, rate_max=0.001)
    opens_at = (datetime.now(UTC) + timedelta(minutes=20)).isoformat()
    draw = create_room(server, operator, mode="random", opens_at=opens_at)
    visitor = inside(server, wire, room)
    waiting = Visitor(wire, room)
    waiting.join()
    entrant = Visitor(wire, draw)
    receipt = entrant.join().json["receipt"]
    unused = Visitor(wire, room).fetch_nonce()
    tokens = {
        "nonce": unused,
        "place": visitor.place,
        "pass": visitor.ticket,
        "receipt": receipt,
    }
    yield Loot(room, draw, visitor, waiting, tokens)
    wire.close()


def uses_of(loot: Loot, kind: str) -> list[Callable[[str], Any]]:
    """Every request in which a token of this kind is sent, as a call with the token."""
    visitor = loot.visitor
    binding = {"binding": b64(bytes(15) + b"x")}

    def join(text: str) -> Any:
        return visitor.wire.ask("PUT", f"{visitor.path}/places/{text}", binding)

    if kind == "nonce":
        return [join]
    if kind in ("place", "receipt"):
        return [visitor.enter]
    return [lambda text, what=what: visitor.say(what, text) for what in ("renew", "complete")]  # type: ignore[misc]  # mypy cannot name a lambda's default


@pytest.mark.parametrize("kind", KINDS)
def test_edited_bytes_at_every_position(server: Serving, loot: Loot, kind: str) -> None:
    """One character after the other is another one: refused each time, and nothing moves."""
    text = loot.tokens[kind]
    dice = random.Random(kind)
    before = stored(server, loot.room)
    for use in uses_of(loot, kind):
        for position, old in enumerate(text):
            new = dice.choice(ALPHABET.replace(old, ""))
            answer = use(text[:position] + new + text[position + 1 :])
            assert (answer.status, answer.json["outcome"]) == (403, "invalid_token"), position
    assert stored(server, loot.room) == before


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_at_every_position(server: Serving, loot: Loot, kind: str) -> None:
    """Of the bytes below the base64url, each bit that is flipped voids the token."""
    raw = unb64(loot.tokens[kind])
    before = stored(server, loot.room)
    use = uses_of(loot, kind)[0]
    for position in range(len(raw)):
        flipped = bytearray(raw)
        flipped[position] ^= 1 << position % 8
        answer = use(encode_base64url(bytes(flipped)))
        assert (answer.status, answer.json["outcome"]) == (403, "invalid_token"), position
    assert stored(server, loot.room) == before


@pytest.mark.parametrize("kind", KINDS)
def test_cut_at_every_length(server: Serving, loot: Loot, kind: str) -> None:
    """From one character to all but one: refused, and never an error of ours."""
    text = loot.tokens[kind]
    before = stored(server, loot.room)
    for use in uses_of(loot, kind):
        for length in range(1, len(text)):
            answer = use(text[:length])
            # The body's own bounds come first for what is shorter than any token.
            assert answer.status == (422 if length < 4 and kind != "nonce" else 403), length
    assert stored(server, loot.room) == before


@st.composite
def mangled(draw: st.DrawFn) -> tuple[str, Callable[[str], str]]:
    """A kind of token, and something that somebody does to its text."""
    kind = draw(st.sampled_from(KINDS))
    at = draw(st.integers(0, 200))
    count = draw(st.integers(1, 40))
    junk = draw(st.text(ALPHABET + "=+/. \n\0é", min_size=1, max_size=8))
    ways: list[Callable[[str], str]] = [
        lambda text: text[: at % len(text)] + junk + text[at % len(text) :],
        lambda text: text[: at % len(text)] + text[at % len(text) + count :],
        lambda text: text[::-1],
        lambda text: text[-count:] + text[:-count],
        lambda text: text + "=" * count,
        lambda text: text.swapcase(),
        lambda text: text + text,
        lambda text: text[: at % len(text)],
    ]
    return kind, draw(st.sampled_from(ways))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mangled())
def test_mangled_tokens_give_nothing(
    server: Serving, loot: Loot, attack: tuple[str, Callable[[str], str]]
) -> None:
    """Cut, stretched, turned, padded, doubled: whatever is not the one spelling is refused."""
    kind, mangle = attack
    text = mangle(loot.tokens[kind])
    if text == loot.tokens[kind]:
        return
    visitor = loot.visitor
    if kind == "nonce":
        if not text or set(text) - set(ALPHABET):
            return  # such a path is none, whatever it names
        target = f"{visitor.path}/places/{text}"
        answer = visitor.wire.ask("PUT", target, {"binding": b64(bytes(16))})
        assert answer.status in (403, 404)
        return
    body = {"pass": text} if kind == "pass" else {"place": text, "secret": visitor.secret}
    what = "renew" if kind == "pass" else "enter"
    answer = visitor.wire.ask("POST", f"{visitor.path}/{what}", body)
    assert answer.status in (403, 422), answer
    assert "pass" not in answer.json


def test_tokens_serve_nowhere_else(server: Serving, loot: Loot) -> None:
    """Each kind where another is asked for: a receipt is no place, a pass no nonce."""
    visitor, before = loot.visitor, stored(server, loot.room)
    sends: dict[str, Callable[[str], Any]] = {
        "nonce": lambda text: visitor.wire.ask(
            "PUT", f"{visitor.path}/places/{text}", {"binding": b64(bytes(16))}
        ),
        "place": visitor.enter,
        "pass": lambda text: visitor.say("renew", text),
    }
    for kind, text in loot.tokens.items():
        for wanted, send in sends.items():
            if wanted != kind:
                answer = send(text)
                too_long_for_a_path = wanted == "nonce" and len(text) > 100
                assert answer.status == (404 if too_long_for_a_path else 403), (kind, wanted)
                assert "place" not in answer.json
    assert stored(server, loot.room) == before


def test_receipts_are_no_places_of_their_own_draw(server: Serving, loot: Loot) -> None:
    """The receipt of a draw enters neither its own room nor another one."""
    for room in (loot.draw, loot.room):
        thief = Visitor(loot.visitor.wire, room)
        answer = thief.enter(loot.tokens["receipt"])
        assert (answer.status, answer.json["reason"]) in ((403, "kind"), (403, "room"))


def test_tokens_of_another_room_open_nothing(server: Serving, operator: str, loot: Loot) -> None:
    """A place, pass and nonce of a quiet room are worth nothing in the one that everybody wants."""
    quiet = create_room(server, operator)
    wire = loot.visitor.wire
    early = inside(server, wire, quiet)
    before = stored(server, loot.room)
    early.path = loot.visitor.path
    answers = [early.join(), early.enter(), early.say("renew"), early.say("leave")]
    assert [(answer.status, answer.json["reason"]) for answer in answers] == [(403, "room")] * 4
    assert stored(server, loot.room) == before


def test_tokens_of_another_epoch_are_void(server: Serving, operator: str, wire: Wire) -> None:
    """What was good before a reset is told so, and moves nothing in the new line."""
    room = create_room(server, operator)
    old = inside(server, wire, room)
    reset = server.ask("POST", f"/v1/rooms/{room}/reset", {"epoch": 1}, bearer=operator)
    assert reset.status == 200
    place, ticket = old.place, old.ticket
    answers = [old.enter(place), old.say("renew", ticket), old.say("complete", ticket)]
    assert [answer.json["outcome"] for answer in answers] == ["other_epoch"] * 3
    assert line_of(server, room)["live"] == 0


def forged_place(loot: Loot, ring: KeyRing, **changes: Any) -> str:
    """A place as the attacker would like it, signed with what keys she has."""
    genuine = RING.open_place(loot.waiting.place, loot.room)
    return ring.seal(msgspec.structs.replace(genuine, **changes))


def test_tokens_of_another_key_are_refused(loot: Loot) -> None:
    """An attacker's own secret under every key id: unknown ids and wrong signatures."""
    reasons = set()
    for key_id in range(256):
        ring = KeyRing(ORGANISATION, {key_id: b"the attacker's own secret, 32 bytes"}, key_id)
        answer = loot.waiting.enter(forged_place(loot, ring, number=1))
        assert (answer.status, answer.json["outcome"]) == (403, "invalid_token")
        reasons.add((answer.json["reason"], key_id in (0, RETIRED_ID)))
    assert reasons == {("key", False), ("signature", True)}


def test_another_organisations_tokens_are_refused(loot: Loot) -> None:
    """The same secret, another organisation: no key of one is a key of the other."""
    ring = KeyRing(2, {0: SECRET.encode()}, 0)
    answer = loot.waiting.enter(forged_place(loot, ring, number=1))
    assert (answer.status, answer.json["reason"]) == (403, "signature")


def test_retired_key_still_opens_and_names_itself(loot: Loot) -> None:
    """A token under a retired secret is genuine; under the other's id it is not."""
    ring = KeyRing(ORGANISATION, {RETIRED_ID: RETIRED.encode()}, RETIRED_ID)
    genuine = loot.waiting.enter(forged_place(loot, ring))
    raw = bytearray(unb64(forged_place(loot, ring)))
    raw[2] = 0
    swapped = loot.waiting.enter(b64(bytes(raw)))
    assert genuine.json["outcome"] == "not_served"
    assert swapped.json["reason"] == "signature"


def test_stolen_gate_key_mints_nothing_but_passes_of_its_room(
    server: Serving, operator: str, loot: Loot
) -> None:
    """Who breaks into a guarded site has its room's pass key: no place, nonce or other room."""
    keys = server.ask("GET", f"/v1/rooms/{loot.room}/keys", bearer=operator).json
    stolen = unb64(keys["keys"][0]["pass_key"])

    def sign(body: bytes) -> bytes:
        return mac16(stolen, body)

    genuine = RING.open_place(loot.waiting.place, loot.room)
    place = seal(msgspec.structs.replace(genuine, number=1), 0, sign)
    minted = msgspec.structs.replace(
        RING.open_pass(loot.visitor.ticket, loot.room), pass_id=uuid4(), number=10**6
    )
    elsewhere = msgspec.structs.replace(minted, room=loot.draw)
    before = stored(server, loot.room)

    entered = loot.waiting.enter(place)
    joined = loot.waiting.wire.ask(
        "PUT",
        f"{loot.waiting.path}/places/{seal(nonce_at(loot.room, 29_000_000), 0, sign)}",
        {"binding": b64(bytes(16))},
    )
    renewed = loot.waiting.say("renew", seal(minted, 0, sign))
    other = loot.waiting.wire.ask(
        "POST", f"/v1/rooms/{loot.draw}/renew", {"pass": seal(elsewhere, 0, sign)}
    )

    assert [a.json["reason"] for a in (entered, joined, other)] == ["signature"] * 3
    assert (renewed.status, renewed.json["outcome"]) == (404, "unknown_pass")
    assert stored(server, loot.room) == before


def test_edited_pass_opens_no_gate(server: Serving, operator: str, loot: Loot) -> None:
    """At the gate as at the service: each position, verified with the keys that operators get."""
    keys = server.ask("GET", f"/v1/rooms/{loot.room}/keys", bearer=operator).body
    verifier = PassVerifier(gate_keys(keys))
    text = loot.tokens["pass"]
    held = verifier.check(text, 0, 1, 0)
    assert held.number == loot.visitor.number
    for position, old in enumerate(text):
        for new in ALPHABET.replace(old, "")[::9]:
            with pytest.raises(TokenError):
                verifier.check(text[:position] + new + text[position + 1 :], 0, 1, 0)


def test_numbers_that_no_line_can_have_are_no_errors(
    server: Serving, operator: str, loot: Loot
) -> None:
    """A gate's key signs a pass with an absurd number: unknown, and nobody else's batch fails."""
    held = RING.open_pass(loot.visitor.ticket, loot.room)
    absurd = [
        msgspec.structs.replace(held, number=2**64 - 1, pass_id=UUID(int=2**128 - 1)),
        msgspec.structs.replace(held, number=2**63, pass_id=UUID(int=1 << 127)),
        msgspec.structs.replace(held, pass_id=UUID(int=0)),
        msgspec.structs.replace(held, renewal=2**32 - 1),
    ]
    answers = [loot.visitor.say("renew", RING.seal(one)) for one in absurd]
    assert [answer.json["outcome"] for answer in answers] == ["unknown_pass"] * 4

    genuine = RING.open_place(loot.waiting.place, loot.room)
    for changes in ({"number": 2**64 - 1}, {"issued_at_ms": 2**64 - 1}):
        place = RING.seal(msgspec.structs.replace(genuine, **changes))
        assert loot.waiting.enter(place).json["outcome"] == "not_served"
    void = RING.seal(msgspec.structs.replace(genuine, epoch=2**32 - 1))
    assert loot.waiting.enter(void).json["outcome"] == "other_epoch"


def test_called_up_to_the_attackers_place_enters_only_her(
    server: Serving, operator: str, wire: Wire
) -> None:
    """Somebody else's place without its secret, and her own place with the number of another."""
    room = create_room(server, operator, rate_max=0.001)
    victim, thief = Visitor(wire, room), Visitor(wire, room)
    victim.join()
    thief.join()
    call_up_to(server, room, victim.number)
    stolen = thief.enter(victim.place)
    assert (stolen.status, stolen.json["outcome"]) == (403, "wrong_holder")
    assert thief.enter().json["outcome"] == "not_served"
    assert victim.enter().status == 201
