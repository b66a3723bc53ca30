"""Time, as the house tells it.

The database decides what time it is: rules receive an `Instant` that PostgreSQL read after the
last lock was taken. Processes use their own clock only to measure durations.
"""

from collections.abc import Callable
from datetime import UTC, datetime

Instant = datetime
"""A point in time, always aware and in UTC."""

Monotonic = Callable[[], float]
"""Seconds on a clock that never steps, for durations: `time.monotonic` or a test's own."""

EPOCH: Instant = datetime(1970, 1, 1, tzinfo=UTC)


def to_millis(instant: Instant) -> int:
    """Whole milliseconds since 1970-01-01T00:00:00Z."""
    return int(instant.timestamp() * 1000)
