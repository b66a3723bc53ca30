"""How visitors were served, at any time of a rehearsal: pure."""

from collections.abc import Mapping
from math import floor

from sunseo.rehearsal.faults.incident import ServiceLevel
from sunseo.rehearsal.observe.histogram import Counts, merged, micros_of, quantiles_ms
from sunseo.rehearsal.observe.ledger import Figures

BROKEN = ("no_connection", "no_answer", "error")
SLOW_TIMES, SLOW_MORE_MS = 2.0, 50.0  # a median beyond both is slower than before
WAIT_S = 1.0  # longer than that is noticed by a person
LATER_TIMES, LATER_MORE = 1.5, 2.0  # so many put off in a second are no more than before


class Service:
    """How visitors were served, at any time."""

    def __init__(self, figures: Figures) -> None:
        self._answers = figures.answers
        self._latencies = _by_second(figures)
        self.ends_s = (max(figures.answers, default=0) + 1) / 10

    def count(self, from_s: float, until_s: float, *kinds: str) -> int:
        """Answers of these kinds in whole tenths of a second."""
        return sum(
            self._answers.get(tenth, {}).get(kind, 0)
            for tenth in tenths(from_s, until_s)
            for kind in kinds
        )

    def latency(self, from_s: float, until_s: float) -> tuple[float, float]:
        """p50 and p99 in milliseconds, of all seconds that are touched."""
        counts = [
            self._latencies.get(second, {})
            for second in range(floor(from_s), max(floor(until_s - 0.01), floor(from_s)) + 1)
        ]
        p50, p99 = quantiles_ms(merged(counts), 0.5, 0.99)
        return p50, p99

    def slow_count(self, from_s: float, until_s: float) -> int:
        """Answers that were waited for longer than `WAIT_S`, in all seconds that are touched."""
        return sum(
            times
            for second in range(floor(from_s), floor(until_s) + 1)
            for bucket, times in self._latencies.get(second, {}).items()
            if micros_of(bucket) > WAIT_S * 1e6
        )

    def level(self, from_s: float, until_s: float) -> ServiceLevel:
        length_s = max(0.1, until_s - from_s)
        p50, p99 = self.latency(from_s, until_s)
        return ServiceLevel(
            good_per_s=round(self.count(from_s, until_s, "good") / length_s, 1),
            later_per_s=round(self.count(from_s, until_s, "later") / length_s, 1),
            p50_ms=p50,
            p99_ms=p99,
        )

    def worst(self, from_s: float, until_s: float) -> ServiceLevel:
        """Each figure at its worst, over any second that begins in this time."""
        starts = [tenth / 10 for tenth in tenths(from_s, until_s)]
        levels = [self.level(start, start + 1) for start in starts or [from_s]]
        return ServiceLevel(
            good_per_s=min(one.good_per_s for one in levels),
            later_per_s=max(one.later_per_s for one in levels),
            p50_ms=max(one.p50_ms for one in levels),
            p99_ms=max(one.p99_ms for one in levels),
        )

    def is_slow(self, before: ServiceLevel | None, from_s: float, until_s: float) -> bool:
        """Whether most waited longer than before, in any of the seconds that are touched."""
        if before is None:
            return False
        bound_ms = max(before.p50_ms * SLOW_TIMES, before.p50_ms + SLOW_MORE_MS)
        touched = range(floor(from_s), floor(until_s - 0.01) + 1)
        return any(self.latency(second, second + 1)[0] > bound_ms for second in touched)

    def puts_off(self, before: ServiceLevel | None, start_s: float) -> bool:
        """Whether more were put off in this second than before."""
        usual = 0.0 if before is None else before.later_per_s
        return self.count(start_s, start_s + 1, "later") > usual * LATER_TIMES + LATER_MORE


def tenths(from_s: float, until_s: float) -> range:
    """The tenths of a second that begin in this time."""
    return range(_tenth(from_s), _tenth(until_s))


def _by_second(figures: Figures) -> Mapping[int, Counts]:
    """Latencies of all requests together."""
    many: dict[int, list[Counts]] = {}
    for seconds in figures.latencies.values():
        for second, counts in seconds.items():
            many.setdefault(second, []).append(counts)
    return {second: merged(counts) for second, counts in many.items()}


def _tenth(seconds: float) -> int:
    return floor(round(seconds * 10, 3))
