"""Places, passes, nonces and receipts: what is refused, and that nothing else is."""

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.core.signing import decode_base64url, encode_base64url, mac16
from sunseo.passes.keys import SUBKEYS_KEPT_MAX, KeyRing, nonce_at
from sunseo.passes.tokens import (
    NO_BINDING,
    Nonce,
    Pass,
    Place,
    Receipt,
    Token,
    TokenError,
    TokenKind,
    kind_of,
    seal,
)

SECRET = b"secret of the tests, 32 bytes long"
RING = KeyRing(1, {0: SECRET}, 0)
ROOM = 42

big = st.integers(0, 2**64 - 1)
rooms = st.integers(0, 2**63 - 1)
epochs = st.integers(1, 2**32 - 1)
bindings = st.binary(min_size=16, max_size=16)
ids = st.uuids()

places = st.builds(Place, st.just(ROOM), epochs, big, big, ids, bindings, st.booleans())
passes = st.builds(
    Pass,
    *(st.just(ROOM), epochs, big, big, ids, bindings, st.booleans()),
    *(big, ids, st.integers(0, 2**32 - 1)),
)
receipts = st.builds(Receipt, st.just(ROOM), epochs, big, ids, bindings, st.booleans(), ids)
nonces = st.builds(nonce_at, st.just(ROOM), st.integers(0, 2**32 - 1))
tokens: st.SearchStrategy[Token] = st.one_of(places, passes, receipts, nonces)


def open_as(ring: KeyRing, kind: TokenKind) -> Callable[[str, int], Token]:
    opened: dict[TokenKind, Callable[[str, int], Token]] = {
        TokenKind.PLACE: ring.open_place,
        TokenKind.PASS: ring.open_pass,
        TokenKind.NONCE: ring.open_nonce,
        TokenKind.RECEIPT: ring.open_receipt,
    }
    return opened[kind]


def refusal(text: str, kind: TokenKind, room: int = ROOM, ring: KeyRing = RING) -> str:
    with pytest.raises(TokenError) as caught:
        open_as(ring, kind)(text, room)
    return caught.value.reason


@given(token=tokens)
def test_token_comes_back_as_it_was_sealed(token: Token) -> None:
    """Every field survives, at every value that fits."""
    text = RING.seal(token)

    assert open_as(RING, kind_of(token))(text, ROOM) == token
    assert RING.seal(token) == text


@given(ticket=passes)
def test_pass_with_ed25519_comes_back_as_it_was_sealed(ticket: Pass) -> None:
    """The other signature changes the length, not the content."""
    text = RING.seal(ticket, ed25519=True)

    assert len(text) == 208
    assert RING.open_pass(text, ROOM) == ticket


@given(token=tokens, data=st.data())
def test_any_byte_changed_at_any_position_is_refused(token: Token, data: st.DataObject) -> None:
    """No byte of a token can take another value, whatever both are."""
    raw = bytearray(decode_base64url(RING.seal(token)))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[at]))

    refusal(encode_base64url(bytes(raw)), kind_of(token))


def test_every_byte_of_every_token_counts() -> None:
    """All 256 values at all positions of one token of each kind: only the true one opens."""
    holder = UUID(int=7)
    samples: tuple[Token, ...] = (
        Place(ROOM, 1, 5, 1000, holder, bytes(range(16))),
        Pass(ROOM, 1, 5, 1000, holder, NO_BINDING, True, 2000, UUID(int=9), 3),
        Nonce(ROOM, 29_000_000, UUID(int=29_000_000 << 96 | 5)),
        Receipt(ROOM, 1, 1000, holder, NO_BINDING, True, UUID(int=9)),
    )
    for token in samples:
        genuine = decode_base64url(RING.seal(token))
        opened = open_as(RING, kind_of(token))
        for at in range(len(genuine)):
            for byte in range(256):
                raw = genuine[:at] + bytes([byte]) + genuine[at + 1 :]
                try:
                    opened(encode_base64url(raw), ROOM)
                except TokenError:
                    assert byte != genuine[at]
                else:
                    assert byte == genuine[at]


@given(ticket=passes, data=st.data())
def test_any_byte_of_an_ed25519_pass_counts(ticket: Pass, data: st.DataObject) -> None:
    """The same for the longer signature."""
    raw = bytearray(decode_base64url(RING.seal(ticket, ed25519=True)))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))

    refusal(encode_base64url(bytes(raw)), TokenKind.PASS)


@given(token=tokens, data=st.data())
def test_any_character_changed_is_refused(token: Token, data: st.DataObject) -> None:
    """A token has one spelling: no other character anywhere, none more, none less."""
    text = RING.seal(token)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda character: character != text[at]))

    refusal(text[:at] + other + text[at + 1 :], kind_of(token))
    refusal(text[:at] + text[at + 1 :], kind_of(token))
    refusal(text[:at] + other + text[at:], kind_of(token))


@given(text=st.text(max_size=250))
def test_noise_is_refused(text: str) -> None:
    """Whatever a client sends instead of a token ends in a reason, never in another error."""
    for kind in TokenKind:
        refusal(text, kind)


