"""Rates between looks, the slowest moments, and what was behind them."""

from typing import Any

import msgspec
import pytest

from sunseo.rehearsal.observe.observer import Sample, sums_of
from sunseo.rehearsal.observe.processes import ProcessUse
from sunseo.rehearsal.observe.readings import Reading, overall, readings_of
from sunseo.rehearsal.report.result import Moment
from sunseo.rehearsal.report.slowest import MOMENTS_MAX, Machinery, explain, slowest

TWO_CORES = Machinery(cores=2, workers=1, drivers=1)
IDLE = Reading(from_s=0.0, to_s=1.0)


def sample(at_s: float, metrics: dict[str, float], **cores: float) -> Sample:
    return Sample(
        at_s=at_s,
        issued=0,
        serving=0,
        live=0,
        capacity=1,
        held=0,
        sold=0,
        metrics=metrics,
        uses={name: ProcessUse(used, 0.0) for name, used in cores.items()},
    )


def reading(**given: Any) -> Reading:
    return msgspec.structs.replace(IDLE, **given)


def test_counters_become_rates_and_means() -> None:
    """Between two looks: requests a second, the share shed, the mean wait and flush, busy lanes."""
    early = {"requests": 100, "polls": 100, "shed": 0, "lane_wait_s": 1.0, "lane_waits": 10}
    early |= {"flush_s": 1.0, "flushes": 10, "flush_s.inventory": 1.0, "flush_s.room": 0.0}
    late = {"requests": 300, "polls": 300, "shed": 40, "lane_wait_s": 1.5, "lane_waits": 20}
    late |= {"flush_s": 2.5, "flushes": 20, "flush_s.inventory": 2.0, "flush_s.room": 0.5}
    between = readings_of([sample(10.0, early), sample(12.0, late, server=0.7)])

    assert between == [
        Reading(
            from_s=10.0,
            to_s=12.0,
            requests_per_s=200.0,
            shed_share=0.1,
            lane_wait_ms=50.0,
            flush_ms=150.0,
            busy={"inventory": 0.5, "room": 0.25},
            cores={"server": 0.7},
        )
    ]


def test_counter_that_fell_began_anew() -> None:
    """After a restart the server counts from zero: what it counted since is the growth."""
    between = readings_of([sample(0.0, {"requests": 500}), sample(1.0, {"requests": 20})])

    assert between[0].requests_per_s == 20.0


def test_overall_weighs_cores_by_time() -> None:
    """Over a span the cores in use are their mean over time, and only looks within it count."""
    samples = [
        sample(0.0, {"requests": 0}, server=9.0),
        sample(1.0, {"requests": 10}, server=9.0),
        sample(2.0, {"requests": 20}, server=1.0),
        sample(5.0, {"requests": 50}, server=0.5),
        sample(6.0, {"requests": 99}, server=9.0),
    ]
    within = overall(samples, 1.0, 5.0)

    assert within is not None
    assert within.requests_per_s == 10.0
    assert within.cores == {"server": 0.625}
    assert overall(samples, 7.0, 9.0) is None


def test_flushing_is_kept_by_kind_of_lane() -> None:
    """The server's metrics give flushing time in all, and of inventory and rooms each."""
    text = "\n".join(
        f'sunseo_lane_flush_seconds_sum{{lane="{lane}"}} {value}'
        for lane, value in (("inventory-0", 1.0), ("inventory-1", 2.0), ("room-0", 4.0))
    )

    assert sums_of(text) == {"flush_s": 7.0, "flush_s.inventory": 3.0, "flush_s.room": 4.0}


def moments(**p99s: list[float]) -> dict[str, list[Moment]]:
    return {
        name: [Moment(second, 10, 1.0, p99) for second, p99 in enumerate(values)]
        for name, values in p99s.items()
    }


def test_slowest_second_comes_with_its_neighbours() -> None:
    """Seconds at least half as slow as the peak next to them are one moment, named by the peak."""
    found = slowest(
        moments(hold=[10, 300, 150, 20, 250], join=[10, 20, 600, 20, 20]), [], TWO_CORES
    )

    assert [(one.from_s, one.to_s, one.operation, one.p99) for one in found] == [
        (1, 3, "join", 600),
        (4, 5, "hold", 250),
    ]


