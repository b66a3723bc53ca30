"""Commands whose rows somebody else has locked: a connection of its own waits for them in turn.

State       A key is BLOCKED while its commands are here, then FREE again: forgotten, and what is
            left of its commands handed back. A key that stays blocked too long is GIVEN UP: its
            commands are answered LATER, LOCKED, and so are newcomers, but for one at a time that
            tries whether it is free.
Guarantee   Each command is settled exactly once, or handed back. Commands of one key keep their
            order of arrival, and are nowhere else meanwhile. A batch is about one key.
Clock       Monotonic, for how long a key has been blocked; the server bounds each wait for a lock.
On failure  As `applying` says of every batch.
"""

import asyncio
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from sunseo.core.clock import Monotonic
from sunseo.core.later import Reason
from sunseo.engine.applying import Applier, LaneLimits
from sunseo.engine.entry import Answer, Entry, Flush

K = TypeVar("K", bound=Hashable)
C = TypeVar("C")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class WaitingFlush(Flush[C, R_co], Protocol[C, R_co]):
    """A flush that waits for locks, for as long as its session lets it.

    Attributes:
        waits: whether the next batch does.
    """

    waits: bool

    @property
    def had_to_wait(self) -> bool:
        """Whether the last batch found its rows locked, or never came so far as to see."""
        ...


class _Blocked(Generic[C, R]):
    """The commands of one key."""

    def __init__(self, since: float) -> None:
        self.entries: deque[Entry[C, R]] = deque()
        self.since = since  # when its rows were last had, or first missed
        self.is_given_up = False
        self.is_stuck = False  # once it was waited for in vain


class BlockedCommands(Generic[K, C, R]):
    """See the module. `start` it, then `adopt` what a lane has missed.

    Args:
        flush: on a connection of its own.
        applier: of that flush.
        hand_back: takes what is left of a key's commands once its rows were had without waiting;
            it may have them adopted again.
    """

    def __init__(
        self,
        flush: WaitingFlush[C, R],
        applier: Applier[C, R],
        limits: LaneLimits,
        monotonic: Monotonic,
        hand_back: Callable[[K, Sequence[Entry[C, R]]], None],
    ) -> None:
        self._flush = flush
        self._applier = applier
        self._limits = limits
        self._monotonic = monotonic
        self._hand_back = hand_back
        self._keys: OrderedDict[K, _Blocked[C, R]] = OrderedDict()
        self._arrival = asyncio.Event()
        self._draining = False
        self._runner: asyncio.Task[None] | None = None

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def start(self) -> None:
        self._runner = asyncio.get_running_loop().create_task(self._run(), name="blocked")
        self._runner.add_done_callback(self._turn_away)

    async def stop(self) -> None:
        """Refuse newcomers, settle what is here, and end."""
        self._draining = True
        self._arrival.set()
        if self._runner is not None:
            await asyncio.wait({self._runner})
            self._runner = None

    def adopt(self, key: K, entries: Sequence[Entry[C, R]]) -> None:
        """Take over all commands of a key that wait, in order of arrival."""
        self._keys.setdefault(key, _Blocked(self._monotonic())).entries.extend(entries)
        self._arrival.set()

    def enqueue(self, key: K, command: C) -> "asyncio.Future[Answer[R]]":
        """Have a command applied after the others of its key, which is here."""
        future: asyncio.Future[Answer[R]] = asyncio.get_running_loop().create_future()
        blocked = self._keys[key]
        if reason := self._reason_to_refuse(blocked):
            future.set_result(Answer(self._applier.later(reason), 0.0, 0.0))
            return future
        blocked.entries.append(Entry(command, future, self._monotonic()))
        self._arrival.set()
        return future

    def _reason_to_refuse(self, blocked: _Blocked[C, R]) -> Reason | None:
        if self._draining or self._runner is None:
            return Reason.STOPPING
        if blocked.is_given_up and blocked.entries:
            return Reason.LOCKED
        if len(blocked.entries) >= self._limits.waiting_max:
            return Reason.SHED
        return None

    async def _run(self) -> None:
        while not (self._draining and self._next_key() is None):
            await self._arrival.wait()
            self._arrival.clear()
            while (key := self._next_key()) is not None:
                self._keys.move_to_end(key)
                await self._try(key, self._keys[key])
                self._give_up_on_time()

    def _next_key(self) -> K | None:
        return next((key for key, blocked in self._keys.items() if blocked.entries), None)

    async def _try(self, key: K, blocked: _Blocked[C, R]) -> None:
        """Apply a batch of one key, once its rows are had."""
        now = self._monotonic()
        size = self._limits.batch_max
        batch = [blocked.entries.popleft() for _ in range(min(size, len(blocked.entries)))]
        batch = [entry for entry in batch if not entry.future.done()]
        for entry in batch:
            entry.flushed_at = now
        self._flush.waits = not blocked.is_stuck or not self._is_wanted(key)
        put_off = await self._applier.finish(batch) if batch else []
        overdue = [entry for entry in put_off if entry.defers > self._limits.defers_max]
        self._applier.give_up([overdue], Reason.OVERDUE)
        put_off = [entry for entry in put_off if entry.defers <= self._limits.defers_max]
        blocked.entries.extendleft(reversed(put_off))
        if any(entry.misses for entry in put_off):
            blocked.is_stuck = True
            return
        if batch and not self._flush.had_to_wait:
            del self._keys[key]
            self._hand_back(key, list(blocked.entries))
        elif not blocked.is_given_up or batch:
            blocked.since = self._monotonic()
            blocked.is_given_up = blocked.is_stuck = False

    def _is_wanted(self, key: K) -> bool:
        """Whether others would wait for a wait for this key that is likely to be in vain."""
        return any(
            blocked.entries and not blocked.is_stuck
            for other, blocked in self._keys.items()
            if other != key
        )

    def _give_up_on_time(self) -> None:
        """Answer the commands of all keys that have been blocked for too long."""
        now = self._monotonic()
        for blocked in self._keys.values():
            if now - blocked.since >= self._limits.locked_max_s:
                blocked.is_given_up = True
                self._applier.give_up([blocked.entries], Reason.LOCKED)
                blocked.entries.clear()

    def _turn_away(self, _runner: "asyncio.Task[None]") -> None:
        """Settle what is left over when the runner has ended: none, unless it was cancelled."""
        self._draining = True
        left = list(itertools.chain(*(blocked.entries for blocked in self._keys.values())))
        self._applier.give_up([left], Reason.STOPPING)
        self._keys.clear()
