"""What one fault did, as figures: everything that an incident report tells."""

import msgspec


class ServiceLevel(msgspec.Struct, frozen=True, kw_only=True):
    """How visitors were served over a while: answers and put-offs a second, and milliseconds."""

    good_per_s: float
    later_per_s: float
    p50_ms: float
    p99_ms: float


class LogEvent(msgspec.Struct, frozen=True):
    """What the server itself noted in its log; `times` within this incident, `at_s` the first."""

    at_s: float
    event: str
    about: str
    times: int


class Point(msgspec.Struct, frozen=True):
    """A moment of the picture, from the fault's beginning; both are counts a second."""

    at_s: float
    good: float
    troubled: float


class Slowness(msgspec.Struct, frozen=True):
    at_s: float
    p50_ms: float
    p99_ms: float


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """
    `began_s` counts from T0, and all other seconds from `began_s`. What did not come to pass
    before `watched_s`, when the next fault began or the crowd was gone, is none.

    Attributes:
        planned_s: from T0, as the plan says; `began_s` is when it was done.
        trouble: why the fault could not be done; then all else is empty.
        delay_s: of a slow network, each way.
        processes: their numbers; `connections` is how many were cut, held or slowed.
        noticed: who noticed it after how long: `visitors`, `readyz`, `metrics` or `log`.
        metric: which metric showed it.
        before: the level of the seconds before, where there were any.
        worst: the fewest good answers in a second, and the longest times in one.
        kinds: requests in trouble by the kind of their first one.
        hurt: visitors who had one; `hurt_at` counts requests by what they were for.
        waited_p50_s, waited_longest_s: from when such a request was due until it was answered.
        unanswered: requests that never were.
        slow: answers that took more than a second.
        fewer: good answers that were missing, compared with the level before.
        ready_s: when `/readyz` was good again for good.
        served_s: from when on nobody was turned away for a second, and none waited longer.
        level_s: from when on as many were answered as before.
        settled_s: when the last visitor in trouble was answered.
        acknowledged, lost: orders and places told in the second before and until all was well, and
            how many of them are not stored.
    """

    kind: str
    planned_s: float
    began_s: float | None = None
    lasted_s: float = 0.0
    delay_s: float = 0.0
    processes: list[int] = []
    connections: int = 0
    trouble: str = ""
    watched_s: float = 0.0
    noticed: dict[str, float] = {}
    metric: str = ""
    before: ServiceLevel | None = None
    worst: ServiceLevel | None = None
    kinds: dict[str, int] = {}
    hurt: int = 0
    hurt_at: dict[str, int] = {}
    waited_p50_s: float = 0.0
    waited_longest_s: float = 0.0
    unanswered: int = 0
    slow: int = 0
    fewer: int = 0
    ready_s: float | None = None
    served_s: float | None = None
    level_s: float | None = None
    settled_s: float | None = None
    acknowledged: int = 0
    lost: int | None = None
    log_events: list[LogEvent] = []
    picture: list[Point] = []
    slowness: list[Slowness] = []

    @property
    def has_happened(self) -> bool:
        return self.began_s is not None and not self.trouble

    @property
    def noticed_s(self) -> float | None:
        return min(self.noticed.values(), default=None)

    @property
    def line(self) -> str:
        """For a terminal: what was done, who noticed, when all was well, who was hurt."""
        if self.began_s is None or self.trouble:
            why = self.trouble or "the crowd had gone by then"
            return f"{self.kind} at T+{self.planned_s:g} s was not done: {why}"
        lasted = f" for {self.lasted_s:.1f} s" if self.lasted_s >= 0.1 else ""
        if not self.noticed:
            return f"{self.kind} at T+{self.began_s:.1f} s{lasted}: nobody noticed"
        who = min(self.noticed, key=self.noticed.__getitem__)
        served = "not" if self.served_s is None else f"after {self.served_s:.1f} s"
        lost = "not compared" if self.lost is None else f"{self.lost:,} of {self.acknowledged:,}"
        return (
            f"{self.kind} at T+{self.began_s:.1f} s{lasted}: noticed by {who} after"
            f" {self.noticed[who]:.1f} s, served as before {served}, {self.hurt:,} visitors hurt,"
            f" {self.slow:,} answers took over a second; acknowledged and lost: {lost}"
        )
