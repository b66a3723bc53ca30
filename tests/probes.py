"""A probe of a search for capacity, put together by hand."""

from typing import Any

from sunseo.rehearsal.capacity.measured import Probe
from sunseo.rehearsal.observe.readings import Reading


def a_probe(**other: Any) -> Probe:
    """One that broke a bound, but for what is said otherwise."""
    told: dict[str, Any] = {
        "rate": 100.0,
        "came": 100.0,
        "held": False,
        "broken": ["p99(hold) <= 500 ms: 600 ms"],
        "requests_per_s": 900.0,
        "p99_ms": {"hold": 600.0},
        "late_p99_ms": 1.0,
        "connections": 7,
        "reading": Reading(from_s=10.0, to_s=20.0),
        "laws": [],
    }
    return Probe(**(told | other))
