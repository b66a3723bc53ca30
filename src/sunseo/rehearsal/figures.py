"""What a crowd saw, counted."""

from array import array
from collections import Counter
from collections.abc import Sequence
from enum import Enum, unique
from math import ceil
from uuid import UUID

import msgspec

from sunseo.rehearsal.buyers import Basket


@unique
class Operation(Enum):
    """What buyers ask of the server."""

    GUEST = "guest"
    LOOK = "look"
    HOLD = "hold"
    RELEASE = "release"
    ORDER = "order"


class Latency(msgspec.Struct, frozen=True):
    """In milliseconds, as the client saw it."""

    p50: float
    p99: float
    longest: float


class Figures:
    """Counts and times of one run; one thread writes them."""

    def __init__(self) -> None:
        self.buyers = 0
        self.lost_answers = 0  # hung up on purpose
        self.told_later = 0  # answered 503, or not at all
        self.outcomes: Counter[tuple[Operation, str]] = Counter()
        self.orders: dict[UUID, Basket] = {}  # those that a buyer was told of …
        self.ordered: list[tuple[float, int]] = []  # … when, and how many units
        self.seconds: dict[Operation, array[float]] = {
            operation: array("d") for operation in Operation
        }
        self.holds_by_second: Counter[int] = Counter()

    def note_order(self, order: UUID, basket: Basket, at_s: float) -> None:
        self.orders[order] = basket
        self.ordered.append((at_s, basket.units))

    def ordered_after_s(self, units: int) -> float | None:
        """When so many units were ordered; none if they never were."""
        total = 0
        for at_s, more in self.ordered:
            total += more
            if total >= units:
                return round(at_s, 2)
        return None

    def note(self, operation: Operation, outcome: str, seconds: float, at_s: float) -> None:
        """Count an answer that came `at_s` after the beginning."""
        self.outcomes[operation, outcome] += 1
        self.seconds[operation].append(seconds)
        if operation is Operation.HOLD:
            self.holds_by_second[int(at_s)] += 1

    def count(self, operation: Operation, *outcomes: str) -> int:
        """Answers to an operation: of these outcomes, or all."""
        return sum(
            times
            for (asked, outcome), times in self.outcomes.items()
            if asked is operation and (not outcomes or outcome in outcomes)
        )

    @property
    def requests(self) -> int:
        return self.outcomes.total() + self.lost_answers

    @property
    def replays(self) -> int:
        return sum(n for (_, outcome), n in self.outcomes.items() if outcome == "replayed")

    def latency(self, operation: Operation, latest: int = 0) -> Latency:
        """Of all answers, or of the `latest` so many."""
        return latency_of(self.seconds[operation][-latest:])


def latency_of(seconds: Sequence[float]) -> Latency:
    """Percentiles by nearest rank; zeros where there is nothing."""
    if not seconds:
        return Latency(0.0, 0.0, 0.0)
    ascending = sorted(seconds)
    ranks = [ceil(share * len(ascending)) for share in (0.5, 0.99, 1.0)]
    return Latency(*(_millis(ascending[rank - 1]) for rank in ranks))


def _millis(seconds: float) -> float:
    return round(seconds * 1000, 1)
