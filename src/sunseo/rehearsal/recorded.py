"""Arrivals that were recorded somewhere: a CSV of moments, or a common access log. Pure.

Of a CSV the first column counts: seconds or milliseconds since 1970, or ISO 8601; a first line that
is no moment is a header. Of an access log the first request of each client address is an arrival.
"""

import csv
import re
from collections.abc import Iterable
from datetime import UTC, datetime

_LOG_LINE = re.compile(
    r"(?P<client>\S+) \S+ .*?"
    r"\[(?P<at>[0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4})\]"
)
_MILLIS_FROM = 1e11  # as seconds, that is the year 5138


class RecordError(ValueError):
    """What was recorded cannot be read; one line says where."""


def moments_of(text: str) -> list[float]:
    """Moments of arrival in seconds since 1970, the first one first.

    Raises:
        RecordError: it is neither a CSV of moments nor an access log.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise RecordError("it is empty")
    found = _from_log(lines) if _LOG_LINE.match(lines[0]) else _from_csv(lines)
    if not found:
        raise RecordError("there is no moment in it")
    return sorted(found)


def moment_of(word: str) -> float | None:
    """A number of seconds or milliseconds, or ISO 8601 (UTC where it names no zone)."""
    try:
        number = float(word)
    except ValueError:
        pass
    else:
        return number / 1000 if number >= _MILLIS_FROM else number
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _from_log(lines: Iterable[str]) -> list[float]:
    """Whoever has come is not counted again; lines that are no requests are left out."""
    first: dict[str, float] = {}
    for line in lines:
        found = _LOG_LINE.match(line)
        if found is not None and found["client"] not in first:
            first[found["client"]] = _log_moment(found["at"])
    return list(first.values())


def _log_moment(at: str) -> float:
    try:
        return datetime.strptime(at, "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except ValueError:
        raise RecordError(f"{at!r} is no moment of an access log") from None


def _from_csv(lines: list[str]) -> list[float]:
    found: list[float] = []
    for number, row in enumerate(csv.reader(lines), 1):
        moment = moment_of(row[0].strip())
        if moment is not None:
            found.append(moment)
        elif number > 1:
            raise RecordError(f"line {number}: {row[0]!r} is no moment")
    return found