def test_smooth_rehearsal_has_no_slow_moment() -> None:
    """Where nobody would have noticed anything, nothing is told; nor of a single request's luck."""
    rare = {"leave": [Moment(0, 1, 9_000.0, 9_000.0)]}

    assert slowest(moments(hold=[20, 99, 30]), [], TWO_CORES) == []
    assert slowest(rare, [], TWO_CORES) == []


def test_no_more_moments_than_can_be_read() -> None:
    """Of many peaks only the slowest are told, the slowest first."""
    peaks = [value for height in range(1, 10) for value in (200.0 * height, 1.0)]
    found = slowest(moments(hold=peaks), [], TWO_CORES)

    assert [one.p99 for one in found] == [1800.0, 1600.0, 1400.0, 1200.0, 1000.0]
    assert len(found) == MOMENTS_MAX


@pytest.mark.parametrize(
    ("seen", "causes"),
    [
        ({}, ["unknown"]),
        ({"cores": {"server": 0.9, "database": 0.5, "crowd": 0.5}}, ["cpu"]),
        ({"cores": {"server": 0.3, "machine": 1.9}}, ["cpu"]),  # strangers' work
        ({"cores": {"server": 0.95}}, ["cpu"]),  # the one worker there is
        ({"cores": {"server": 0.3, "crowd": 0.97}}, ["crowd"]),
        ({"flush_ms": 400.0}, ["database"]),
        ({"flush_ms": 5.0, "longest_flush_ms": 500.0}, ["database"]),
        ({"flush_ms": 5.0, "longest_flush_ms": 250.0}, ["unknown"]),
        ({"flush_ms": 400.0, "cores": {"server": 1.0}}, ["cpu"]),
        ({"lane_wait_ms": 400.0}, ["lane"]),
        ({"lane_wait_ms": 400.0, "flush_ms": 400.0}, ["database", "lane"]),
        ({"shed_share": 0.05}, ["shed"]),
        ({"shed_share": 0.05, "cores": {"server": 1.0, "crowd": 0.95}}, ["cpu", "crowd", "shed"]),
        ({"to_s": 5.0}, ["unseen"]),
    ],
)
def test_causes_follow_from_what_was_seen(seen: dict[str, Any], causes: list[str]) -> None:
    """Each cause holds by its own rule, and the one that explains the others comes first."""
    assert explain("hold", 1000.0, [reading(**seen)], TWO_CORES)[0] == causes


def test_what_is_answered_from_memory_waits_for_no_flush() -> None:
    """A slow nonce has another cause than a slow database."""
    slow = [reading(flush_ms=400.0, lane_wait_ms=400.0)]

    assert explain("nonce", 1000.0, slow, TWO_CORES)[0] == ["unknown"]
    assert explain("join", 1000.0, slow, TWO_CORES)[0] == ["database", "lane"]


def test_longest_flush_is_known_by_its_bucket() -> None:
    """Between two looks one flush of a hundred lay above 0.1 s: it took that long at least."""
    text = "\n".join(
        f'sunseo_lane_flush_seconds_bucket{{lane="{lane}",le="{bound}"}} {count}'
        for lane, counts in (("room-0", (98, 99, 99, 100)), ("inventory-0", (7, 7, 7, 7)))
        for bound, count in zip(("0.05", "0.1", "0.25", "+Inf"), counts, strict=True)
    )
    early = sums_of(text)
    one_more = early | {"flushes_within.0.25": 107.0, "flushes_within.+Inf": 108.0}
    between = readings_of([sample(0.0, early), sample(1.0, one_more), sample(2.0, one_more)])

    assert early["flushes_within.0.05"] == 105.0
    assert [one.longest_flush_ms for one in between] == [100.0, 0.0]


def test_causes_are_those_of_the_moment() -> None:
    """What was seen before or after it does not explain a moment."""
    busy = reading(from_s=5.0, to_s=6.0, cores={"server": 1.0})
    calm = reading(from_s=1.0, to_s=2.0, lane_wait_ms=200.0)
    found = slowest(moments(hold=[1, 500, 1, 1, 1, 1]), [calm, busy], TWO_CORES)

    assert [one.causes for one in found] == [["lane"]]
    assert found[0].figures["lane_wait_ms"] == 200.0
