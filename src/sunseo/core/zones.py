"""Time zones by the names of the IANA database: the same ones on every machine.

The rules come from the system where it has them, else from the package `tzdata`, which is a
dependency, since slim images have no zone files. What a name means must not depend on the machine
either: `localtime` and its like are files of one machine, and the `right/` zones count leap
seconds that PostgreSQL does not.
"""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MACHINES_OWN = frozenset({"localtime", "posixrules", "Factory"})
_OTHER_CLOCKS = ("posix/", "right/")


def is_zone(name: str) -> bool:
    """Whether a name is one of a time zone, as `Asia/Seoul` is and `America` is not."""
    if name in _MACHINES_OWN or name.startswith(_OTHER_CLOCKS):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # of a folder, and of a name too long
        return False
    return True
