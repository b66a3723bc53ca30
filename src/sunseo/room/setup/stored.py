"""What is stored of a room's settings, read by everybody in one way: before it counts, and after.

A change is read back here, out of the row that it has written, before it is committed. So what a
worker, a leader or a lane meets later is what could be read, unless the row, the software or the
machine's time zones have changed since; then it is set aside, and this says where it is at fault.
"""

from typing import Any

import msgspec

from sunseo.core.clock import Instant
from sunseo.room.setup.schedule import phase_at, takes_joins
from sunseo.room.setup.settings import RoomSettings, decode_settings


class UnreadableSettingsError(ValueError):
    """What is stored of a room cannot be used.

    Attributes:
        field: where the fault is, as far as that is known: `settings.schedule[0].time`.
        fault: what is wrong there.
    """

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.fault = fault


def read_settings(stored: str | bytes, now: Instant) -> RoomSettings:
    """Read `rooms.settings`, and see that a room can be run by them.

    Raises:
        UnreadableSettingsError: it cannot.
    """
    try:
        settings = decode_settings(stored)
        for line_is_empty in (True, False):
            phase_at(settings, now, line_is_empty=line_is_empty)
        takes_joins(settings, now)
    except Exception as error:
        # Whatever it is: a row that is no settings at all is somebody's fault, but not a reader's.
        raise _unreadable(error) from error
    return settings


def fault_of_settings(stored: str | bytes, now: Instant) -> str | None:
    """Where stored settings are at fault, or none where they can be read."""
    try:
        read_settings(stored, now)
    except UnreadableSettingsError as error:
        return str(error)
    return None


def mended_settings(stored: str, changes: dict[str, Any], now: Instant) -> RoomSettings:
    """Settings that cannot be read, with the fields at fault sent anew.

    Raises:
        UnreadableSettingsError: others are at fault as well.
    """
    try:
        kept = msgspec.json.decode(stored, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(error) from error
    sent = msgspec.to_builtins(changes)
    whole = {name: value for name, value in (kept | sent).items() if sent.get(name, "") is not None}
    return read_settings(msgspec.json.encode(whole), now)


def _unreadable(error: Exception) -> UnreadableSettingsError:
    """`Expected … - at `$.schedule[0].time``: where, and what."""
    fault, at, path = str(error).rpartition(" - at `$")
    if not at:
        return UnreadableSettingsError("settings", str(error) or type(error).__name__)
    return UnreadableSettingsError(f"settings{path.rstrip('`')}", fault)
