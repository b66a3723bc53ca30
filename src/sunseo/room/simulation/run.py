"""Run a scenario: the real controller, ticked once a second, among simulated people.

State       A calendar of what happens in which second: joins, polls, departures.
Guarantee   The same scenario gives the same record, bit for bit.
Clock       Simulated seconds since the opening. Visitors see what was published at the tick
            before the last one: a state may be one tick old, and a cache may keep it for another.

Visitors behave as the waiting page does: the join answers at once if the number is already
called; afterwards they poll by the published interval and enter at the first poll at which their
number is called. Nobody is asked to be prompt: hidden tabs look now and then, and those who do
not show up never poll again.
"""

from collections.abc import Callable
from random import Random

from sunseo.passes.polling import Poll, poll_after_s
from sunseo.room.pacing.pacing import (
    Advance,
    Census,
    PacingLimits,
    PacingState,
    buy_share,
    tick,
)
from sunseo.room.simulation.crowd import SimulatedVisitor, draw, draw_visitors
from sunseo.room.simulation.record import SimulatedMoment, SimulatedVisit, SimulationRecord
from sunseo.room.simulation.scenario import SimulationScenario
from sunseo.room.simulation.service import health, slower

LEAVE, POLL, JOIN = 0, 1, 2  # within a second, in order of time and then of these
SPREAD = 0.3  # polls come up to so much later than the interval says

Progress = Callable[[float, int], None]
"""Called once in a while with the simulated seconds and how many visitors are done."""


def simulate(scenario: SimulationScenario, progress: Progress | None = None) -> SimulationRecord:
    simulation = Simulation(scenario)
    while not simulation.is_over:
        simulation.step()
        if progress is not None and simulation.second % 20 == 0:
            progress(float(simulation.second), simulation.done)
    return simulation.record


class Simulation:
    """One room and its people; `step` is one second."""

    def __init__(self, scenario: SimulationScenario) -> None:
        self._scenario = scenario
        room = scenario.room
        self._terms = Poll(room.poll_floor_s, room.poll_ceiling_s, room.poll_divisor)
        self._visitors = draw_visitors(scenario)
        self._dice = Random(f"{scenario.seed} polls")  # noqa: S311 - dice of a simulation
        self._calendar: dict[int, list[tuple[float, int, int]]] = {}
        self.second = -1  # the second being played
        self.done = 0
        for index, visitor in enumerate(self._visitors):
            self._plan(visitor.joined_s, JOIN, index)
        self._visits: list[SimulatedVisit] = []
        self._numbers = [0] * len(self._visitors)
        self._moments: list[SimulatedMoment] = []
        self._line = SimulatedLine(scenario)
        self._published = self._line.advance

    @property
    def is_over(self) -> bool:
        return not self._calendar or self.second >= self._scenario.duration_max_s

    @property
    def record(self) -> SimulationRecord:
        line = self._line
        return SimulationRecord(
            self._moments, self._visits, line.overshoot, line.sold_out_s, line.line_empty_s
        )

    def step(self) -> None:
        published = self._line.advance
        self.second += 1
        self._moments.append(self._line.tick(float(self.second), len(self._visits)))
        for at_s, kind, index in sorted(self._calendar.pop(self.second, ())):
            if kind == LEAVE:
                self._leave(index, at_s)
            elif kind == POLL:
                self._poll(index, at_s)
            else:
                self._join(index, at_s)
        self._published = published

    def _plan(self, at_s: float, kind: int, index: int) -> None:
        """Put it into its second; what falls into the one being played is played in the next."""
        self._calendar.setdefault(max(int(at_s), self.second + 1), []).append((at_s, kind, index))

    def _join(self, index: int, at_s: float) -> None:
        visitor = self._visitors[index]
        visit = SimulatedVisit(at_s, len(self._visits) + 1, visitor.hidden)
        self._numbers[index] = visit.number
        self._visits.append(visit)
        if not visitor.shows_up:
            self.done += 1
        elif at_s == 0.0:  # stood there before: her next poll is due within the floor
            self._plan(self._scenario.room.poll_floor_s * self._spread(), POLL, index)
        else:
            self._look(index, at_s, self._line.advance)

    def _poll(self, index: int, at_s: float) -> None:
        self._visits[self._numbers[index] - 1].polls += 1
        self._look(index, at_s, self._published)

    def _look(self, index: int, at_s: float, seen: Advance) -> None:
        """Enter if called; else look again later."""
        visit = self._visits[self._numbers[index] - 1]
        visitor = self._visitors[index]
        if seen.sold_out:
            visit.told_sold_out_s = at_s
            self.done += 1
            return
        is_called = visit.number <= seen.serving
        if is_called and self._line.enter(visit, at_s):
            stay_s = visitor.session_s * slower(self._scenario.service, at_s)
            stay_s = min(stay_s, self._scenario.room.session_max_s)
            self._plan(at_s + stay_s, LEAVE, index)
            return
        if not is_called and at_s - visit.joined_s > visitor.patience_s:
            visit.gave_up_s = at_s
            self.done += 1
            return
        self._plan(at_s + self._next_look_s(visitor, visit.number, seen), POLL, index)

    def _next_look_s(self, visitor: SimulatedVisitor, number: int, seen: Advance) -> float:
        if visitor.hidden and number > seen.serving:
            return draw(self._scenario.people.hidden, self._dice)
        ahead = number - seen.serving
        speed = None if seen.speed is None else seen.speed.v50
        is_paused = seen.reason == "paused"
        return poll_after_s(self._terms, ahead, speed, is_paused=is_paused) * self._spread()

    def _spread(self) -> float:
        return 1.0 + SPREAD * self._dice.random()

    def _leave(self, index: int, at_s: float) -> None:
        visit = self._visits[self._numbers[index] - 1]
        visit.left_s = at_s
        self._line.leave(visit, at_s, buys=self._visitors[index].buys)
        self.done += 1


