"""The seam between joining and whatever a visitor has to prove before it."""

from typing import Literal, Protocol
from uuid import UUID

import msgspec

ANSWER_CHARACTERS_MAX = 2048  # Turnstile's own limit; a solved ALTCHA challenge has about 400


class ChallengeBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What has to be proved. With kind `altcha`, the other members are what its widget reads."""

    kind: Literal["none", "altcha", "turnstile"]
    algorithm: str | None = None
    challenge: str | None = None
    maxnumber: int | None = None
    salt: str | None = None
    signature: str | None = None
    sitekey: str | None = None


class Challenged(msgspec.Struct, frozen=True):
    """Who answers a challenge.

    Attributes:
        room: whose challenge it is.
        holder: who will have the place; what she has proved once counts for her again.
        nonce: with which she joins.
        client: her address as text, where it is known.
    """

    room: int
    holder: UUID
    nonce: UUID
    client: str | None = None


Verdict = Literal["passed", "failed", "unknown"]
"""`unknown`: whoever should verify did not answer."""


class Challenge(Protocol):
    """One way to prove something."""

    def issue(self, room: int, difficulty: int, nonce: UUID | None, now: float) -> ChallengeBody:
        """A new challenge, bound to a nonce where one is named."""
        ...

    async def verify(self, answer: str, asked: Challenged, now: float) -> Verdict:
        """Judge an answer. `now` is wall-clock seconds since 1970."""
        ...
