"""What visitors are answered: closed unions of plain values, sealed tokens included.

    join    Joined | Registered | Refusal
    enter   Entered | EnterLater | Refusal
    renew   Renewed | Refusal
    end     Ended | Refusal

Seconds are whole, instants are PostgreSQL's.
"""

from typing import TypeAlias

import msgspec

from sunseo.core.clock import Instant
from sunseo.core.outcome import Outcome, Refusal


class Joined(msgspec.Struct, frozen=True, gc=False):
    """A number in line, and the sealed place that says so; ask again after `poll_after_s`."""

    outcome: Outcome
    place: str
    epoch: int
    number: int
    serving: int
    poll_after_s: int


class Registered(msgspec.Struct, frozen=True, gc=False):
    """Takes part in the draw, as the sealed receipt says; the number comes with the same nonce."""

    outcome: Outcome
    receipt: str
    epoch: int
    serving: int
    poll_after_s: int


class HeldPass(msgspec.Struct, frozen=True, gc=False):
    """A sealed pass, and how long it lasts.

    Attributes:
        renew_after_s: from now; the last renewal of a session is not to be renewed.
    """

    outcome: Outcome
    sealed: str
    expires_at: Instant
    renew_after_s: int
    session_until: Instant


class Entered(HeldPass, frozen=True, gc=False):
    """She is in."""


class Renewed(HeldPass, frozen=True, gc=False):
    """Her pass has its full time again."""


class EnterLater(msgspec.Struct, frozen=True, gc=False):
    """It is her turn, but nobody can be let in just now; the place is kept."""

    outcome: Outcome
    poll_after_s: int


class Ended(msgspec.Struct, frozen=True, gc=False):
    """The slot is free again: just now, or since before."""

    outcome: Outcome


JoinAnswer: TypeAlias = Joined | Registered | Refusal
EnterAnswer: TypeAlias = Entered | EnterLater | Refusal
RenewAnswer: TypeAlias = Renewed | Refusal
EndAnswer: TypeAlias = Ended | Refusal
