"""What changed against an earlier rehearsal: figure by figure, for better or worse. Pure.

Two runs of one crowd differ by chance: what differs less than `NOISE` is called the same. Whether
two runs can be compared at all is said first.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import msgspec

from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.readings import connections_max
from sunseo.rehearsal.verdict.fairness import Fairness
from sunseo.rehearsal.verdict.judge import Check
from sunseo.rehearsal.verdict.slo import SloResult

NOISE = 0.15
"""Of the earlier figure. Chance makes more of a difference where other programs are at work."""

LABELS = {"name", "scenario.title", "scenario.slo"}
"""Settings that change what is said of a rehearsal, and nothing in it."""

UNTOLD = "?"

LEAST = {"ms": 5.0, "s": 1.0, "MB": 10.0, "": 1.0, "tau": 0.005}
"""By unit: what differs by less than that is the same, however small both are."""

Turn = Literal["better", "worse", "same", "other"]
"""How a figure changed; `other` where neither direction is the better one."""

Good = Literal["low", "high", "neither"]


class CompareError(Exception):
    """The earlier file is none of ours; one line says so."""


class Difference(msgspec.Struct, frozen=True):
    """A setting, or a trait of the machine, that was another one."""

    name: str
    earlier: str
    now: str


class FigureChange(msgspec.Struct, frozen=True):
    """One figure of both. `of` is the operation or the check that it is about, if any."""

    name: str
    of: str
    unit: str
    earlier: float | None
    now: float | None
    turn: Turn


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        settings: what was asked for otherwise; where there is any, figures tell of two rehearsals.
        surroundings: the same of machine and versions.
    """

    earlier_started_at: str
    earlier_standing: str
    settings: list[Difference]
    surroundings: list[Difference]
    changes: list[FigureChange]

    @property
    def is_same_rehearsal(self) -> bool:
        return not self.settings

    def count(self, turn: Turn) -> int:
        return sum(change.turn == turn for change in self.changes)


class _Latency(msgspec.Struct, frozen=True):
    p50: float
    p99: float


class _Driving(msgspec.Struct, frozen=True):
    late_p99_ms: float = 0.0


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Of a result, what is compared.

    Versions of Sunseo may know more, or less: all else stays unread, and what an earlier one did
    not know is not there.
    """

    standing: Literal["held", "partly", "broken", "incomplete"]
    started_at: str
    options: dict[str, Any]
    machine: dict[str, Any]
    checks: list[Check] = []
    slos: list[SloResult] = []
    fairness: Fairness | None = None
    requests: int = 0
    requests_per_s_busiest: int = 0
    retries: int = 0
    orders: int = 0
    sold: int = 0
    sold_out_s: float | None = None
    nine_tenths_s: float | None = None
    latencies: dict[str, _Latency] = {}
    samples: list[Sample] = []
    driving: _Driving = _Driving()


def read_earlier(path: Path) -> Compared:
    """Read what `--json` has written.

    Raises:
        CompareError: it cannot be read, or is something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Compared)
    except OSError as error:
        raise CompareError(f"{path}: {error.strerror or error}") from None
    except msgspec.MsgspecError as error:
        raise CompareError(f"{path} is not what --json of a rehearsal writes: {error}") from None


def compare(earlier: Compared, now: Compared) -> Comparison:
    options = _differences(earlier.options, now.options)
    machine = _differences(earlier.machine, now.machine)
    return Comparison(
        earlier_started_at=earlier.started_at,
        earlier_standing=earlier.standing,
        settings=[one for one in options if one.name not in LABELS],
        surroundings=[*(one for one in options if one.name in LABELS), *machine],
        changes=[
            *_changed_checks(earlier, now),
            *_changed_slos(earlier, now),
            *_changed_figures(earlier, now),
        ],
    )


def _differences(earlier: dict[str, Any], now: dict[str, Any]) -> list[Difference]:
    """What only one of them tells counts as different: nobody knows what the other one was."""
    before, after = dict(_flat(earlier)), dict(_flat(now))
    return [
        Difference(name, str(before.get(name, UNTOLD)), str(after.get(name, UNTOLD)))
        for name in dict.fromkeys((*after, *before))
        if before.get(name, UNTOLD) != after.get(name, UNTOLD)
    ]


