"""Identities derived from what they stand for.

An effect (a hold, an order, a created sale) is named by a hash over who asked for what with which
`Idempotency-Key`. A retry derives the same id again, on any worker, without looking anything up.
Every field is prefixed by its length, so no two different lists of fields share one encoding.
"""

from hashlib import sha256
from uuid import UUID

import msgspec

ID_BYTES = 16

_UUID_HEADER = b"\xc4\x10"  # MessagePack's, of 16 bytes: msgspec makes a UUID in half the time

_encode_fields = msgspec.msgpack.Encoder().encode
_decode_uuid = msgspec.msgpack.Decoder(UUID).decode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Person(msgspec.Struct, frozen=True, gc=False):
    """Who is asking: a subject as vouched for by an issuer, within an organisation.

    `id` is the pseudonym under which the person is stored and logged.
    """

    organisation: int
    issuer: str
    subject: str
    id: UUID

    @classmethod
    def named(cls, organisation: int, issuer: str, subject: str) -> "Person":
        return cls(
            organisation,
            issuer,
            subject,
            digest_id(b"person", str(organisation), issuer, subject),
        )


def effect_id(person: Person, sale: int, operation: str, idempotency_key: str) -> UUID:
    """Name the effect of one command.

    Args:
        person: who asks; organisation, issuer and subject all enter the hash.
        sale: the sale it concerns, or 0 where there is none yet.
        operation: the command's verb, for instance `place_hold`.
        idempotency_key: chosen by the client, the same for every retry.
    """
    return digest_id(
        b"effect",
        str(person.organisation),
        person.issuer,
        person.subject,
        str(sale),
        operation,
        idempotency_key,
    )


def request_digest(body: msgspec.Struct | None) -> UUID:
    """Tell one request's body from another's, whatever the order of its keys."""
    return digest_id(b"request", b"" if body is None else _encode_sorted(body))


def digest_id(domain: bytes, *fields: str | bytes) -> UUID:
    """Hash fields into a UUID (version 8). MessagePack prefixes each with its type and length."""
    digest = bytearray(sha256(_encode_fields((domain, *fields))).digest()[:ID_BYTES])
    # Version 8 and its variant (RFC 9562): "the contents are our own".
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return _decode_uuid(_UUID_HEADER + digest)
