"""What binds, what to set, and which bounds a probe has broken: from figures that are known."""

from typing import Any

import msgspec
import pytest

from sunseo.rehearsal.capacity.advice import advise
from sunseo.rehearsal.capacity.binding import Binding, binding_of
from sunseo.rehearsal.capacity.bounds import (
    DEFAULT,
    broken_slos,
    broken_unsaid,
    steady_slos,
)
from sunseo.rehearsal.capacity.measured import LittlesLaw, Probe
from sunseo.rehearsal.capacity.probe import laws_of, steady
from sunseo.rehearsal.observe.histogram import Counts, note
from sunseo.rehearsal.observe.ledger import BadAnswer, DriverRecord, Figures, Ledger
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.readings import Reading
from sunseo.rehearsal.observe.stored import StoredPass
from sunseo.rehearsal.report.slowest import Machinery
from sunseo.rehearsal.scenes.scenario import read_scenario, shipped
from tests.probes import a_probe

FOUR_CORES = Machinery(cores=4, workers=1, drivers=1)


def reading(**given: Any) -> Reading:
    return Reading(from_s=10.0, to_s=20.0, **given)


@pytest.mark.parametrize(
    ("failed", "binding"),
    [
        (None, "nothing"),
        (a_probe(reading=None), "unknown"),
        (a_probe(), "unknown"),
        (a_probe(reading=reading(cores={"server": 2.0, "crowd": 1.0, "database": 0.8})), "cpu"),
        (a_probe(reading=reading(cores={"server": 2.0, "machine": 3.9})), "others"),
        (a_probe(reading=reading(cores={"server": 0.5, "crowd": 0.95})), "crowd"),
        (a_probe(late_p99_ms=80.0), "crowd"),
        (a_probe(reading=reading(cores={"server": 0.97})), "worker"),
        (a_probe(reading=reading(cores={"server": 0.6}, busy={"inventory": 0.9})), "lane"),
        (a_probe(reading=reading(cores={"server": 0.2}, busy={"inventory": 0.9})), "database"),
    ],
)
def test_what_binds_follows_from_what_was_seen(failed: Probe | None, binding: Binding) -> None:
    """Each limit is recognised by its own rule, the one that shows as others first."""
    assert binding_of(failed, FOUR_CORES) == binding


def test_capacity_is_what_enters_times_how_long_it_stays() -> None:
    """L = λ W, a tenth off; and what a stay of a minute would make, for who knows her own."""
    best = a_probe(held=True, laws=[LittlesLaw("inside", 40.0, 5.0, 201.0)])
    setting = advise(best, "cpu", FOUR_CORES, sales=1)[0]

    assert (setting.name, setting.value) == ("capacity", 180)
    assert setting.figures == {"rate": 40.0, "wait_s": 5.0, "people": 200.0, "a_minute": 2160}


def test_settings_follow_from_use() -> None:
    """Workers by the server's cores, lanes by their busy time, requests by a second's worth."""
    best = a_probe(
        held=True,
        requests_per_s=900.0,
        reading=reading(cores={"server": 1.2}, busy={"inventory": 0.3, "room": 0.2}),
    )
    settings = {one.name: one.value for one in advise(best, "worker", FOUR_CORES, sales=1)}

    assert settings == {"workers": 2, "lanes": 1, "requests_max": 1024, "max_connections": 17}


def test_workers_that_bind_become_one_more() -> None:
    """Where the workers' own cores were the limit there is one more, up to the machine's cores."""
    best = a_probe(held=True, reading=reading(cores={"server": 0.5}))

    for cores, workers in ((4, 2), (1, 1)):
        settings = advise(best, "worker", Machinery(cores=cores, workers=1, drivers=1), 1)
        assert next(one.value for one in settings if one.name == "workers") == workers


def test_lane_that_is_full_asks_for_another() -> None:
    """A lane at work for nine tenths of the time should be two, where there are many sales."""
    best = a_probe(held=True, reading=reading(busy={"inventory": 0.9}))

    for sales, lanes in ((300, 2), (1, 1)):
        settings = advise(best, "lane", FOUR_CORES, sales)
        assert next(one.value for one in settings if one.name == "lanes") == lanes


