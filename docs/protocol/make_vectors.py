"""Writes vectors.json beside this file; to be run with `.venv/bin/python` after a change.

Everything in it follows from constants, so that two runs give the same bytes.
"""
# ruff: noqa: INP001 - a program beside its document, not a package

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from sunseo.core.signing import (
    Ed25519Signer,
    decode_base64url,
    derive_key,
    encode_base64url,
    mac16,
)
from sunseo.passes.keys import KeyRing
from sunseo.passes.polling import Poll, next_poll_s
from sunseo.passes.tokens import (
    NO_BINDING,
    STATE_PREFIX,
    Nonce,
    Pass,
    Place,
    Receipt,
    Token,
    TokenKind,
    kind_of,
)

FILE = Path(__file__).with_name("vectors.json")

ORGANISATION = 1
ROOM = 42
OTHER_ROOM = 43
SECRETS = {0: b"sunseo test secret, key id 0 .. 0", 7: b"sunseo test secret, key id 7 .. 7"}
CURRENT = 7
STRANGERS_SECRET = b"a secret that no server here has."
T0 = 1_790_000_000_000  # 2026-09-21T14:13:20Z
SAFE_MAX = 2**53 - 1  # what JavaScript's numbers hold exactly

HOLDER = UUID("01930f5e-0000-7000-8000-0000000000aa")
PASS_ID = UUID("5b0c7f6e-1d2a-4c3b-9e8f-001122334455")
ENTRANT = UUID("c0ffee00-aaaa-4bbb-8ccc-0123456789ab")
BINDING = bytes(range(0xF0, 0x100))
MINUTE = T0 // 60_000

PLACE = Place(ROOM, 3, 17_001, T0, HOLDER, BINDING)
ACCOUNT_PLACE = Place(ROOM, 3, 17_002, T0, HOLDER, NO_BINDING, account=True)
LARGE_PLACE = Place(
    SAFE_MAX, 2**32 - 1, SAFE_MAX, SAFE_MAX, UUID(int=2**128 - 1), b"\xff" * 16, account=True
)
PASS = Pass(ROOM, 3, 17_001, T0, HOLDER, BINDING, False, T0 + 60_000, PASS_ID)
RENEWED = Pass(ROOM, 3, 17_001, T0 + 30_000, HOLDER, BINDING, False, T0 + 90_000, PASS_ID, 1)
ACCOUNT_PASS = Pass(ROOM, 3, 17_002, T0, HOLDER, NO_BINDING, True, T0 + 60_000, PASS_ID, 4)
OTHER_PASS = Pass(OTHER_ROOM, 3, 17_001, T0, HOLDER, BINDING, False, T0 + 60_000, PASS_ID)
NONCE = Nonce(ROOM, MINUTE, UUID(bytes=MINUTE.to_bytes(4, "big") + bytes(range(12))))
RECEIPT = Receipt(ROOM, 3, T0, HOLDER, BINDING, False, ENTRANT)

STATE = (
    '{"room":42,"epoch":3,"phase":"open","mode":"fifo","issued":52000,"serving":17000,'
    '"speed":{"v10":8.5,"v50":10.0,"v90":11.2},"slowed":null,"units_left":1200,"sold_out":false,'
    '"message":{"ko":"곧 들어갑니다.","en":"You will be let in soon."},"opens_at":null,'
    '"poll":{"floor":2.0,"ceiling":60.0,"divisor":10.0},"pass":{"ttl":60,"renew_before":30},'
    '"revoked":["00000000-0000-4000-8000-000000000001"],"fail_mode":"closed",'
    f'"now":{T0 + 1000}'
).encode()

Row = dict[str, Any]


def ring(current: int = CURRENT, secrets: dict[int, bytes] | None = None) -> KeyRing:
    return KeyRing(ORGANISATION, secrets or SECRETS, current)


def fields(token: Token) -> Row:
    return {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in msgspec.structs.asdict(token).items()
    }


