"""The batching queue of one kind of command.

While one batch is being flushed, the commands that arrive gather; when it has ended, they become
the next batch. An idle lane flushes a single command at once, a busy one ever larger batches.

State       A command is WAITING, IN FLIGHT, then SETTLED. A lane is OPEN, DRAINING, then CLOSED.
Guarantee   Every submitted command is settled exactly once: with its outcome, with LATER, or with
            the error that it alone causes. At most one flush is in flight. Commands are flushed
            in order of arrival; one that a flush defers goes to the head of the next batch.
Clock       A monotonic clock measures waits. The lane knows nothing about the time of day.
On failure  An error of the data, or a programmer's: the batch is bisected until the command at
            fault stands alone, and that one's caller gets the error. An error of the
            infrastructure: the whole batch is tried once more after a jittered pause, then all of
            it is answered LATER, "outcome unknown", so that an outage never multiplies
            transactions. A broken fence: the whole batch is tried again a few times, never in
            parts, then answered LATER, "nothing was done". A caller that goes away while its
            command waits takes the command along; once in flight, the flush goes on and nobody
            hears the answer. A flush that hangs has its connection dropped by the watchdog.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from sunseo.core.clock import Monotonic
from sunseo.core.later import Fault, Reason

C = TypeVar("C")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Defer(Generic[C]):
    """A flush's answer for a command that has to be decided in the next batch instead."""

    __slots__ = ("command",)

    def __init__(self, command: C) -> None:
        self.command = command


class Answer(NamedTuple, Generic[R]):
    """What a caller gets: the result, and how long it took."""

    result: R
    waited_s: float  # from arrival until its flush began
    flush_s: float  # of the flush that settled it


class Flush(Protocol[C, R_co]):
    """Applies batches. One object serves one lane and owns its connection."""

    async def __call__(self, commands: Sequence[C]) -> Sequence[R_co | Defer[C]]:
        """Apply a batch as one transaction and return one result a command, in order."""
        ...

    def abandon(self) -> None:
        """Drop the connection, so that a flush that hangs fails."""
        ...


class LaneMeter(Protocol):
    """Where a lane reports to. `SilentMeter` is one that forgets."""

    def flushed(self, batch: int, flush_s: float) -> None: ...
    def waited(self, longest_s: float) -> None: ...
    def refused(self, reason: Reason) -> None: ...
    def retried(self) -> None: ...
    def bisected(self) -> None: ...
    def deferred(self, commands: int) -> None: ...
    def depth(self, waiting: int) -> None: ...


class SilentMeter:
    def flushed(self, batch: int, flush_s: float) -> None: ...
    def waited(self, longest_s: float) -> None: ...
    def refused(self, reason: Reason) -> None: ...
    def retried(self) -> None: ...
    def bisected(self) -> None: ...
    def deferred(self, commands: int) -> None: ...
    def depth(self, waiting: int) -> None: ...


class LaneLimits(msgspec.Struct, frozen=True):
    """How much a lane takes on."""

    batch_max: int = 512  # commands in one flush: beyond it, latency grows and throughput does not
    waiting_max: int = 20_000  # commands, whatever the expected wait
    wait_max_s: float = 3.0  # expected wait above which newcomers are shed
    deadline_s: float = 8.0  # after so long in the queue nobody is thought to listen any more
    flush_timeout_s: float = 10.0  # above the database's own statement and lock time-outs
    abandon_grace_s: float = 2.0  # for a flush to notice that its connection was dropped
    retry_pause_s: float = 0.05  # mean of the jittered pause before a batch is tried again
    fence_retries: int = 3  # each reads anew, so that one is enough but for a race lost again
    defers_max: int = 8  # times that one command may be put off before it is answered LATER


class _Entry(Generic[C, R]):
    __slots__ = ("arrived", "command", "defers", "flushed_at", "future")

    def __init__(self, command: C, future: asyncio.Future[Answer[R]], arrived: float) -> None:
        self.command = command
        self.future = future
        self.arrived = arrived
        self.flushed_at = arrived
        self.defers = 0

    def settle(self, result: R, flush_s: float) -> None:
        """Tell the caller; a no-op when it has gone away, so that its neighbours never notice."""
        if not self.future.done():
            self.future.set_result(Answer(result, self.flushed_at - self.arrived, flush_s))

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


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


