"""Derived identities: the same for every retry, different for everything else."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.booking.bodies import HoldRequest
from sunseo.core.ids import Person, digest_id, effect_id, request_digest

texts = st.lists(st.text(max_size=4), max_size=4)


@given(texts, texts)
def test_no_two_lists_of_fields_share_an_id(one: list[str], other: list[str]) -> None:
    """Fields are prefixed by their length, so moving a border between them changes the id."""
    assert (digest_id(b"x", *one) == digest_id(b"x", *other)) == (one == other)


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_the_domain_cannot_run_into_the_first_field(domain: bytes, field: bytes) -> None:
    """What is hashed for one purpose is never found under another."""
    whole = domain + field
    for border in range(len(whole) + 1):
        again = digest_id(whole[:border], whole[border:]) == digest_id(domain, field)
        assert again == (border == len(domain))


@given(st.text(), st.text())
def test_ids_are_valid_version_8_uuids(issuer: str, subject: str) -> None:
    """Anybody's UUID parser takes them, and sees that their contents are our own."""
    found = Person.named(1, issuer, subject).id
    assert (found.version, found.variant) == (8, UUID(int=0x8 << 60).variant)
    assert UUID(str(found)) == found


def test_ids_stay_the_same_from_release_to_release() -> None:
    """A retry that meets a newer version of Sunseo still finds what it did."""
    kim = Person.named(1, "https://issuer.example", "kim")

    assert str(kim.id) == "c88d863f-c83a-86d4-afac-40aa39d16d7d"
    assert str(effect_id(kim, 7, "place_hold", "key-1")) == "d4da0e00-17c0-822c-8e9f-ad1fbbb93684"
    assert (
        str(request_digest(HoldRequest(seats=(17, 18)))) == "b9b27a24-5062-84b4-b7a3-b497e88f20eb"
    )


KIM = Person.named(1, "issuer", "kim")


@pytest.mark.parametrize(
    ("person", "sale", "operation", "key"),
    [
        (Person.named(2, "issuer", "kim"), 7, "place_hold", "key"),
        (Person.named(1, "other", "kim"), 7, "place_hold", "key"),
        (Person.named(1, "issuer", "lee"), 7, "place_hold", "key"),
        (KIM, 8, "place_hold", "key"),
        (KIM, 7, "place_order", "key"),
        (KIM, 7, "place_hold", "key2"),
    ],
)
def test_every_part_enters_the_effect(person: Person, sale: int, operation: str, key: str) -> None:
    """Organisation, issuer, subject, sale, operation and key: one more or less is another."""
    assert effect_id(person, sale, operation, key) != effect_id(KIM, 7, "place_hold", "key")


def test_the_order_of_a_bodys_keys_does_not_matter() -> None:
    """Clients may write the same JSON object either way round."""
    one = msgspec.json.decode(b'{"seats":[1],"products":[{"product":2}]}', type=HoldRequest)
    other = msgspec.json.decode(
        b'{"products":[{"quantity":1,"product":2}],"seats":[1]}', type=HoldRequest
    )

    assert request_digest(one) == request_digest(other)
    assert request_digest(one) != request_digest(HoldRequest(seats=(1,)))
    assert request_digest(None) != request_digest(HoldRequest(seats=(1,)))
