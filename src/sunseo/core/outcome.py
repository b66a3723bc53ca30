"""The answers a command can have.

Every expected answer is an outcome, never an exception. A capability lists its outcomes in one
enum, in the order of their precedence, each with a kind. The kind is all that the outer layers
need: over HTTP it becomes a status (`web/problems.py`).
"""

from collections.abc import Mapping
from enum import Enum, unique
from typing import Any, Self

import msgspec


@unique
class Kind(Enum):
    """What an outcome means to a caller, whatever the command was."""

    DONE = "done"  # it happened just now
    REPLAYED = "replayed"  # it happened before; this is how it stands today
    WAITING = "waiting"  # what was asked for stands, and needs nothing but time: ask again
    ABSENT = "absent"  # it names something that does not exist
    REFUSED = "refused"  # a rule forbids it, and the same request stays forbidden
    CONFLICT = "conflict"  # somebody or something else stands in the way
    GONE = "gone"  # it was there and is used up
    PACED = "paced"  # asked too often, by this caller or by her network; nothing was tried
    LATER = "later"  # nothing is known; try again with the same key

    @property
    def is_success(self) -> bool:
        return self in (Kind.DONE, Kind.REPLAYED, Kind.WAITING)


class Outcome(Enum):
    """Base of every capability's closed set of answers.

    A member's value is its kind and one sentence for the person who asked:

        SEAT_TAKEN = Kind.CONFLICT, "Somebody else has one of these seats."

    Members stand in the order of their precedence: where several apply, the first is given.
    """

    kind: Kind
    sentence: str

    def __new__(cls, kind: Kind, sentence: str) -> Self:
        member = object.__new__(cls)
        member._value_ = f"{kind.value}:{sentence}"
        member.kind = kind
        member.sentence = sentence
        return member

    @property
    def code(self) -> str:
        """The outcome's name on the wire, for instance `seat_taken`."""
        return self.name.lower()


class Refusal(msgspec.Struct, frozen=True):
    """An expected answer that is not success; over HTTP it becomes a problem document.

    Args:
        outcome: which of the endpoint's outcomes; its kind gives the status.
        detail: a sentence about this case; without it the outcome's own sentence stands.
        extra: members added to the document, for instance `{"seats": [17]}`.
        retry_after_s: for LATER, when to come back; without it the limits' jittered default.
    """

    outcome: Outcome
    detail: str | None = None
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)
    retry_after_s: int | None = None


class RefusedError(Exception):
    """Raised inside of a transaction to undo it, or below a handler, to be answered a refusal."""

    def __init__(
        self, outcome: Outcome, detail: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail or outcome.sentence)
        self.refusal = Refusal(outcome, detail, extra or {})
