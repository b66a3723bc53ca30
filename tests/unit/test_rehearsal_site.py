"""The verdict on a site behind a room, and how such a site gets worse."""

from collections.abc import Mapping

import msgspec
import pytest

from sunseo.rehearsal.observe.histogram import Counts, note
from sunseo.rehearsal.observe.ledger import Figures, Ledger
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.scenes.scenario import read_scenario
from sunseo.rehearsal.scenes.site import Site
from sunseo.rehearsal.target.site_app import Tally
from sunseo.rehearsal.verdict.evidence import Evidence
from sunseo.rehearsal.verdict.judge import Check, judge

TARGET_S = 0.5


def pages(p99_s: Mapping[range, float]) -> Figures:
    """Pages that took so long in these seconds."""
    latencies: dict[int, Counts] = {}
    for seconds, took_s in p99_s.items():
        for second in seconds:
            note(latencies.setdefault(second, {}), took_s)
    return Figures(latencies={"page": latencies})


def room(at_s: float, capacity: int) -> Sample:
    return Sample(at_s=at_s, issued=50, serving=50, live=5, capacity=capacity, held=0, sold=0)


def story(**given: object) -> Evidence:
    """Slow from 30 s on, fewer let in from 50 s on, well again from 80 s on."""
    evidence = Evidence(
        ledger=Ledger(),
        figures=pages({range(30): 0.1, range(30, 80): 2.0, range(80, 140): 0.2}),
        samples=[room(10.0, 100), room(50.0, 60), room(130.0, 62)],
        capacity=100,
        units=0,
        checks=Site(target_s=TARGET_S).checks,
        tally=Tally(served=900, without_pass=0, at_once_max=80),
        whole=True,
    )
    return msgspec.structs.replace(evidence, **given)


def found(evidence: Evidence) -> dict[str, Check]:
    return {check.name: check for check in judge(evidence).checks}


def standings(evidence: Evidence) -> tuple[str, str, str]:
    checks = found(evidence)
    return (
        checks["guarded"].standing,
        checks["slowed"].standing,
        checks["recovered"].standing,
    )


def test_room_that_slows_down_in_time_holds() -> None:
    """Guarded, slowed and recovered; of sales nothing is told."""
    assert standings(story()) == ("held", "held", "held")
    assert "orders-told" not in found(story())


def test_gate_that_lets_somebody_through_is_caught() -> None:
    """One request without a pass that reached the site breaks the check meant for it alone."""
    leaky = story(tally=Tally(served=900, without_pass=1))

    assert standings(leaky) == ("broken", "held", "held")


def test_room_that_stays_as_open_is_caught() -> None:
    """A site that is slow for long behind a room that never lowers its capacity."""
    deaf = story(samples=[room(10.0, 100), room(130.0, 100)])

    assert standings(deaf) == ("held", "broken", "not_checked")


def test_site_that_stays_slow_is_caught() -> None:
    """Fewer were let in, but not few enough."""
    slow = story(figures=pages({range(30): 0.1, range(30, 140): 2.0}))

    assert standings(slow) == ("held", "held", "broken")


def test_site_that_was_never_slow_for_long_says_nothing() -> None:
    """Ten slow seconds are no reason to slow down, and no proof that the room would."""
    well = story(
        figures=pages({range(30): 0.1, range(30, 40): 2.0, range(40, 140): 0.1}),
        samples=[room(10.0, 100), room(130.0, 100)],
    )

    assert standings(well) == ("held", "not_checked", "not_checked")


@pytest.mark.parametrize(
    ("at_s", "takes_s"), [(-5.0, 0.05), (30.0, 0.05), (35.0, 0.1), (40.0, 0.15), (600.0, 0.15)]
)
def test_site_gets_worse_for_a_while(at_s: float, takes_s: float) -> None:
    """A page takes its time until the site begins to suffer, then ever longer, then three times."""
    assert Site().takes_s(at_s) == pytest.approx(takes_s)


def test_site_gets_worse_with_the_duration() -> None:
    """A stretched rehearsal has its trouble at the same part of its time."""
    whole = read_scenario("protected-site")
    half = whole.changed(duration_s=whole.duration_s / 2)

    assert whole.site is not None
    assert half.site is not None
    assert half.site.worse_from_s == whole.site.worse_from_s / 2
