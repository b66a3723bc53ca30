"""The outcome of a small rehearsal, put together by hand, for tests of what is told of it."""

from typing import Any

import msgspec

from sunseo.rehearsal.driver import DriverProgress
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.processes import ProcessUse
from sunseo.rehearsal.report.result import Options, Result
from sunseo.rehearsal.scenes.kinds import check_names
from sunseo.rehearsal.scenes.scenario import read_scenario

SECONDS = range(-2, 12)


def sample(at_s: int) -> Sample:
    """A look at a line that grows by ten a second."""
    came = 10 * max(0, at_s + 2)
    return Sample(
        at_s=float(at_s),
        issued=came,
        serving=came // 2,
        live=min(10, came),
        capacity=10,
        held=3,
        sold=max(0, 4 * at_s),
        connections=7,
        metrics={
            "requests": 100.0 * came,
            "polls": 50.0 * came,
            "lane_wait_s": 0.01 * came,
            "lane_waits": float(came),
            "flush_s": 0.004 * came,
            "flushes": float(came),
        },
        uses={
            "server": ProcessUse(0.5, 100.0),
            "database": ProcessUse(0.2, 200.0),
            "crowd": ProcessUse(0.3, 50.0),
        },
    )


def progress(at_s: float, arrived: int) -> DriverProgress:
    """Of a crowd of which so many have come."""
    return DriverProgress(
        at_s=at_s,
        arrived=arrived,
        in_line=arrived // 2,
        inside=10,
        bought=0,
        orders=3,
        gone=arrived // 4,
        requests=10 * arrived,
        late_ms=0.0,
        p99_ms={"join": 20.0, "hold": 33.0},
    )


def options(**changes: Any) -> dict[str, Any]:
    """The concert, made small, and as small as is said."""
    small = {"visitors": 140, "units": 40, "capacity": 10, "duration_s": 12.0}
    scenario = read_scenario("concert").changed(**(small | changes))
    told: dict[str, Any] = msgspec.to_builtins(Options(name="concert", scenario=scenario, seed=5))
    return told


def an_outcome(**other: Any) -> Result:
    """A clean rehearsal of fourteen seconds, but for what is said otherwise."""
    latency = {"count": 140, "p50": 12.0, "p90": 40.0, "p99": 250.0, "longest": 300.0}
    moments = [{"at_s": second, "count": 10, "p50": 9.0, "p99": 30.0} for second in SECONDS]
    moments[5]["p99"] = 250.0
    told: dict[str, Any] = {
        "standing": "held",
        "started_at": "2026-08-01T10:00:00+00:00",
        "options": options(),
        "machine": {
            "cores": 2,
            "memory_gb": 8.0,
            "system": "Linux 6 x86_64",
            "python": "3.11.2",
            "sunseo": "0.1.0",
        },
        "checks": [{"name": name, "standing": "held", "looked_at": 40} for name in check_names()],
        "fairness": None,
        "requests": 5_000,
        "requests_per_s": 357.1,
        "requests_per_s_busiest": 900,
        "retries": 0,
        "lost_answers": 2,
        "orders": 20,
        "orders_found": 1,
        "sold": 40,
        "sold_out_s": 10.0,
        "nine_tenths_s": 9.0,
        "gone": {"bought": 20, "sold_out": 120},
        "funnel": {"came": 140, "in_line": 140, "entered": 24, "held": 21, "ordered": 20},
        "cheating": {"forge: invalid_token": 2},
        "answers": {"hold": {"201": 21, "seat_taken": 4}},
        "latencies": {"hold": latency},
        "moments": {"hold": moments},
        "arrivals": [[second, 10] for second in SECONDS],
        "samples": [msgspec.to_builtins(sample(second)) for second in SECONDS],
        "samples_missed": 0,
        "driving": {
            "seconds": 14.0,
            "cpu_s": 4.0,
            "memory_mb": 50.0,
            "late_p50_ms": 0.1,
            "late_p99_ms": 2.0,
        },
    }
    return msgspec.convert(told | other, Result)
