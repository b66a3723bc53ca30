"""What operators send to a draw, and what everybody may read of it. Bytes are hexadecimal."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sunseo.core.fields import Name, Number32
from sunseo.room.board.state import DrawState
from sunseo.room.draw.rules import SECRET_BYTES_MAX, SECRET_BYTES_MIN, Keeper

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
Secret = Annotated[
    str,
    Meta(
        pattern="^([0-9a-f]{2})+$", min_length=2 * SECRET_BYTES_MIN, max_length=2 * SECRET_BYTES_MAX
    ),
]


class NewCommitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SHA-256 of a secret, and who keeps the secret.

    `independent` says whether that is somebody else than the operator: a promise to the public,
    which stands in the published file. All three are given, or none of them: then the server makes
    a secret, keeps it and reveals it at the opening, which is the weaker kind and labelled so.
    """

    commitment: Digest | None = None
    committer: Name | None = None
    independent: bool | None = None


class Reveal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The secret that was promised; absent, the one that the server keeps."""

    secret: Secret | None = None


class Withholding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the secret did not come, as the public is told."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class DrawQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An epoch that is over, in place of the one that counts now."""

    epoch: Number32 | None = None


class DrawStep(msgspec.Struct, frozen=True):
    """How a draw stands after a step of the operator's."""

    room: int
    epoch: int
    state: DrawState
    entrants: int | None = None
    list_hash: str | None = None
    commitment: str | None = None


class DrawStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A draw as everybody may see it. `registered` counts on until the list is sealed."""

    room: int
    epoch: int
    state: DrawState
    registered: int
    commitment: str | None = None
    committer: str | None = None
    independent: bool | None = None
    keeper: Keeper | None = None
    entrants: int | None = None
    list_hash: str | None = None
    secret: str | None = None
    seed: str | None = None
    log: list[dict[str, Any]] = []