def valid() -> Iterator[Row]:
    now, before = ring(), ring(current=0)

    def row(name: str, token: Token, by: KeyRing, ed25519: bool = False) -> Row:
        return {
            "name": name,
            "kind": kind_of(token).name.lower(),
            "algorithm": "ed25519" if ed25519 else "hmac",
            "text": by.seal(token, ed25519),
            "fields": fields(token),
        }

    yield row("place of a browser", PLACE, now)
    yield row("place of an account", ACCOUNT_PLACE, now)
    yield row("place at the limits of its fields", LARGE_PLACE, now)
    yield row("place signed before the keys rotated", PLACE, before)
    yield row("pass", PASS, now)
    yield row("pass after its first renewal", RENEWED, now)
    yield row("pass of an account", ACCOUNT_PASS, now)
    yield row("pass signed before the keys rotated", PASS, before)
    yield row("pass with Ed25519", PASS, now, ed25519=True)
    yield row("pass of an account with Ed25519", ACCOUNT_PASS, now, ed25519=True)
    yield row("pass with Ed25519 signed before the keys rotated", PASS, before, ed25519=True)
    yield row("nonce", NONCE, now)
    yield row("receipt", RECEIPT, now)


def invalid() -> Iterator[Row]:
    """Each is refused by whoever has all the keys, opened as `kind` in `room`."""
    place, ticket = ring().seal(PLACE), ring().seal(PASS)
    signed = ring().seal(PASS, ed25519=True)

    def row(name: str, text: str, reason: str, kind: str = "pass", room: int = ROOM) -> Row:
        return {"name": name, "kind": kind, "room": room, "text": text, "reason": reason}

    yield from _misspelt(row, place, ticket)
    yield from _of_another_kind(row)
    yield row("of another room", ring().seal(OTHER_PASS), "room")
    yield row("its room edited", edited(ticket, 11, OTHER_ROOM), "signature", room=OTHER_ROOM)
    yield row("names an unknown key", edited(ticket, 2, 99), "key")
    yield row("names another known key", edited(ticket, 2, 0), "signature")
    yield row("names an unknown key, Ed25519", edited(signed, 2, 99), "key")
    yield row("names another known key, Ed25519", edited(signed, 2, 0), "signature")
    stranger = ring(secrets={CURRENT: STRANGERS_SECRET})
    yield row("signed with another secret", stranger.seal(PASS), "signature")
    yield row("signed with another Ed25519 key", stranger.seal(PASS, ed25519=True), "signature")
    for name, at in {
        "account flag": 3,
        "epoch": 15,
        "number": 23,
        "issued at": 31,
        "holder": 32,
        "binding": 63,
        "expiry": 71,
        "pass id": 72,
        "renewal": 91,
        "first byte of the signature": 92,
        "last byte of the signature": 107,
    }.items():
        yield row(f"{name} edited", flipped(ticket, at), "signature")
    yield row("expiry edited, Ed25519", flipped(signed, 71), "signature")
    yield row("last byte of the signature edited, Ed25519", flipped(signed, 155), "signature")
    yield row("number of a place edited", flipped(place, 23), "signature", "place")
    yield row("signature of zeros", encode_base64url(body(ticket) + bytes(16)), "signature")
    yield row("public key used as HMAC key", _signed_with_public_key(), "signature")
    key = derive_key(SECRETS[CURRENT], b"place", ORGANISATION, ROOM)
    crossed = body(ticket) + mac16(key, b"sunseo:pass:v1\0" + body(ticket))
    yield row("pass signed with the key of places", encode_base64url(crossed), "signature")
    key = derive_key(SECRETS[CURRENT], b"pass", ORGANISATION, ROOM)
    crossed = body(ticket) + mac16(key, b"sunseo:place:v1\0" + body(ticket))
    yield row("pass signed under the prefix of places", encode_base64url(crossed), "signature")


