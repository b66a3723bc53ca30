"""What a script has to know of a scenario's crowd: pure.

Arrivals become visitors in steps of equal length, whatever kind they are, because that is what all
three tools can be told and what people can edit. Within a step visitors are spread evenly.
"""

import shlex
from collections.abc import Mapping
from math import exp, floor

import msgspec

from sunseo.rehearsal.crowd.arrivals import ArrivalKind, Steps, arrival_times
from sunseo.rehearsal.crowd.behaviour import DAWDLING, Ending
from sunseo.rehearsal.crowd.picking import FAVOURITES_PART
from sunseo.rehearsal.crowd.shopping import AGAIN_S, RETURNS_PATIENCE_S, RETURNS_S
from sunseo.rehearsal.observe.eta import HOME_AFTER_S
from sunseo.rehearsal.report.result import Options
from sunseo.rehearsal.scenes.scenario import Scenario

STEPS_MAX = 240  # more would be a table that nobody edits
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)


class Timetable(msgspec.Struct, frozen=True):
    """Visitors in each step of `step_s` seconds, the first one at `from_s` from T0."""

    from_s: int
    step_s: int
    visitors: tuple[int, ...]


class Crowd(msgspec.Struct, frozen=True):
    """
    Attributes:
        name: of the scenario, as it is given on the command line.
        command: how to set the scene that this crowd is for.
        openings: when something opens, and until when people come for that.
        has_room: they stand in line before they may buy; else they look until it opens.
        has_seats: they choose from a seat map; else from counted stocks.
        behaviour: names and values, for scripts to spell in their own way.
        stop_after_s: past the last arrival, whoever is left is sent home.
    """

    name: str
    title: str
    command: str
    seed: int
    visitors: int
    arrivals: Timetable
    openings: list[tuple[float, float]]
    has_room: bool
    has_seats: bool
    behaviour: dict[str, object]
    stop_after_s: int


def crowd_of(options: Options) -> Crowd:
    scenario = options.scenario
    facts = {**scenario.entrance.plan(), **scenario.scene.plan()}
    return Crowd(
        name=options.name,
        title=scenario.title,
        command=_stage_command(options),
        seed=options.seed,
        visitors=scenario.visitors,
        arrivals=timetable_of(arrival_times(scenario.arrivals, scenario.visitors, options.seed)),
        openings=_openings(scenario.arrivals),
        has_room=bool(facts["has_room"]),
        has_seats=bool(facts["has_seats"]),
        behaviour=_behaviour(scenario, facts),
        stop_after_s=int(HOME_AFTER_S),
    )


def _stage_command(options: Options) -> str:
    """How to set the scene that this crowd is for."""
    scenario = options.scenario
    return (
        f"sunseo rehearse stage {shlex.quote(options.name)} --visitors {scenario.visitors}"
        f" --duration {scenario.duration_s:g} --session {scenario.session_s:g}"
    )


def timetable_of(times: list[float]) -> Timetable:
    """Count arrivals, of which there is one at least, in steps of a round length."""
    lasts_s = max(times) - min(times)
    step_s = next((step for step in STEPS_S if lasts_s / step < STEPS_MAX), STEPS_S[-1])
    places = [floor(at / step_s) for at in times]
    first = min(places)
    counts = [0] * (max(places) - first + 1)
    for place in places:
        counts[place - first] += 1
    return Timetable(first * step_s, step_s, tuple(counts))


def _openings(arrivals: ArrivalKind) -> list[tuple[float, float]]:
    lasts_s = arrivals.step_s if isinstance(arrivals, Steps) else arrivals.duration_s
    return [(at_s, at_s + lasts_s) for at_s in arrivals.openings_s]


def _behaviour(scenario: Scenario, facts: Mapping[str, object]) -> dict[str, object]:
    """As in `behaviour_of`; pairs are medians with the deviation of their logarithm, or ranges."""
    people, session_s = scenario.people, scenario.session_s
    gives_up = people.releaser_share + people.vanisher_share
    return {
        "party_sizes": [[size, weight] for size, weight in enumerate(people.party_weights, 1)],
        "dawdler_share": people.dawdler_share,
        "dawdling_times": DAWDLING,
        "impatient_share": people.impatient_share,
        "patience_s": [people.patience_median_s, 0.8],
        "refresher_share": people.refresher_share,
        "refresh_s": list(people.refresh_s),
        "absent_share": people.absent_share,
        "absent_within_s": people.absent_within_s,
        "lost_share": people.lost_share,
        "losable": facts["losable"],
        "look_s": list(people.look_s),
        "endings": [
            [Ending.BUYS.value, round(1 - gives_up, 4)],
            [Ending.RELEASES.value, people.releaser_share],
            [Ending.VANISHES.value, people.vanisher_share],
        ],
        "looks_s": [round(session_s * exp(-1.2), 3), 0.5],
        "decides_s": [round(session_s * exp(-0.5), 3), 0.5],
        "favourites": facts["favourites"],
        "favourites_part": FAVOURITES_PART,
        "again_s": list(AGAIN_S),
        "returns_s": list(RETURNS_S),
        "returns_patience_s": RETURNS_PATIENCE_S,
    }
