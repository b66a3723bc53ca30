"""The verdict: what visitors were told, what was seen, and what is stored must be one story. Pure.

Each check looks for its own kind of fault and knows nothing of the others, so that a defect is
caught by the check that is meant for it. What could not be looked at is `not_checked`, never held.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

from sunseo.rehearsal.http.client import PATIENCE_S
from sunseo.rehearsal.observe.ledger import BadAnswer, Ledger
from sunseo.rehearsal.observe.stored import Stored
from sunseo.rehearsal.verdict.evidence import CheckFunction, Evidence, Fact, Findings
from sunseo.rehearsal.verdict.fairness import Fairness, fairness_of

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
    looks = {**BEFORE, **evidence.checks, **AFTER}
    return Verdict(
        [_check(name, look(evidence)) for name, look in looks.items()], _fairness(evidence)
    )


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


def _no_errors(evidence: Evidence) -> Findings:
    """No 5xx but 503 with Retry-After, and no silence that no rehearsed fault excuses."""
    return evidence.figures.requests, [
        {"operation": fault.operation, "status": fault.status, "outcome": fault.outcome}
        for fault in evidence.ledger.faults
        if (fault.status == 0 and not _is_excused(fault, evidence.outages)) or fault.status >= 500
    ]


def _is_excused(fault: BadAnswer, outages: Iterable[tuple[float, float]]) -> bool:
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


BEFORE: dict[str, CheckFunction] = {"invariants": _invariants}
AFTER: dict[str, CheckFunction] = {
    "told-is-true": _told_is_true,
    "errors": _no_errors,
    "foreseen": _foreseen,
    "cheating": _cheating,
    "in-vain": _nobody_in_vain,
}
"""What every rehearsal is checked for, before and after what is special to the one played."""
