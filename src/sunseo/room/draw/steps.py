"""How a draw stands, which step may be taken then, and what is told of it: pure.

State       NONE, COMMITTED, SEALED, REVEALED. WITHHELD lies beside SEALED: the fault stays in the
            log, and either the secret still comes or another commitment takes its place.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from sunseo.core.clock import Instant
from sunseo.core.fields import FieldError
from sunseo.core.outcome import RefusedError
from sunseo.room.board.state import DrawState
from sunseo.room.draw.bodies import DrawStatus, NewCommitment
from sunseo.room.draw.file import DrawHeader, moment_text
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.draw.rules import keeper_of, seed_of

SERVER = "the server, for the operator"  # keeps the secret where nobody else was found to


class Commitment(msgspec.Struct, frozen=True):
    """Who promises which secret; without a commitment the server makes one and keeps its secret."""

    committer: str = SERVER
    independent: bool = False
    commitment: bytes | None = None


class StoredDraw(msgspec.Struct, frozen=True):
    """The draw of one epoch. What a step writes is none before that step."""

    epoch: int
    state: DrawState
    commitment: bytes
    committer: str
    independent: bool
    kept: bool
    sealed_at: Instant | None
    list_hash: bytes | None
    entrants: int | None
    secret: bytes | None
    log: list[dict[str, Any]]

    @property
    def seal(self) -> tuple[bytes, int]:
        """The hash of the sealed list, and how many it names."""
        if self.list_hash is None or self.entrants is None:
            raise ValueError("the list is not sealed")
        return self.list_hash, self.entrants


class DrawOfRoom(msgspec.Struct, frozen=True):
    """A room's draw, and how many have registered in the epoch that counts now."""

    room: int
    epoch: int
    registered: int
    draw: StoredDraw | None


def commitment_in(body: NewCommitment) -> Commitment:
    """What an operator promises: a hash that somebody sent, or a secret of the server's own.

    Raises:
        FieldError: a part of a promise is missing.
    """
    if body.commitment is not None and body.committer is not None and body.independent is not None:
        return Commitment(body.committer, body.independent, bytes.fromhex(body.commitment))
    missing = [name for name in body.__struct_fields__ if getattr(body, name) is None]
    if len(missing) < len(body.__struct_fields__):
        raise FieldError(
            f"A commitment stands with who made it: {missing[0]} is missing.",
            field=missing[0],
            expected="commitment, committer and independent together, or none of them",
        )
    return Commitment()


def refuse_commitment(draw: StoredDraw | None, registered: int) -> None:
    """A commitment stands once others have relied on it: until it is withheld.

    Raises:
        RefusedError: it stands.
    """
    if draw is None or draw.state == "withheld":
        return
    if draw.state == "committed" and registered == 0:
        return
    raise RefusedError(
        DrawOutcome.ALREADY_REVEALED if draw.state == "revealed" else DrawOutcome.COMMITMENT_STANDS
    )


def to_seal(draw: StoredDraw | None) -> StoredDraw:
    """A draw whose list is open.

    Raises:
        RefusedError: there is none, or it is not.
    """
    if draw is None:
        raise RefusedError(DrawOutcome.NOT_COMMITTED)
    if draw.sealed_at is not None:
        raise RefusedError(DrawOutcome.ALREADY_SEALED)
    return draw


def sealed(draw: StoredDraw | None) -> StoredDraw:
    """A draw, sealed and waiting for its secret.

    Raises:
        RefusedError: it is not, or not any more.
    """
    if draw is None:
        raise RefusedError(DrawOutcome.NOT_COMMITTED)
    if draw.state == "committed":
        raise RefusedError(DrawOutcome.NOT_SEALED)
    if draw.state == "revealed":
        raise RefusedError(DrawOutcome.ALREADY_REVEALED)
    return draw


def status_of(found: DrawOfRoom) -> DrawStatus:
    """A draw as everybody may see it."""
    draw = found.draw
    if draw is None:
        return DrawStatus(
            room=found.room, epoch=found.epoch, state="none", registered=found.registered
        )
    of_now = draw.epoch == found.epoch and draw.entrants is None
    return DrawStatus(
        room=found.room,
        epoch=draw.epoch,
        state=draw.state,
        registered=found.registered if of_now else draw.entrants or 0,
        commitment=draw.commitment.hex(),
        committer=draw.committer,
        independent=draw.independent,
        keeper=keeper_of(kept=draw.kept, independent=draw.independent),
        entrants=draw.entrants,
        list_hash=_hex(draw.list_hash),
        secret=_hex(draw.secret),
        seed=_hex(_seed(found.room, draw)),
        log=draw.log,
    )


def header_of(room: int, draw: StoredDraw, counts: Sequence[tuple[Instant, int]]) -> DrawHeader:
    """How the published file of a sealed draw begins; `counts` are registrations by minute."""
    list_hash, entrants = draw.seal
    return DrawHeader(
        state=draw.state,  # type: ignore[arg-type]  # a sealed one is in no other
        room=room,
        epoch=draw.epoch,
        commitment=draw.commitment.hex(),
        committer=draw.committer,
        independent=draw.independent,
        entrants=entrants,
        list_hash=list_hash.hex(),
        secret=_hex(draw.secret),
        seed=_hex(_seed(room, draw)),
        registrations=[(moment_text(minute), registered) for minute, registered in counts],
        log=draw.log,
    )


def _seed(room: int, draw: StoredDraw) -> bytes | None:
    if draw.secret is None:
        return None
    return seed_of(room, draw.epoch, draw.secret, *draw.seal)


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
