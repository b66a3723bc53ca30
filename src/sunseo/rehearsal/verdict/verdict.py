"""The verdict: what visitors were told, what was seen, and what is stored must be one story. Pure.

Each check looks for its own kind of fault and knows nothing of the others, so that a defect is
caught by the check that is meant for it. What could not be looked at is `not_checked`, never held.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from sunseo.rehearsal.http.client import PATIENCE_S
from sunseo.rehearsal.observe.ledger import Fault, Ledger, Placed
from sunseo.rehearsal.observe.stored import Stored, StoredPass
from sunseo.rehearsal.scenes.scenario import Part
from sunseo.rehearsal.verdict.evidence import Evidence
from sunseo.rehearsal.verdict.fairness import Fairness, Joined, fairness_of, overtakers
from sunseo.rehearsal.verdict.protected import guarded, recovered, slowed
from sunseo.rehearsal.verdict.sold import Fact, sold_twice, within_limit, within_stock
from sunseo.rehearsal.verdict.uniformity import uniformity_of

EXAMPLES_MAX = 5
EXCUSED_PART = 0.75  # of a visitor's patience; a server needs the rest to recover

CheckStanding = Literal["held", "broken", "not_checked"]


class Check(msgspec.Struct, frozen=True):
    """
    Attributes:
        looked_at: how many things were compared.
        faults: how many of them are wrong; `examples` are the first few.
    """

    name: str
    standing: CheckStanding
    looked_at: int
    faults: int = 0
    examples: list[Fact] = []


class Verdict(msgspec.Struct, frozen=True):
    """All checks, and how those admitted entered against the order of their numbers.

    That `fairness` is told, not judged: whoever is called may take her time.
    """

    checks: list[Check]
    fairness: Fairness | None

    @property
    def is_broken(self) -> bool:
        return any(check.standing == "broken" for check in self.checks)

    @property
    def is_complete(self) -> bool:
        return all(check.standing != "not_checked" for check in self.checks)


def judge(evidence: Evidence) -> Verdict:
    checks = [
        _check(name, look(evidence))
        for name, look in CHECKS.items()
        if name not in CHECKS_OF or CHECKS_OF[name] in evidence.has
    ]
    return Verdict(checks, _fairness(evidence))


Findings = tuple[int, list[Fact]] | None
"""How many things were looked at, and what is wrong; none where there was nothing to look at."""


def _check(name: str, findings: Findings) -> Check:
    if findings is None:
        return Check(name, "not_checked", 0)
    looked_at, facts = findings
    standing: CheckStanding = "broken" if facts else "held"
    return Check(name, standing, looked_at, len(facts), facts[:EXAMPLES_MAX])


def _invariants(evidence: Evidence) -> Findings:
    report = evidence.report
    if report is None:
        return None
    faults: list[Fact] = [
        {"invariant": violation.invariant, "rows": violation.total, "first": violation.rows[:1]}
        for violation in report.violations
    ]
    faults += [
        {"invariant": one.invariant, "not checked": one.reason} for one in report.not_checked
    ]
    return len(report.checked), faults


def _one_place_each(evidence: Evidence) -> Findings:
    """Nobody was told two numbers, and no number was told to two."""
    numbers: dict[int, set[int]] = defaultdict(set)
    visitors: dict[tuple[int, int], set[int]] = defaultdict(set)
    for place in evidence.ledger.placed:
        numbers[place.visitor].add(place.number)
        visitors[place.epoch, place.number].add(place.visitor)
    faults: list[Fact] = [
        {"visitor": visitor, "numbers": sorted(told)}
        for visitor, told in numbers.items()
        if len(told) > 1
    ]
    faults += [
        {"number": number, "visitors": sorted(told)}
        for (_, number), told in visitors.items()
        if len(told) > 1
    ]
    return len(visitors), faults


def _first_come(evidence: Evidence) -> Findings:
    """Whoever had her number before another one asked is ahead of her, unless it was drawn."""
    drawn = {one.number for one in evidence.ledger.drawn}
    joined = [
        Joined(place.number, place.asked_at, place.told_at)
        for place in _first_told(evidence.ledger.placed)
        if place.number not in drawn
    ]
    return len(joined), [
        {"number": one.number, "asked at": round(one.asked_at, 4)} for one in overtakers(joined)
    ]


def _uniform_draw(evidence: Evidence) -> Findings:
    """Numbers that were drawn have nothing to do with when their owners registered."""
    drawn = {one.number: one for one in evidence.ledger.drawn}
    in_order = sorted(drawn.values(), key=lambda one: one.registered_at)
    found = uniformity_of([one.number for one in in_order])
    if not found.is_doubtful:
        return found.drawn, []
    chances = {"by trend": found.trend_p, "by grid": found.grid_p}
    return found.drawn, [{"tau": found.tau, "chance of it": chances}]


def _first_told(placed: Iterable[Placed]) -> list[Placed]:
    """Of each visitor what she was told first, as if asked when she asked first."""
    first: dict[int, Placed] = {}
    for place in placed:
        known = first.get(place.visitor)
        if known is None:
            first[place.visitor] = place
        else:
            first[place.visitor] = msgspec.structs.replace(
                known,
                asked_at=min(known.asked_at, place.asked_at),
                told_at=min(known.told_at, place.told_at),
            )
    return list(first.values())


def _nobody_above_serving(evidence: Evidence) -> Findings:
    """Nobody entered before her number was called."""
    faults = _ahead_of_what_was_seen(evidence)
    looked_at = len(evidence.ledger.entered)
    if evidence.stored is not None:
        looked_at += len(evidence.stored.passes)
        faults += _ahead_of_the_call(evidence.stored)
    return looked_at, faults


def _ahead_of_what_was_seen(evidence: Evidence) -> list[Fact]:
    """Passes with a number that was not served even when the line was next looked at."""
    samples = sorted(evidence.samples, key=lambda sample: sample.at_s)
    moments = [sample.at_s for sample in samples]
    faults: list[Fact] = []
    for entered in evidence.ledger.entered:
        place = bisect_left(moments, entered.told_at)
        later = samples[place].serving if place < len(samples) else None
        if later is not None and entered.number > later:
            faults.append({"visitor": entered.visitor, "number": entered.number, "serving": later})
    return faults


def _ahead_of_the_call(stored: Stored) -> list[Fact]:
    """Passes from before the call of their number, by the database's own clock."""
    uptos = [upto for upto, _ in stored.releases]
    faults: list[Fact] = []
    for one in stored.passes:
        place = bisect_left(uptos, one.number)
        called_at = stored.releases[place][1] if place < len(uptos) else None
        if called_at is None or one.entered_at < called_at:
            faults.append(
                {"number": one.number, "entered at": one.entered_at, "called at": called_at}
            )
    return faults


