"""What a rehearsal ended with: everything that its report, its JSON and its last screen tell."""

import shlex
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from sunseo.rehearsal.attempt import BROKEN, COULD_NOT, GOOD
from sunseo.rehearsal.faults.incident import Incident
from sunseo.rehearsal.observe.histogram import quantiles_ms
from sunseo.rehearsal.observe.ledger import DriverRecord, Figures, Operation
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.readings import readings_of
from sunseo.rehearsal.report.compare import Comparison
from sunseo.rehearsal.report.slowest import Machinery, SlowMoment, slowest
from sunseo.rehearsal.scenes.scenario import Scenario
from sunseo.rehearsal.target.machine import Machine
from sunseo.rehearsal.verdict.fairness import Fairness
from sunseo.rehearsal.verdict.judge import Check, Verdict
from sunseo.rehearsal.verdict.slo import Measured, SloResult, hold_against
from sunseo.rehearsal.verdict.waits import Waits, waits_of

Standing = Literal["held", "partly", "broken", "incomplete"]
"""`partly`: what could be checked held, and not everything could be."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; together with the same server it makes the same crowd again.

    Attributes:
        name: of a shipped scenario, or the path of a file.
        faults: what is done to server and network, as written for `--fault`.
        scenario: as played, with what was given on the command line.
        played_by: the command of another tool whose crowd it was, if it was not ours.
    """

    name: str
    scenario: Scenario
    seed: int
    workers: int = 1
    drivers: int = 1
    target: str | None = None
    played_by: tuple[str, ...] = ()
    faults: str = ""

    @property
    def command(self) -> str:
        """How to run it again."""
        played = self.scenario
        stage = "stage " if self.played_by else ""
        parts = [f"sunseo rehearse {stage}{shlex.quote(self.name)}"]
        if self.target is not None:
            parts.append(f"--target {self.target} --operator-key …")
        parts += [
            f"--visitors {played.visitors}",
            f"--units {played.units}" if played.units else "",
            f"--capacity {played.capacity}" if played.capacity else "",
            *(f"--slo {shlex.quote(slo)}" for slo in played.slo),
            f"--duration {played.duration_s:g} --session {played.session_s:g}",
            f"--workers {self.workers} --seed {self.seed}",
            f"-- {shlex.join(self.played_by)}" if self.played_by else f"--drivers {self.drivers}",
        ]
        if self.faults:
            parts.append(f"--fault {self.faults}")
        return " ".join(filter(None, parts))


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds from when a request was due, as visitors saw it."""

    count: int
    p50: float
    p90: float
    p99: float
    longest: float


class Moment(msgspec.Struct, frozen=True):
    """One second of one operation."""

    at_s: int
    count: int
    p50: float
    p99: float


class DriverUsage(msgspec.Struct, frozen=True):
    """How the crowd's own processes fared: a driver that is late measures itself."""

    seconds: float
    cpu_s: float
    memory_mb: float
    late_p50_ms: float
    late_p99_ms: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds are counted from T0."""

    standing: Standing
    started_at: str
    options: Options
    machine: Machine
    checks: list[Check]
    fairness: Fairness | None
    waits: Waits | None = None
    requests: int
    requests_per_s: float
    requests_per_s_busiest: int
    retries: int
    lost_answers: int
    orders: int
    orders_found: int
    sold: int
    sold_out_s: float | None
    nine_tenths_s: float | None
    gone: dict[str, int]
    funnel: dict[str, int]
    cheating: dict[str, int]
    answers: dict[str, dict[str, int]]
    latencies: dict[str, Latency]
    moments: dict[str, list[Moment]]
    arrivals: list[tuple[int, int]]
    samples: list[Sample]
    samples_missed: int
    driving: DriverUsage
    slos: list[SloResult] = []
    slowest: list[SlowMoment] = []
    comparison: Comparison | None = None
    incidents: list[Incident] = []

    @property
    def exit_code(self) -> int:
        return {"held": GOOD, "partly": GOOD, "broken": BROKEN, "incomplete": COULD_NOT}[
            self.standing
        ]

    @property
    def unchecked(self) -> list[str]:
        """What could not be looked at."""
        return [check.name for check in self.checks if check.standing == "not_checked"]


def conclude(
    record: DriverRecord,
    verdict: Verdict,
    samples: list[Sample],
    *,
    options: Options,
    machine: Machine,
    started_at: str,
    samples_missed: int,
    incidents: Sequence[Incident] = (),
) -> Result:
    figures, ledger = record.figures, record.ledger
    late = quantiles_ms(figures.driver_late, 0.5, 0.99)
    busy = _requests_by_second(figures)
    seconds = max(busy, default=0) - min(busy, default=0) + 1
    sold_out_s = _sold_after_s(samples, options.scenario.units)
    nine_tenths_s = _sold_after_s(samples, options.scenario.units * 9 // 10)
    requests_per_s = round(figures.requests / seconds, 1)
    slos = hold_against(
        options.scenario.slo,
        Measured(
            figures=figures,
            errors=sum(fault.status == 0 or fault.status >= 500 for fault in ledger.faults),
            requests_per_s=requests_per_s,
            sold_out_s=sold_out_s,
            nine_tenths_s=nine_tenths_s,
        ),
    )
    moments = {one.value: _moments(figures, one) for one in Operation if figures.count(one)}
    return Result(
        standing=standing_of(
            verdict, slos, whole=record.whole and all(one.has_happened for one in incidents)
        ),
        started_at=started_at,
        options=options,
        machine=machine,
        checks=verdict.checks,
        slos=slos,
        fairness=verdict.fairness,
        waits=waits_of(ledger),
        requests=figures.requests,
        requests_per_s=requests_per_s,
        requests_per_s_busiest=max(busy.values(), default=0),
        retries=figures.retries,
        lost_answers=figures.lost_answers,
        orders=len(ledger.ordered),
        orders_found=sum(order.found for order in ledger.ordered),
        sold=samples[-1].sold if samples else 0,
        sold_out_s=sold_out_s,
        nine_tenths_s=nine_tenths_s,
        gone=dict(sorted(figures.gone.items(), key=lambda pair: -pair[1])),
        funnel=_funnel(record, options.scenario),
        cheating=_cheating(record),
        answers=figures.outcomes,
        latencies={one.value: _latency(figures, one) for one in Operation if figures.count(one)},
        moments=moments,
        arrivals=sorted(figures.arrivals.items()),
        samples=samples,
        samples_missed=samples_missed,
        driving=DriverUsage(record.seconds, record.cpu_s, record.memory_mb, *late),
        slowest=slowest(
            moments,
            readings_of(samples),
            Machinery(machine.cores, options.workers, options.drivers),
        ),
        incidents=list(incidents),
    )


def standing_of(verdict: Verdict, slos: Iterable[SloResult] = (), *, whole: bool) -> Standing:
    """A rehearsal that was stopped has no verdict, unless something is wrong already."""
    if verdict.is_broken or any(kept.standing == "broken" for kept in slos):
        return "broken"
    if not whole:
        return "incomplete"
    return "held" if verdict.is_complete else "partly"


def _funnel(record: DriverRecord, scenario: Scenario) -> dict[str, int]:
    """How many visitors came how far."""
    return {
        "came": sum(record.figures.arrivals.values()),
        **scenario.entrance.funnel(record),
        **scenario.scene.funnel(record),
    }


def _cheating(record: DriverRecord) -> dict[str, int]:
    cheating: dict[str, int] = {}
    for tried in record.ledger.tried:
        name = f"{tried.cheat}: {tried.outcome}"
        cheating[name] = cheating.get(name, 0) + 1
    return dict(sorted(cheating.items()))


def _latency(figures: Figures, operation: Operation) -> Latency:
    counts = figures.latency(operation)
    return Latency(figures.count(operation), *quantiles_ms(counts, 0.5, 0.9, 0.99, 1.0))


def _moments(figures: Figures, operation: Operation) -> list[Moment]:
    seconds = figures.latencies.get(operation.value, {})
    return [
        Moment(second, sum(counts.values()), *quantiles_ms(counts, 0.5, 0.99))
        for second, counts in sorted(seconds.items())
    ]


def _requests_by_second(figures: Figures) -> dict[int, int]:
    busy: dict[int, int] = {}
    for seconds in figures.latencies.values():
        for second, counts in seconds.items():
            busy[second] = busy.get(second, 0) + sum(counts.values())
    return busy


def _sold_after_s(samples: list[Sample], units: int) -> float | None:
    if not units:
        return None
    return next((round(sample.at_s, 1) for sample in samples if sample.sold >= units), None)
