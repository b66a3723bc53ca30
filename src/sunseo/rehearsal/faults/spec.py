"""From `kill-server@20s,pause-db@30s:5s` to a plan of what is done when: pure.

A fault is KIND@WHEN, or KIND@WHEN:LASTS, or KIND@WHEN:LASTS:DELAY. WHEN is a time after the
opening (T0), or a span of which the seed draws one, as in 20s..40s. Times are numbers with their
unit: 20s, 500ms, 2m.
"""

import re
from collections.abc import Iterable, Sequence
from enum import Enum, unique
from random import Random

import msgspec

TIME_MAX_S = 3600.0  # a rehearsal is no longer
DELAY_MAX_S = 10.0
DELAY_S = 0.2  # of slow-network where none is named: a far continent, or a phone in a crowd
FAULTS_MAX = 20


class SpecError(ValueError):
    """What was asked for cannot be done; one line says why."""


@unique
class FaultTarget(Enum):
    """What a fault is done to."""

    SERVER = "server"
    DATABASE = "database"
    NETWORK = "network"


@unique
class Lasting(Enum):
    NEVER = "never"  # it is done at once
    MAY = "may"
    MUST = "must"


@unique
class FaultKind(Enum):
    """What can be done. The server is `sunseo serve` with its PostgreSQL, started by us."""

    KILL_WORKER = "kill-worker"
    KILL_SERVER = "kill-server"
    PAUSE_SERVER = "pause-server"
    KILL_DB = "kill-db"
    PAUSE_DB = "pause-db"
    CUT_NETWORK = "cut-network"
    HANG_NETWORK = "hang-network"
    SLOW_NETWORK = "slow-network"

    @property
    def part(self) -> FaultTarget:
        if self.value.endswith("-network"):
            return FaultTarget.NETWORK
        return FaultTarget.DATABASE if self.value.endswith("-db") else FaultTarget.SERVER

    @property
    def lasting(self) -> Lasting:
        if self is FaultKind.KILL_SERVER:
            return Lasting.MAY
        return Lasting.NEVER if self.value.startswith("kill-") else Lasting.MUST

    @property
    def is_slow(self) -> bool:
        return self.value.startswith("slow-")


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One fault as asked for. Seconds from T0; `delay_s` is what each way takes longer."""

    kind: FaultKind
    from_s: float
    upto_s: float
    lasts_s: float = 0.0
    delay_s: float = 0.0

    def __str__(self) -> str:
        """As it could be written."""
        when = _shown(self.from_s)
        if self.upto_s != self.from_s:
            when += f"..{_shown(self.upto_s)}"
        parts = [f"{self.kind.value}@{when}"]
        if self.lasts_s:
            parts.append(_shown(self.lasts_s))
        if self.delay_s:
            parts.append(_shown(self.delay_s))
        return ":".join(parts)


class PlannedFault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a plan. `choice`, from 0 to 1, says which of several workers is meant."""

    kind: FaultKind
    at_s: float
    lasts_s: float
    delay_s: float
    choice: float

    @property
    def ends_s(self) -> float:
        return self.at_s + self.lasts_s


def parse_faults(text: str) -> list[FaultSpec]:
    """Read faults that are separated by commas.

    Raises:
        SpecError: one of them is none.
    """
    specs = [_parse(part.strip()) for part in text.split(",")]
    if len(specs) > FAULTS_MAX:
        raise SpecError(f"{len(specs)} faults are too many for one rehearsal: {FAULTS_MAX} at most")
    return specs


def plan_faults(specs: Iterable[FaultSpec], seed: int) -> list[PlannedFault]:
    """Draw what is left to chance; the first fault comes first.

    Raises:
        SpecError: one begins while another of its kind is on.
    """
    dice = Random(f"faults/{seed}")  # noqa: S311 - chance is no secret
    planned = [
        PlannedFault(
            kind=spec.kind,
            at_s=round(dice.uniform(spec.from_s, spec.upto_s), 3),
            lasts_s=spec.lasts_s,
            delay_s=spec.delay_s,
            choice=dice.random(),
        )
        for spec in specs
    ]
    planned.sort(key=lambda fault: fault.at_s)
    ends: dict[FaultKind, float] = {}
    for fault in planned:
        if fault.at_s < ends.get(fault.kind, 0.0):
            raise SpecError(f"two {fault.kind.value} overlap at {_shown(fault.at_s)} from T0")
        ends[fault.kind] = fault.ends_s
    return planned


def refuse_for_target(specs: Sequence[FaultSpec]) -> None:
    """
    Raises:
        SpecError: one of them is for a server of our own only.
    """
    for spec in specs:
        if spec.kind.part is not FaultTarget.NETWORK:
            raise SpecError(
                f"{spec.kind.value} is done to a server of our own only; with --target there are"
                " cut-network, hang-network and slow-network"
            )


_FAULT = re.compile(r"(?P<kind>[a-z-]+)@(?P<when>[^:]+)(?P<rest>(?::[^:]*)*)")
_TIME = re.compile(r"(?P<number>[0-9]{1,6}(?:\.[0-9]{1,3})?)(?P<unit>ms|s|m)")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0}


def _parse(text: str) -> FaultSpec:
    found = _FAULT.fullmatch(text)
    if found is None:
        raise SpecError(f"{text or 'nothing'} is no fault: write it like pause-db@30s:5s")
    try:
        kind = FaultKind(found["kind"])
    except ValueError:
        known = ", ".join(kind.value for kind in FaultKind)
        raise SpecError(f"{found['kind']} is no fault; there are {known}") from None
    first, span, last = found["when"].partition("..")
    from_s = _time(text, first)
    upto_s = _time(text, last) if span else from_s
    if upto_s < from_s:
        raise SpecError(f"{text}: the span ends before it begins")
    lasts_s, delay_s = _lengths(text, kind, found["rest"].split(":")[1:])
    return FaultSpec(kind=kind, from_s=from_s, upto_s=upto_s, lasts_s=lasts_s, delay_s=delay_s)


def _lengths(text: str, kind: FaultKind, given: list[str]) -> tuple[float, float]:
    """How long it lasts, and how long it delays."""
    if len(given) > 1 + kind.is_slow or (given and kind.lasting is Lasting.NEVER):
        raise SpecError(f"{text} says more than {kind.value} needs")
    if not given and kind.lasting is Lasting.MUST:
        raise SpecError(f"{text}: how long? Write it like {text}:5s")
    lasts_s = _time(text, given[0]) if given else 0.0
    if given and not lasts_s:
        raise SpecError(f"{text} would not last")
    if not kind.is_slow:
        return lasts_s, 0.0
    delay_s = _time(text, given[1]) if len(given) > 1 else DELAY_S
    if not 0 < delay_s <= DELAY_MAX_S:
        raise SpecError(f"{text}: a delay is up to {DELAY_MAX_S:g}s, and more than nothing")
    return lasts_s, delay_s


def _time(text: str, written: str) -> float:
    found = _TIME.fullmatch(written)
    if found is None:
        raise SpecError(f"{text}: {written or 'nothing'} is no time; write it like 20s or 500ms")
    seconds = round(float(found["number"]) * _UNITS_S[found["unit"]], 3)
    if seconds > TIME_MAX_S:
        raise SpecError(f"{text}: {written} is longer than an hour")
    return seconds


def _shown(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
