"""The log of an exported crowd: what each visitor was told, a JSON array a line, its kind first.

The kinds are those of the ledger, and some that count; docs/guides/exported-crowds.md lists them.
Other lines, for instance the tool's own, are passed over; one that breaks off is none.
"""

from collections.abc import Callable, Iterable
from math import floor
from typing import Any

import msgspec

from sunseo.rehearsal.attempt import AttemptError
from sunseo.rehearsal.observe.histogram import note
from sunseo.rehearsal.observe.ledger import (
    BadAnswer,
    DriverRecord,
    EnteredRoom,
    Figures,
    Held,
    Known,
    Ledger,
    Left,
    Operation,
    Ordered,
    Placed,
)

LATER = (0, 429, 503)  # no answer, or to be asked again


class LogError(AttemptError):
    """A line of the log is not what it says; one line tells which."""


class Came(msgspec.Struct, frozen=True, array_like=True):
    visitor: int
    at: float


class Gone(msgspec.Struct, frozen=True, array_like=True):
    visitor: int
    reason: str
    at: float


class Answered(msgspec.Struct, frozen=True, array_like=True):
    """One answer, 0 for none: `took_ms` counts from when the tool sent the request."""

    visitor: int
    operation: Operation
    status: int
    outcome: str
    at: float
    took_ms: float


class Cut(msgspec.Struct, frozen=True, array_like=True):
    """She hung up before the answer."""

    visitor: int
    operation: Operation


class Lapsed(msgspec.Struct, frozen=True, array_like=True):
    visitor: int


class CrowdLog:
    """Reads lines into what a driver brings home."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._figures = Figures()
        self._there: set[int] = set()
        self._ended_at = 0.0
        ledger = self._ledger
        self._kinds: dict[str, tuple[type[Any], Callable[[Any], object]]] = {
            "known": (Known, ledger.known.append),
            "placed": (Placed, ledger.placed.append),
            "entered": (EnteredRoom, ledger.entered.append),
            "held": (Held, ledger.held.append),
            "ordered": (Ordered, ledger.ordered.append),
            "left": (Left, ledger.left.append),
            "fault": (BadAnswer, ledger.faults.append),
            "lapsed": (Lapsed, lambda lapsed: ledger.lapsed.append(lapsed.visitor)),
            "came": (Came, self._come),
            "gone": (Gone, self._go),
            "answered": (Answered, self._count),
            "cut": (Cut, self._cut),
        }

    def read(self, lines: Iterable[bytes]) -> None:
        """
        Raises:
            LogError: a line has a kind of ours, and something else in it.
        """
        for number, line in enumerate(lines, 1):
            told = _array(line)
            kind = self._kinds.get(told[0]) if told and isinstance(told[0], str) else None
            if kind is None:
                continue
            struct, note_it = kind
            try:
                note_it(msgspec.convert(told[1:], struct))
            except msgspec.ValidationError as error:
                raise LogError(f"line {number}, {told[0]!r}: {error}") from None

    def record(self, visitors: int) -> DriverRecord:
        """What was told so far; whole if all these visitors have come, and gone again."""
        gone = self._figures.gone
        if self._there:
            gone["still_there"] = len(self._there)
        came = sum(self._figures.arrivals.values())
        whole = came >= visitors and not self._there
        return DriverRecord(self._ledger, self._figures, whole, self._ended_at, 0.0, 0.0)

    def _come(self, came: Came) -> None:
        self._there.add(came.visitor)
        second = floor(came.at)
        self._figures.arrivals[second] = self._figures.arrivals.get(second, 0) + 1

    def _go(self, gone: Gone) -> None:
        self._there.discard(gone.visitor)
        self._figures.gone[gone.reason] = self._figures.gone.get(gone.reason, 0) + 1
        self._ended_at = max(self._ended_at, gone.at)

    def _count(self, answered: Answered) -> None:
        name, figures = answered.operation.value, self._figures
        counts = figures.outcomes.setdefault(name, {})
        counts[answered.outcome] = counts.get(answered.outcome, 0) + 1
        seconds = figures.latencies.setdefault(name, {})
        note(seconds.setdefault(floor(answered.at), {}), answered.took_ms / 1000)
        figures.retries += answered.status in LATER

    def _cut(self, _: Cut) -> None:
        self._figures.lost_answers += 1


def _array(line: bytes) -> list[Any]:
    if not line.startswith(b"["):
        return []
    try:
        return msgspec.json.decode(line, type=list[Any])
    except msgspec.DecodeError:
        return []