@given(token=tokens, kind=st.sampled_from(TokenKind))
def test_token_of_another_kind_is_refused(token: Token, kind: TokenKind) -> None:
    """A place is no pass, a receipt is no place, and so on for all."""
    if kind is not kind_of(token):
        assert refusal(RING.seal(token), kind) == "kind"


@given(token=tokens, room=rooms.filter(lambda room: room != ROOM))
def test_token_of_another_room_is_refused(token: Token, room: int) -> None:
    """A token opens one room; writing another number into it breaks its signature."""
    text = RING.seal(token)
    assert refusal(text, kind_of(token), room=room) == "room"

    raw = bytearray(decode_base64url(text))
    raw[4:12] = room.to_bytes(8, "big")
    assert refusal(encode_base64url(bytes(raw)), kind_of(token), room=room) == "signature"


@given(token=tokens, secret=st.binary(min_size=32, max_size=64).filter(lambda s: s != SECRET))
def test_token_of_another_secret_is_refused(token: Token, secret: bytes) -> None:
    """Neither a stranger's secret nor another organisation's keys sign for us."""
    kind = kind_of(token)
    assert refusal(KeyRing(1, {0: secret}, 0).seal(token), kind) == "signature"
    assert refusal(KeyRing(2, {0: SECRET}, 0).seal(token), kind) == "signature"


@given(token=tokens)
def test_keys_rotate_by_their_id(token: Token) -> None:
    """A retired secret still opens; one that was forgotten, or is not yet known, does not."""
    kind = kind_of(token)
    new = b"the secret that came after, 32 bytes"
    rotated = KeyRing(1, {0: SECRET, 1: new}, 1)
    forgotten = KeyRing(1, {1: new}, 1)
    old_text, new_text = RING.seal(token), rotated.seal(token)

    assert open_as(rotated, kind)(old_text, ROOM) == token
    assert open_as(rotated, kind)(new_text, ROOM) == token
    assert refusal(old_text, kind, ring=forgotten) == "key"
    assert refusal(new_text, kind) == "key"


def test_a_ring_refuses_secrets_that_are_none() -> None:
    """Too short, out of range, or without a current one: the server does not start."""
    with pytest.raises(ValueError, match="shorter"):
        KeyRing(1, {0: b"short"}, 0)
    with pytest.raises(ValueError, match="between 0 and 255"):
        KeyRing(1, {0: SECRET, 256: SECRET}, 0)
    with pytest.raises(ValueError, match="current id 1"):
        KeyRing(1, {0: SECRET}, 1)


def test_only_passes_are_signed_with_ed25519() -> None:
    """Places are opened by the server alone, so that the short signature serves."""
    with pytest.raises(ValueError, match="only passes"):
        RING.seal(nonce_at(ROOM, 1), ed25519=True)


def test_fields_that_do_not_fit_are_not_cut_silently() -> None:
    """A binding of another length, or a nonce whose id tells another minute, is not sealed."""
    with pytest.raises(ValueError, match="16 bytes"):
        RING.seal(Place(ROOM, 1, 1, 1, UUID(int=1), b"short"))
    with pytest.raises(ValueError, match="its minute"):
        RING.seal(Nonce(ROOM, 5, UUID(int=1)))


def test_naming_rooms_fills_no_memory() -> None:
    """Visitors who name a million rooms in paths leave a bounded cache behind."""
    ring = KeyRing(1, {0: SECRET}, 0)
    for room in range(SUBKEYS_KEPT_MAX + 100):
        ring.seal(nonce_at(room, 1))

    assert cast("Any", ring._subkey).cache_info().currsize == SUBKEYS_KEPT_MAX


def test_gate_keys_open_passes_of_their_room_alone() -> None:
    """The HMAC key given to a gate is the passes' own; it seals no place and no other room's."""
    [key] = RING.gate_keys(ROOM).keys
    assert key.pass_key is not None
    stolen = decode_base64url(key.pass_key)
    place = Place(ROOM, 1, 1, 1, UUID(int=1), NO_BINDING)

    def sign(message: bytes) -> bytes:
        return mac16(stolen, message)

    assert refusal(seal(place, 0, sign), TokenKind.PLACE) == "signature"
    elsewhere = Pass(43, 1, 1, 1, UUID(int=1), NO_BINDING, True, 2, UUID(int=2))
    assert refusal(seal(elsewhere, 0, sign), TokenKind.PASS, room=43) == "signature"


def test_public_keys_give_nothing_away() -> None:
    """Gate keys for Ed25519 hold public keys only, the current one first."""
    ring = KeyRing(1, {0: SECRET, 3: SECRET + b"3"}, 3)
    keys = ring.gate_keys(ROOM, ed25519=True)

    assert keys.algorithm == "ed25519"
    assert [key.id for key in keys.keys] == [3, 0]
    assert all(key.pass_key is None and key.state_key is None for key in keys.keys)


def test_nonces_are_fresh_and_tell_their_minute() -> None:
    """Ten thousand nonces of one minute are ten thousand holders, ordered by time."""
    minted = {nonce_at(ROOM, 29_000_000).id for _ in range(10_000)}

    assert len(minted) == 10_000
    assert {id_.int >> 96 for id_ in minted} == {29_000_000}
