"""Say the same trouble now and then, not once a time.

While the database is away, lanes and loops fail dozens of times a second, all in the same way. The
first line says what anybody needs to know; the following ones how often it went on.

State       For each kind of trouble, when it was last heard, when it is said again, and how often
            it was held back meanwhile.
Guarantee   What is new is said at once, what goes on after one second, two, four and so on, at most
            a minute apart. What is held back is counted in the next line about it. What was not
            heard for half a minute is new again.
Clock       Monotonic.
"""

import time
from collections.abc import Callable

import msgspec

from sunseo.core.clock import Monotonic

EVERY_S = 1.0
LONGEST_PAUSE_S = 60.0
OVER_AFTER_S = 30.0  # longer than between two turns of any loop
KINDS_MAX = 100  # far above what can go wrong in different ways at once


class _Said(msgspec.Struct):
    heard_at: float
    again_at: float
    pause_s: float
    held_back: int = 0


class LogThrottle:
    """What was said by one process.

    Args:
        say: writes a line: an event's name, and what else is known of it.
        every_s: between the first two lines about the same.
    """

    def __init__(
        self,
        say: Callable[..., object],
        *,
        every_s: float = EVERY_S,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._say = say
        self._every_s = every_s
        self._monotonic = monotonic
        self._said: dict[tuple[object, ...], _Said] = {}

    def log(self, event: str, error: Exception, *, same: str | None = None, **about: str) -> None:
        """Say it, unless the same was said lately; `same` is what makes it so, if not the rest."""
        kind = (event, same) if same is not None else (event, type(error), *about.values())
        now = self._monotonic()
        said = self._said.get(kind)
        if said is None or now - said.heard_at > OVER_AFTER_S:
            if len(self._said) >= KINDS_MAX:
                self._said.clear()
            self._said[kind] = _Said(now, now + self._every_s, self._every_s)
            self._say(event, error=f"{type(error).__name__}: {error}", **about)
            return
        said.heard_at = now
        if now < said.again_at:
            said.held_back += 1
            return
        said.pause_s = min(2 * said.pause_s, LONGEST_PAUSE_S)
        said.again_at = now + said.pause_s
        more = {"held_back": said.held_back} if said.held_back else {}
        said.held_back = 0
        self._say(event, error=f"{type(error).__name__}: {error}", **about, **more)

    def has(self, event: str) -> bool:
        """Whether something was said of an event that was not taken back."""
        return any(kind[0] == event for kind in self._said)

    def take_back(self, event: str) -> bool:
        """Take back all that was said of an event; whether there were any."""
        kinds = [kind for kind in self._said if kind[0] == event]
        for kind in kinds:
            del self._said[kind]
        return bool(kinds)
