"""What cannot be read is set aside: named, counted, and in nobody's way.

State       For each part that is set aside, why, how often it was met, and when it is said again.
Guarantee   The first line comes at once, the next ones after a minute, two, four and so on, at most
            an hour apart. A part that can be read again is said once more, and forgotten.
Clock       Monotonic.
"""

import time
from collections import Counter
from collections.abc import Callable

import msgspec

from sunseo.core.clock import Monotonic

FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 3600.0

Part = tuple[str, int]
"""Of which kind, and its number: `("room", 7)`."""


class _Met(msgspec.Struct):
    error: str
    again_at: float
    pause_s: float = FIRST_PAUSE_S
    times: int = 1


class SetAside:
    """The parts that one process has set aside.

    Args:
        say: writes a line: an event's name, and what else is known of it.
        count: told how many parts of a kind are set aside, whenever that changes.
    """

    def __init__(
        self,
        say: Callable[..., object] = lambda _event, **_about: None,
        *,
        count: Callable[[str, int], object] = lambda _kind, _parts: None,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._say = say
        self._count = count
        self._monotonic = monotonic
        self._met: dict[Part, _Met] = {}

    def put(self, kind: str, number: int, error: Exception) -> None:
        """Note that a part could not be read, and say so, unless that was said lately."""
        now = self._monotonic()
        text = f"{type(error).__name__}: {error}"
        met = self._met.get((kind, number))
        if met is None or met.error != text:
            self._met[kind, number] = _Met(text, now + FIRST_PAUSE_S)
            self._say("set_aside", part=f"{kind} {number}", error=text)
            self._tell(kind)
            return
        met.times += 1
        if now >= met.again_at:
            met.pause_s = min(2 * met.pause_s, LONGEST_PAUSE_S)
            met.again_at = now + met.pause_s
            self._say("set_aside", part=f"{kind} {number}", error=text, times=met.times)

    def take_back(self, kind: str, number: int) -> None:
        """Note that a part could be read; a look into a table where it was all the time."""
        if self._met and self._met.pop((kind, number), None) is not None:
            self._say("read_again", part=f"{kind} {number}")
            self._tell(kind)

    def parts(self) -> list[str]:
        """The names of all that is set aside, as in `room 7`."""
        return [f"{kind} {number}" for kind, number in sorted(self._met)]

    def _tell(self, kind: str) -> None:
        self._count(kind, Counter(kind for kind, _ in self._met)[kind])
