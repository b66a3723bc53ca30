"""The admission controller: how far the line may come forward. Pure: state in, state out.

    expected = sum over cohorts of missing x P(enters later | not yet entered at this age)
    free     = C_eff - A - (expected - departures_per_s x mean delay of those who enter)
                                                         (no more than the stock still serves)
    rate     = clamp(0, rate_max, departures_per_s + free / tau)
    serving  = min(issued, serving + gaps + rate x dt / show-up rate)

What is new against counting every expected visitor: while they are on their way, others leave, so
many per second, and the room need not keep a slot empty for each (docs/adr has the measurement).

State       What was called and has not come, by age; when those called come; how people leave;
            how much the service can stand. Bounded, and JSON: whoever leads next goes on.
Guarantee   `serving` never falls and never passes `issued`. The room cannot be overfilled from
            here: entering is granted only while A < C_eff, where it is granted. The controller
            decides only how full the room is, and how many stand at its door in vain.
Clock       The caller's. Only differences count: ages are kept, not moments. Time that stands
            still or steps back releases nothing; a gap of minutes releases no more than `tau_s`.
On failure  A state that was decided but not stored is forgotten: the next tick compares with
            the `serving` it is given, and takes back or adds what differs.
"""

from collections.abc import Sequence
from math import exp, floor, inf, isfinite
from typing import Literal

import msgspec

from sunseo.room.pacing.capacity import Governor, govern
from sunseo.room.pacing.cohorts import Cohort, aged, expected, reconciled, released
from sunseo.room.pacing.speed import Leaving, Speed, estimate, eta, observe, with_trend
from sunseo.room.pacing.survival import Survival, coming_curve

__all__ = [
    "Advance",
    "Census",
    "PacingLimits",
    "PacingState",
    "Reason",
    "Speed",
    "buy_share",
    "eta",
    "tick",
]

Reason = Literal["steady", "slowed", "unhealthy", "stock", "paused"]

DEPARTURES_TAU_S = 15.0  # smooths departures: one tick's count is mostly chance
ELAPSED_S_MIN = 1e-3  # less is the same moment: counts over it would be no rates
ELAPSED_S_MAX = 3600.0
MOMENT_S_MAX = 1e12  # no clock says so; a figure that is none is not below it either
SHOW_UP_MIN = 0.05  # a guess below one in twenty would call the whole line at once
BUY_RATE_MIN = 0.05  # likewise, of the stock
REMEMBERED_MIN = 20.0  # people; fewer would make a room for one believe each single one
REMEMBERED_PER_HEAD = 4  # for each inside, besides one for each place
BUYERS_FIRST = 10  # people who bought, as good as seen, before anybody was
USUAL_TAU_S = 300.0  # in which a new speed becomes the usual one
SLOWED = 0.85  # of the usual speed: fewer than this is worth a word to the line


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """What the leader counted for this tick.

    `entered` are first entries since the last tick, as (number, moment on the clock of `now_s`).
    `units_left` are units not yet sold, those on hold included. `buys_of_entered` is the share
    (0 to 1) of those who entered and have left that bought; 1 while nothing is known.
    """

    now_s: float
    issued: int
    serving: int
    live: int
    entered: Sequence[tuple[int, float]] = ()
    departed: int = 0  # passes that ended since the last tick, whatever the cause
    health: float = inf  # min(L_slo / L_p99, W_slo / lane_wait); infinite: nobody measures
    units_left: int | None = None  # none: no stock is behind this room
    buys_of_entered: float = 1.0
    gaps: int = 0  # numbers right ahead of serving that nobody holds
    open: bool = True  # false: paused, closed or before the opening


class PacingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator set; see RoomSettings."""

    capacity: int
    capacity_min: int | None = None
    rate_max: float | None = None  # people entering per second
    tau_s: float = 8.0
    grace_s: float = 150.0
    units_per_buyer: float = 1.0
    passthrough: bool = False


class PacingState(msgspec.Struct, frozen=True):
    """All that the controller remembers; `fresh()` is a room nobody has led yet."""

    at_s: float | None = None
    serving: int = 0
    carry: float = 0.0  # the fraction of a number that was not released yet
    departures_per_s: float = 0.0
    usual_v: float | None = None
    cohorts: tuple[Cohort, ...] = ()
    survival: Survival = Survival()
    leaving: Leaving = Leaving()
    governor: Governor = Governor()

    @classmethod
    def fresh(cls) -> "PacingState":
        return cls()


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """What follows: write `serving` and `capacity`, publish the rest."""

    serving: int
    capacity: int  # C_eff: entering is granted only while fewer are live
    speed: Speed | None
    reason: Reason
    sold_out: bool = False
    expected: float = 0.0  # called, not yet here, reckoned to come
    show_up: float = 1.0  # share of those called who enter


def tick(state: PacingState, limits: PacingLimits, census: Census) -> tuple[PacingState, Advance]:
    """Decide once. Call it about once a second, also while nobody may enter."""
    census = _sane(census)
    learnt = _learn(state, limits, census)
    curve = coming_curve(learnt.survival, limits.grace_s)
    capacity = int(learnt.governor.capacity)
    awaited = expected(learnt.cohorts, curve)
    show_up = max(SHOW_UP_MIN, curve.show_up)
    elapsed_s = _elapsed_s(state, census)

    leave_meanwhile = min(awaited, learnt.departures_per_s * curve.delay_s)
    free = capacity - census.live - (awaited - leave_meanwhile)
    stock_free = _people_the_stock_serves(limits, census) - census.live - awaited
    people = _admitted(limits, learnt.departures_per_s, min(free, stock_free), elapsed_s)
    numbers = min(people, max(0.0, stock_free)) / show_up
    if stock_free >= 1.0 and _all_would_fit(learnt, capacity, census):
        numbers = max(numbers, _one(limits, elapsed_s))
    serving, carry = _advanced(state, limits, census, numbers)

    speed = estimate(learnt.leaving, capacity, show_up, limits.rate_max or inf)
    usual_v = _usual(state.usual_v, speed, elapsed_s)
    if speed is not None and usual_v is not None:
        speed = with_trend(speed, usual_v)
    after = msgspec.structs.replace(
        learnt,
        serving=serving,
        carry=carry,
        usual_v=usual_v,
        cohorts=released(learnt.cohorts, census.serving, serving, census.gaps),
    )
    return after, Advance(
        serving=serving,
        capacity=capacity,
        speed=speed,
        reason=_reason(after, census, speed, stock_holds=stock_free <= 0.0),
        sold_out=census.units_left is not None and census.units_left <= 0,
        expected=round(awaited, 3),
        show_up=round(show_up, 4),
    )


def buy_share(bought: int, left: int) -> float:
    """Of those who entered and left, who bought; leaning on "everybody" while few have left."""
    return (bought + BUYERS_FIRST) / (left + BUYERS_FIRST) if 0 <= bought <= left else 1.0


def _sane(census: Census) -> Census:
    """Counts below zero and figures that are no number say nothing, and must not spread."""
    buys = census.buys_of_entered
    return msgspec.structs.replace(
        census,
        now_s=census.now_s if abs(census.now_s) < MOMENT_S_MAX else 0.0,
        issued=max(0, census.issued),
        serving=max(0, census.serving),
        live=max(0, census.live),
        departed=max(0, census.departed),
        gaps=max(0, census.gaps),
        buys_of_entered=min(1.0, max(BUY_RATE_MIN, buys)) if isfinite(buys) else 1.0,
    )


def _elapsed_s(state: PacingState, census: Census) -> float:
    """Seconds since the last tick; what was known longer ago than an hour is old in any case."""
    passed_s = 0.0 if state.at_s is None else census.now_s - state.at_s
    return min(ELAPSED_S_MAX, passed_s) if passed_s >= ELAPSED_S_MIN else 0.0


def _is_shut(state: PacingState, census: Census) -> bool:
    """Nobody could enter, however willing: the room is as full as it may be."""
    return 0.0 <= state.governor.capacity <= census.live


def _learn(state: PacingState, limits: PacingLimits, census: Census) -> PacingState:
    """What this tick's counts add to what is known; nobody is called yet."""
    elapsed_s = _elapsed_s(state, census)
    believed = state.serving if state.at_s is not None else census.serving
    cohorts, survival = aged(
        reconciled(state.cohorts, believed, census.serving),
        state.survival,
        census.entered,
        now_s=census.now_s,
        elapsed_s=0.0 if _is_shut(state, census) else elapsed_s,
        grace_s=limits.grace_s,
        people_max=_people_remembered(limits.capacity, census.live),
    )
    return msgspec.structs.replace(
        state,
        at_s=census.now_s,
        departures_per_s=_smoothed(state.departures_per_s, census.departed, elapsed_s),
        cohorts=tuple(cohorts),
        survival=survival,
        leaving=observe(state.leaving, census.departed, census.live, elapsed_s),
        governor=govern(
            state.governor,
            capacity_max=limits.capacity,
            capacity_min=limits.capacity_min,
            live=census.live,
            health=census.health,
            elapsed_s=elapsed_s,
        ),
    )


