"""When a fault was noticed, and by whom: pure."""

from collections.abc import Sequence
from math import floor
from typing import NamedTuple

from sunseo.rehearsal.faults.incident import ServiceLevel
from sunseo.rehearsal.faults.service import Service
from sunseo.rehearsal.faults.watch import Look, Scrape

TELLING = ("database_errors", "loop_failures", "shed")
"""Metrics whose growth tells that something is wrong, where they did not grow before."""


class Span(NamedTuple):
    """What is looked at: from a fault's beginning until the next one's, and how it was before."""

    began_s: float
    until_s: float
    before: ServiceLevel | None

    def __contains__(self, moment_s: object) -> bool:
        return isinstance(moment_s, float) and self.began_s <= moment_s < self.until_s


def slow_from(service: Service, span: Span, until_s: float) -> float | None:
    """The beginning of the first second in which visitors waited longer than before."""
    for second in range(floor(span.began_s), floor(min(until_s, span.until_s))):
        if service.is_slow(span.before, second, second + 1):
            return max(float(second), span.began_s)
    return None


def noticed_by_readyz(looks: Sequence[Look], span: Span) -> float | None:
    return min((look.told_s for look in _bad(looks, span)), default=None)


def ready_again(looks: Sequence[Look], span: Span) -> float | None:
    """When `/readyz` was good and remained so; none where it never was bad."""
    bad = [look.asked_s for look in _bad(looks, span)]
    good = [
        look.told_s
        for look in looks
        if bad and look.status == 200 and max(bad) < look.asked_s < span.until_s
    ]
    return min(good, default=None)


def _bad(looks: Sequence[Look], span: Span) -> list[Look]:
    return [
        look
        for look in looks
        if look.status != 200 and span.began_s <= look.told_s and look.asked_s < span.until_s
    ]


def noticed_by_metrics(scrapes: Sequence[Scrape], span: Span) -> tuple[float, str] | None:
    """When which metric grew that had not grown before, or there was silence."""
    earlier = [s.sums for s in scrapes if s.at_s < span.began_s and s.sums is not None]
    base, older = (earlier[-1], earlier[-2]) if len(earlier) > 1 else ({}, {})
    quiet = [name for name in TELLING if base.get(name, 0.0) == older.get(name, 0.0)]
    for scrape in scrapes:
        if scrape.at_s not in span:
            continue
        if scrape.sums is None:
            return scrape.at_s, "silence"
        for name in quiet:
            if scrape.sums.get(name, 0.0) > base.get(name, 0.0):
                return scrape.at_s, name
    return None
