"""How a secret and a sealed list become numbers: pure, and as docs/protocol/draw.md says.

Somebody publishes SHA-256 of a secret before anybody registers. Entrants get random ids. When
registration ends the ids are sorted and their hash is published. Then the secret is revealed; with
the list it makes the seed, and an entrant's number is the rank of HMAC-SHA-256(seed, id). Whoever
knew the secret could not foresee the list, and whoever made the list did not know the secret, as
long as they are two parties.

`src/sunseo/drawcheck` checks the result and shares no code with this.
"""

import secrets
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Literal, NamedTuple

from sunseo.core.signing import pads_of

DOMAIN = b"sunseo:draw:v1"
ENTRANT_BYTES = 16
SECRET_BYTES_MIN = 32  # 256 bits: nobody finds the secret from its commitment
SECRET_BYTES_MAX = 1024


Keeper = Literal["server", "operator", "second_party"]
"""Of a draw's secret. With the first two the draw is weaker, and says so wherever it is told."""


class DrawError(ValueError):
    """This cannot be drawn; the text says why."""


class SealedList(NamedTuple):
    """The entrants' ids in order, and what is published of them before the secret is."""

    entrants: Sequence[bytes]
    list_hash: bytes
    total: int


def keeper_of(*, kept: bool, independent: bool) -> Keeper:
    """Who keeps the secret: this server by itself, its operator, or somebody else."""
    if kept:
        return "server"
    return "second_party" if independent else "operator"


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES_MIN)


def commitment_of(secret: bytes) -> bytes:
    """What is published of the secret before registration begins.

    Raises:
        DrawError: the secret is too short to stay one, or too long.
    """
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise DrawError(
            f"a secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes, not {len(secret)}"
        )
    return sha256(secret).digest()


def seal(entrants: Iterable[bytes]) -> SealedList:
    """Put ids in order and hash them, one after another.

    Raises:
        DrawError: an id stands twice or has not 16 bytes.
    """
    ordered = sorted(entrants)
    if any(len(entrant) != ENTRANT_BYTES for entrant in ordered):
        raise DrawError(f"an entrant's id has {ENTRANT_BYTES} bytes")
    if any(one == other for one, other in pairwise(ordered)):
        raise DrawError("an entrant's id stands twice in the list")
    return SealedList(ordered, sha256(b"".join(ordered)).digest(), len(ordered))


def seed_of(room: int, epoch: int, secret: bytes, list_hash: bytes, count: int) -> bytes:
    """SHA-256 over the fields, each after its length in four bytes, so that none can run over."""
    fields = (
        DOMAIN,
        room.to_bytes(8, "big"),
        epoch.to_bytes(4, "big"),
        secret,
        list_hash,
        count.to_bytes(8, "big"),
    )
    return sha256(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).digest()


def numbers_of(seed: bytes, entrants: Sequence[bytes]) -> list[int]:
    """The numbers of a list of distinct ids, from 1, in the order of the list.

    The rank of HMAC-SHA-256(seed, id). Equal ones, which nobody will ever see, rank by id.
    """
    inner, outer = pads_of(seed)
    from_inner, from_outer = sha256(inner).copy, sha256(outer).copy
    ranks: list[bytes] = []
    for entrant in entrants:
        inside, outside = from_inner(), from_outer()
        inside.update(entrant)
        outside.update(inside.digest())
        ranks.append(outside.digest() + entrant)
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    numbers = [0] * len(ranks)
    for number, place in enumerate(order, 1):
        numbers[place] = number
    return numbers
