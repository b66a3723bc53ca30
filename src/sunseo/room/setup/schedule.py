"""When a room is open: pure, from its settings and the time.

    before ──► open ◄──► paused
      ▲          │
      │          ▼
      └────── draining ──► closed

A room is open where all of these say so: its mode, `opens_at` and `closes_at`, and the recurring
openings, if it has any. Recurring openings begin at a time on the room's own clock: a time that a
change to summer time skips comes as much later as the clock jumped, a time that is there twice
counts the first time. They last their minutes whatever the clocks do meanwhile.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from sunseo.core.clock import Instant
from sunseo.room.setup.settings import EVERY_DAY, Opening, RoomSettings

Phase = Literal["before", "open", "paused", "draining", "closed"]

# Every recurring opening comes again within seven days and lasts at most seven: what can matter
# now began within the last seven days, and what comes next begins within the next seven. One more
# day on each side is for time zones.
LOOK_DAYS = 8
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)  # of rooms that were always open


class Situation(NamedTuple):
    """Where a room stands in time.

    Attributes:
        opens_at: the next opening, unless the room is open or never opens again.
        next_change: when time alone will have changed the phase, if that is soon enough to know.
    """

    phase: Phase
    opens_at: Instant | None
    next_change: Instant | None


class OpeningWindow(NamedTuple):
    """An opening: from its start up to, not including, its end; without end when that is None."""

    start: Instant
    end: Instant | None


def phase_at(settings: RoomSettings, now: Instant, *, line_is_empty: bool = False) -> Situation:
    """Say in which phase a room is.

    Args:
        settings: of the room.
        now: aware, by the database's clock.
        line_is_empty: whether everybody who has a number has been called. Only this tells a room
            that drains from one that has closed, or that waits for its next opening.
    """
    if settings.mode == "closed":
        return Situation("closed", None, None)
    window, has_begun = _next_window(settings, now)
    if window is not None and window.start <= now:
        return Situation("paused" if settings.paused else "open", None, window.end)
    if window is None:
        return Situation("closed" if line_is_empty else _draining(settings), None, None)

    joins_from = _joins_from(settings, window)
    if has_begun and not line_is_empty and now < joins_from:
        return Situation(_draining(settings), window.start, joins_from)
    return Situation("before", window.start, window.start)


def takes_joins(settings: RoomSettings, now: Instant) -> bool:
    """Whether one can join: while it is open or paused, and a while before it opens."""
    if settings.mode == "closed":
        return False
    window, _ = _next_window(settings, now)
    return window is not None and _joins_from(settings, window) <= now


def _joins_from(settings: RoomSettings, window: OpeningWindow) -> Instant:
    early = timedelta(seconds=settings.join_early_s)
    return window.start - min(early, window.start - BEGINNING)


def _draining(settings: RoomSettings) -> Phase:
    return "paused" if settings.paused else "draining"


def _next_window(settings: RoomSettings, now: Instant) -> tuple[OpeningWindow | None, bool]:
    """The opening that is, or else the next one; and whether there has been one before it."""
    first, last = settings.opens_at, settings.closes_at
    if last is not None and now >= last:
        return None, True
    if not settings.schedule:
        start = first if first is not None else BEGINNING
        return OpeningWindow(start, last), start <= now

    at = now if first is None else max(now, first)
    windows = _recurring(settings.schedule, settings.time_zone, at.astimezone(UTC).date())
    has_begun = False
    for window in _clipped(windows, first, last):
        if window.end is None or now < window.end:
            return window, has_begun
        has_begun = True
    return None, has_begun


def _clipped(
    windows: Iterable[OpeningWindow], first: Instant | None, last: Instant | None
) -> Iterable[OpeningWindow]:
    """The parts of openings that lie between two moments."""
    for window in windows:
        start = window.start if first is None else max(window.start, first)
        ends = [end for end in (window.end, last) if end is not None]
        if not ends or start < min(ends):
            yield OpeningWindow(start, min(ends, default=None))


@lru_cache(maxsize=1024)  # rooms ask many times a second, and the answer is good for a day
def _recurring(
    schedule: tuple[Opening, ...], time_zone: str, around: date
) -> tuple[OpeningWindow, ...]:
    """The recurring openings around a day, those that touch joined to one, in order."""
    zone = ZoneInfo(time_zone)
    days = [around + timedelta(days=offset) for offset in range(-LOOK_DAYS, LOOK_DAYS + 1)]
    openings = sorted(
        (start, start + timedelta(minutes=opening.minutes))
        for opening in schedule
        for day in days
        if EVERY_DAY[day.weekday()] in opening.days
        for start in [_start(opening, day, zone)]
    )
    joined: list[tuple[Instant, Instant]] = []
    for start, end in openings:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    # What lasts until the last start that was looked at may well be longer: its end is not known.
    known_until = openings[-1][0]
    return tuple(OpeningWindow(start, end if end <= known_until else None) for start, end in joined)


def _start(opening: Opening, day: date, zone: ZoneInfo) -> Instant:
    local = datetime.combine(day, time.fromisoformat(opening.time), zone)
    return local.astimezone(UTC)
