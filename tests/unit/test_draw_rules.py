"""How a draw comes out: known answers, evenness, and what must hold of every draw."""

import hmac
from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.core.signing import pads_of
from sunseo.room.draw.rules import (
    DrawError,
    commitment_of,
    new_secret,
    numbers_of,
    seal,
    seed_of,
)

SECRET = bytes.fromhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
ONES, TWOS, THREES = (bytes([byte]) * 16 for byte in (1, 2, 3))

# From sha256sum and openssl, see the worked example in docs/protocol/draw.md.
COMMITMENT = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"
LIST_HASH = "1fa24c84c10f1ab551a82f72600b82ebd52829d6579e1383d5f340173d3115fc"
SEED = "1420025133bb8f788882de877a1bddcea4ea5cefaa3f8fb71900823ab6af40c7"

entrant_lists = st.sets(st.binary(min_size=16, max_size=16), max_size=60).map(sorted)
secrets = st.binary(min_size=32, max_size=100)


def test_known_answers_of_other_programs() -> None:
    """Commitment, list hash, seed and numbers are those that sha256sum and openssl give."""
    sealed = seal([THREES, ONES, TWOS])
    seed = seed_of(7, 1, SECRET, sealed.list_hash, sealed.total)

    assert commitment_of(SECRET).hex() == COMMITMENT
    assert sealed.entrants == [ONES, TWOS, THREES]
    assert sealed.list_hash.hex() == LIST_HASH
    assert seed.hex() == SEED
    assert numbers_of(seed, sealed.entrants) == [2, 1, 3]  # 98610b36…, 072082ad…, a8a718c6…


def test_seed_is_the_hash_of_fields_with_their_lengths() -> None:
    """Written out by hand, field by field."""
    written = bytes.fromhex(
        "0000000e" + b"sunseo:draw:v1".hex() + "00000008" + "0000000000000007"
        "00000004" + "00000001" + "00000020" + SECRET.hex() + "00000020" + LIST_HASH
        + "00000008" + "0000000000000003"
    )  # fmt: skip

    assert seed_of(7, 1, SECRET, bytes.fromhex(LIST_HASH), 3) == sha256(written).digest()


@pytest.mark.parametrize("size", [0, 1, 31, 1025])
def test_secret_that_is_no_secret_is_refused(size: int) -> None:
    """Fewer than 32 bytes could be guessed from their hash; more than 1,024 serve nobody."""
    with pytest.raises(DrawError, match=f"not {size}"):
        commitment_of(bytes(size))


def test_list_with_an_id_twice_is_refused() -> None:
    """Nobody has two numbers."""
    with pytest.raises(DrawError, match="stands twice"):
        seal([ONES, TWOS, ONES])


def test_id_of_another_length_is_refused() -> None:
    """Ids stand one after another in the hash, which is sound while all have one length."""
    with pytest.raises(DrawError, match="16 bytes"):
        seal([ONES, b"short"])


def test_new_secrets_are_unlike() -> None:
    """A thousand secrets are a thousand different ones."""
    assert len({new_secret() for _ in range(1000)}) == 1000


@given(entrant_lists, secrets)
def test_numbers_are_a_ranking_by_keyed_hash(entrants: list[bytes], secret: bytes) -> None:
    """Everybody has one of the numbers from 1, in the order of the standard library's HMAC."""
    seed = sha256(secret).digest()
    numbers = numbers_of(seed, entrants)

    assert sorted(numbers) == list(range(1, len(entrants) + 1))
    by_number = sorted(zip(numbers, entrants, strict=True))
    ranks = [hmac.digest(seed, entrant, "sha256") for _, entrant in by_number]
    assert ranks == sorted(ranks)


@given(entrant_lists, st.randoms())
def test_order_of_registration_makes_no_difference(entrants: list[bytes], dice: object) -> None:
    """Whoever comes first, the sealed list is the same."""
    shuffled = list(entrants)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random, that hypothesis wraps

    assert seal(shuffled) == seal(entrants)


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    secrets,
    st.binary(min_size=32, max_size=32),
)
def test_every_field_moves_the_seed(room: int, epoch: int, secret: bytes, listed: bytes) -> None:
    """Another room, epoch, secret, list or count gives another seed."""
    seeds = [
        seed_of(room, epoch, secret, listed, 5),
        seed_of(room ^ 1, epoch, secret, listed, 5),
        seed_of(room, epoch ^ 1, secret, listed, 5),
        seed_of(room, epoch, secret + b"\0", listed, 5),
        seed_of(room, epoch, secret, bytes([listed[0] ^ 1]) + listed[1:], 5),
        seed_of(room, epoch, secret, listed, 6),
    ]

    assert len(set(seeds)) == len(seeds)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
def test_pads_make_an_hmac(seed: bytes, entrant: bytes) -> None:
    """Two plain hashes with the pads are HMAC: so the database, which has no HMAC, draws alike."""
    inner, outer = pads_of(seed)

    assert sha256(outer + sha256(inner + entrant).digest()).digest() == hmac.digest(
        seed, entrant, "sha256"
    )


def test_numbers_fall_evenly_on_everybody() -> None:
    """Over 6,000 secrets, each of 6 entrants gets each number about as often (chi-square)."""
    entrants = [bytes([place]) * 16 for place in range(6)]
    listed = seal(entrants).list_hash
    seen: Counter[tuple[int, int]] = Counter()
    for turn in range(6_000):
        seed = seed_of(7, 1, turn.to_bytes(32, "big"), listed, 6)
        seen.update(enumerate(numbers_of(seed, entrants)))

    expected = 6_000 / 6
    chi_square = sum((count - expected) ** 2 / expected for count in seen.values())
    assert len(seen) == 36
    assert 6 < chi_square < 53  # 25 degrees of freedom: outside in 1 of 1,000 secrets of nature


def test_all_orders_of_three_are_as_likely() -> None:
    """Not only single numbers are even, but whole orders (chi-square over 6 of them)."""
    entrants = [ONES, TWOS, THREES]
    listed = bytes.fromhex(LIST_HASH)
    orders = Counter(
        tuple(numbers_of(seed_of(7, 1, turn.to_bytes(32, "big"), listed, 3), entrants))
        for turn in range(6_000)
    )

    chi_square = sum((count - 1000) ** 2 / 1000 for count in orders.values())
    assert len(orders) == 6
    assert chi_square < 20.5  # 5 degrees of freedom, 1 in 1,000
