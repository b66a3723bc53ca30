"""What happened between two looks: counters that grew become rates and means. Pure.

A lane's `busy` is the seconds it spent flushing in a second, summed over the workers: at one for
each worker there is no more to be had from lanes. A flush is loading, deciding, storing and
committing; while it lasts the lane waits for PostgreSQL or thinks.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec

from sunseo.rehearsal.observe.observer import FLUSHES_WITHIN, LOOK_S, Sample
from sunseo.rehearsal.observe.processes import MACHINE

GAP_S = 3 * LOOK_S  # looks farther apart: those between failed


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """From one look to the next.

    Attributes:
        shed_share: of all requests, those refused because too many were under way.
        lane_wait_ms: how long the first of a batch waited, on average.
        flush_ms: how long one flush took, on average.
        longest_flush_ms: how long the longest took at least; histograms know no more.
        busy: flushing seconds per second, by kind of lane.
        cores: in use, by group of processes.
    """

    from_s: float
    to_s: float
    requests_per_s: float = 0.0
    shed_share: float = 0.0
    lane_wait_ms: float = 0.0
    flush_ms: float = 0.0
    longest_flush_ms: float = 0.0
    busy: dict[str, float] = {}
    cores: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        return self.to_s - self.from_s

    @property
    def is_gap(self) -> bool:
        """Whether looks failed meanwhile."""
        return self.seconds > GAP_S

    @property
    def cores_in_use(self) -> float:
        """By the whole machine where that was seen, strangers included."""
        return self.cores.get(MACHINE, self.own_cores)

    @property
    def own_cores(self) -> float:
        """By server, database and crowd."""
        return sum(used for name, used in self.cores.items() if name != MACHINE)


LANE_KINDS = ("inventory", "room")


def connections_max(samples: Sequence[Sample]) -> int | None:
    """The most connections to PostgreSQL at one look; none where nobody could see them."""
    seen = [sample.connections for sample in samples if sample.connections is not None]
    return max(seen, default=None)


def readings_of(samples: Sequence[Sample]) -> list[Reading]:
    return [_between(before, after) for before, after in pairwise(samples)]


def overall(samples: Sequence[Sample], from_s: float, to_s: float) -> Reading | None:
    """One reading of all the time from one moment to another; none where nobody looked."""
    within = [sample for sample in samples if from_s <= sample.at_s <= to_s]
    if len(within) < 2:
        return None
    whole = _between(within[0], within[-1])
    spans = [(b.at_s - a.at_s, b.uses) for a, b in pairwise(within)]
    groups = {name for _, uses in spans for name in uses}
    cores = {
        name: round(sum(span * uses[name].cores for span, uses in spans if name in uses), 3)
        for name in groups
    }
    return msgspec.structs.replace(
        whole, cores={name: round(used / whole.seconds, 3) for name, used in cores.items()}
    )


def _between(before: Sample, after: Sample) -> Reading:
    seconds = max(1e-3, after.at_s - before.at_s)

    def grown(name: str) -> float:
        """By how much; a counter that fell began anew, with its server."""
        late, early = after.metrics.get(name, 0.0), before.metrics.get(name, 0.0)
        return late - early if late >= early else late

    requests = grown("requests") + grown("polls")
    return Reading(
        from_s=before.at_s,
        to_s=after.at_s,
        requests_per_s=round(requests / seconds, 1),
        shed_share=_part(grown("shed"), requests),
        lane_wait_ms=round(1000 * _part(grown("lane_wait_s"), grown("lane_waits")), 1),
        flush_ms=round(1000 * _part(grown("flush_s"), grown("flushes")), 1),
        longest_flush_ms=round(1000 * _longest_s(_flushes_within(after, grown)), 1),
        busy={kind: round(grown(f"flush_s.{kind}") / seconds, 3) for kind in LANE_KINDS},
        cores={name: use.cores for name, use in after.uses.items()},
    )


def _flushes_within(after: Sample, grown: Callable[[str], float]) -> list[tuple[float, float]]:
    """Bounds in seconds, upwards, and how many flushes took no longer."""
    names = [name for name in after.metrics if name.startswith(f"{FLUSHES_WITHIN}.")]
    return sorted((float(name.partition(".")[2]), grown(name)) for name in names)


def _longest_s(within: Sequence[tuple[float, float]]) -> float:
    """The lower end of the highest bucket that got anything; 0 where nothing was flushed."""
    return max((low for (low, few), (_, more) in pairwise(within) if more > few), default=0.0)


def _part(of: float, whole: float) -> float:
    return round(of / whole, 4) if whole > 0 else 0.0