def _misspelt(row: Callable[..., Row], place: str, ticket: str) -> Iterator[Row]:
    yield row("empty", "", "malformed")
    yield row("one character", "A", "malformed")
    yield row("three bytes, which end before the flags", ticket[:4], "malformed")
    yield row("a body cut before its end", ticket[:100], "malformed")
    yield row("not base64url", "!" * len(ticket), "malformed")
    yield row("padded", place + "=", "malformed", "place")
    yield row("a line feed behind it", ticket + "\n", "malformed")
    yield row("a blank before it", " " + ticket, "malformed")
    yield row("beyond ASCII", ticket[:-1] + "é", "malformed")
    yield row("a digit of another script", ticket[:-1] + "\u0661", "malformed")
    raw = decode_base64url(ticket)
    slashed = raw[:-3] + b"\xff\xff\xff"
    plain = encode_base64url(slashed).replace("_", "/")
    yield row("base64 that is not base64url", plain, "malformed")
    tail = place[:-1] + chr(ord(place[-1]) + 1)
    yield row("bits set beyond the last byte", tail, "malformed", "place")
    yield row("a character short", ticket[:-1], "malformed")
    yield row("a byte short", encode_base64url(raw[:-1]), "malformed")
    yield row("a byte long", encode_base64url(raw + b"\0"), "malformed")
    yield row("twice", ticket + ticket, "malformed")
    yield row("of a later version", edited(ticket, 0, 2), "version")
    yield row("of version 0", edited(ticket, 0, 0), "version")
    yield row("of no known kind", edited(ticket, 1, 9), "malformed")
    yield row("an unknown flag set", edited(ticket, 3, 0x02), "malformed")
    yield row("the flag of Ed25519 on an HMAC pass", edited(ticket, 3, 0x80), "malformed")
    yield row("the flag of Ed25519 on a place", edited(place, 3, 0x80), "malformed", "place")
    signed = ring().seal(PASS, ed25519=True)
    yield row("the flag of Ed25519 taken off", edited(signed, 3, 0), "malformed")


def _of_another_kind(row: Callable[..., Row]) -> Iterator[Row]:
    tokens: tuple[Token, ...] = (PLACE, PASS, NONCE, RECEIPT)
    for token in tokens:
        for kind in TokenKind:
            if kind is not kind_of(token):
                name = f"{kind_of(token).name.lower()} shown as {kind.name.lower()}"
                yield row(name, ring().seal(token), "kind", kind.name.lower())
    disguised = edited(ring().seal(PLACE), 1, TokenKind.PASS)
    yield row("a place whose kind was edited", disguised, "malformed")


def gate() -> Iterator[Row]:
    """What a gate of ROOM says that knows only gate_keys, with 5 s of skew, in epoch 3."""
    rows: tuple[tuple[str, str, str, int, str | None], ...] = (
        ("live", "hmac", ring().seal(PASS), 0, None),
        ("live, keys rotated", "hmac", ring(current=0).seal(PASS), 0, None),
        ("live, Ed25519", "ed25519", ring().seal(PASS, True), 0, None),
        ("live, Ed25519, keys rotated", "ed25519", ring(current=0).seal(PASS, True), 0, None),
        ("last moment of the skew", "hmac", ring().seal(PASS), 64_999, None),
        ("expired", "hmac", ring().seal(PASS), 65_000, "expired"),
        ("expired, Ed25519", "ed25519", ring().seal(PASS, True), 65_000, "expired"),
        ("of an epoch before", "hmac", ring().seal(_in_epoch(2)), 0, "epoch"),
        ("of an epoch to come", "hmac", ring().seal(_in_epoch(4)), 0, "epoch"),
        ("of another epoch and expired", "hmac", ring().seal(_in_epoch(2)), 65_000, "epoch"),
        ("of another room", "hmac", ring().seal(OTHER_PASS), 0, "room"),
        ("a place", "hmac", ring().seal(PLACE), 0, "kind"),
        ("an HMAC pass at a gate with public keys", "ed25519", ring().seal(PASS), 0, "key"),
        ("an Ed25519 pass at a gate with HMAC keys", "hmac", ring().seal(PASS, True), 0, "key"),
        ("public key used as HMAC key", "ed25519", _signed_with_public_key(), 0, "key"),
    )
    for name, keys, text, later_ms, reason in rows:
        yield {"name": name, "keys": keys, "text": text, "now_ms": T0 + later_ms, "reason": reason}


