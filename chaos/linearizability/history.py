"""What clients of a sale have done, as the checker is told of it: pure.

A request that is repeated with its key is one operation, from its first sending to its answer.
Whoever gives up while nobody knows whether it was done leaves it open: it may take effect at any
later time, or never. What was surely not done is no operation at all.
"""

from enum import Enum
from typing import Any

import msgspec

from sunseo.booking.halt import REASONS

NOTHING_DONE = frozenset(("busy", "locked", "overloaded", *(reason.code for reason in REASONS)))
"""Refusals after which nothing has been done, by their outcome."""


class Heard(Enum):
    """What one sending of a request has brought."""

    ANSWER = "answer"
    NOTHING_DONE = "nothing was done"
    DOUBT = "it may have been done"

    @classmethod
    def of(cls, status: int, body: dict[str, Any]) -> "Heard":
        if status < 500:
            return cls.ANSWER
        return cls.NOTHING_DONE if body.get("outcome") in NOTHING_DONE else cls.DOUBT


class Wish(msgspec.Struct, frozen=True):
    """What is asked of a sale: to hold seats and standing places, or something about a hold."""

    kind: str  # hold, release, order, read
    sale: int
    seats: tuple[int, ...] = ()
    standing: int = 0
    hold: str = ""


class Operation(msgspec.Struct, frozen=True, rename={"returned": "return"}):
    """One line of a history; times are nanoseconds since it began."""

    client: int
    sale: int
    kind: str
    seats: tuple[int, ...]
    standing: int
    hold: str
    call: int
    returned: int | None = None
    answer: str = ""
    taken: tuple[int, ...] = ()


class History(msgspec.Struct, frozen=True):
    """All that was done in some sales, each with so many standing places."""

    stock: int
    operations: list[Operation]


class Asking:
    """One operation while it is under way: sent once or more, answered once or never."""

    def __init__(self, client: int, wish: Wish) -> None:
        self._client = client
        self._wish = wish
        self._call: int | None = None
        self.in_doubt = False
        """Whether nobody knows if one of those sent has been carried out."""

    def sent(self, now: int) -> None:
        if self._call is None:
            self._call = now

    def heard_nothing_done(self) -> None:
        if not self.in_doubt:
            self._call = None

    def heard_doubt(self) -> None:
        self.in_doubt = True

    def answered(self, now: int, status: int, body: dict[str, Any]) -> Operation:
        hold = body.get("hold", "") if self._wish.kind == "hold" and status < 300 else ""
        return msgspec.structs.replace(
            self._open(),
            hold=hold or self._wish.hold,
            returned=now,
            answer=_answer_of(self._wish.kind, status, body),
            taken=tuple(body.get("seats", ())) if status >= 300 else (),
        )

    def given_up(self) -> Operation | None:
        """What is left of it: nothing if it was surely not done, or would have changed nothing."""
        return self._open() if self.in_doubt and self._wish.kind != "read" else None

    def _open(self) -> Operation:
        if self._call is None:
            raise AssertionError("what was never sent has no answer")
        wish = self._wish
        return Operation(
            self._client, wish.sale, wish.kind, wish.seats, wish.standing, wish.hold, self._call
        )


_DONE = {"hold": "held", "release": "released", "order": "ordered"}


def _answer_of(kind: str, status: int, body: dict[str, Any]) -> str:
    if status < 300:
        state: str = body.get("state", "") if kind == "read" else _DONE[kind]
        return state or f"{status} without a state"
    outcome: str = body.get("outcome", "")
    return outcome or f"{status} without an outcome"
