"""What a gate verifies by itself: passes by the published vectors, and the room's document."""

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.protocol import make_vectors
from sunseo.core.later import LaterOutcome
from sunseo.gate.sender import _LATER
from sunseo.gate.verifier import (
    OFFSET_WINDOW_MS,
    PassVerifier,
    RoomClock,
    RoomState,
    StateError,
    gate_keys,
    is_older,
)
from sunseo.passes.keys import KeyRing
from sunseo.passes.tokens import TokenError
from tests.gate_room import ROOM, T0, Room

VECTORS: dict[str, Any] = json.loads(make_vectors.FILE.read_text("utf-8"))
VERIFIERS = {name: PassVerifier(gate_keys(keys)) for name, keys in VECTORS["gate_keys"].items()}


@pytest.mark.parametrize("row", VECTORS["gate"], ids=lambda row: f"{row['keys']}: {row['name']}")
def test_gate_says_what_is_published(row: dict[str, Any]) -> None:
    """Each row for gates is admitted, or refused for its reason."""
    verifier = VERIFIERS[row["keys"]]
    arguments = (row["text"], row["now_ms"], VECTORS["epoch"], VECTORS["skew_ms"])
    if row["reason"] is None:
        assert verifier.check(*arguments).room == VECTORS["room"]
        return
    with pytest.raises(TokenError) as caught:
        verifier.check(*arguments)
    assert caught.value.reason == row["reason"]


@pytest.mark.parametrize("row", VECTORS["state"], ids=lambda row: f"{row['keys']}: {row['name']}")
def test_state_document_is_accepted_as_published(row: dict[str, Any]) -> None:
    """Each document is read if the room signed it, and is nothing otherwise."""
    verifier = VERIFIERS[row["keys"]]
    if row["accepted"]:
        state = verifier.state(row["document"].encode())
        assert (state.room, state.epoch, len(state.revoked)) == (42, 3, 1)
        return
    with pytest.raises(StateError):
        verifier.state(row["document"].encode())


@given(at=st.integers(0), byte=st.integers(1, 255))
def test_any_byte_of_a_state_document_counts(at: int, byte: int) -> None:
    """Changing one byte anywhere makes it nobody's document."""
    room = Room()
    raw = bytearray(room.document())
    raw[at % len(raw)] ^= byte

    with pytest.raises(StateError):
        PassVerifier(room.keys).state(bytes(raw))


def test_members_behind_the_signature_do_not_exist() -> None:
    """An attacker between gate and room appends members; a lenient reader would take the last."""
    room = Room()
    verifier = PassVerifier(room.keys)
    genuine = room.document()
    assert verifier.state(genuine + b"\n").fail_mode == "closed"

    for appended in (b',"fail_mode":"open"}', b',"fail_mode":"open","signature":"x"}', b"{}"):
        with pytest.raises(StateError):
            verifier.state(genuine[:-1] + appended)


def test_document_of_another_room_is_refused() -> None:
    """Signed by the right key, but about another line."""
    room = Room()
    room.members["room"] = 43

    with pytest.raises(StateError, match="room 43"):
        PassVerifier(room.keys).state(room.document())


def test_a_verified_pass_is_remembered_and_a_forged_one_is_not() -> None:
    """Noise cannot push genuine passes out of the memory, nor get into it."""
    room = Room(ed25519=True)
    verifier = PassVerifier(room.keys)
    text = room.sealed()
    for _ in range(3):
        verifier.check(text, T0, None, 0)
        with pytest.raises(TokenError):
            verifier.check(text[:-1] + ("A" if text[-1] != "A" else "B"), T0, None, 0)

    assert verifier.open.cache_info().currsize == 1


