"""Objectives are read as people write them, and held against what was measured."""

import pytest

from sunseo.rehearsal.observe.histogram import Counts, note
from sunseo.rehearsal.observe.ledger import Figures
from sunseo.rehearsal.verdict.slo import Measured, hold_against, read_bound


def measured() -> Measured:
    """A hundred holds of 1 to 100 ms and a hundred looks, five put off and one in error."""
    holds: Counts = {}
    for millis in range(1, 101):
        note(holds, millis / 1000)
    figures = Figures(
        outcomes={"hold": {"201": 100}, "look": {"200": 100}},
        latencies={"hold": {0: holds}},
        answers={0: {"good": 194, "later": 5, "error": 1}},
    )
    return Measured(
        figures=figures, errors=1, requests_per_s=2_000.0, sold_out_s=12.5, nine_tenths_s=None
    )


@pytest.mark.parametrize(
    ("slo", "standing", "shown"),
    [
        ("p99(hold) <= 105 ms", "held", "99 ms"),
        ("p99(hold)<=0.09s", "broken", "99 ms"),
        ("p50(hold) <= 40ms", "broken", "50 ms"),
        ("p99.9(hold) <= 105 ms", "held", "100 ms"),
        ("max(hold) <= 105 ms", "held", "100 ms"),
        ("p99(order) <= 1 s", "not_checked", ""),
        ("sold_out <= 15 s", "held", "12.5 s"),
        ("sold_out <= 12 s", "broken", "12.5 s"),
        ("nine_tenths <= 60 s", "broken", "never"),
        ("errors <= 0.5 %", "held", "0.500%"),
        ("errors <= 0 %", "broken", "0.500%"),
        ("later <= 2.5%", "held", "2.500%"),
        ("requests_per_minute >= 100_000", "held", "120,000"),
        ("requests_per_minute >= 120001", "broken", "120,000"),
    ],
)
def test_objective_is_held_against_its_figure(slo: str, standing: str, shown: str) -> None:
    """Each bound is met or not by exactly the figure it names."""
    (kept,) = hold_against([slo], measured())

    assert (kept.slo, kept.standing) == (slo, standing)
    assert kept.measured == shown or abs(float(kept.measured[:-3]) - float(shown[:-3])) <= 1


@pytest.mark.parametrize(
    ("slo", "told"),
    [
        ("fast", "is not like"),
        ("p99 <= 5 ms", "name a request"),
        ("sold_out(hold) <= 5 s", "name a request"),
        ("p99(dance) <= 5 ms", "dance is no request"),
        ("p99(hold) >= 5 ms", "bounded from above"),
        ("p99(hold) <= 5", "in ms or s"),
        ("errors <= 5", "in %"),
        ("requests_per_minute <= 5", "what can be bounded"),
        ("beauty <= 5 s", "what can be bounded"),
    ],
)
def test_wrong_objective_is_refused_with_what_is_right(slo: str, told: str) -> None:
    """The sentence names the bound and says how to write it."""
    with pytest.raises(ValueError, match=told):
        read_bound(slo)
