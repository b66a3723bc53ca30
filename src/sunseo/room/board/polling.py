"""How long to wait before asking again: pure, the same formula that visitors' scripts use."""

from sunseo.room.board.state import ShownSpeed
from sunseo.room.setup.settings import RoomSettings


def poll_after_s(settings: RoomSettings, speed: ShownSpeed | None, ahead: int) -> int:
    """A fraction of the time still to wait, between the room's floor and ceiling.

    While nothing is known of the line's speed, it may well be this visitor's turn in a moment.
    """
    if ahead <= 0 or speed is None:
        return settings.poll_floor_s
    if speed.v50 <= 0:
        return settings.poll_ceiling_s
    fraction_s = ahead / speed.v50 / settings.poll_divisor
    return round(min(max(fraction_s, settings.poll_floor_s), settings.poll_ceiling_s))