def test_public_keys_mint_nothing() -> None:
    """Whoever steals the keys of an Ed25519 gate holds nothing that signs."""
    keys = Room(ed25519=True).keys
    assert [(key.pass_key, key.state_key) for key in keys.keys] == [(None, None)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"room": 1, "algorithm": "hmac", "keys": []},
        {"room": 1, "algorithm": "none", "keys": [{"id": 0}]},
        {"room": 1, "algorithm": "hmac", "keys": [{"id": 0, "pass_key": "AAAA"}]},
        {"room": 1, "algorithm": "ed25519", "keys": [{"id": 0, "public_key": "AAAA"}]},
    ],
    ids=["no key", "no algorithm", "a short key", "a short public key"],
)
def test_keys_that_are_none_are_refused(wrong: Any) -> None:
    """The gate does not start with keys that were cut, or without any."""
    with pytest.raises(ValueError, match="gate key"):
        PassVerifier(gate_keys(wrong))


def test_keys_are_read_as_an_operator_gets_them() -> None:
    """As a struct, as decoded JSON and as its text."""
    keys = KeyRing(1, {0: b"k" * 32}, 0).gate_keys(ROOM)
    text = json.dumps(VECTORS["gate_keys"]["hmac"])

    assert gate_keys(keys) is keys
    assert gate_keys(text) == gate_keys(text.encode()) == gate_keys(json.loads(text))


def test_clock_follows_the_room_and_not_this_machine() -> None:
    """A clock that is ten minutes wrong tells the room's time after one document."""
    clock = RoomClock(wall_ms=T0 - 600_000, monotonic_ms=5_000)
    assert clock.now_ms(5_000) == T0 - 600_000

    clock.learn(T0, monotonic_ms=6_000)
    assert clock.now_ms(7_000) == T0 + 1_000


def test_clock_takes_the_least_delayed_document() -> None:
    """A document that a cache kept for half a minute does not set the clock back."""
    clock = RoomClock(T0, 0)
    clock.learn(T0 + 1_000, 1_000)
    clock.learn(T0 - 28_000, 2_000)
    assert clock.now_ms(2_000) == T0 + 2_000

    late = 3_000 + OFFSET_WINDOW_MS
    clock.learn(T0 + late - 500, late)  # the first is forgotten: the second counts no more either
    assert clock.now_ms(late) == T0 + late - 500


def test_clock_goes_back_when_the_rooms_does() -> None:
    """Where what was learnt is known to be of another time, the next document tells the time."""
    clock = RoomClock(T0, 0)
    clock.learn(T0 + 1_000, 1_000)
    clock.forget()
    clock.learn(T0 + 2_000 - 3_600_000, 2_000)
    assert clock.now_ms(3_000) == T0 + 3_000 - 3_600_000


def test_line_that_has_come_further_is_newer_whatever_the_time() -> None:
    """After the room's clock went back gates follow the line; a replay still changes nothing."""
    known = RoomState(1, 1, "open", "fifo", T0, issued=9, serving=5)
    replace = msgspec.structs.replace
    back = replace(known, now=T0 - 3_600_000)
    assert not is_older(replace(back, serving=6), known)
    assert not is_older(replace(back, issued=10), known)
    assert is_older(back, known)
    assert is_older(replace(back, serving=4, issued=10), known)
    assert is_older(replace(back, epoch=0, serving=6), known)
    assert not is_older(replace(known, now=T0 + 1, serving=4), known)
    assert not is_older(replace(back, epoch=2, serving=0), known)


def test_what_is_told_again_is_what_lanes_call_later() -> None:
    """The sender repeats exactly the outcomes that mean "ask again"."""
    assert {outcome.code for outcome in LaterOutcome} == _LATER


def test_importing_the_gate_is_cheap() -> None:
    """No database, no web framework, no event loop of ours comes into other people's apps."""
    heavy = "sqlalchemy asyncpg starlette uvicorn aiohttp prometheus_client structlog cryptography"
    program = (
        "import sys; import sunseo.gate.asgi, sunseo.gate.wsgi;"
        f"print([name for name in {heavy.split()} if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert ran.stdout.strip() == "[]"