def test_slos_are_judged_in_the_time_that_counts() -> None:
    """What was slow before it breaks nothing; what is slow within it is told with its time."""
    slow: Counts = {}
    note(slow, 2.0)
    figures = Figures(
        outcomes={"hold": {"201": 99}, "join": {"overloaded": 1}},
        latencies={"hold": {3: slow}, "order": {12: slow}},
    )
    record = DriverRecord(Ledger(), figures, whole=True, seconds=20.0, cpu_s=1.0, memory_mb=1.0)

    broken = broken_slos((*DEFAULT, "later <= 5 %"), record, (10.0, 20.0))
    assert [one.partition(":")[0] for one in broken] == ["p99(order) <= 500 ms"]


def test_what_goes_unsaid_is_held_as_well() -> None:
    """Errors, sheds, and a crowd that did not come as fast as asked for break a probe."""
    ledger = Ledger(faults=[BadAnswer(1, "hold", 500, "internal_error", 3.0)])
    late: Counts = {}
    note(late, 2.0)
    figures = Figures(driver_late=late)
    record = DriverRecord(ledger, figures, whole=True, seconds=20.0, cpu_s=1.0, memory_mb=1.0)

    assert "nothing was seen in the time that counts" in broken_unsaid(50.0, 50.0, record, None)
    assert broken_unsaid(50.0, 40.0, record, reading(shed_share=0.02)) == [
        "the crowd itself was 2,007 ms late",
        "1 errors",
        "2.0% of the requests shed",
        "only 40.0 visitors came per second",
    ]


def test_slos_of_openings_are_left_out() -> None:
    """A steady crowd is not asked when it sold out; with nothing else asked for, the default is."""
    assert steady_slos(("sold_out <= 60 s", "p99(hold) <= 1 s")) == ("p99(hold) <= 1 s",)
    assert steady_slos(("requests_per_minute >= 100000",)) == DEFAULT
    with pytest.raises(ValueError, match="is not like"):
        steady_slos(("fast",))


def sample(at_s: float, live: int, **metrics: float) -> Sample:
    return Sample(
        at_s=at_s, issued=0, serving=0, live=live, capacity=99, held=0, sold=0, metrics=metrics
    )


def test_laws_have_the_measured_numbers_put_in() -> None:
    """Rates, stays and what was counted are those of the time that counts, and of no other."""
    samples = [
        sample(0.0, 50, request_s=0.0, requests_timed=0, flush_s=0.0, flushes=0, in_flight=9),
        sample(10.0, 4, request_s=1.0, requests_timed=100, flush_s=0.5, flushes=50, in_flight=1),
        sample(20.0, 6, request_s=6.0, requests_timed=1100, flush_s=2.5, flushes=250, in_flight=2),
    ]
    passes = [
        StoredPass(
            number, "x", "left", 1000.0 + at_s, None if stays is None else 1000 + at_s + stays
        )
        for number, (at_s, stays) in enumerate([(1.0, 2.0), (9.0, 3.0), (12.0, 5.0), (18.0, None)])
    ]

    assert laws_of(samples, passes, (10.0, 20.0), zero_at=1000.0) == [
        LittlesLaw("inside", 0.2, 4.0, 5.0),
        LittlesLaw("server", 100.0, 0.005, 1.5),
        LittlesLaw("lanes", 20.0, 0.01),
    ]
    assert LittlesLaw("server", 100.0, 0.005).product == 0.5


@pytest.mark.parametrize("name", [name for name in shipped() if read_scenario(name).sale])
def test_every_scenario_can_be_made_steady(name: str) -> None:
    """Its people come by chance at the rate asked for, to more than they can buy."""
    made = steady(read_scenario(name), rate=30.0, probe_s=20.0)

    assert made.visitors == 600
    assert made.duration_s == 20.0
    assert made.units >= 600
    assert msgspec.to_builtins(made)["arrivals"]["kind"] == "poisson"
    if made.room is not None:
        assert made.room.capacity is not None
        assert made.room.capacity >= 10 * 30 * made.session_s
