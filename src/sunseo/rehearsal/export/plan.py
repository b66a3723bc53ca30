"""A scenario's crowd as a plan: all that a player in another tool has to know. Pure.

Arrivals become visitors in steps of equal length, whatever kind they are, because that is what all
three tools can be told and what people can edit. Within a step visitors are spread evenly.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from math import exp, floor

import msgspec

from sunseo.rehearsal.crowd.arrivals import ArrivalKind, Steps, arrival_times
from sunseo.rehearsal.crowd.behaviour import DAWDLING, Ending
from sunseo.rehearsal.crowd.picking import FAVOURITES_PART
from sunseo.rehearsal.crowd.shopping import AGAIN_S, RETURNS_PATIENCE_S, RETURNS_S
from sunseo.rehearsal.http.client import PATIENCE_S
from sunseo.rehearsal.observe.eta import HOME_AFTER_S
from sunseo.rehearsal.report.result import Options
from sunseo.rehearsal.scenes.scenario import Scenario

STEPS_MAX = 240  # more would be a table that nobody edits
WORDS = frozenset({"name", "title", "command"})  # which a script says in its head
ROW = 16  # steps in a line of the plan
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)


class Timetable(msgspec.Struct, frozen=True):
    """Visitors in each step of `step_s` seconds, the first one at `from_s` from T0."""

    from_s: int
    step_s: int
    visitors: tuple[int, ...]


class CrowdPlan(msgspec.Struct, frozen=True):
    """As JSON it is what `--to json` writes; without its words it stands at a script's head.

    Attributes:
        name: of the scenario, as it is given on the command line.
        command: how to set the scene that this crowd is for.
        openings: when something opens, and until when people come for that.
        has_room: they stand in line before they may buy; else they look until it opens.
        has_seats: they choose from a seat map; else from counted stocks.
        behaviour: shares of the crowd, and seconds.
        retry_s: so long a visitor goes on asking where there is no answer.
        late_s: past the last arrival, whoever is left is sent home.
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
    retry_s: int
    late_s: int


def plan_of(options: Options) -> CrowdPlan:
    scenario = options.scenario
    facts = {**scenario.entrance.plan(), **scenario.scene.plan()}
    return CrowdPlan(
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
        retry_s=int(PATIENCE_S),
        late_s=int(HOME_AFTER_S),
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


def plan_text(plan: CrowdPlan, *, words: bool) -> str:
    """The plan as JSON that people can edit: what belongs together in a line, steps in rows."""
    fields = msgspec.to_builtins(plan)
    lines = [
        f'  "{name}": {_value_text(value)}'
        for name, value in fields.items()
        if words or name not in WORDS
    ]
    return "{\n" + ",\n".join(lines) + "\n}"


def _value_text(value: object) -> str:
    if not isinstance(value, dict):
        return json.dumps(value)
    return "{\n" + ",\n".join(_member_texts(value)) + "\n  }"


def _member_texts(members: dict[str, object]) -> Iterator[str]:
    for name, value in members.items():
        text = json.dumps(value)
        if isinstance(value, list | tuple) and len(value) > ROW:
            rows = [value[start : start + ROW] for start in range(0, len(value), ROW)]
            text = "[\n" + ",\n".join(f"      {json.dumps(row)[1:-1]}" for row in rows) + "\n    ]"
        yield f'    "{name}": {text}'
