"""How many numbers a restored line passes over: pure.

Numbers given after the backup live in their holders' tokens only. Too few passed over, and two
people would hold one number: the later one counts, the other is told to join again. Too many, and
the line calls numbers that nobody has, which costs time.
"""

import math
from datetime import datetime, timedelta

import msgspec

from sunseo.backup.manifest import RoomFacts
from sunseo.room.setup.schedule import takes_joins
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.setup.stored import UnreadableSettingsError, read_settings

NUMBERS_MIN = 1000  # of which nobody comes, a room of 50 called as many within half a minute
CAPACITIES = 10  # of a line that had given nothing yet, and could be joined since
MINUTES_MAX = 60  # as busy as the busiest: after that a line is served, or has gone home
MOMENTS_MAX = 10_000  # at which a room's schedule is looked at


class Raise(msgspec.Struct, frozen=True):
    """What becomes of one room's line.

    Attributes:
        numbers: how many are passed over; 0 where none can have been given.
        why: how that was found, in a few words.
        serving: as a later state had it, where one is at hand.
    """

    organisation: int
    room: int
    name: str
    issued: int
    numbers: int
    why: str
    serving: int | None = None


def raise_of(
    room: RoomFacts,
    later: RoomFacts | None,
    moment: datetime,
    now: datetime,
    numbers: int | None,
) -> Raise:
    """Decide about one room.

    Args:
        room: as the backup has it.
        later: as a later state has it, if one is at hand.
        moment: of the backup.
        now: of the restore.
        numbers: as the operator says, for every room that may have given any.
    """
    settings = _readable(room, now)
    serving = later.serving if later is not None and later.epoch == room.epoch else None
    if settings is not None and settings.mode == "random" and not room.sealed:
        many, why = 0, "its draw is not sealed; registrations after the backup are lost"
    elif later is not None and later.epoch != room.epoch:
        many, why = 0, "it was begun anew after the backup: reset it, or old places count again"
    elif later is not None and numbers is None:
        many, why = max(0, later.issued - room.issued), "exactly, by the state compared with"
    elif room.issued == 0 and (settings is None or not _took_joins(settings, moment, now)):
        many, why = 0, "it has given none, and nobody could join since"
    elif numbers is not None:
        many, why = numbers, "as you said"
    else:
        many, why = _guess(room, now - moment)
    return Raise(room.organisation, room.room, room.name, room.issued, many, why, serving)


def _readable(room: RoomFacts, now: datetime) -> RoomSettings | None:
    try:
        return read_settings(room.settings, now)
    except UnreadableSettingsError:  # which nobody could join by, either
        return None


def _guess(room: RoomFacts, since: timedelta) -> tuple[int, str]:
    if room.issued == 0:
        guess = max(NUMBERS_MIN, CAPACITIES * room.capacity)
        return guess, f"a guess: it could be joined since; {CAPACITIES} times its capacity"
    minutes = min(MINUTES_MAX, max(1, math.ceil(since / timedelta(minutes=1))))
    guess = max(NUMBERS_MIN, room.busiest_minute * minutes)
    return guess, f"a guess: {minutes} min as busy as its busiest, {room.busiest_minute:,} a minute"


def _took_joins(settings: RoomSettings, moment: datetime, now: datetime) -> bool:
    step = max(timedelta(minutes=1), (now - moment) / MOMENTS_MAX)
    at = moment
    while at < now:
        if takes_joins(settings, at):
            return True
        at += step
    return takes_joins(settings, now)