def state() -> Iterator[Row]:
    def row(name: str, keys: str, signature: str, accepted: bool, document: bytes = STATE) -> Row:
        text = f'{document.decode()},"signature":"{signature}"}}'
        return {"name": name, "keys": keys, "document": text, "accepted": accepted}

    for ed25519, keys in ((False, "hmac"), (True, "ed25519")):
        signature = ring().state_signature(ROOM, STATE, ed25519)
        before = ring(current=0).state_signature(ROOM, STATE, ed25519)
        yield row("signed", keys, signature, True)
        yield row("signed before the keys rotated", keys, before, True)
        yield row("a figure edited", keys, signature, False, STATE.replace(b"17000", b"17001"))
        foreign = ring().state_signature(OTHER_ROOM, STATE, ed25519)
        yield row("signed for another room", keys, foreign, False)
        yield row("a character off", keys, signature[:-1], False)
        behind = f'{signature}","fail_mode":"open","x":"'
        yield row("members behind the signature", keys, behind, False)
        behind = f'{signature}","fail_mode":"open","signature":"{signature}'
        yield row("members and the signature once more", keys, behind, False)
    unprefixed = mac16(derive_key(SECRETS[CURRENT], b"state", ORGANISATION, ROOM), STATE)
    yield row("signed without the prefix", "hmac", encode_base64url(unprefixed), False)


# What the rule is told of a room, where a row says nothing else.
POLLED: Row = {
    "phase": "open",
    "opens_at": None,
    "halted": None,
    "serving": 100,
    "speed": None,
    "poll": {"floor": 2.0, "ceiling": 60.0, "divisor": 10.0},
}
WIDE: Row = {"poll": {"floor": 1.0, "ceiling": 300.0, "divisor": 4.0}}


class PolledPace(msgspec.Struct, frozen=True):
    v50: float


class Polled(msgspec.Struct, frozen=True):
    """A row's state, as the rule reads it."""

    phase: str
    opens_at: int | None
    halted: str | None
    speed: PolledPace | None
    poll: Poll


def polls() -> Iterator[Row]:
    """Seconds until a visitor asks for the state again, before they are spread by chance."""

    def row(name: str, number: int | None, speed: float | None = None, **more: Any) -> Row:
        pace = None if speed is None else {"v10": speed / 2, "v50": speed, "v90": speed * 2}
        state: Row = {**POLLED, "speed": pace, **more}
        ahead = None if number is None else number - state["serving"]
        after_s = next_poll_s(msgspec.convert(state, Polled), ahead, T0)
        return {"name": name, "state": state, "number": number, "now": T0, "after_s": after_s}

    yield row("a tenth of the wait", 1_100, 10.0)
    yield row("a tenth of the wait, in part", 173, 2.5)
    yield row("at the front", 101, 10.0)
    yield row("far behind", 52_000, 10.0)
    yield row("called", 100, 10.0)
    yield row("called long ago", 7, 10.0)
    yield row("called, nobody can say", 100)
    yield row("nobody can say, first in line", 101)
    yield row("nobody can say, near the front", 180)
    yield row("nobody can say, far behind", 52_000)
    yield row("a line that stands", 180, 0.0)
    yield row("a line that stands, far behind", 52_000, 0.0)
    yield row("other terms", 1_100, 10.0, **WIDE)
    yield row("other terms, nobody can say", 52_000, **WIDE)
    yield row("other terms, near the front", 110, **WIDE)
    yield row("draining", 1_100, 10.0, phase="draining")
    yield row("open again tomorrow", 1_100, 10.0, opens_at=T0 + 86_400_000)
    yield row("without a number", None, 10.0)
    yield row("without a number, drawn right now", None, halted="draw_due")
    yield row("drawn right now, other terms", None, halted="draw_due", **WIDE)
    yield row("with a number, drawn right now", 1_100, 10.0, halted="draw_due")
    yield from _polls_of_a_pause(partial(row, phase="paused"))
    yield from _polls_before_the_opening(partial(row, phase="before"))