def _capacity(evidence: Evidence) -> Findings:
    """There were never more inside than the room takes: as seen each second, and as stored."""
    faults: list[Fact] = [
        {"at": sample.at_s, "inside": sample.live}
        for sample in evidence.samples
        if sample.live > evidence.capacity
    ]
    looked_at = len(evidence.samples)
    if evidence.stored is not None:
        passes = evidence.stored.passes
        most, at = _most_at_once(passes, _lapsed_numbers(evidence.ledger))
        looked_at += len(passes)
        if most > evidence.capacity:
            faults.append({"passes at once": most, "at": at})
    return looked_at, faults


def _lapsed_numbers(ledger: Ledger) -> set[int]:
    """Numbers whose passes ran out and were entered again: when they were out is not stored."""
    lapsed = set(ledger.lapsed)
    return {place.number for place in ledger.placed if place.visitor in lapsed}


def _most_at_once(passes: Iterable[StoredPass], except_for: set[int]) -> tuple[int, float]:
    changes: list[tuple[float, int]] = []
    for one in passes:
        if one.number not in except_for:
            changes.append((one.entered_at, 1))
            if one.ended_at is not None:
                changes.append((one.ended_at, -1))
    most, most_at, inside = 0, 0.0, 0
    for at, change in sorted(changes):  # at one moment, those who go are first
        inside += change
        if inside > most:
            most, most_at = inside, at
    return most, most_at


def _one_owner(evidence: Evidence) -> Findings:
    """No seat is in two orders, neither of those told nor of those stored."""
    told = {order.order: order.seats for order in evidence.ledger.ordered}
    faults = sold_twice(told, "told")
    looked_at = sum(map(len, told.values()))
    if evidence.stored is not None:
        stored = {order: found.seats for order, found in evidence.stored.orders.items()}
        faults += sold_twice(stored, "stored")
        looked_at += sum(map(len, stored.values()))
    return looked_at, faults


def _told_is_true(evidence: Evidence) -> Findings:
    """Every place, pass, hold, order and farewell that was told is stored just so."""
    stored, ledger = evidence.stored, evidence.ledger
    if stored is None:
        return None
    persons = {known.visitor: known.person for known in ledger.known}
    passes = {one.number: one for one in stored.passes}
    faults: list[Fact] = []
    for place in ledger.placed:
        found = stored.places.get(persons.get(place.visitor, ""))
        if found != place.number:
            faults.append({"place": place.number, "visitor": place.visitor, "stored": found})
    for entered in ledger.entered:
        own = passes.get(entered.number)
        if own is None or own.holder != persons.get(entered.visitor):
            faults.append({"pass": entered.number, "visitor": entered.visitor})
    for left in ledger.left:
        own = passes.get(left.number)
        if own is None or own.state == "live":
            faults.append({"left": left.number, "visitor": left.visitor})
    faults += _untrue_holds(ledger, stored, persons) + _untrue_orders(ledger, stored, persons)
    looked_at = len(ledger.placed) + len(ledger.entered) + len(ledger.left)
    looked_at += len(ledger.held) + len(ledger.ordered)
    return looked_at, faults


