"""Who comes, when, and what each will do: drawn from the seed before anything runs.

What a visitor is like does not depend on what the room does, so that two controllers, or two
settings, meet the very same people.
"""

from collections.abc import Iterator
from math import inf, log, sqrt
from random import Random

import msgspec

from sunseo.room.simulation.scenario import SimulatedArrivals, SimulationScenario, Spread


class SimulatedVisitor(msgspec.Struct, frozen=True, gc=False):
    joined_s: float  # since the opening; 0 for those who stood there before
    shows_up: bool
    hidden: bool  # her tab does not poll; she looks now and then
    session_s: float  # she would stay, were the service as it should be
    buys: bool  # if there is still something to buy
    patience_s: float  # she goes home at the first look after it, unless called


def draw_visitors(scenario: SimulationScenario) -> list[SimulatedVisitor]:
    times = Random(f"{scenario.seed} arrivals")  # noqa: S311 - dice of a simulation
    dice = Random(f"{scenario.seed} people")  # noqa: S311 - dice of a simulation
    people = scenario.people
    hourglass = Random(f"{scenario.seed} patience")  # noqa: S311 - dice of a simulation
    buy_share = scenario.stock.buy_share if scenario.stock else 0.0
    return [
        SimulatedVisitor(
            joined_s,
            dice.random() < people.show_up,
            dice.random() < people.hidden_share,
            min(scenario.room.session_max_s, draw(people.session, dice)),
            dice.random() < buy_share,
            inf if people.patience is None else draw(people.patience, hourglass),
        )
        for joined_s in _arrivals(scenario.arrivals, scenario.visitors, times)
    ]


def draw(spread: Spread, dice: Random) -> float:
    """One value of a distribution."""
    if spread.kind == "constant":
        return spread.mean_s
    if spread.kind == "exponential":
        return dice.expovariate(1.0 / spread.mean_s)
    variance = log(1.0 + spread.spread**2)
    return dice.lognormvariate(log(spread.mean_s) - variance / 2, sqrt(variance))


def _arrivals(arrivals: SimulatedArrivals, visitors: int, dice: Random) -> Iterator[float]:
    """Moments in order; fewer than asked for if the rate falls to nothing."""
    present = round(visitors * arrivals.present_share)
    yield from (0.0 for _ in range(present))
    at_s, rate = 0.0, arrivals.rate_per_s
    changes = iter([*((step.at_s, step.rate_per_s) for step in arrivals.steps), (inf, 0.0)])
    change_s, next_rate = next(changes)
    for _ in range(visitors - present):
        work = dice.expovariate(1.0)  # so much must arrive, at whatever rate
        while rate <= 0.0 or at_s + work / rate > change_s:
            if change_s == inf:
                return
            work -= rate * (change_s - at_s)
            at_s, rate = change_s, next_rate
            change_s, next_rate = next(changes)
        at_s += work / rate
        yield at_s
