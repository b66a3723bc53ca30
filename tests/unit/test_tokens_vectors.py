"""The published vectors are ours: the file is current, and each row is what we do."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from docs.protocol import make_vectors
from sunseo.core.signing import derive_key
from sunseo.passes.keys import KeyRing
from sunseo.passes.tokens import Token, TokenError

VECTORS: dict[str, Any] = json.loads(make_vectors.FILE.read_text("utf-8"))
RING = KeyRing(
    VECTORS["organisation"],
    {int(key_id): bytes.fromhex(secret) for key_id, secret in VECTORS["secrets"].items()},
    VECTORS["current"],
)


def opened(kind: str, text: str, room: int) -> Token:
    open_as: dict[str, Callable[[str, int], Token]] = {
        "place": RING.open_place,
        "pass": RING.open_pass,
        "nonce": RING.open_nonce,
        "receipt": RING.open_receipt,
    }
    return open_as[kind](text, room)


def test_the_file_is_current() -> None:
    """It says what its maker would write today."""
    assert make_vectors.FILE.read_text("utf-8") == make_vectors.written()


@pytest.mark.parametrize("row", VECTORS["subkeys"], ids=lambda row: f"{row['purpose']} {row['id']}")
def test_subkey_is_derived(row: dict[str, Any]) -> None:
    """Each published subkey follows from its secret."""
    secret = bytes.fromhex(VECTORS["secrets"][str(row["id"])])
    key = derive_key(secret, row["purpose"].encode(), VECTORS["organisation"], row["room"])

    assert key.hex() == row["key"]


@pytest.mark.parametrize("row", VECTORS["valid"], ids=lambda row: row["name"])
def test_valid_token_opens(row: dict[str, Any]) -> None:
    """Each valid row gives its fields."""
    token = opened(row["kind"], row["text"], row["fields"]["room"])

    assert msgspec.to_builtins(make_vectors.fields(token)) == row["fields"]


@pytest.mark.parametrize("row", VECTORS["invalid"], ids=lambda row: row["name"])
def test_invalid_token_is_refused(row: dict[str, Any]) -> None:
    """Each invalid row is refused, for its reason."""
    with pytest.raises(TokenError) as caught:
        opened(row["kind"], row["text"], row["room"])

    assert caught.value.reason == row["reason"]