def is_paused(scenario: SimulationScenario, at_s: float) -> bool:
    return any(pause.from_s <= at_s < pause.to_s for pause in scenario.pauses)


class SimulatedLine:
    """The stored line: what the batches of a real room keep, with the controller on top."""

    def __init__(self, scenario: SimulationScenario) -> None:
        room = scenario.room
        self._scenario = scenario
        self._limits = PacingLimits(
            capacity=room.capacity,
            capacity_min=room.capacity_min,
            rate_max=room.rate_max,
            tau_s=room.tau_s,
            grace_s=room.grace_s,
            units_per_buyer=float(scenario.stock.units_per_buyer) if scenario.stock else 1.0,
        )
        self._state, self.advance = tick(
            PacingState.fresh(), self._limits, Census(now_s=-1.0, issued=0, serving=0, live=0)
        )
        self._live = 0
        self._is_open = True
        self._entered: list[tuple[int, float]] = []
        self._departed = 0
        self._left = self._buyers = 0
        self._units_left = scenario.stock.units if scenario.stock else None
        self.overshoot = 0
        self.sold_out_s: float | None = None
        self.line_empty_s: float | None = None

    def tick(self, at_s: float, issued: int) -> SimulatedMoment:
        self._is_open = not is_paused(self._scenario, at_s)
        census = Census(
            now_s=at_s,
            issued=issued,
            serving=self.advance.serving,
            live=self._live,
            entered=self._entered,
            departed=self._departed,
            health=health(self._scenario.service, at_s, self._live),
            units_left=self._units_left,
            buys_of_entered=buy_share(self._buyers, self._left),
            open=self._is_open,
        )
        self._state, self.advance = tick(self._state, self._limits, census)
        self._entered, self._departed = [], 0
        if self.advance.serving >= issued == self._scenario.visitors and not self.line_empty_s:
            self.line_empty_s = at_s
        return _moment(at_s, census, self.advance)

    def enter(self, visit: SimulatedVisit, at_s: float) -> bool:
        """As the batch does it: granted only while fewer than C_eff are inside."""
        if not self._is_open or self._live >= self.advance.capacity:
            visit.turned_back += 1
            return False
        self._live += 1
        self.overshoot = max(self.overshoot, self._live - self.advance.capacity)
        self._entered.append((visit.number, at_s))
        visit.entered_s = at_s
        return True

    def leave(self, visit: SimulatedVisit, at_s: float, *, buys: bool) -> None:
        self._live -= 1
        self._departed += 1
        self._left += 1
        stock = self._scenario.stock
        if not buys or stock is None or self._units_left is None:
            return
        visit.bought = min(stock.units_per_buyer, self._units_left)
        visit.in_vain = visit.bought == 0
        self._buyers += not visit.in_vain
        self._units_left -= visit.bought
        if self._units_left == 0 and self.sold_out_s is None:
            self.sold_out_s = at_s


def _moment(at_s: float, census: Census, advance: Advance) -> SimulatedMoment:
    return SimulatedMoment(
        at_s,
        census.issued,
        advance.serving,
        census.live,
        advance.capacity,
        advance.speed,
        advance.reason,
        advance.show_up,
        census.units_left,
        advance.sold_out,
    )
