"""What a probe must hold: SLOs that make sense of a steady crowd, and what goes unsaid. Pure."""

from collections.abc import Iterable

from sunseo.rehearsal.observe.histogram import quantiles_ms
from sunseo.rehearsal.observe.ledger import DriverRecord, Figures
from sunseo.rehearsal.observe.readings import Reading
from sunseo.rehearsal.verdict.slo import Measured, hold_against, read_bound

DEFAULT = tuple(f"p99({name}) <= 500 ms" for name in ("join", "enter", "look", "hold", "order"))
OF_OPENINGS = {"sold_out", "nine_tenths", "requests_per_minute"}
"""What openings are held against: a steady crowd finds enough for all, at the rate of the probe."""

SHED_MOST = 0.01  # of all requests; more, and visitors are being turned away
LATE_MOST_MS = 500.0  # of the crowd itself, p99; later, and it was another crowd
CAME_LEAST = 0.9  # of the arrivals asked for; fewer, and it was another rate


def steady_slos(slos: Iterable[str]) -> tuple[str, ...]:
    """Those that a steady crowd can be held against; the default ones where none is left.

    Raises:
        ValueError: one is no bound; the sentence says what is right.
    """
    kept = tuple(slo for slo in slos if read_bound(slo).what not in OF_OPENINGS)
    return kept or DEFAULT


def broken_slos(slos: Iterable[str], record: DriverRecord, span: tuple[float, float]) -> list[str]:
    """Those that did not hold in that time, with what was measured."""
    measured = Measured(
        figures=within(record.figures, span),
        errors=len(record.ledger.faults),
        requests_per_s=0.0,
        sold_out_s=None,
        nine_tenths_s=None,
    )
    kept = hold_against(slos, measured)
    return [f"{one.slo}: {one.measured}" for one in kept if one.standing == "broken"]


def within(figures: Figures, span: tuple[float, float]) -> Figures:
    """The same figures, but of latencies only those of that time."""
    latencies = {
        operation: {at_s: counts for at_s, counts in seconds.items() if span[0] <= at_s < span[1]}
        for operation, seconds in figures.latencies.items()
    }
    return Figures(
        outcomes=figures.outcomes,
        latencies={operation: seconds for operation, seconds in latencies.items() if seconds},
        lost_answers=figures.lost_answers,
    )


def broken_unsaid(
    rate: float, came: float, record: DriverRecord, reading: Reading | None
) -> list[str]:
    """What must hold although nobody asks for it."""
    broken = []
    if reading is None:
        broken.append("nothing was seen in the time that counts")
    (late_ms,) = quantiles_ms(record.figures.driver_late, 0.99)
    if late_ms > LATE_MOST_MS:
        broken.append(f"the crowd itself was {late_ms:,.0f} ms late")
    if record.ledger.faults:
        broken.append(f"{len(record.ledger.faults):,} errors")
    if reading is not None and reading.shed_share > SHED_MOST:
        broken.append(f"{reading.shed_share:.1%} of the requests shed")
    if came < CAME_LEAST * rate:
        broken.append(f"only {came:,.1f} visitors came per second")
    return broken