def _polls_of_a_pause(row: Callable[..., Row]) -> Iterator[Row]:
    yield row("paused", 180, 10.0)
    yield row("paused, far behind", 52_000, 10.0)
    yield row("paused, nobody can say", 52_000)
    yield row("paused, called", 100, 10.0)
    yield row("paused, without a number", None)


def _polls_before_the_opening(row: Callable[..., Row]) -> Iterator[Row]:
    yield row("before the opening", 1_100, 10.0, opens_at=T0 + 300_000)
    yield row("before the opening, called", 100, 10.0, opens_at=T0 + 300_000)
    yield row("before the opening, without a number", None, opens_at=T0 + 300_000)
    yield row("soon before the opening", 1_100, opens_at=T0 + 45_000)
    yield row("at the moment of the opening", 1_100, opens_at=T0)
    yield row("when it should be open", 1_100, opens_at=T0 - 5_000)
    yield row("long before the opening", 1_100, opens_at=T0 + 86_400_000)
    yield row("before an opening without a time", 52_000)


def _in_epoch(epoch: int) -> Pass:
    return msgspec.structs.replace(PASS, epoch=epoch)


def _signed_with_public_key() -> str:
    seed = derive_key(SECRETS[CURRENT], b"pass-ed25519", ORGANISATION, ROOM)
    written = body(ring().seal(PASS))
    forged = mac16(Ed25519Signer(seed).public_key, b"sunseo:pass:v1\0" + written)
    return encode_base64url(written + forged)


def body(text: str) -> bytes:
    return decode_base64url(text)[:-16]


def edited(text: str, at: int, byte: int) -> str:
    raw = bytearray(decode_base64url(text))
    raw[at] = byte
    return encode_base64url(bytes(raw))


def flipped(text: str, at: int) -> str:
    return edited(text, at, decode_base64url(text)[at] ^ 1)


def subkeys() -> Iterator[Row]:
    for key_id, secret in SECRETS.items():
        for purpose in ("place", "pass", "nonce", "receipt", "state", "pass-ed25519"):
            derive = partial(derive_key, secret, purpose.encode(), ORGANISATION)
            for room in (ROOM, SAFE_MAX):
                yield {"id": key_id, "purpose": purpose, "room": room, "key": derive(room).hex()}


def written() -> str:
    """The text of the file."""
    plain: Row = {
        "about": "Vectors of tokens.md and polling.md, by make_vectors.py. Binary fields are hex.",
        "organisation": ORGANISATION,
        "secrets": {str(key_id): secret.hex() for key_id, secret in SECRETS.items()},
        "current": CURRENT,
        "room": ROOM,
        "epoch": 3,
        "skew_ms": 5_000,
        "subkeys": list(subkeys()),
        "gate_keys": {
            "hmac": ring().gate_keys(ROOM),
            "ed25519": ring().gate_keys(ROOM, ed25519=True),
        },
        "state_prefix": STATE_PREFIX.hex(),
        "valid": list(valid()),
        "invalid": list(invalid()),
        "gate": list(gate()),
        "state": list(state()),
        "poll_terms": Poll(),
        "polls": list(polls()),
    }
    return json.dumps(msgspec.to_builtins(plain), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(), "utf-8")
