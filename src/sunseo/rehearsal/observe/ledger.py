"""What visitors were told, kept by the driver, to be held against what is stored.

Times are seconds from T0 on the machine's monotonic clock, the same for all drivers on it.
"""

from enum import Enum, unique

import msgspec

from sunseo.rehearsal.observe.histogram import Counts, merged


class Known(msgspec.Struct, frozen=True, array_like=True):
    """Who a visitor is to the server."""

    visitor: int
    person: str


class Placed(msgspec.Struct, frozen=True, array_like=True):
    """A place that was told. `asked_at` is when it was asked for the first time, on this nonce."""

    visitor: int
    epoch: int
    number: int
    asked_at: float
    told_at: float


class Drawn(msgspec.Struct, frozen=True, array_like=True):
    """A number that was drawn for a visitor who had registered; when she was told so that time."""

    visitor: int
    number: int
    registered_at: float


class WaitEstimate(msgspec.Struct, frozen=True, array_like=True):
    """The first time that a visitor was told how long it takes until her turn.

    Attributes:
        at: when.
        likely_s, slow_s: in the middle case and in the slow one; the latter may not be known.
    """

    visitor: int
    at: float
    likely_s: float
    slow_s: float | None


class EnteredRoom(msgspec.Struct, frozen=True, array_like=True):
    """A pass that was given, and what `serving` the visitor had seen."""

    visitor: int
    number: int
    saw_serving: int
    told_at: float


class Held(msgspec.Struct, frozen=True, array_like=True):
    visitor: int
    hold: str
    seats: tuple[int, ...]
    products: list[tuple[int, int]] = []  # and how many of each


class Ordered(msgspec.Struct, frozen=True, array_like=True):
    """An order that its visitor was told of; `found`: only when she asked again later."""

    visitor: int
    order: str
    hold: str
    seats: tuple[int, ...]
    told_at: float
    found: bool = False
    products: list[tuple[int, int]] = []


class Left(msgspec.Struct, frozen=True, array_like=True):
    """The server said that the visitor has left."""

    visitor: int
    number: int


class CheatAttempt(msgspec.Struct, frozen=True, array_like=True):
    """A cheater's attempt and the answer; `paid` when she was given what she must not have."""

    visitor: int
    cheat: str
    status: int
    outcome: str
    paid: bool


class BadAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer that must not be: status 0 is none at all."""

    visitor: int
    operation: str
    status: int
    outcome: str
    at: float
    retry_after: bool = False


class Troubled(msgspec.Struct, array_like=True):
    """A request that was not answered straight away: refused a connection, lost, or put off.

    Attributes:
        kind: of its first trouble, as in `Figures.answers`.
        due, noticed, until: when it was wanted, when that showed, and when it showed last or, if it
            was `answered` in the end, when that was.
        tries: how often it was sent in vain.
    """

    visitor: int
    operation: str
    kind: str
    due: float
    noticed: float
    until: float
    tries: int = 0
    answered: bool = False


class Ledger(msgspec.Struct):
    known: list[Known] = []
    placed: list[Placed] = []
    drawn: list[Drawn] = []
    estimates: list[WaitEstimate] = []
    entered: list[EnteredRoom] = []
    held: list[Held] = []
    ordered: list[Ordered] = []
    left: list[Left] = []
    tried: list[CheatAttempt] = []
    faults: list[BadAnswer] = []
    lapsed: list[int] = []  # visitors whose pass ran out while they were inside
    troubled: list[Troubled] = []  # where faults are rehearsed

    def add(self, other: "Ledger") -> None:
        for name in self.__struct_fields__:
            getattr(self, name).extend(getattr(other, name))


@unique
class Operation(Enum):
    """What visitors ask of the server."""

    GUEST = "guest"
    NONCE = "nonce"
    JOIN = "join"
    STATE = "state"
    ENTER = "enter"
    RENEW = "renew"
    LOOK = "look"
    HOLD = "hold"
    ORDER = "order"
    RELEASE = "release"
    LEAVE = "leave"
    PAGE = "page"


class Figures(msgspec.Struct):
    """Counts and times of a run; one thread writes them."""

    outcomes: dict[str, dict[str, int]] = {}  # by operation
    latencies: dict[str, dict[int, Counts]] = {}  # by operation and second from T0
    gone: dict[str, int] = {}  # visitors, by how their visit ended
    arrivals: dict[int, int] = {}  # by second from T0
    retries: int = 0  # told to come later, or not answered
    lost_answers: int = 0  # hung up on purpose
    driver_late: Counts = {}  # how late the driver was to do what was due
    answers: dict[int, dict[str, int]] = {}  # by tenth of a second from T0, then by kind

    def add(self, other: "Figures") -> None:
        for operation, counts in other.outcomes.items():
            _sum_into(self.outcomes.setdefault(operation, {}), counts)
        for operation, seconds in other.latencies.items():
            mine = self.latencies.setdefault(operation, {})
            for second, hits in seconds.items():
                _sum_into(mine.setdefault(second, {}), hits)
        for tenth, kinds in other.answers.items():
            _sum_into(self.answers.setdefault(tenth, {}), kinds)
        _sum_into(self.gone, other.gone)
        _sum_into(self.arrivals, other.arrivals)
        _sum_into(self.driver_late, other.driver_late)
        self.retries += other.retries
        self.lost_answers += other.lost_answers

    @property
    def requests(self) -> int:
        return sum(sum(counts.values()) for counts in self.outcomes.values()) + self.lost_answers

    @property
    def put_off(self) -> int:
        """Answers that told to come later."""
        return sum(kinds.get("later", 0) for kinds in self.answers.values())

    def count(self, operation: Operation, *outcomes: str) -> int:
        """Answers to an operation: of these outcomes, or all."""
        counts = self.outcomes.get(operation.value, {})
        return sum(n for outcome, n in counts.items() if not outcomes or outcome in outcomes)

    def latency(self, operation: Operation, since: int | None = None) -> Counts:
        """Of all seconds, or of those from `since` on."""
        seconds = self.latencies.get(operation.value, {})
        return merged(c for second, c in seconds.items() if since is None or second >= since)


def _sum_into(
    mine: dict[int, int] | dict[str, int], other: dict[int, int] | dict[str, int]
) -> None:
    total: dict[int | str, int] = mine  # type: ignore[assignment]  # both have one kind of key
    for key, times in other.items():
        total[key] = total.get(key, 0) + times


class DriverRecord(msgspec.Struct):
    """All that one driver brings home; `whole` unless it was stopped before its crowd had gone."""

    ledger: Ledger
    figures: Figures
    whole: bool
    seconds: float  # from T0 to the end
    cpu_s: float
    memory_mb: float
