"""What to set, from what was measured at the rate that holds. Pure.

Capacity follows from Little's law: whoever enters at the rate λ and stays W seconds keeps L = λ W
people inside. A tenth is taken off, since the bounds were just about to break. The others are what
was used, with room for what comes by chance.
"""

from math import ceil

import msgspec

from sunseo.rehearsal.capacity.binding import Binding
from sunseo.rehearsal.capacity.measured import LittlesLaw, Probe
from sunseo.rehearsal.report.slowest import Machinery

MARGIN = 0.9  # of what just holds
WORKER_FULL = 0.7  # of a core: above, waits grow much faster than the load
LANE_FULL = 0.7  # of its time, likewise
REQUESTS_MIN, REQUESTS_MAX = 256, 8192  # from a small machine's to a large one's
RESERVE = 10  # connections for migrations, backups, and people


class Setting(msgspec.Struct, frozen=True):
    """`figures` are what the value rests on, for the sentence that tells it."""

    name: str
    value: int
    figures: dict[str, float]


def advise(at: Probe, binding: Binding, machinery: Machinery, sales: int) -> list[Setting]:
    """The settings, from the highest probe that held."""
    settings = [
        *_capacity(at.laws),
        _workers(at, binding, machinery),
        _lanes(at, machinery, sales),
        _requests_max(at, machinery),
    ]
    if at.connections is not None:
        settings.append(_connections(at, machinery))
    return settings


def _capacity(laws: list[LittlesLaw]) -> list[Setting]:
    law = next((law for law in laws if law.station == "inside"), None)
    if law is None:
        return []
    figures = {"rate": law.rate, "wait_s": law.wait_s, "people": law.product}
    a_minute = law.rate * 60 * MARGIN
    capacity = max(1, int(law.product * MARGIN))
    return [Setting("capacity", capacity, figures | {"a_minute": round(a_minute)})]


def _workers(at: Probe, binding: Binding, machinery: Machinery) -> Setting:
    """One for each core that the server needs; more only where it was the workers that bound."""
    used = at.reading.cores.get("server", 0.0) if at.reading is not None else 0.0
    needed = ceil(used / WORKER_FULL) or 1
    value = min(max(1, needed), machinery.cores)
    if binding == "worker":
        value = min(max(value, machinery.workers + 1), machinery.cores)
    return Setting("workers", value, {"cores": used, "machine": machinery.cores})


def _lanes(at: Probe, machinery: Machinery, sales: int) -> Setting:
    """A sale always goes to the same lane: no more of them than sales."""
    busy = max(at.reading.busy.values(), default=0.0) if at.reading is not None else 0.0
    each = busy / machinery.workers
    value = min(sales, max(1, ceil(each / LANE_FULL)))
    return Setting("lanes", value, {"busy": round(each, 3), "sales": sales})


def _requests_max(at: Probe, machinery: Machinery) -> Setting:
    """A second's worth: who is told to come back at once is better off than who waits longer."""
    each = at.requests_per_s / machinery.workers
    value = min(REQUESTS_MAX, max(REQUESTS_MIN, 2 ** ceil(each).bit_length()))
    return Setting("requests_max", value, {"requests": at.requests_per_s})


def _connections(at: Probe, machinery: Machinery) -> Setting:
    opened = at.connections or 0
    used = sum(at.reading.busy.values()) if at.reading is not None else 0.0
    figures = {"opened": opened, "used": round(used, 2), "workers": machinery.workers}
    return Setting("max_connections", opened + RESERVE, figures)
