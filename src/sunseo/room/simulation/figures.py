"""The figures of a simulation, each with its definition. The guide repeats them in prose.

utilisation     mean of min(1, live / C_eff) over every second from two minutes after the opening
                until the last number is called, while somebody is waiting; sold-out time and pauses
                excluded.
full again      from the end of a pause until nine tenths of C_eff are inside; of the longest.
gave up         went home uncalled, because the wait was longer than they would have.
overshoot       most people inside above C_eff right after one was let in.
ETA error       |foretold - real| / real, where foretold is what the page's middle estimate
                (numbers ahead / v50) said at a moment, and real is the time from that moment until
                the visitor was inside, turning back at a full door included. Taken of everybody
                who entered, with a tab that polls, at two moments: when she was first told an
                estimate, and half way between joining and entering. Only moments with a minute or
                more to go: below that the page says "less than a minute".
inside range    share of those same moments at which the real time lay within v90 to v10.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil

import msgspec

from sunseo.room.pacing.speed import eta
from sunseo.room.simulation.record import SimulatedMoment, SimulatedVisit, SimulationRecord
from sunseo.room.simulation.scenario import SimulationScenario

MomentOf = Callable[[SimulationRecord, SimulatedVisit], SimulatedMoment | None]

FULL = 0.9  # of C_eff
SETTLED_S = 120.0  # the promise on utilisation begins here
SHORT_S = 60.0  # below a minute the page names no figure


class EtaError(msgspec.Struct, frozen=True):
    told: int  # how many predictions were judged
    median: float | None
    p90: float | None
    bias: float | None  # median of (foretold - real) / real: below zero promises too much
    inside_range: float | None


class SimulationFigures(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    visitors: int
    entered: int
    simulated_s: float
    line_empty_s: float | None
    utilisation: float | None
    overshoot: int
    turned_back_share: float  # of those who entered: at least once came to a full door
    door_wait_p90_s: float  # from being called until inside, of those whose tab polls
    wait_median_s: float
    wait_p90_s: float
    polls_mean: float
    polls_max: int
    eta_joining: EtaError
    eta_half_way: EtaError
    unhealthy_s: float
    gave_up: int = 0
    full_again_s: float | None = None  # none: no pause, or it never was
    sold_out_s: float | None = None
    told_sold_out_after_s: float | None = None  # until the published state said so
    units_left: int | None = None
    entered_in_vain: int = 0  # wanted to buy and found nothing
    entered_after_sold_out: int = 0


def figures_of(scenario: SimulationScenario, record: SimulationRecord) -> SimulationFigures:
    entered = [visit for visit in record.visits if visit.entered_s is not None]
    waits = sorted(_wait_s(visit) for visit in entered)
    polls = [visit.polls for visit in entered if not visit.hidden]
    told = next((m.at_s for m in record.moments if m.sold_out), None)
    sold_out_s = record.sold_out_s
    return SimulationFigures(
        seed=scenario.seed,
        visitors=len(record.visits),
        entered=len(entered),
        simulated_s=float(len(record.moments)),
        line_empty_s=record.line_empty_s,
        utilisation=_utilisation(record),
        overshoot=record.overshoot,
        turned_back_share=_share(visit.turned_back > 0 for visit in entered),
        door_wait_p90_s=quantile(sorted(_door_waits(record, entered)), 0.9) or 0.0,
        wait_median_s=quantile(waits, 0.5) or 0.0,
        wait_p90_s=quantile(waits, 0.9) or 0.0,
        polls_mean=round(sum(polls) / len(polls), 1) if polls else 0.0,
        polls_max=max(polls, default=0),
        eta_joining=_eta_error(record, entered, on_joining),
        eta_half_way=_eta_error(record, entered, half_way),
        unhealthy_s=float(sum(m.reason == "unhealthy" for m in record.moments)),
        gave_up=sum(visit.gave_up_s is not None for visit in record.visits),
        full_again_s=_full_again_s(scenario, record),
        sold_out_s=sold_out_s,
        told_sold_out_after_s=(
            round(told - sold_out_s, 3) if told is not None and sold_out_s is not None else None
        ),
        units_left=record.moments[-1].units_left if record.moments else None,
        entered_in_vain=sum(visit.in_vain for visit in entered),
        entered_after_sold_out=sum(
            sold_out_s is not None and (visit.entered_s or 0.0) > sold_out_s for visit in entered
        ),
    )


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of them do not exceed."""
    if not ordered:
        return None
    return round(ordered[max(0, ceil(share * len(ordered)) - 1)], 4)


