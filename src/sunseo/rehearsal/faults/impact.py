"""From what was seen to incidents: when a fault was noticed, what it did, when all was well. Pure.

Good answers are counted by tenths of a second, latencies by seconds, looks at the server as often
as `watch` looks. All are told as they are: a crowd that dwindles makes a level that is not reached
again, and that is said, not explained away.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import floor
from statistics import median
from typing import Any

import msgspec

from sunseo.rehearsal.faults.detection import (
    Span,
    noticed_by_metrics,
    noticed_by_readyz,
    ready_again,
    slow_from,
)
from sunseo.rehearsal.faults.incident import Incident, LogEvent, Point, Slowness
from sunseo.rehearsal.faults.injector import Injected
from sunseo.rehearsal.faults.service import BROKEN, Service, tenths
from sunseo.rehearsal.faults.watch import Look, Scrape
from sunseo.rehearsal.observe.ledger import Figures, Ledger, Troubled
from sunseo.rehearsal.observe.stored import Stored

BEFORE_S = 5.0  # the level before is that of so long
BEFORE_MIN_S = 1.0
LEVEL_PART = 0.9  # of the answers before, to be back at the level
JUST_BEFORE_S = 1.0  # what was acknowledged so shortly before is what a crash would lose
SHOWS_WITHIN_S = 3.0  # of its end; slowness that begins later has another cause
AROUND_S = 5.0  # of the picture, before and after
POINT_TENTHS = 5


class Observations(msgspec.Struct, frozen=True, kw_only=True):
    """All that there is to tell from. `log_events` has every line of the log on its own."""

    ledger: Ledger
    figures: Figures
    stored: Stored | None = None
    looks: Sequence[Look] = ()
    scrapes: Sequence[Scrape] = ()
    log_events: Sequence[LogEvent] = ()


def tell_incidents(injected: Sequence[Injected], seen: Observations) -> list[Incident]:
    """One incident for each fault, in their order."""
    service = Service(seen.figures)
    begun = [one.began_s for one in injected if one.began_s is not None]
    told: list[Incident] = []
    calm_s = float("-inf")  # since when the fault before has been over
    for one in injected:
        if one.began_s is None or one.trouble:
            told.append(_not_done(one))
            continue
        following = [at for at in begun if at > one.began_s]
        until_s = max(one.began_s, min(following, default=service.ends_s))
        from_s = max(one.began_s - BEFORE_S, calm_s)
        enough = one.began_s - from_s >= BEFORE_MIN_S
        before = service.level(from_s, one.began_s) if enough else None
        incident = _tell(one, seen, service, Span(one.began_s, until_s, before))
        told.append(incident)
        calm_s = one.began_s + max(incident.lasted_s, incident.served_s or incident.watched_s)
    return told


def _not_done(one: Injected) -> Incident:
    """Either it could not be, or the crowd had gone before."""
    return Incident(kind=one.fault.kind.value, planned_s=one.fault.at_s, trouble=one.trouble)


def _tell(one: Injected, seen: Observations, service: Service, span: Span) -> Incident:
    ended_s = one.ended_s or span.began_s
    slow_s = slow_from(service, span, ended_s + SHOWS_WITHIN_S)
    served_s = _served_again(service, span, max(ended_s, slow_s or ended_s))
    level_s = _as_many_as_before(service, span, served_s)
    well_s = level_s or served_s or span.until_s
    hurt = _hurt(seen.ledger.troubled, service, span)
    acknowledged, lost = _acknowledged(seen, span.began_s - JUST_BEFORE_S, well_s)
    return Incident(
        kind=one.fault.kind.value,
        planned_s=one.fault.at_s,
        began_s=span.began_s,
        lasted_s=round(ended_s - span.began_s, 2),
        delay_s=one.fault.delay_s,
        processes=one.processes,
        connections=one.connections,
        watched_s=round(span.until_s - span.began_s, 2),
        **_noticed(seen, span, hurt, slow_s),
        before=span.before,
        worst=service.worst(span.began_s, well_s),
        **_harm(hurt, span.began_s),
        slow=service.slow_count(span.began_s, well_s),
        fewer=_fewer(service, span, well_s),
        ready_s=_after(span, ready_again(seen.looks, span)),
        served_s=_after(span, served_s),
        level_s=_after(span, level_s),
        acknowledged=acknowledged,
        lost=lost,
        log_events=_log_events(seen.log_events, span),
        picture=_picture(service, span.began_s, well_s),
        slowness=_slowness(service, span.began_s, well_s),
    )


def _after(span: Span, moment_s: float | None) -> float | None:
    return None if moment_s is None else round(max(0.0, moment_s - span.began_s), 2)


def _noticed(
    seen: Observations, span: Span, hurt: Sequence[Troubled], slow_s: float | None
) -> dict[str, Any]:
    """Who noticed it when; that a second was slow, visitors know at its end."""
    visitors = [one.noticed for one in hurt] + ([] if slow_s is None else [slow_s + 1])
    metrics = noticed_by_metrics(seen.scrapes, span)
    moments = {
        "visitors": min(visitors, default=None),
        "readyz": noticed_by_readyz(seen.looks, span),
        "metrics": metrics[0] if metrics is not None else None,
        "log": min((event.at_s for event in seen.log_events if event.at_s in span), default=None),
    }
    noticed = {who: _after(span, at) for who, at in moments.items() if at is not None}
    return {"noticed": noticed, "metric": metrics[1] if metrics is not None else ""}


# Recovery


def _served_again(service: Service, span: Span, from_s: float) -> float | None:
    """The first moment of a second in which nobody was turned away or slower than before."""
    for tenth in tenths(from_s, span.until_s - 0.9):
        start = tenth / 10
        if (
            service.count(start, start + 1, "good")
            and not service.count(start, start + 1, *BROKEN)
            and not service.puts_off(span.before, start)
            and not service.is_slow(span.before, start, start + 1)
        ):
            return max(start, from_s)
    return None


def _as_many_as_before(service: Service, span: Span, from_s: float | None) -> float | None:
    if span.before is None or from_s is None:
        return None
    wanted = LEVEL_PART * span.before.good_per_s
    for tenth in tenths(from_s, span.until_s - 0.9):
        if service.count(tenth / 10, tenth / 10 + 1, "good") >= wanted:
            return max(tenth / 10, from_s)
    return None


# Effect


def _hurt(troubled: Iterable[Troubled], service: Service, span: Span) -> list[Troubled]:
    """Requests in trouble because of it; those put off only in seconds with more than before."""
    return [
        one
        for one in troubled
        if one.noticed in span
        and (one.kind in BROKEN or service.puts_off(span.before, floor(one.noticed)))
    ]


def _harm(hurt: Sequence[Troubled], began_s: float) -> dict[str, Any]:
    waits = [one.until - one.due for one in hurt]
    settled_s = max((one.until for one in hurt), default=None)
    return {
        "kinds": dict(Counter(one.kind for one in hurt).most_common()),
        "hurt": len({one.visitor for one in hurt}),
        "hurt_at": dict(Counter(one.operation for one in hurt).most_common()),
        "waited_p50_s": round(median(waits), 2) if waits else 0.0,
        "waited_longest_s": round(max(waits, default=0.0), 2),
        "unanswered": sum(not one.answered for one in hurt),
        "settled_s": None if settled_s is None else round(settled_s - began_s, 2),
    }


def _fewer(service: Service, span: Span, well_s: float) -> int:
    if span.before is None:
        return 0
    expected = span.before.good_per_s * (well_s - span.began_s)
    return max(0, round(expected - service.count(span.began_s, well_s, "good")))


def _acknowledged(seen: Observations, from_s: float, until_s: float) -> tuple[int, int | None]:
    """Orders and places told in this time, and how many of them are not stored."""
    orders = [one for one in seen.ledger.ordered if from_s <= one.told_at < until_s]
    places = [one for one in seen.ledger.placed if from_s <= one.told_at < until_s]
    if seen.stored is None:
        return len(orders) + len(places), None
    stored = seen.stored
    persons = {known.visitor: known.person for known in seen.ledger.known}
    lost = sum(one.order not in stored.orders for one in orders)
    lost += sum(stored.places.get(persons.get(one.visitor, "")) != one.number for one in places)
    return len(orders) + len(places), lost


# What goes beside it


def _log_events(events: Iterable[LogEvent], span: Span) -> list[LogEvent]:
    """What the log has of it, each thing once; moments from the fault's beginning."""
    firsts: dict[tuple[str, str], float] = {}
    times: Counter[tuple[str, str]] = Counter()
    for line in events:
        if line.at_s in span:
            firsts.setdefault((line.event, line.about), line.at_s)
            times[line.event, line.about] += line.times
    return [
        LogEvent(round(at_s - span.began_s, 2), *what, times[what])
        for what, at_s in sorted(firsts.items(), key=lambda pair: pair[1])
    ]


def _picture(service: Service, began_s: float, well_s: float) -> list[Point]:
    width_s = POINT_TENTHS / 10
    points = []
    for tenth in tenths(began_s - AROUND_S, well_s + AROUND_S)[::POINT_TENTHS]:
        start = tenth / 10
        good = service.count(start, start + width_s, "good") / width_s
        troubled = service.count(start, start + width_s, "later", *BROKEN) / width_s
        points.append(Point(round(start + width_s / 2 - began_s, 2), good, troubled))
    return points


def _slowness(service: Service, began_s: float, well_s: float) -> list[Slowness]:
    seconds = range(floor(began_s - AROUND_S), floor(well_s + AROUND_S))
    return [
        Slowness(round(second + 0.5 - began_s, 2), *service.latency(second, second + 1))
        for second in seconds
    ]
