"""Time, as the house tells it.

The database decides what time it is: rules receive an `Instant` that PostgreSQL read after the
last lock was taken. Processes use their own clock only to measure durations.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Instant = datetime
"""A point in time, always aware and in UTC."""

Monotonic = Callable[[], float]
"""Seconds on a clock that never steps, for durations: `time.monotonic` or a test's own."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

TOLERATED_STEP = timedelta(milliseconds=100)
"""Small corrections by NTP are no news; anything more moves expiries."""


class ClockGuard:
    """Notices when the database's clock goes backwards: expiries then lie further away."""

    def __init__(self, on_step_back: Callable[[timedelta], None]) -> None:
        self._on_step_back = on_step_back
        self._latest: Instant | None = None

    def observe(self, now: Instant) -> None:
        if self._latest is not None and now < self._latest - TOLERATED_STEP:
            self._on_step_back(self._latest - now)
            self._latest = now
        elif self._latest is None or now > self._latest:
            self._latest = now


def to_millis(instant: Instant) -> int:
    """Whole milliseconds since 1970, exact: a token's time and the stored one are the same."""
    return (instant - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> Instant:
    return _EPOCH + millis * _MILLISECOND
