"""What visitors of a room were told, and what follows from that alone. Pure.

Tokens are taken apart by the published layout (docs/protocol/tokens.md), not by the server's code.
Times are seconds since 1970, of the clock that visitors, server and PostgreSQL share here.
"""

import base64
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

HEAD = struct.Struct(">BBBBQIQQ16s16s")
PASS_TAIL = struct.Struct(">Q16sI")

ORDER_ALLOWANCE_S = 0.25
"""How much the times of two documents may differ from the order in which they were read.

A document tells the time at which its statement was executed. What the statement sees was fixed a
moment before, and on a busy machine a process may wait in that moment.
"""


class ReadPlace(NamedTuple):
    """What a place's token says."""

    room: int
    epoch: int
    number: int
    holder: UUID


class ReadPass(NamedTuple):
    """What a pass's token says."""

    number: int
    holder: UUID
    expires_s: float
    pass_id: UUID
    renewal: int


def read_place(token: str) -> ReadPlace:
    _, _, _, _, room, epoch, number, _, holder, _ = HEAD.unpack_from(_bytes_of(token))
    return ReadPlace(room, epoch, number, UUID(bytes=holder))


def read_pass(token: str) -> ReadPass:
    raw = _bytes_of(token)
    number, holder = HEAD.unpack_from(raw)[6], HEAD.unpack_from(raw)[8]
    expires_ms, pass_id, renewal = PASS_TAIL.unpack_from(raw, HEAD.size)
    return ReadPass(number, UUID(bytes=holder), expires_ms / 1000, UUID(bytes=pass_id), renewal)


def _bytes_of(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


@dataclass(frozen=True)
class Told:
    """A pass, as it was acknowledged at a moment."""

    token: str
    read: ReadPass
    received_s: float


@dataclass(eq=False)
class Visit:
    """One visitor, from joining to leaving, as she knows it herself."""

    room: int
    person: str
    """Her token; empty where a browser's secret says who she is."""

    secret: str | None
    nonce: str = ""
    place: str = ""
    read: ReadPlace | None = None
    passes: list[Told] = field(default_factory=list)
    leaves_s: float | None = None
    """When she first said that she leaves: from then on the slot may be somebody else's."""

    ended: str | None = None
    """`left` or `completed`, once that was acknowledged."""

    @property
    def number(self) -> int:
        return 0 if self.read is None else self.read.number


def given_twice(visits: Iterable[Visit]) -> list[str]:
    """Numbers that two visitors have, and visitors who have two numbers."""
    holders: dict[tuple[int, int, int], UUID] = {}
    numbers: dict[tuple[int, int, UUID], int] = {}
    faults = []
    for visit in visits:
        if visit.read is None:
            continue
        room, epoch, number, holder = visit.read
        if (other := holders.setdefault((room, epoch, number), holder)) != holder:
            faults.append(f"number {number} of room {room} was given to {other} and to {holder}")
        if (first := numbers.setdefault((room, epoch, holder), number)) != number:
            faults.append(f"{holder} has the numbers {first} and {number} in room {room}")
    return faults


def most_at_once(visits: Iterable[Visit]) -> Counter[int]:
    """How many acknowledged passes were valid at the same instant, at most, by room.

    A pass counts from when its holder had it until it expired or she said that she leaves. The
    server counts it for longer: so this is never more than what it let in.
    """
    moments: dict[int, list[tuple[float, int]]] = {}
    for visit in visits:
        for begin, end in _spans_of(visit):
            moments.setdefault(visit.room, []).extend([(begin, 1), (end, -1)])
    most: Counter[int] = Counter()
    for room, turns in moments.items():
        inside = 0
        for _, step in sorted(turns):  # of two at one instant, who goes makes way first
            inside += step
            most[room] = max(most[room], inside)
    return most


def _spans_of(visit: Visit) -> list[tuple[float, float]]:
    """When this visitor surely was inside: times of her tokens, put together where they meet."""
    spans: list[tuple[float, float]] = []
    for told in visit.passes:
        leaves_s = told.read.expires_s if visit.leaves_s is None else visit.leaves_s
        begin, end = told.received_s, min(told.read.expires_s, leaves_s)
        if spans and begin <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        elif begin < end:
            spans.append((begin, end))
    return spans


class Witness:
    """Hears numbers that may only grow, and notes documents that fall behind what was known.

    Every worker shows what it read at its last tick, so that two workers may differ: what a
    document says is held against what had been heard before the time that it tells itself.
    """

    def __init__(self) -> None:
        self._heard_s: dict[tuple[int, str], list[float]] = {}
        self._values: dict[tuple[int, str], list[int]] = {}
        self.documents = 0
        self.faults: list[str] = []

    def learn(self, room: int, what: str, value: int, received_s: float) -> None:
        """Take what an answer says, which is true from then on."""
        values = self._values.setdefault((room, what), [])
        if not values or value > values[-1]:
            values.append(value)
            self._heard_s.setdefault((room, what), []).append(received_s)

    def judge(self, room: int, what: str, value: int, as_of_s: float, received_s: float) -> None:
        """Hold a document against what was known at its time, and learn from it."""
        self.documents += 1
        heard_s = self._heard_s.get((room, what), [])
        known = bisect_left(heard_s, as_of_s - ORDER_ALLOWANCE_S)
        if known and value < (least := self._values[room, what][known - 1]):
            self.faults.append(
                f"room {room} showed {what} {value} as of {as_of_s:.3f}, after {least} was known"
            )
        self.learn(room, what, value, received_s)