def _wait_s(visit: SimulatedVisit) -> float:
    return (visit.entered_s or visit.joined_s) - visit.joined_s


def _share(which: Iterable[bool]) -> float:
    values = list(which)
    return round(sum(values) / len(values), 4) if values else 0.0


def _utilisation(record: SimulationRecord) -> float | None:
    full = [
        min(1.0, moment.live / moment.capacity)
        for moment in record.moments
        if moment.at_s >= SETTLED_S
        and moment.serving < moment.issued
        and moment.capacity > 0
        and moment.reason not in {"stock", "paused"}
    ]
    return round(sum(full) / len(full), 4) if full else None


def _full_again_s(scenario: SimulationScenario, record: SimulationRecord) -> float | None:
    """After the pause that was felt for longest; none if it is still felt at the end."""
    felt_s = [_full_after(record, pause.to_s) for pause in scenario.pauses]
    known_s = [seconds for seconds in felt_s if seconds is not None]
    return max(known_s) if known_s and len(known_s) == len(felt_s) else None


def _full_after(record: SimulationRecord, at_s: float) -> float | None:
    for moment in record.moments:
        if moment.at_s >= at_s and moment.live >= FULL * moment.capacity:
            return moment.at_s - at_s
    return None


def _door_waits(record: SimulationRecord, entered: Iterable[SimulatedVisit]) -> Iterator[float]:
    called = [moment.serving for moment in record.moments]
    for visit in entered:
        index = _first_served(called, visit.number)
        called_s = max(visit.joined_s, record.moments[index].at_s)
        if not visit.hidden and visit.entered_s is not None:
            yield max(0.0, visit.entered_s - called_s)


def _first_served(serving: Sequence[int], number: int) -> int:
    return min(len(serving) - 1, bisect_right(serving, number - 1))


def on_joining(record: SimulationRecord, visit: SimulatedVisit) -> SimulatedMoment | None:
    """The first state with an estimate that the visitor could see."""
    moments = record.moments
    index = int(visit.joined_s)
    while index < len(moments) and moments[index].speed is None:
        index += 1
    return moments[index] if index < len(moments) else None


def half_way(record: SimulationRecord, visit: SimulatedVisit) -> SimulatedMoment | None:
    index = int(visit.joined_s + _wait_s(visit) / 2)
    return record.moments[index] if index < len(record.moments) else None


def _eta_error(
    record: SimulationRecord, entered: Iterable[SimulatedVisit], moment_of: MomentOf
) -> EtaError:
    errors: list[float] = []
    inside = 0
    for visit in entered:
        moment = moment_of(record, visit)
        if moment is None or moment.speed is None or visit.hidden or visit.entered_s is None:
            continue
        real_s = visit.entered_s - max(visit.joined_s, moment.at_s)
        if real_s < SHORT_S:
            continue
        foretold_s = max(0, visit.number - moment.serving) / moment.speed.v50
        errors.append((foretold_s - real_s) / real_s)
        from_s, to_s = eta(visit.number, moment.serving, moment.speed) or (0.0, 0.0)
        inside += from_s <= real_s <= to_s
    sizes = sorted(abs(error) for error in errors)
    return EtaError(
        len(errors),
        quantile(sizes, 0.5),
        quantile(sizes, 0.9),
        quantile(sorted(errors), 0.5),
        round(inside / len(errors), 4) if errors else None,
    )
