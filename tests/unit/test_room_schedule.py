"""When a room is open: one-off bounds, recurring openings, clocks that jump, midnight."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.room.setup.schedule import BEGINNING, Situation, phase_at, takes_joins
from sunseo.room.setup.settings import EVERY_DAY, Opening, RoomSettings

ZONES = ("UTC", "Asia/Seoul", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati")
SEOUL = ZoneInfo("Asia/Seoul")

moments = st.builds(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes),
    st.floats(0, 2 * 365 * 24 * 60),
)
openings = st.builds(
    Opening,
    time=st.builds(
        lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59)
    ),
    minutes=st.integers(1, 3000),
    days=st.lists(st.sampled_from(EVERY_DAY), min_size=1, max_size=7, unique=True).map(tuple),
)
schedules = st.lists(openings, max_size=4).map(tuple)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def seoul(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL).astimezone(UTC)


def room(**fields: Any) -> RoomSettings:
    return RoomSettings(**fields)


def test_room_without_times_is_always_open() -> None:
    """A room for which nothing is said about time is open, and time changes nothing."""
    assert phase_at(room(), utc("2026-11-22T09:00")) == Situation("open", None, None)


def test_closed_mode_closes_whatever_the_times_say() -> None:
    """The mode `closed` takes no joins, inside an opening too."""
    settings = room(mode="closed", opens_at=utc("2026-01-01T00:00"))

    assert phase_at(settings, utc("2026-11-22T09:00")) == Situation("closed", None, None)
    assert not takes_joins(settings, utc("2026-11-22T09:00"))


def test_one_off_opening_runs_from_before_to_closed() -> None:
    """A room with both bounds is before, open, draining while there is a line, then closed."""
    opens, closes = utc("2026-11-22T09:00"), utc("2026-11-22T10:00")
    settings = room(opens_at=opens, closes_at=closes)

    assert phase_at(settings, opens - timedelta(seconds=1)) == Situation("before", opens, opens)
    assert phase_at(settings, opens) == Situation("open", None, closes)
    assert phase_at(settings, closes) == Situation("draining", None, None)
    assert phase_at(settings, closes, line_is_empty=True) == Situation("closed", None, None)


def test_joining_begins_early_and_ends_with_the_opening() -> None:
    """One can join `join_early_s` before the opening, and not once it is over."""
    opens, closes = utc("2026-11-22T09:00"), utc("2026-11-22T10:00")
    settings = room(opens_at=opens, closes_at=closes, join_early_s=600)

    assert not takes_joins(settings, opens - timedelta(seconds=601))
    assert takes_joins(settings, opens - timedelta(seconds=600))
    assert takes_joins(settings, closes - timedelta(microseconds=1))
    assert not takes_joins(settings, closes)


def test_three_openings_a_day_in_seoul() -> None:
    """Every day at 09:00, 14:00 and 16:00 on the room's clock, whatever UTC says."""
    times = ("09:00", "14:00", "16:00")
    settings = room(time_zone="Asia/Seoul", schedule=tuple(Opening(time, 60) for time in times))

    at_nine = phase_at(settings, seoul("2026-11-22T09:00"))
    between = phase_at(settings, seoul("2026-11-22T10:00"), line_is_empty=True)
    at_night = phase_at(settings, seoul("2026-11-22T17:00"), line_is_empty=True)

    assert at_nine == Situation("open", None, seoul("2026-11-22T10:00"))
    assert between == Situation("before", seoul("2026-11-22T14:00"), seoul("2026-11-22T14:00"))
    assert at_night.opens_at == seoul("2026-11-23T09:00")


def test_line_left_over_drains_until_the_next_joining_begins() -> None:
    """Between two openings the old line is served on; then the room waits for the next one."""
    settings = room(schedule=(Opening("09:00", 60), Opening("14:00", 60)), join_early_s=1800)

    assert phase_at(settings, utc("2026-11-22T10:00")) == Situation(
        "draining", utc("2026-11-22T14:00"), utc("2026-11-22T13:30")
    )
    assert phase_at(settings, utc("2026-11-22T13:30")).phase == "before"
    assert not takes_joins(settings, utc("2026-11-22T12:00"))


def test_opening_crosses_midnight_on_its_own_days() -> None:
    """A Friday's opening at 23:30 goes on into Saturday, and there is none on Saturday night."""
    settings = room(schedule=(Opening("23:30", 90, ("fri",)),))

    assert phase_at(settings, utc("2026-11-28T00:59")).phase == "open"  # a Saturday
    assert phase_at(settings, utc("2026-11-28T01:00")).phase == "draining"
    assert phase_at(settings, utc("2026-11-28T23:45")).phase == "draining"


def test_openings_that_touch_are_one() -> None:
    """A room open around the clock has no moment between two days."""
    settings = room(schedule=(Opening("00:00", 24 * 60),))

    assert phase_at(settings, utc("2026-11-22T23:59")) == Situation("open", None, None)


def test_skipped_hour_opens_as_much_later() -> None:
    """Berlin jumps from 02:00 to 03:00: what begins at 02:30 begins at 03:30 summer time."""
    settings = room(time_zone="Europe/Berlin", schedule=(Opening("02:30", 30),))

    assert phase_at(settings, utc("2026-03-29T01:29")).phase != "open"
    assert phase_at(settings, utc("2026-03-29T01:30")).phase == "open"
    assert phase_at(settings, utc("2026-03-29T02:00")).phase != "open"


