"""What our server noted in its log while faults were done to it: read afterwards."""

from datetime import datetime
from pathlib import Path

import msgspec

from sunseo.rehearsal.faults.incident import LogEvent

TELLING = {
    "worker_died": "exit_code",
    "postgresql_died": "how",
    "postgresql_recovered": "seconds",
    "postgresql_failed": "reason",
    "unavailable": "error",
    "unexpected_error": "exception",
}
"""Events that belong into an incident report, and what of them is told."""


class _Line(msgspec.Struct):
    event: str
    time: datetime
    exit_code: int | None = None
    how: str = ""
    seconds: float | None = None
    reason: str = ""
    error: str = ""
    exception: str = ""


_line_of = msgspec.json.Decoder(_Line).decode


def read_log(log: Path, opens_at: datetime) -> list[LogEvent]:
    """Each telling line, with its moment from the opening; lines of other kinds are passed over."""
    log_events = []
    with log.open("rb") as lines:
        for written in lines:
            if not any(event.encode() in written for event in TELLING):
                continue
            try:
                line = _line_of(written)
            except msgspec.DecodeError:
                continue
            if line.event in TELLING:
                at_s = (line.time - opens_at).total_seconds()
                about = str(getattr(line, TELLING[line.event])).splitlines()
                log_events.append(
                    LogEvent(round(at_s, 3), line.event, about[-1] if about else "", 1)
                )
    return log_events
