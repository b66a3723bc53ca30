"""What every peer does alike before it decides anything: token, person, effect, settings.

The ids come from the product's own `core.ids`, so that a hold has the same name whoever placed it,
and nobody is faster for hashing less.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import jwt

from sunseo.core.ids import Person, digest_id, effect_id

ORGANISATION = 1


class BadTokenError(Exception):
    """The bearer token is absent, not signed by the issuer, or past its time."""


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """What the harness tells a peer through its environment."""

    database_url: str
    pool: int
    jwt_issuer: str
    jwt_secret: str
    valkey_port: int

    @classmethod
    def from_environment(cls) -> "PeerSettings":
        return cls(
            database_url=os.environ.get("BENCH_DATABASE_URL", ""),
            pool=int(os.environ.get("BENCH_POOL", "10")),
            jwt_issuer=os.environ["BENCH_JWT_ISSUER"],
            jwt_secret=os.environ["BENCH_JWT_SECRET"],
            valkey_port=int(os.environ.get("BENCH_VALKEY_PORT", "0")),
        )


def person_of(authorization: str | None, settings: PeerSettings) -> Person:
    """Check a bearer token in full (signature, issuer, expiry) and name the person."""
    if authorization is None or not authorization.startswith("Bearer "):
        raise BadTokenError
    try:
        claims = jwt.decode(
            authorization[7:],
            settings.jwt_secret,
            algorithms=["HS256"],
            issuer=settings.jwt_issuer,
            options={"require": ["iss", "sub", "exp"]},
        )
    except jwt.InvalidTokenError as invalid:
        raise BadTokenError from invalid
    return Person.named(ORGANISATION, settings.jwt_issuer, claims["sub"])


def hold_id(person: Person, sale: int, idempotency_key: str) -> UUID:
    """Name the hold that this person's key places in this sale."""
    return effect_id(person, sale, "place_hold", idempotency_key)


def request_digest(seats: Iterable[int], products: Iterable[tuple[int, int]]) -> UUID:
    """Digest what was asked for, to tell a retry from a reused key."""
    return digest_id(b"request", repr(sorted(seats)), repr(sorted(products)))