RECENT_WEIGHT = 0.2  # of the newest flush in the moving average that predicts waits


class Lane(Generic[C, R]):
    """See the module. `submit` from any task of the loop that called `start`."""

    def __init__(
        self,
        flush: Flush[C, R],
        *,
        later: Callable[[Reason], R],
        fault_of: Callable[[Exception], Fault],
        limits: LaneLimits | None = None,
        meter: LaneMeter | None = None,
        monotonic: Monotonic = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._flush = flush
        self._later = later
        self._fault_of = fault_of
        self._limits = limits or LaneLimits()
        self._meter = meter or SilentMeter()
        self._monotonic = monotonic
        self._pause = pause
        self._waiting: deque[_Entry[C, R]] = deque()
        self._deferred: list[_Entry[C, R]] = []  # by the batch in flight, in order of arrival
        self._arrival = asyncio.Event()
        self._flush_began: float | None = None
        self._recent_flush_s = 0.0
        self._draining = False
        self._runner: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._runner = asyncio.get_running_loop().create_task(self._run(), name="lane")
        self._runner.add_done_callback(self._turn_away)

    async def stop(self) -> None:
        """Refuse newcomers, settle all that waits, and end."""
        self._draining = True
        self._arrival.set()
        if self._runner is not None:
            # Not awaited by itself: a caller who gives up stopping must not cut the runner short.
            await asyncio.wait({self._runner})
            self._runner = None

    async def submit(self, command: C) -> Answer[R]:
        """Have a command applied with the next batch.

        Returns:
            Its result; LATER at once when the lane is stopping or the expected wait is too long.

        Raises:
            Exception: whatever this command, flushed alone, raised.
        """
        return await self.enqueue(command)

    def enqueue(self, command: C) -> asyncio.Future[Answer[R]]:
        """The same for whoever has no task to wait in; cancelling is going away."""
        future: asyncio.Future[Answer[R]] = asyncio.get_running_loop().create_future()
        now = self._monotonic()
        if reason := self._reason_to_refuse(now):
            self._meter.refused(reason)
            future.set_result(Answer(self._later(reason), 0.0, 0.0))
            return future

        self._waiting.append(_Entry(command, future, now))
        self._arrival.set()
        return future

    @property
    def expected_wait_s(self) -> float:
        """How long a command that arrives now will wait before its flush begins."""
        return self._expected_wait_s(self._monotonic())

    def _expected_wait_s(self, now: float) -> float:
        if self._flush_began is None:
            return 0.0
        batches_ahead = len(self._waiting) // self._limits.batch_max
        return (now - self._flush_began) + batches_ahead * self._recent_flush_s

    def _reason_to_refuse(self, now: float) -> Reason | None:
        if self._draining or self._runner is None:
            return Reason.STOPPING
        if len(self._waiting) >= self._limits.waiting_max:
            return Reason.SHED
        if self._expected_wait_s(now) > self._limits.wait_max_s:
            return Reason.SHED
        return None

    async def _run(self) -> None:
        while not (self._draining and not self._waiting):
            await self._arrival.wait()
            self._arrival.clear()
            while self._waiting:
                # Who is about to submit in this turn of the loop comes along. A batch of the first
                # four would take as long as it takes to hear out the other two hundred.
                await asyncio.sleep(0)
                if batch := self._take_batch():
                    await self._apply_and_requeue(batch)

    async def _apply_and_requeue(self, batch: list[_Entry[C, R]]) -> None:
        """Apply a batch; what it put off goes to the head of the queue."""
        try:
            await self._apply(batch)
        finally:
            # All at once, since a bisected batch puts off commands part by part.
            self._waiting.extendleft(reversed(self._deferred))
            self._deferred.clear()

    def _turn_away(self, _runner: "asyncio.Task[None]") -> None:
        """Settle what is left over when the runner has ended: none, unless it was cancelled."""
        self._draining = True
        for entry in self._waiting:
            entry.settle(self._later(Reason.STOPPING), 0.0)
        self._waiting.clear()

    def _take_batch(self) -> list[_Entry[C, R]]:
        now = self._monotonic()
        batch: list[_Entry[C, R]] = []
        while self._waiting and len(batch) < self._limits.batch_max:
            entry = self._waiting.popleft()
            if entry.future.done():
                continue  # the caller went away before anything was done
            wait_s = now - entry.arrived
            if wait_s > self._limits.deadline_s or entry.defers > self._limits.defers_max:
                self._meter.refused(Reason.OVERDUE)
                entry.settle(self._later(Reason.OVERDUE), 0.0)
                continue
            entry.flushed_at = now
            batch.append(entry)
        if batch:
            self._meter.waited(max(now - entry.arrived for entry in batch))
        self._meter.depth(len(self._waiting))
        return batch

    async def _apply(self, batch: list[_Entry[C, R]]) -> None:
        """Flush a batch until each of its commands is settled or deferred."""
        parts = [batch]
        retries = _Retries(self._limits)
        while parts:
            part = parts.pop()
            began = self._flush_began = self._monotonic()
            try:
                results = await self._flush_watched([entry.command for entry in part])
            except Exception as error:  # noqa: BLE001 - the lane is the outer edge of every flush
                fault = self._fault_of(error)
                if fault is Fault.DATA:
                    parts.extend(self._bisect(part, error))
                elif retries.take(fault):
                    self._meter.retried()
                    parts.append(part)
                    await self._pause_before_retry(parts)
                else:
                    self._give_up([part, *reversed(parts)], retries.reason(fault))
                    return
            except asyncio.CancelledError:
                self._give_up([part, *reversed(parts)])
                raise
            else:
                flush_s = self._monotonic() - began
                self._recent_flush_s += RECENT_WEIGHT * (flush_s - self._recent_flush_s)
                self._meter.flushed(len(part), flush_s)
                self._settle(part, results, flush_s)
            finally:
                self._flush_began = None

    async def _pause_before_retry(self, parts: list[list[_Entry[C, R]]]) -> None:
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, guards nothing
        try:
            await self._pause(self._limits.retry_pause_s * jitter)
        except asyncio.CancelledError:
            self._give_up([*reversed(parts)])
            raise

    async def _flush_watched(self, commands: list[C]) -> Sequence[R | Defer[C]]:
        """Flush, never cancelled by a caller, and torn loose by the watchdog when it hangs."""
        flight = asyncio.ensure_future(self._flush(commands))
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
        if len(results) != len(commands):
            raise RuntimeError(f"{len(commands)} commands were flushed, {len(results)} answered")
        return results

    def _bisect(self, part: list[_Entry[C, R]], error: Exception) -> list[list[_Entry[C, R]]]:
        """Return the halves to try, the earlier arrivals last, as the next to be popped."""
        if len(part) == 1:
            part[0].fail(error)
            return []

        self._meter.bisected()
        middle = len(part) // 2
        return [part[middle:], part[:middle]]

    def _give_up(self, parts: list[list[_Entry[C, R]]], reason: Reason = Reason.UNKNOWN) -> None:
        for part in parts:
            for entry in part:
                self._meter.refused(reason)
                entry.settle(self._later(reason), 0.0)

    def _settle(
        self, part: list[_Entry[C, R]], results: Sequence[R | Defer[C]], flush_s: float
    ) -> None:
        deferred_before = len(self._deferred)
        for entry, result in zip(part, results, strict=True):
            if isinstance(result, Defer):
                entry.command = result.command
                entry.defers += 1
                self._deferred.append(entry)
            else:
                entry.settle(result, flush_s)
        if deferred := len(self._deferred) - deferred_before:
            self._meter.deferred(deferred)


def _retrieve(flight: "asyncio.Future[Any]") -> None:
    """Take note of a flush's error, so that asyncio does not report it as unheard."""
    if not flight.cancelled():
        flight.exception()