def test_a_day_of_twenty_five_hours_is_longer_than_its_opening() -> None:
    """Minutes are a stopwatch's: a daily opening of 24 hours leaves one hour of that day."""
    settings = room(time_zone="Europe/Berlin", schedule=(Opening("00:00", 1440),))

    assert phase_at(settings, utc("2026-10-25T21:59")).phase == "open"
    assert phase_at(settings, utc("2026-10-25T22:00")).phase == "draining"
    assert phase_at(settings, utc("2026-10-25T23:00")).phase == "open"
    assert phase_at(settings, utc("2026-10-26T12:00")).phase == "open"


def test_hour_that_comes_twice_opens_once() -> None:
    """New York's 01:30 comes twice on the first of November: the first one opens, for its time."""
    settings = room(time_zone="America/New_York", schedule=(Opening("01:30", 30),))

    assert phase_at(settings, utc("2026-11-01T05:30")).phase == "open"
    assert phase_at(settings, utc("2026-11-01T06:00")).phase != "open"
    assert phase_at(settings, utc("2026-11-01T06:30")).phase != "open"


def test_paused_room_takes_joins_only_inside_its_opening() -> None:
    """A pause holds the line; it does not reopen a room that drains."""
    closes = utc("2026-11-22T10:00")
    settings = room(paused=True, closes_at=closes)

    assert phase_at(settings, utc("2026-11-22T09:59")).phase == "paused"
    assert takes_joins(settings, utc("2026-11-22T09:59"))
    assert phase_at(settings, closes).phase == "paused"
    assert not takes_joins(settings, closes)


@given(schedules, st.sampled_from(ZONES), moments)
def test_open_exactly_inside_some_opening(
    schedule: tuple[Opening, ...], time_zone: str, now: datetime
) -> None:
    """Open is what lies in an opening that is computed one by one, by the simplest arithmetic."""
    settings = room(schedule=schedule, time_zone=time_zone)

    assert (phase_at(settings, now).phase == "open") == _is_inside(schedule, time_zone, now)


@given(schedules, st.sampled_from(ZONES), moments, st.none() | moments, st.none() | moments)
def test_next_change_is_the_first_change(
    schedule: tuple[Opening, ...],
    time_zone: str,
    now: datetime,
    first: datetime | None,
    last: datetime | None,
) -> None:
    """The phase stays as it is up to the change that is told, and is another one from there."""
    if first is not None and last is not None and last <= first:
        first = None
    settings = room(schedule=schedule, time_zone=time_zone, opens_at=first, closes_at=last)

    phase, opens_at, change = phase_at(settings, now)

    if change is not None:
        assert change > now
        assert phase_at(settings, change).phase != phase
        for part in (0.25, 0.5, 0.75):
            assert phase_at(settings, now + (change - now) * part).phase == phase
        assert phase_at(settings, change - timedelta(microseconds=1)).phase == phase
    if opens_at is not None:
        assert opens_at > now
        assert phase_at(settings, opens_at).phase == "open"
        assert phase_at(settings, opens_at - timedelta(microseconds=1)).phase != "open"
        assert takes_joins(settings, opens_at)


@given(schedules, moments)
def test_early_joining_never_reaches_before_time_began(
    schedule: tuple[Opening, ...], now: datetime
) -> None:
    """A month of early joining is computed for every room, the always open one too."""
    settings = room(schedule=schedule, join_early_s=30 * 86_400)

    assert takes_joins(settings, now) or phase_at(settings, now).phase == "draining"
    assert takes_joins(room(join_early_s=30 * 86_400), BEGINNING)


def _is_inside(schedule: tuple[Opening, ...], time_zone: str, now: datetime) -> bool:
    if not schedule:
        return True
    zone = ZoneInfo(time_zone)
    for opening in schedule:
        hour, minute = map(int, opening.time.split(":"))
        for back in range(-2, 10):
            day = now.astimezone(zone).date() - timedelta(days=back)
            start = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            elapsed = now - start.astimezone(UTC)
            if EVERY_DAY[day.weekday()] in opening.days and (
                timedelta(0) <= elapsed < timedelta(minutes=opening.minutes)
            ):
                return True
    return False


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"capacity": 10, "capacity_min": 11}, "capacity_min must not be above capacity"),
        ({"poll_floor_s": 61}, "poll_floor_s must not be above poll_ceiling_s"),
        ({"grace_s": 119}, "grace_s must be at least twice poll_ceiling_s"),
        ({"pass_ttl_s": 10, "renewal_grace_s": 10}, "renewal_grace_s must be below pass_ttl_s"),
        ({"session_max_s": 59}, "session_max_s must not be below pass_ttl_s"),
        ({"time_zone": "Asia/Soul"}, "time_zone must be a name like Asia/Seoul"),
        ({"time_zone": "../etc/passwd"}, "time_zone must be a name like Asia/Seoul"),
        ({"fail_mode": "open"}, "open_rate_max must be given where fail_mode is open"),
        ({"languages": ("ko", "ko")}, "languages name each language once"),
        ({"return_hosts": ("https://a.example/path",)}, r"return_hosts\[0\] must be an origin"),
        ({"return_hosts": ("https://user@a.example",)}, r"return_hosts\[0\] must be an origin"),
        ({"return_hosts": ("javascript:alert(1)",)}, r"return_hosts\[0\] must be an origin"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(
    fields: dict[str, Any], message: str
) -> None:
    """Each value is checked against its neighbours, and the message names the rule."""
    with pytest.raises(ValueError, match=message):
        RoomSettings(**fields)
