"""Say the same trouble once a second, not once a time.

While the database is away, lanes and loops fail dozens of times a second, all in the same way. The
first line says what anybody needs to know; the following ones how often it went on.

State       For each complaint, when it was last said and how often it has been held back since.
Guarantee   What is new is said at once. What is held back is counted in the next line about it.
Clock       Monotonic.
"""

import time
from collections.abc import Callable, Hashable

from sunseo.core.clock import Monotonic

EVERY_S = 1.0
KINDS_MAX = 100  # far above what can go wrong in different ways at once


class Complaints:
    """Those of one process.

    Args:
        say: writes a line: an event's name, and what else is known of it.
        every_s: between two lines about the same.
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
        self._said: dict[Hashable, float] = {}
        self._held_back: dict[Hashable, int] = {}

    def complain(self, event: str, error: Exception, **about: str) -> None:
        """Say it, unless the same was said within the last moment."""
        kind = (event, type(error), *about.values())
        now = self._monotonic()
        if now - self._said.get(kind, -self._every_s) < self._every_s:
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
            return
        if len(self._said) >= KINDS_MAX:
            self._said.clear()
        self._said[kind] = now
        more = {"held_back": held} if (held := self._held_back.pop(kind, 0)) else {}
        self._say(event, error=f"{type(error).__name__}: {error}", **about, **more)