def _untrue_holds(ledger: Ledger, stored: Stored, persons: dict[int, str]) -> list[Fact]:
    faults: list[Fact] = []
    for told in ledger.held:
        found = stored.holds.get(told.hold)
        if (
            found is None
            or sorted(found.seats) != sorted(told.seats)
            or sorted(found.products) != sorted(told.products)
            or found.person != persons.get(told.visitor)
        ):
            faults.append({"hold": told.hold, "visitor": told.visitor})
    return faults


def _untrue_orders(ledger: Ledger, stored: Stored, persons: dict[int, str]) -> list[Fact]:
    faults: list[Fact] = []
    for told in ledger.ordered:
        found = stored.orders.get(told.order)
        if (
            found is None
            or found.hold != told.hold
            or sorted(found.seats) != sorted(told.seats)
            or sorted(found.products) != sorted(told.products)
            or found.person != persons.get(told.visitor)
        ):
            faults.append(
                {"order": told.order, "visitor": told.visitor, "stored": found is not None}
            )
    return faults


def _orders_told(evidence: Evidence) -> Findings:
    """Every stored order was told to its buyer, at once or when she asked again with her key."""
    if evidence.stored is None or not evidence.whole:
        return None
    told = {order.order for order in evidence.ledger.ordered}
    return len(evidence.stored.orders), [
        {"order": order, "person": found.person}
        for order, found in evidence.stored.orders.items()
        if order not in told
    ]


def _no_errors(evidence: Evidence) -> Findings:
    """No 5xx but 503 with Retry-After, and no silence that no rehearsed fault excuses."""
    return evidence.figures.requests, [
        {"operation": fault.operation, "status": fault.status, "outcome": fault.outcome}
        for fault in evidence.ledger.faults
        if (fault.status == 0 and not _is_excused(fault, evidence.outages)) or fault.status >= 500
    ]


def _is_excused(fault: Fault, outages: Iterable[tuple[float, float]]) -> bool:
    """Whether rehearsed faults filled nearly all of a visitor's patience."""
    waited_from = fault.at - PATIENCE_S
    away_s = sum(
        max(0.0, min(ended_s, fault.at) - max(began_s, waited_from)) for began_s, ended_s in outages
    )
    return away_s >= EXCUSED_PART * PATIENCE_S


def _foreseen(evidence: Evidence) -> Findings:
    """No answer that the visitor could make nothing of."""
    strange = Counter(
        (fault.operation, fault.status, fault.outcome)
        for fault in evidence.ledger.faults
        if 0 < fault.status < 500
    )
    return evidence.figures.requests, [
        {"operation": operation, "status": status, "outcome": outcome, "times": times}
        for (operation, status, outcome), times in strange.items()
    ]


def _cheating(evidence: Evidence) -> Findings:
    """No cheating paid. Whether a jump was one, `above-serving` says."""
    return len(evidence.ledger.tried), [
        {"visitor": tried.visitor, "cheat": tried.cheat, "outcome": tried.outcome}
        for tried in evidence.ledger.tried
        if tried.paid
    ]


def _nobody_in_vain(evidence: Evidence) -> Findings:
    """Nobody was still waiting at the end while there was something to sell."""
    if not evidence.whole or not evidence.samples:
        return None
    waiting = evidence.figures.gone.get("still_there", 0)
    unsold = evidence.units - evidence.samples[-1].sold
    if waiting and unsold:
        return waiting, [{"still there": waiting, "unsold": unsold}]
    return sum(evidence.figures.gone.values()), []


def _fairness(evidence: Evidence) -> Fairness | None:
    if evidence.stored is None:
        return None
    by_entry = sorted(evidence.stored.passes, key=lambda one: one.entered_at)
    return fairness_of([one.number for one in by_entry])


CHECKS: dict[str, Callable[[Evidence], Findings]] = {
    "invariants": _invariants,
    "one-owner": _one_owner,
    "within-stock": lambda e: within_stock(e.ledger, e.stored, e.units),
    "person-limit": lambda e: within_limit(e.ledger, e.stored, e.person_limit),
    "guarded": lambda e: guarded(e.tally),
    "slowed": lambda e: slowed(e.figures, e.samples, e.capacity, e.target_s),
    "recovered": lambda e: recovered(e.figures, e.samples, e.capacity, e.target_s),
    "one-place": _one_place_each,
    "first-come": _first_come,
    "uniform-draw": _uniform_draw,
    "above-serving": _nobody_above_serving,
    "capacity": _capacity,
    "told-is-true": _told_is_true,
    "orders-told": _orders_told,
    "errors": _no_errors,
    "foreseen": _foreseen,
    "cheating": _cheating,
    "in-vain": _nobody_in_vain,
}
"""Every check by its name, in the order in which a verdict tells them."""

CHECKS_OF: dict[str, Part] = {
    "one-owner": "seats",
    "person-limit": "sale",
    "orders-told": "sale",
    "guarded": "site",
    "slowed": "site",
    "recovered": "site",
    "within-stock": "stock",
    "one-place": "room",
    "first-come": "room",
    "uniform-draw": "draw",
    "above-serving": "room",
    "capacity": "room",
}
"""Checks that need something which not every rehearsal has."""
