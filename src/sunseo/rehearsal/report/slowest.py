"""The slowest moments of a rehearsal, and what was probably behind each. Pure.

A moment is a second whose slowest operation was among the slowest of all, with the seconds around
it that were about as bad. Its causes are read from the looks taken meanwhile, by these rules, the
first that holds being the probable one:

    unseen    looks failed: the server, or its database, did not answer
    cpu       all cores were busy, or a core for each worker: everything waits for its turn
    crowd     the crowd's processes were at their limit: what is slow may be they
    database  PostgreSQL, or its disk, held flushes up: they, or one of them, took a third of the
              latency, and cores were left
    lane      commands waited in a lane for a third of the latency while the flush before them ran;
              neither this nor the database delays what is answered without a lane
    shed      the server was full and turned requests away, so whoever was let in waited as well
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from sunseo.rehearsal.observe.readings import Reading

Cause = Literal["unseen", "cpu", "crowd", "database", "lane", "shed", "unknown"]

MOMENTS_MAX = 5
NOTICED_MS = 100.0  # what is quicker, nobody notices: no moment worth telling
BELONGS = 0.5  # of the peak: a neighbouring second of the same moment
FEWEST = 5  # requests of an operation in a second, below which a p99 is one person's luck

LANELESS = frozenset({"guest", "nonce", "state", "look", "page"})  # they wait for no flush
FULL = 0.9  # of the cores there are
TAKES_PART = 1 / 3  # of the latency: more than any other step of a request would
SHEDS = 0.02  # of all requests
MOSTLY = 0.5  # of the moment


class Timed(Protocol):
    """One second of one operation."""

    @property
    def at_s(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def p99(self) -> float: ...


class Machinery(msgspec.Struct, frozen=True):
    """What there is to be used up. Without a server of our own only the crowd's use is known."""

    cores: int
    workers: int
    drivers: int


class SlowMoment(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds `from_s` to `to_s`, the latter excluded. `figures` are what the causes rest on."""

    from_s: int
    to_s: int
    operation: str
    p99: float
    causes: list[Cause]
    figures: dict[str, float]


def slowest(
    moments: Mapping[str, Sequence[Timed]], readings: Sequence[Reading], machinery: Machinery
) -> list[SlowMoment]:
    """At most `MOMENTS_MAX`, the slowest first; none where nothing stood out."""
    peaks = _peaks(moments)
    found: list[SlowMoment] = []
    while peaks and len(found) < MOMENTS_MAX:
        at_s = max(peaks, key=lambda second: peaks[second][0])
        p99, operation = peaks[at_s]
        if p99 < NOTICED_MS:
            break
        span = _span(peaks, at_s)
        for second in span:
            del peaks[second]
        meanwhile = [r for r in readings if r.from_s < span.stop and r.to_s > span.start]
        causes, figures = explain(operation, p99, meanwhile, machinery)
        found.append(
            SlowMoment(
                from_s=span.start,
                to_s=span.stop,
                operation=operation,
                p99=p99,
                causes=causes,
                figures=figures,
            )
        )
    return found


def _peaks(moments: Mapping[str, Sequence[Timed]]) -> dict[int, tuple[float, str]]:
    """The slowest operation of each second."""
    peaks: dict[int, tuple[float, str]] = {}
    for operation, seconds in moments.items():
        for moment in seconds:
            if moment.count >= FEWEST:
                here = (moment.p99, operation)
                peaks[moment.at_s] = max(peaks.get(moment.at_s, here), here)
    return peaks


def _span(peaks: Mapping[int, tuple[float, str]], at_s: int) -> range:
    enough = BELONGS * peaks[at_s][0]
    first, last = at_s, at_s
    while peaks.get(first - 1, (0.0, ""))[0] >= enough:
        first -= 1
    while peaks.get(last + 1, (0.0, ""))[0] >= enough:
        last += 1
    return range(first, last + 1)


def explain(
    operation: str, p99_ms: float, readings: Sequence[Reading], machinery: Machinery
) -> tuple[list[Cause], dict[str, float]]:
    """The causes that hold, the probable one first, and the figures that they rest on."""
    if not readings:
        return ["unknown"], {}
    seen = {
        "cores": _mean(readings, lambda reading: reading.cores_in_use),
        "others": _mean(readings, lambda one: max(0.0, one.cores_in_use - one.own_cores)),
        **{group: _mean(readings, _cores_of(group)) for group in ("server", "database", "crowd")},
        "flush_ms": _flush_ms(readings),
        "lane_wait_ms": _mean(readings, lambda reading: reading.lane_wait_ms),
        "shed": _mean(readings, lambda reading: reading.shed_share),
    }
    cpu = seen["cores"] >= FULL * machinery.cores or seen["server"] >= FULL * machinery.workers
    uses_lane = operation not in LANELESS
    rules: dict[Cause, bool] = {
        "unseen": _mean(readings, lambda reading: float(reading.is_gap)) >= MOSTLY,
        "cpu": cpu,
        "crowd": seen["crowd"] >= FULL * machinery.drivers,
        "database": uses_lane and not cpu and seen["flush_ms"] >= TAKES_PART * p99_ms,
        "lane": uses_lane and seen["lane_wait_ms"] >= TAKES_PART * p99_ms,
        "shed": seen["shed"] >= SHEDS,
    }
    causes = [cause for cause, holds in rules.items() if holds]
    return causes or ["unknown"], {name: round(value, 3) for name, value in seen.items()}


def _flush_ms(readings: Sequence[Reading]) -> float:
    """Of all on average, or of the one that took longest: everybody waited for that one."""
    mean_ms = _mean(readings, lambda reading: reading.flush_ms)
    return max(mean_ms, *(reading.longest_flush_ms for reading in readings))


def _mean(readings: Sequence[Reading], value: Callable[[Reading], float]) -> float:
    """Over time."""
    seconds = sum(reading.seconds for reading in readings)
    return sum(reading.seconds * value(reading) for reading in readings) / seconds


def _cores_of(group: str) -> Callable[[Reading], float]:
    return lambda reading: reading.cores.get(group, 0.0)
