"""The batching queue of one kind of command.

While one batch is being flushed, the commands that arrive gather; they become the next batch once
that one has sent its commit, or has ended. An idle lane flushes a single command at once, a busy
one ever larger batches.

State       A command is WAITING, IN FLIGHT, then SETTLED. A lane is OPEN, DRAINING, then CLOSED.
Guarantee   Every submitted command is settled exactly once: with its outcome, with LATER, or with
            the error that it alone causes. Commands are flushed in order of arrival; one that a
            flush puts off goes to the head of the next batch that is not in flight. At most two
            flushes are in flight: one whose commit is on its way, and one behind it, which commits
            nothing before the other has.
Clock       A monotonic clock measures waits. The lane knows nothing about the time of day.
On failure  See `applying`. What was in flight behind a batch that has failed goes back to the head
            of the queue, and waits until that one is finished. A caller that goes away while its
            command waits takes the command along; once in flight, the flush goes on and nobody
            hears the answer.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from sunseo.core.clock import Monotonic
from sunseo.core.later import Fault, Reason
from sunseo.engine.applying import Applier, LaneLimits
from sunseo.engine.entry import Answer, Defer, Entry, Flush, FlushTurn, LaneMeter, SilentMeter

C = TypeVar("C")
R = TypeVar("R")


class _Flight(Generic[C, R]):
    """A batch in flight.

    Attributes:
        ahead, behind: the flights next to it on the same connection, where there are any.
        committed: whether its first try was, once that is known.
        returned: done once it has gone back to the queue, the one ahead having failed.
        landed: done once everything about it is over.
        may_follow: whether the next batch may be sent behind it.
        put_off: what it puts off, once that is back in the queue.
    """

    def __init__(self, entries: list[Entry[C, R]], ahead: "_Flight[C, R] | None") -> None:
        loop = asyncio.get_running_loop()
        self.entries = entries
        self.ahead = ahead
        self.behind: _Flight[C, R] | None = None
        self.committed: asyncio.Future[bool] = loop.create_future()
        self.returned: asyncio.Future[None] = loop.create_future()
        self.landed: asyncio.Future[None] = loop.create_future()
        self.put_off: list[Entry[C, R]] | None = None
        self.may_follow = False
        self.has_begun = False
        if ahead is not None:
            ahead.behind = self

    def end(self) -> None:
        self.may_follow = False
        if not self.committed.done():
            self.committed.set_result(False)
        for told in (self.returned, self.landed):
            if not told.done():
                told.set_result(None)
        if self.behind is not None:
            self.behind.ahead = None
        self.ahead = self.behind = None


class Lane(Generic[C, R]):
    """See the module. `submit` from any task of the loop that called `start`.

    Args:
        on_missed: hears of commands that were put off because somebody else has their rows locked,
            once they are back in the queue.
    """

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
        on_missed: Callable[[Sequence[Entry[C, R]]], None] = lambda _entries: None,
    ) -> None:
        self._limits = limits or LaneLimits()
        self._meter = meter or SilentMeter()
        self._monotonic = monotonic
        self._applier = Applier(
            flush,
            later=later,
            fault_of=fault_of,
            limits=self._limits,
            meter=self._meter,
            monotonic=monotonic,
            pause=pause,
        )
        self._on_missed = on_missed
        self._waiting: deque[Entry[C, R]] = deque()
        self._arrival = asyncio.Event()
        self._newest: _Flight[C, R] | None = None
        self._flights: set[asyncio.Task[None]] = set()
        self._breathed = 0.0  # when a batch last waited for the commit in front of it
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

    def enqueue(self, command: C) -> "asyncio.Future[Answer[R]]":
        """The same for whoever has no task to wait in; cancelling is going away."""
        now = self._monotonic()
        future: asyncio.Future[Answer[R]] = asyncio.get_running_loop().create_future()
        if reason := self._reason_to_refuse(now):
            future.set_result(Answer(self._applier.later(reason), 0.0, 0.0))
            return future
        self._waiting.append(Entry(command, future, now))
        self._arrival.set()
        self._follow()
        return future

    def withdraw(self, belongs: Callable[[C], bool]) -> list[Entry[C, R]]:
        """Take waiting commands out of the queue, in order of arrival."""
        taken = [entry for entry in self._waiting if belongs(entry.command)]
        if taken:
            self._waiting = deque(e for e in self._waiting if not belongs(e.command))
        return taken

    def put_back(self, entries: Sequence[Entry[C, R]]) -> None:
        """Put commands at the head of the queue, in order of arrival."""
        self._waiting.extendleft(reversed(entries))
        if entries:
            self._arrival.set()

    @property
    def expected_wait_s(self) -> float:
        """How long a command that arrives now will wait before its flush begins."""
        return self._expected_wait_s(self._monotonic())

    def _expected_wait_s(self, now: float) -> float:
        if self._newest is None:
            return 0.0
        batches_ahead = len(self._waiting) // self._limits.batch_max
        wait_s = batches_ahead * self._applier.recent_s
        return wait_s + now - self._applier.began

    def _reason_to_refuse(self, now: float) -> Reason | None:
        if self._draining or self._runner is None:
            return Reason.STOPPING
        if len(self._waiting) >= self._limits.waiting_max:
            return Reason.SHED
        if self._expected_wait_s(now) > self._limits.wait_max_s:
            return Reason.SHED
        return None

    async def _run(self) -> None:
        try:
            while not self._is_over:
                await self._arrival.wait()
                self._arrival.clear()
                while self._waiting:
                    # Who is about to submit in this turn of the loop comes along. A batch of the
                    # first four would take as long as it takes to hear out the other two hundred.
                    await asyncio.sleep(0)
                    if (newest := self._newest) is None:
                        self._launch_next()
                    else:
                        await asyncio.wait({newest.landed})
        except asyncio.CancelledError:
            for task in list(self._flights):
                task.cancel()
            if self._flights:
                await asyncio.wait(self._flights)
            raise

    @property
    def _is_over(self) -> bool:
        return self._draining and not self._waiting and self._newest is None

    def _turn_away(self, _runner: "asyncio.Task[None]") -> None:
        """Settle what is left over when the runner has ended: none, unless it was cancelled."""
        self._draining = True
        self._applier.give_up([self._waiting], Reason.STOPPING)
        self._waiting.clear()

    def _take_batch(self) -> list[Entry[C, R]]:
        now = self._monotonic()
        batch: list[Entry[C, R]] = []
        size = self._size_of_next()
        while self._waiting and len(batch) < size:
            entry = self._waiting.popleft()
            if entry.future.done():
                continue  # the caller went away before anything was done
            wait_s = now - entry.arrived
            if wait_s > self._limits.deadline_s or entry.defers > self._limits.defers_max:
                self._applier.refuse(entry, Reason.OVERDUE)
                continue
            entry.flushed_at = now
            batch.append(entry)
        if batch:
            self._meter.waited(max(now - entry.arrived for entry in batch))
        self._meter.depth(len(self._waiting))
        return batch

    def _size_of_next(self) -> int:
        in_flight = 0 if self._newest is None else len(self._newest.entries)
        part = math.ceil((len(self._waiting) + in_flight) / self._limits.batch_parts)
        return min(max(part, self._limits.batch_min), self._limits.batch_max)

    def _launch_next(self) -> None:
        if not (batch := self._take_batch()):
            return
        now = self._applier.began = self._monotonic()
        if self._newest is None:
            self._breathed = now
        flight = self._newest = _Flight(batch, self._newest)
        task = asyncio.ensure_future(self._fly(flight))
        self._flights.add(task)
        task.add_done_callback(partial(self._land, flight))

    async def _fly(self, flight: _Flight[C, R]) -> None:
        """See a batch through; what it puts off goes to the head of the queue."""
        committed = None if flight.ahead is None else flight.ahead.committed
        turn = FlushTurn(committed, lambda results: self._sent(flight, results))
        flight.has_begun = True
        try:
            tried = await self._applier.attempt(flight.entries, turn)
        except Exception as error:  # noqa: BLE001 - the outer edge of every flush
            await self._recover(flight, error)
        else:
            flight.committed.set_result(True)
            self._applier.settle(flight.entries, tried)
            if flight.put_off is None:
                self._requeue(self._applier.put_off(flight.entries, tried.results))

    def _land(self, flight: _Flight[C, R], task: "asyncio.Task[None]") -> None:
        """All about a flight is over; one that was cancelled may not even have begun."""
        self._flights.discard(task)
        if task.cancelled():
            reason = Reason.UNKNOWN if flight.has_begun else Reason.STOPPING
            self._applier.give_up([flight.entries], reason)
        if self._newest is flight:
            self._newest = None
        flight.end()
        if self._draining:
            self._arrival.set()

    def _sent(self, flight: _Flight[C, R], results: Sequence[R | Defer[C]]) -> None:
        """A batch has sent its commit: the next one follows once it is worth its while.

        If it is by now, before anybody is told anything: the database shall not wait for that. One
        of a few commands would make those after it small, too.
        """
        flight.put_off = self._applier.put_off(flight.entries, results)
        flight.may_follow = self._monotonic() - self._breathed < self._limits.breath_s
        self._requeue(flight.put_off)
        self._follow()

    def _follow(self) -> None:
        newest = self._newest
        if newest is None or not newest.may_follow:
            return
        if 2 * len(self._waiting) >= len(newest.entries):
            self._launch_next()

    async def _recover(self, flight: _Flight[C, R], error: Exception) -> None:
        """Go back behind a flight that has failed, or try on alone."""
        flight.may_follow = False
        flight.committed.set_result(False)
        if (ahead := flight.ahead) is not None and not await asyncio.shield(ahead.committed):
            self.put_back(flight.entries)
            flight.returned.set_result(None)
            await asyncio.wait({ahead.landed})
            return
        if flight.behind is not None:  # it has the connection until it has let go
            await asyncio.wait({flight.behind.returned})
        handed_on = set(flight.put_off or ())
        left = [entry for entry in flight.entries if entry not in handed_on]
        self._requeue(await self._applier.finish(left, error))

    def _requeue(self, put_off: Sequence[Entry[C, R]]) -> None:
        """Put back what was put off, and tell of what somebody else has locked."""
        self.put_back(put_off)
        if missed := [entry for entry in put_off if entry.misses]:
            self._on_missed(missed)