def _people_remembered(capacity: int, live: int) -> float:
    """How many may tell what those called will do: fewer, the emptier the room.

    Estimates need many people to be steady, and few to be quick. In a full room nothing is lost by
    being slow; an empty one believes what it sees now.
    """
    return max(REMEMBERED_MIN, capacity + REMEMBERED_PER_HEAD * min(live, capacity))


def _smoothed(per_s: float, departed: int, elapsed_s: float) -> float:
    """Departures per second; those of a tick without time are added as an impulse."""
    kept = exp(-elapsed_s / DEPARTURES_TAU_S)
    if elapsed_s <= 0.0:
        return round(per_s + departed / DEPARTURES_TAU_S, 6)
    return round(per_s * kept + departed / elapsed_s * (1.0 - kept), 6)


def _people_the_stock_serves(limits: PacingLimits, census: Census) -> float:
    """So many inside would, as they lately bought, leave nothing for another."""
    if census.units_left is None:
        return inf
    units_per_person = limits.units_per_buyer * census.buys_of_entered
    return max(0, census.units_left) / units_per_person if units_per_person > 0.0 else inf


def _admitted(
    limits: PacingLimits, departures_per_s: float, free: float, elapsed_s: float
) -> float:
    """How many people are to enter on account of this tick."""
    rate_max = inf if limits.rate_max is None else limits.rate_max
    rate = min(rate_max, max(0.0, departures_per_s + free / limits.tau_s))
    return rate * min(elapsed_s, limits.tau_s)


def _all_would_fit(state: PacingState, capacity: int, census: Census) -> bool:
    """Whether one more would find a place even if all who were called came."""
    missing = sum(cohort.missing for cohort in state.cohorts)
    return census.live + missing + 1 <= capacity


def _one(limits: PacingLimits, elapsed_s: float) -> float:
    """The first visitor of an empty little room need not wait for its slow filling."""
    if elapsed_s <= 0.0:
        return 0.0
    return 1.0 if limits.rate_max is None else min(1.0, limits.rate_max * elapsed_s)


def _advanced(
    state: PacingState, limits: PacingLimits, census: Census, numbers: float
) -> tuple[int, float]:
    """The new `serving` and the fraction left over; what the line could not use is not saved."""
    if limits.passthrough and census.open:
        return max(census.serving, census.issued), 0.0
    if not census.open:
        return census.serving, 0.0
    due = numbers + state.carry
    whole = floor(due)
    wanted = census.serving + census.gaps + whole
    if wanted >= census.issued:
        return max(census.serving, census.issued), 0.0
    return wanted, round(due - whole, 6)


def _usual(usual_v: float | None, speed: Speed | None, elapsed_s: float) -> float | None:
    if speed is None or usual_v is None:
        return usual_v if speed is None else speed.v50
    kept = exp(-elapsed_s / USUAL_TAU_S)
    return round(usual_v * kept + speed.v50 * (1.0 - kept), 4)


def _reason(
    state: PacingState, census: Census, speed: Speed | None, *, stock_holds: bool
) -> Reason:
    """Why the wait is what it is, the strongest cause first."""
    if not census.open:
        return "paused"
    if stock_holds:
        return "stock"
    if state.governor.is_cut:
        return "unhealthy"
    if speed is not None and state.usual_v is not None and speed.v50 < SLOWED * state.usual_v:
        return "slowed"
    return "steady"