def _flat(tree: dict[str, Any], stem: str = "") -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{stem}{name}.")
        else:
            yield f"{stem}{name}", value


def _changed_checks(earlier: Compared, now: Compared) -> Iterator[FigureChange]:
    """Faults of the checks that both have made, where either found any."""
    before = {check.name: check for check in earlier.checks if check.standing != "not_checked"}
    for check in now.checks:
        old = before.get(check.name)
        if old is None or check.standing == "not_checked" or not (old.faults or check.faults):
            continue
        yield _counted("faults", check.name, old.faults, check.faults)


def _changed_slos(earlier: Compared, now: Compared) -> Iterator[FigureChange]:
    """Objectives that both had, where either was broken: 1 stands for that."""
    before = {kept.slo: kept.standing == "broken" for kept in earlier.slos}
    for kept in now.slos:
        broken = kept.standing == "broken"
        if kept.slo in before and (broken or before[kept.slo]):
            yield _counted("slo", kept.slo, int(before[kept.slo]), int(broken))


def _counted(name: str, of: str, earlier: int, now: int) -> FigureChange:
    """Faults are no measurements: one more is worse."""
    turn: Turn = "same"
    if now != earlier:
        turn = "worse" if now > earlier else "better"
    return FigureChange(name, of, "", float(earlier), float(now), turn)


def _changed_figures(earlier: Compared, now: Compared) -> Iterator[FigureChange]:
    before = {(name, of): value for name, of, _, _, value in _figures(earlier)}
    for name, of, unit, good, value in _figures(now):
        old = before.get((name, of))
        if (name, of) not in before or (old is None and value is None):
            continue
        yield FigureChange(name, of, unit, old, value, turn_of(old, value, unit, good))


def turn_of(earlier: float | None, now: float | None, unit: str, good: Good) -> Turn:
    """How a figure changed. What never came is worse than whatever came, however late."""
    if earlier is None or now is None:
        came = now is not None
        return "other" if good == "neither" else "better" if came else "worse"
    if abs(now - earlier) <= max(NOISE * abs(earlier), LEAST[unit]):
        return "same"
    if good == "neither":
        return "other"
    return "better" if (now < earlier) == (good == "low") else "worse"


def _figures(one: Compared) -> Iterator[tuple[str, str, str, Good, float | None]]:
    """Name, of what, unit, which way is better, value."""
    yield "nine_tenths", "", "s", "low", one.nine_tenths_s
    yield "sold_out", "", "s", "low", one.sold_out_s
    yield "sold", "", "", "high", one.sold
    yield "orders", "", "", "high", one.orders
    yield "requests", "", "", "neither", one.requests
    yield "busiest", "", "", "neither", one.requests_per_s_busiest
    yield "retries", "", "", "low", one.retries
    for operation, latency in one.latencies.items():
        yield "p50", operation, "ms", "low", latency.p50
        yield "p99", operation, "ms", "low", latency.p99
    if one.fairness is not None and one.fairness.pairs:
        yield "tau", "", "tau", "high", one.fairness.tau
    if (connections := connections_max(one.samples)) is not None:
        yield "connections", "", "", "low", connections
    for group in ("server", "database"):
        if any(group in sample.uses for sample in one.samples):
            yield "cpu", group, "s", "low", _cpu_s(one.samples, group)
            yield "memory", group, "MB", "low", _memory_mb(one.samples, group)
    yield "late", "", "ms", "low", one.driving.late_p99_ms


def _cpu_s(samples: list[Sample], group: str) -> float:
    spent = [
        (after.at_s - before.at_s) * after.uses[group].cores
        for before, after in pairwise(samples)
        if group in after.uses
    ]
    return round(sum(spent), 1)


def _memory_mb(samples: list[Sample], group: str) -> float:
    return max(sample.uses[group].memory_mb for sample in samples if group in sample.uses)
