"""How one batch comes to an end, whatever happens to its flushes.

Guarantee   Each command of the batch is settled exactly once, or handed back as put off: with its
            outcome, with LATER, or with the error that it alone causes.
On failure  An error of the data, or a programmer's: the batch is bisected until the command at
            fault stands alone, and that one's caller gets the error. An error of the
            infrastructure: the whole batch is tried once more after a jittered pause, then all of
            it is answered LATER, "outcome unknown", so that an outage never multiplies
            transactions. A broken fence: the whole batch is tried again a few times, never in
            parts, then answered LATER, "nothing was done". A flush that hangs has its connection
            dropped by the watchdog.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from sunseo.core.clock import Monotonic
from sunseo.core.later import Fault, Reason
from sunseo.engine.entry import Defer, Entry, Flush, FlushTurn, LaneMeter

C = TypeVar("C")
R = TypeVar("R")

RECENT_WEIGHT = 0.2  # of the newest flush in the moving average that predicts waits


class LaneLimits(msgspec.Struct, frozen=True):
    """How much a lane takes on."""

    batch_max: int = 512  # commands in one flush: beyond it, latency grows and throughput does not
    batch_parts: int = 1  # of all commands in the lane a batch takes one part in so many
    batch_min: int = 8  # unless there are no more than that
    told_max: int = 512  # callers in one turn of the loop: few, where an answer may be waiting
    waiting_max: int = 20_000  # commands, whatever the expected wait
    wait_max_s: float = 3.0  # expected wait above which newcomers are shed
    deadline_s: float = 8.0  # after so long in the queue nobody is thought to listen any more
    flush_timeout_s: float = 10.0  # above the database's own statement and lock time-outs
    abandon_grace_s: float = 2.0  # for a flush to notice that its connection was dropped
    retry_pause_s: float = 0.05  # mean of the jittered pause before a batch is tried again
    fence_retries: int = 3  # each reads anew, so that one is enough but for a race lost again
    defers_max: int = 8  # times that one command may be put off before it is answered LATER
    locked_max_s: float = 3.0  # for which commands wait for rows that somebody else has locked
    breath_s: float = 0.1  # after so long of batches behind each other's commit, one waits for it


FOLLOWING = LaneLimits(batch_max=128, batch_parts=2, told_max=16)
"""For flushes that others may follow: one half is committed and one decided, while those who were
answered ask again. With all that waits in one batch, database and process would take turns at
having nothing to do."""


class Tried(NamedTuple, Generic[C, R]):
    """What a flush has answered, in the order of the commands, and how long it took."""

    results: Sequence[R | Defer[C]]
    flush_s: float


class _Retries:
    """How often a batch may still be tried again, and what is known when it may not."""

    def __init__(self, limits: LaneLimits) -> None:
        self._left = {Fault.INFRASTRUCTURE: 1, Fault.FENCE: limits.fence_retries}
        self._is_unknown = False  # whether an earlier try may have been committed after all

    def take(self, fault: Fault) -> bool:
        self._is_unknown |= fault is Fault.INFRASTRUCTURE
        self._left[fault] -= 1
        return self._left[fault] >= 0

    def reason(self, fault: Fault) -> Reason:
        if fault is Fault.FENCE and not self._is_unknown:
            return Reason.FENCED
        return Reason.UNKNOWN


class Applier(Generic[C, R]):
    """Applies the batches of one lane.

    Attributes:
        began: when the try began that was the last to begin.
        recent_s: how long flushes take lately.
    """

    def __init__(
        self,
        flush: Flush[C, R],
        *,
        later: Callable[[Reason], R],
        fault_of: Callable[[Exception], Fault],
        limits: LaneLimits,
        meter: LaneMeter,
        monotonic: Monotonic,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._flush = flush
        self._later = later
        self._fault_of = fault_of
        self._limits = limits
        self._meter = meter
        self._monotonic = monotonic
        self._pause = pause
        self._untold: deque[tuple[Entry[C, R], R, float]] = deque()
        self._is_telling = False
        self.began = 0.0
        self.recent_s = 0.0

    async def attempt(self, entries: Sequence[Entry[C, R]], turn: FlushTurn) -> Tried[C, R]:
        """Flush once, never cancelled by a caller, and torn loose by the watchdog when it hangs.

        Raises:
            Exception: whatever the flush raised; nothing is settled then.
        """
        began = self.began = self._monotonic()
        flight = asyncio.ensure_future(self._flush([entry.command for entry in entries], turn))
        flight.add_done_callback(_retrieve)  # should this task be cancelled before it has landed
        await asyncio.wait({flight}, timeout=self._limits.flush_timeout_s)
        if not flight.done():
            self._flush.abandon()
            await asyncio.wait({flight}, timeout=self._limits.abandon_grace_s)
        if not flight.done():
            flight.cancel()
            await asyncio.wait({flight})
        if flight.cancelled():
            raise TimeoutError("a flush hung and was torn loose from its connection")
        results = flight.result()
        if len(results) != len(entries):
            raise RuntimeError(f"{len(entries)} commands were flushed, {len(results)} answered")
        flush_s = self._monotonic() - began
        self.recent_s += RECENT_WEIGHT * (flush_s - self.recent_s)
        self._meter.flushed(len(entries), flush_s)
        return Tried(results, flush_s)

    async def finish(
        self, entries: list[Entry[C, R]], error: Exception | None = None
    ) -> list[Entry[C, R]]:
        """Flush until each command is settled or put off; `error` is that of a first try.

        Returns:
            Those that were put off, in order of arrival.
        """
        put_off: list[Entry[C, R]] = []
        parts = [entries]
        retries = _Retries(self._limits)
        while parts:
            part = parts.pop()
            tried = error or await self._try(part, parts)
            error = None
            if isinstance(tried, Tried):
                self.settle(part, tried)
                put_off += self.put_off(part, tried.results)
                continue
            fault = self._fault_of(tried)
            if fault is Fault.DATA:
                parts.extend(self._bisect(part, tried))
            elif retries.take(fault):
                self._meter.retried()
                parts.append(part)
                await self._pause_before_retry(parts)
            else:
                self.give_up([part, *reversed(parts)], retries.reason(fault))
                break
        return put_off

    def settle(self, entries: Sequence[Entry[C, R]], tried: Tried[C, R]) -> None:
        """Tell the callers of all that is not put off."""
        for entry, result in zip(entries, tried.results, strict=True):
            if not isinstance(result, Defer):
                self._untold.append((entry, result, tried.flush_s))
        if self._untold and not self._is_telling:
            self._is_telling = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        """Tell some: what they do about it takes a while, and the database may have answered."""
        for _ in range(min(self._limits.told_max, len(self._untold))):
            entry, result, flush_s = self._untold.popleft()
            entry.settle(result, flush_s)
        self._is_telling = bool(self._untold)
        if self._is_telling:
            asyncio.get_running_loop().call_soon(self._tell)

    def put_off(
        self, entries: Sequence[Entry[C, R]], results: Sequence[R | Defer[C]]
    ) -> list[Entry[C, R]]:
        """Pick out what is to be decided in a later batch, in order of arrival."""
        put_off = []
        for entry, result in zip(entries, results, strict=True):
            if isinstance(result, Defer):
                entry.put_off(result)
                put_off.append(entry)
        if put_off:
            self._meter.deferred(len(put_off))
        return put_off

    def give_up(
        self, parts: Sequence[Sequence[Entry[C, R]]], reason: Reason = Reason.UNKNOWN
    ) -> None:
        for part in parts:
            for entry in part:
                self.refuse(entry, reason)

    def refuse(self, entry: Entry[C, R], reason: Reason) -> None:
        if entry.future.done():
            return
        self._meter.refused(reason)
        entry.settle(self._later(reason), 0.0)

    def later(self, reason: Reason) -> R:
        """What is answered without a command ever being queued."""
        self._meter.refused(reason)
        return self._later(reason)

    async def _try(
        self, part: list[Entry[C, R]], rest: list[list[Entry[C, R]]]
    ) -> Tried[C, R] | Exception:
        try:
            return await self.attempt(part, FlushTurn())
        except asyncio.CancelledError:
            self.give_up([part, *reversed(rest)])
            raise
        except Exception as error:  # noqa: BLE001 - the outer edge of every flush
            return error

    async def _pause_before_retry(self, parts: list[list[Entry[C, R]]]) -> None:
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, guards nothing
        try:
            await self._pause(self._limits.retry_pause_s * jitter)
        except asyncio.CancelledError:
            self.give_up([*reversed(parts)])
            raise

    def _bisect(self, part: list[Entry[C, R]], error: Exception) -> list[list[Entry[C, R]]]:
        """Return the halves to try, the earlier arrivals last, as the next to be popped."""
        if len(part) == 1:
            part[0].fail(error)
            return []

        self._meter.bisected()
        middle = len(part) // 2
        return [part[middle:], part[:middle]]


def _retrieve(flight: "asyncio.Future[Any]") -> None:
    """Take note of a flush's error, so that asyncio does not report it as unheard."""
    if not flight.cancelled():
        flight.exception()
