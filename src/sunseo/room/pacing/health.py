"""How well the protected site is: the worst of what workers and outside sources find.

    health = min over all of  target / measured        below 1 the room slows down

State       The last word of each source, in the store; each worker's own readings of its lanes,
            its errors and its pool since its last turn.
Guarantee   A source counts for `FRESH_S` after its last word; one that falls silent neither slows
            nor hurries a room. Sources and values are bounded, so that no sender can blind us.
Clock       The store's for age, monotonic for what a worker measures.
On failure  The leader goes on with what it read last, for at most `FRESH_S`.
"""

import time
from collections.abc import Callable
from math import inf

from sunseo.core.clock import Monotonic
from sunseo.core.later import Reason
from sunseo.engine.entry import LaneMeter
from sunseo.room.board.board import RoomView
from sunseo.room.setup.settings import HealthTargets
from sunseo.room.store import SignalStore, SourceSignal

FRESH_S = 15.0
SERVER = 0  # the room under which workers speak of themselves; rooms are numbered from one
WORKER = "worker:"  # begins a worker's own sources; outside ones have no colon
NOTABLE = 0.5  # of a default target: what is far better than it is not worth a row
REQUESTS_MIN = 20  # in one turn, before a share of errors means anything

_DEFAULT = HealthTargets()
_TARGETS: dict[str, Callable[[HealthTargets], float]] = {
    "lane_wait_s": lambda targets: targets.lane_wait_s,
    "pool_wait_s": lambda targets: targets.lane_wait_s,
    "error_rate": lambda targets: targets.error_rate,
}


class AnswerTally:
    """What one worker answered to requests that matter, since it was last asked."""

    __slots__ = ("answered", "failed")

    def __init__(self) -> None:
        self.answered = 0
        self.failed = 0

    def note(self, status: int) -> None:
        self.answered += 1
        self.failed += status >= 500

    def take(self) -> float:
        """The share of failures, and begin anew."""
        share = self.failed / self.answered if self.answered >= REQUESTS_MIN else 0.0
        self.answered = self.failed = 0
        return share


class WaitWatch:
    """A lane's meter that also keeps the longest wait since it was last asked."""

    def __init__(self, meter: LaneMeter) -> None:
        self._meter = meter
        self._longest_s = 0.0
        self.flushed = meter.flushed
        self.retried = meter.retried
        self.bisected = meter.bisected
        self.deferred = meter.deferred
        self.depth = meter.depth

    def waited(self, longest_s: float) -> None:
        self._longest_s = max(self._longest_s, longest_s)
        self._meter.waited(longest_s)

    def refused(self, reason: Reason) -> None:
        self._meter.refused(reason)

    def take(self) -> float:
        """The longest wait, in seconds, and begin anew."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s


class WorkerHealth:
    """Tells the leader how one worker fares.

    Args:
        name: of this worker, among all.
        waits: of its lanes.
        tally: of its answers.
    """

    def __init__(
        self,
        store: SignalStore,
        *,
        name: str,
        waits: list[WaitWatch],
        tally: AnswerTally,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._store = store
        self._name = name
        self._waits = waits
        self._tally = tally
        self._monotonic = monotonic
        self._told = False

    async def run_once(self) -> bool:
        """Measure, and write it down if there is anything to say, or to take back."""
        measured = {
            "lane_wait_s": max((wait.take() for wait in self._waits), default=0.0),
            "error_rate": self._tally.take(),
            "pool_wait_s": await self._pool_wait_s(),
        }
        notable = any(
            value > NOTABLE * _TARGETS[what](_DEFAULT) for what, value in measured.items()
        )
        if notable or self._told:
            await self._tell(measured)
        self._told = notable
        return False

    async def _pool_wait_s(self) -> float:
        began = self._monotonic()
        await self._store.reach()
        return self._monotonic() - began

    async def _tell(self, measured: dict[str, float]) -> None:
        await self._store.tell(
            [
                SourceSignal(
                    SERVER, f"{WORKER}{self._name}:{what}", value, _TARGETS[what](_DEFAULT)
                )
                for what, value in measured.items()
            ]
        )


class SiteHealth:
    """What the leader knows of all rooms' health."""

    def __init__(self, store: SignalStore) -> None:
        self._store = store
        self._signals: dict[int, list[SourceSignal]] = {}

    async def refresh(self) -> None:
        """Read what all sources said lately."""
        signals: dict[int, list[SourceSignal]] = {}
        for signal in await self._store.heard(FRESH_S):
            signals.setdefault(signal.room, []).append(signal)
        self._signals = signals

    def of(self, view: RoomView) -> float:
        """Target over measured, the worst of all sources; infinite where nobody measures."""
        if not self._signals:
            return inf
        targets = view.settings.health
        outside = [ratio(s.measured, s.target) for s in self._signals.get(view.room, ())]
        workers = [
            ratio(signal.measured, _TARGETS[what](targets))
            for signal in self._signals.get(SERVER, ())
            if (what := signal.source.rpartition(":")[2]) in _TARGETS
        ]
        return min([*outside, *workers], default=inf)


def ratio(measured: float, target: float) -> float:
    return target / measured if measured > 0 else inf
