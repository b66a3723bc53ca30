"""Whether the line was one: a place each, in order, nobody in before her call. Pure."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from sunseo.rehearsal.observe.ledger import Ledger, Placed
from sunseo.rehearsal.observe.stored import Stored, StoredPass
from sunseo.rehearsal.verdict.evidence import Evidence, Fact, Findings
from sunseo.rehearsal.verdict.fairness import JoinedAt, overtakers
from sunseo.rehearsal.verdict.uniformity import uniformity_of


def one_place_each(evidence: Evidence) -> Findings:
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


def first_come(evidence: Evidence) -> Findings:
    """Whoever had her number before another one asked is ahead of her, unless it was drawn."""
    drawn = {one.number for one in evidence.ledger.drawn}
    joined = [
        JoinedAt(place.number, place.asked_at, place.told_at)
        for place in _first_told(evidence.ledger.placed)
        if place.number not in drawn
    ]
    return len(joined), [
        {"number": one.number, "asked at": round(one.asked_at, 4)} for one in overtakers(joined)
    ]


def uniform_draw(evidence: Evidence) -> Findings:
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


def nobody_above_serving(evidence: Evidence) -> Findings:
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


def within_capacity(evidence: Evidence) -> Findings:
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
