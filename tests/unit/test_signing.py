"""Keys, signatures and their spelling."""

import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.core.signing import (
    Ed25519Signer,
    decode_base64url,
    derive_key,
    ed25519_verifier,
    encode_base64url,
    hmac_sha256,
    mac16,
    mac_matches,
)


@given(raw=st.binary(max_size=200))
def test_bytes_come_back_as_they_were_written(raw: bytes) -> None:
    """Base64url without padding loses nothing and uses only its alphabet."""
    text = encode_base64url(raw)

    assert decode_base64url(text) == raw
    assert "=" not in text
    assert "+" not in text
    assert "/" not in text


@given(text=st.text(st.sampled_from("AQgw_-+/=\n é٤B"), max_size=12))
def test_bytes_have_one_spelling(text: str) -> None:
    """Whatever can be decoded is exactly what would have been written."""
    try:
        raw = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(raw) == text


def test_bits_beyond_the_last_byte_are_refused() -> None:
    """`AA` is a zero byte; `AB` would be, to a careless reader."""
    assert decode_base64url("AA") == b"\0"
    with pytest.raises(ValueError, match="canonical"):
        decode_base64url("AB")


def test_subkey_differs_by_each_thing_it_is_derived_from() -> None:
    """Secret, purpose, organisation and room each give another key."""
    keys = {
        derive_key(b"s" * 32, b"pass", 1, 1),
        derive_key(b"t" * 32, b"pass", 1, 1),
        derive_key(b"s" * 32, b"place", 1, 1),
        derive_key(b"s" * 32, b"pass", 2, 1),
        derive_key(b"s" * 32, b"pass", 1, 2),
    }
    assert len(keys) == 5
    assert {len(key) for key in keys} == {32}


@given(key=st.binary(max_size=200), messages=st.lists(st.binary(max_size=5000), max_size=3))
def test_hmac_is_that_of_the_standard_library(key: bytes, messages: list[bytes]) -> None:
    """Keys of any length, long ones hashed; one message leaves nothing behind for the next."""
    for message in messages:
        assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")


def test_mac_is_the_beginning_of_hmac_sha_256() -> None:
    """RFC 4231, test case 2, cut to 16 bytes."""
    mac = mac16(b"Jefe", b"what do ya want for nothing?")

    assert mac.hex() == "5bdcc146bf60754e6a042426089575c7"
    assert mac_matches(b"Jefe", b"what do ya want for nothing?", mac)
    assert not mac_matches(b"Jefe", b"what do ya want for nothing!", mac)
    assert not mac_matches(b"Jefe", b"what do ya want for nothing?", mac[:15])


def test_macs_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is the library's, which does not stop at the first difference."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)

    assert not mac_matches(b"key", b"message", bytes(16))
    assert compared == [(mac16(b"key", b"message"), bytes(16))]


def test_ed25519_is_the_published_one() -> None:
    """RFC 8032, test 2."""
    signer = Ed25519Signer(
        bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    signature = signer.sign(b"\x72")

    assert signer.public_key.hex() == (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    assert signature.hex().startswith("92a009a9f0d4cab8720e820b5f642540")
    verify = ed25519_verifier(signer.public_key)
    assert verify(b"\x72", signature)
    assert not verify(b"\x73", signature)
    assert not verify(b"\x72", signature[:63])


def test_a_public_key_of_another_length_is_refused() -> None:
    """A key that was cut while pasting is noticed when the gate starts."""
    with pytest.raises(ValueError, match="32 bytes"):
        ed25519_verifier(json.dumps("not a key").encode())
