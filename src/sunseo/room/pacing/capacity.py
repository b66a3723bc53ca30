"""How many the protected service can stand at present: C_eff, between C_min and the setting.

State       FULL (as the operator set it), CUT (lower, because the service was unhealthy),
            COOLING (a cut waits to show what it did; nothing is cut or raised).
Guarantee   C_min <= C_eff <= C_max. It falls only after two unhealthy windows running, and never
            again while the room is still above the last cut; it rises by small steps.
Clock       The seconds between ticks, as the caller measures them.

Health is a ratio to an absolute target: 1 is just good enough, 2 is twice as good as needed, and
infinity means that nobody measures. A window's health is that of its mean load (the mean of
1 / health), so that one bad reading among good ones does not make a window unhealthy.
"""

from math import isnan

import msgspec

WINDOW_S = 5.0  # long enough for a p99 to mean something, short enough to react within 10 s
COOL_DOWN_S = 30.0  # what a cut did is seen only when some have left
CUT_MAX = 0.5  # one cut takes at most half
PROBE_HEALTH = 1.25  # so much better than needed, before more are let in
PROBE_FULLNESS = 0.8  # a room that is not full says nothing about more
PROBE_STEP = 0.02  # of C_max
FLOOR = 0.1  # of C_max, where no C_min is set
HEALTH_MAX = 1e6  # better than this is no news, and the inverse of next to nothing no number
LOAD_MAX = 100.0  # one reading of a service that stands still weighs no more than this


class Governor(msgspec.Struct, frozen=True):
    """What is remembered of the service's health."""

    capacity: float = -1.0  # C_eff; below zero: not yet begun
    capacity_max: int = -1  # the setting that C_eff was last held against
    window_s: float = 0.0  # how much of the present window has passed
    window_load: float = 0.0  # sum of 1 / health x seconds in it
    unhealthy_windows: int = 0  # running
    cooling_s: float = 0.0
    health: float | None = None  # of the last window; none: nobody measures

    @property
    def is_cut(self) -> bool:
        return int(self.capacity) < self.capacity_max


def govern(
    governor: Governor,
    *,
    capacity_max: int,
    capacity_min: int | None,
    live: int,
    health: float,
    elapsed_s: float,
) -> Governor:
    """One tick: settle the setting, gather the reading, judge when a window is over."""
    floor = floor_of(capacity_max, capacity_min)
    governor = _settled(governor, capacity_max, floor)
    window_s = governor.window_s + elapsed_s
    window_load = governor.window_load + load_of(health) * elapsed_s
    governor = msgspec.structs.replace(
        governor,
        window_s=window_s,
        window_load=window_load,
        cooling_s=max(0.0, governor.cooling_s - elapsed_s),
    )
    return _judged(governor, floor, live) if window_s >= WINDOW_S else governor


def floor_of(capacity_max: int, capacity_min: int | None) -> int:
    floor = round(capacity_max * FLOOR) if capacity_min is None else capacity_min
    return min(capacity_max, max(1, floor))


def load_of(health: float) -> float:
    """1 / health, bounded; a reading that is no number says nothing."""
    if isnan(health):
        return 0.0
    return LOAD_MAX if health <= 1 / LOAD_MAX else 1.0 / health


def _settled(governor: Governor, capacity_max: int, floor: int) -> Governor:
    """C_eff follows the setting where it was full; a cut one is only held within bounds."""
    if governor.capacity_max == capacity_max and governor.capacity >= floor:
        return governor
    full = not governor.is_cut or governor.capacity < 0
    capacity = float(capacity_max if full else min(capacity_max, max(floor, governor.capacity)))
    return msgspec.structs.replace(governor, capacity=capacity, capacity_max=capacity_max)


def _judged(governor: Governor, floor: int, live: int) -> Governor:
    load = governor.window_load / governor.window_s
    health = min(HEALTH_MAX, 1.0 / load) if load > 0.0 else None
    unhealthy = governor.unhealthy_windows + 1 if load > 1.0 else 0
    capacity, cooling_s = governor.capacity, governor.cooling_s
    if cooling_s <= 0.0 and health is not None and unhealthy >= 2 and live <= capacity:
        capacity = max(float(floor), capacity * max(CUT_MAX, health))
        cooling_s, unhealthy = COOL_DOWN_S, 0
    elif cooling_s <= 0.0 and _may_probe(governor, health, live):
        step = max(1.0, PROBE_STEP * governor.capacity_max)
        capacity = min(float(governor.capacity_max), capacity + step)
    return msgspec.structs.replace(
        governor,
        capacity=capacity,
        window_s=0.0,
        window_load=0.0,
        unhealthy_windows=min(2, unhealthy),
        cooling_s=cooling_s,
        health=health,
    )


def _may_probe(governor: Governor, health: float | None, live: int) -> bool:
    good = health is None or health > PROBE_HEALTH
    return governor.is_cut and good and live > PROBE_FULLNESS * governor.capacity
