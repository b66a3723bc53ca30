"""The verdict on an exported crowd: the same checks, as far as there is something to look at.

Nobody of such a crowd cheats, so nothing is said of that. Without a log nobody knows what visitors
were told, and only what is stored is judged.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec

from sunseo.invariants.report import Report
from sunseo.rehearsal.export.log import CrowdLog
from sunseo.rehearsal.export.staged import Staged
from sunseo.rehearsal.observe.ledger import DriverRecord, Figures, Ledger
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.stored import Stored
from sunseo.rehearsal.report.result import Result, conclude
from sunseo.rehearsal.target.machine import machine
from sunseo.rehearsal.verdict.evidence import Evidence
from sunseo.rehearsal.verdict.judge import Check, Verdict, judge

NEEDS_TOLD = frozenset(
    {
        "one-place",
        "first-come",
        "told-is-true",
        "orders-told",
        "errors",
        "foreseen",
        "in-vain",
    }
)
NOBODY_TRIES = frozenset({"cheating"})


class Observed(NamedTuple):
    """What was seen from beside, and what is stored; as far as it could be looked at."""

    samples: list[Sample]
    samples_missed: int
    stored: Stored | None
    report: Report | None


def conclude_log(staged: Staged, told: Path, seen: Observed, *, must_tell: bool = False) -> Result:
    """Judge by the log, where there is one.

    With `must_tell` a crowd has played here, and without a log nobody knows whether it came.

    Raises:
        LogError: a line in it is wrong.
    """
    options = staged.options
    record = read_log(told, options.scenario.visitors)
    verdict = verdict_on(
        options.scenario.evidence(
            ledger=record.ledger if record else Ledger(),
            figures=record.figures if record else Figures(),
            samples=seen.samples,
            whole=record.whole if record else False,
            stored=seen.stored,
            report=seen.report,
        ),
        is_told=record is not None,
    )
    return conclude(
        record
        or DriverRecord(
            Ledger(), Figures(), whole=not must_tell, seconds=0.0, cpu_s=0.0, memory_mb=0.0
        ),
        verdict,
        seen.samples,
        options=options,
        machine=machine(),
        started_at=staged.started_at,
        samples_missed=seen.samples_missed,
    )


def read_log(file: Path, visitors: int) -> DriverRecord | None:
    """What the log says of so many visitors; nothing if there is no log.

    Raises:
        LogError: a line in it is wrong.
    """
    log = CrowdLog()
    try:
        with file.open("rb") as lines:
            log.read(lines)
    except FileNotFoundError:
        return None
    return log.record(visitors)


def verdict_on(evidence: Evidence, *, is_told: bool) -> Verdict:
    verdict = judge(evidence)
    unknown = NOBODY_TRIES if is_told else NOBODY_TRIES | NEEDS_TOLD
    checks = [
        Check(check.name, "not_checked", 0) if check.name in unknown else check
        for check in verdict.checks
    ]
    return msgspec.structs.replace(verdict, checks=checks)
