"""How long a rehearsal will still take, from how it went lately. Pure."""

from collections import deque

LATELY_S = 15.0
HOME_AFTER_S = 180.0
"""Past the last arrival, whoever is left is sent home."""


class Eta:
    """It ends when everybody has gone: one by one, or all at once when the last unit is sold.

    Args:
        visitors: all who will come.
        units: on sale; 0 where nothing can sell out.
        last_arrival_s: when the last visitor comes, after T0.
    """

    def __init__(self, visitors: int, units: int, last_arrival_s: float) -> None:
        self._visitors = visitors
        self._units = units
        self._last_arrival_s = last_arrival_s
        self._noted: deque[tuple[float, int, int]] = deque()

    def note(self, at_s: float, gone: int, sold: int) -> None:
        self._noted.append((at_s, gone, sold))
        while at_s - self._noted[0][0] > LATELY_S:
            self._noted.popleft()

    @property
    def remaining_s(self) -> float | None:
        """Seconds to go at the present speed; none while nobody can say."""
        if not self._noted:
            return None
        now_s, gone, sold = self._noted[-1]
        first_s, gone_before, sold_before = self._noted[0]
        passed_s = now_s - first_s
        ways = [_rest_s(self._visitors - gone, gone - gone_before, passed_s)]
        if self._units > sold:
            ways.append(_rest_s(self._units - sold, sold - sold_before, passed_s))
        known = [seconds for seconds in ways if seconds is not None]
        if not known:
            return None
        all_come_s = self._last_arrival_s - now_s
        return max(0.0, all_come_s, min(*known, all_come_s + HOME_AFTER_S))


def _rest_s(left: int, done: int, passed_s: float) -> float | None:
    if left <= 0:
        return 0.0
    return left * passed_s / done if done > 0 else None
