"""What can be asked of a room's line, and the answers.

join ──► place ──► enter ──► pass ──► renew … ──► leave or complete
                     ▲         │
                     └─────────┘ lapsed: the same pass, entered again while the session lasts
"""

from enum import unique
from uuid import UUID

import msgspec

from sunseo.core.outcome import Kind, Outcome

RoomKey = tuple[int, int]
"""Organisation and room."""

_RANDOM_BITS = 64


def pass_id_of(number: int, random: int) -> UUID:
    """A pass id: the number of its place, then 64 random bits. So a pass is found by its id."""
    return UUID(int=number << _RANDOM_BITS | random)


def number_of(pass_id: UUID) -> int:
    return pass_id.int >> _RANDOM_BITS


class RoomCommand(msgspec.Struct, frozen=True, gc=False):
    """Anything that changes one room's line; all of them share the room's lane."""

    room: RoomKey


class Join(RoomCommand, frozen=True, gc=False):
    """Take a number for a holder.

    `binding` is the hash of her secret; none binds to an account. `entrant` is the random id under
    which she takes part in a draw, if there is one. What is late gives a place that is there
    already, but no new one.
    """

    holder: UUID
    entrant: UUID
    binding: UUID | None = None
    is_late: bool = False


class Enter(RoomCommand, frozen=True, gc=False):
    """Turn a place into a pass. `new_pass` is its id, if there is no pass yet."""

    epoch: int
    number: int
    holder: UUID
    new_pass: UUID


class PassCommand(RoomCommand, frozen=True, gc=False):
    """Anything that is said about one pass."""

    epoch: int
    pass_id: UUID


class Renew(PassCommand, frozen=True, gc=False):
    """Give a pass its full time again. `renewal` is the count in the token that was shown."""

    renewal: int


class Leave(PassCommand, frozen=True, gc=False):
    """Give a slot back before its time."""


class Complete(PassCommand, frozen=True, gc=False):
    """Give a slot back because what its holder came for is done."""


class Revoke(PassCommand, frozen=True, gc=False):
    """Take a pass away, in all its renewals."""


class ExpirePasses(RoomCommand, frozen=True, gc=False):
    """Give back the slots of passes whose time has run out, oldest first."""

    passes_max: int


@unique
class JoinOutcome(Outcome):
    """Answers to Join, in precedence."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    REPLAYED = Kind.REPLAYED, "You have joined before; here is your place."
    NONCE_EXPIRED = Kind.GONE, "The nonce is too old to join with; get a new one."
    ROOM_CLOSED = Kind.REFUSED, "The room is closed."
    NOT_YET = Kind.REFUSED, "The room takes nobody yet; come back shortly before it opens."
    REGISTERED = Kind.WAITING, "You take part in the draw; your number comes with its result."
    JOINED = Kind.DONE, "You have a place in line."


@unique
class EnterOutcome(Outcome):
    """Answers to Enter, in precedence."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    OTHER_EPOCH = Kind.GONE, "The line was started anew, so that this no longer counts; join again."
    PASS_REVOKED = Kind.GONE, "The pass of this place was revoked; join again with a new place."
    PASS_DONE = Kind.GONE, "You have left already; join again to come back."
    SESSION_OVER = Kind.GONE, "Your time inside is over; join again to come back."
    REPLAYED = Kind.REPLAYED, "You are inside already; here is your pass."
    NOT_SERVED = Kind.CONFLICT, "It is not your turn yet; keep your place and ask again later."
    ROOM_CLOSED = Kind.REFUSED, "The room is closed."
    ROOM_PAUSED = Kind.WAITING, "Nobody is let in at the moment; your place is kept."
    ROOM_FULL = Kind.WAITING, "It is your turn, but everything inside is taken; your place is kept."
    ENTERED = Kind.DONE, "You are inside."


@unique
class RenewOutcome(Outcome):
    """Answers to Renew, in precedence."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    OTHER_EPOCH = Kind.GONE, "The line was started anew, so that this no longer counts; join again."
    UNKNOWN_PASS = Kind.ABSENT, "There is no such pass."
    PASS_REVOKED = Kind.GONE, "The pass was revoked: it was used in two places, or taken away."
    PASS_DONE = Kind.GONE, "You have left already; join again to come back."
    SESSION_OVER = Kind.GONE, "Your time inside is over; join again to come back."
    PASS_EXPIRED = Kind.GONE, "The pass has expired; enter again with your place."
    REPLAYED = Kind.REPLAYED, "This pass was renewed just before; here is the present one."
    RENEWED = Kind.DONE, "The pass has its full time again."


@unique
class EndPassOutcome(Outcome):
    """Answers to Leave, Complete and Revoke, in precedence."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    OTHER_EPOCH = Kind.GONE, "The line was started anew, so that this no longer counts; join again."
    UNKNOWN_PASS = Kind.ABSENT, "There is no such pass."
    PASS_REVOKED = Kind.GONE, "The pass was revoked before."
    REPLAYED = Kind.REPLAYED, "The pass had ended already."
    REVOKED = Kind.DONE, "The pass was revoked; gates refuse it as soon as they hear of it."
    COMPLETED = Kind.DONE, "All is done, and the slot is free again."
    LEFT = Kind.DONE, "The slot is free again."


@unique
class ExpirePassesOutcome(Outcome):
    """Answers to ExpirePasses, in precedence."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    NOT_DUE = Kind.REFUSED, "No pass is past its time."
    EXPIRED = Kind.DONE, "The slots of lapsed passes are free again."
