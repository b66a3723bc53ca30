"""A database on paper for lanes: it commits, fails, loses answers and hangs as it is told."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from enum import Enum

import msgspec

from sunseo.core.later import Later, LaterOutcome, Reason
from sunseo.engine.applying import LaneLimits
from sunseo.engine.entry import Answer, Defer, FlushTurn
from sunseo.engine.lane import Lane
from sunseo.postgres.errors import fault_of


class Ending(Enum):
    """How a scripted flush ends."""

    COMMITS = "commits"
    FAILS = "fails"  # before the commit: nothing is done
    LOSES_ACK = "loses the acknowledgement"  # after the commit: all of it is done
    HANGS = "hangs until its connection is dropped"
    HANGS_DEAF = "hangs and does not even notice that"


class Behaviour(msgspec.Struct, frozen=True):
    ending: Ending = Ending.COMMITS
    takes_s: float = 0.01


class Order(msgspec.Struct, frozen=True):
    """A command of the tests, numbered in order of arrival."""

    number: int
    is_poison: bool = False
    defers: int = 0


class PoisonError(ValueError):
    """What one command alone is to blame for."""


Result = str | Later
Results = Sequence[Result | Defer[Order]]
Word = str | Reason | BaseException


class PaperDatabase:
    """A `Flush` that keeps a history of what it was asked and what it committed.

    Args:
        lets_follow: whether it says so when it has sent its commit, half of its time being over;
            what fails then has been decided, and the flush behind it has begun.
    """

    def __init__(
        self,
        script: Sequence[Behaviour] = (),
        *,
        takes_s: float = 0.01,
        lets_follow: bool = False,
    ) -> None:
        self._script = list(script)
        self._usual = Behaviour(takes_s=takes_s)
        self.calls: list[list[int]] = []
        self.committed: list[int] = []  # in order of their first commit
        self.commits: Counter[int] = Counter()
        self.acks_lost: Counter[int] = Counter()
        self.deferred: set[int] = set()
        self.abandoned = 0
        self._dropped = asyncio.Event()
        self._lets_follow = lets_follow
        self._deciding = False
        self._committing = 0

    def abandon(self) -> None:
        self.abandoned += 1
        self._dropped.set()

    async def __call__(self, commands: Sequence[Order], turn: FlushTurn) -> Results:
        assert not self._deciding, "two flushes of one lane decide at once"
        assert self._lets_follow or not self._committing
        self._deciding = True
        if not self._committing:
            self._dropped.clear()
        behaviour = self._script.pop(0) if self._script else self._usual
        self.calls.append([order.number for order in commands])
        try:
            results = await self._decide(commands, behaviour, turn)
        finally:
            self._deciding = False
        self._committing += 1
        try:
            if self._lets_follow:
                turn.sent(results)
                await asyncio.sleep(behaviour.takes_s / 2)
            return await self._commit(commands, results, behaviour.ending)
        finally:
            self._committing -= 1

    async def _decide(
        self, commands: Sequence[Order], behaviour: Behaviour, turn: FlushTurn
    ) -> Results:
        await asyncio.sleep(behaviour.takes_s / (2 if self._lets_follow else 1))
        for order in commands:
            if order.is_poison and behaviour.ending is Ending.COMMITS:
                raise PoisonError(order.number)
        await turn.come_up()
        assert not self._committing, "what was decided behind another commit is committed before"
        return [self._answer(order) for order in commands]

    async def _commit(self, commands: Sequence[Order], results: Results, ending: Ending) -> Results:
        if ending is Ending.HANGS:
            await self._dropped.wait()
            raise ConnectionAbortedError("dropped by the watchdog")
        if ending is Ending.HANGS_DEAF:
            await asyncio.Event().wait()
        if ending is Ending.FAILS:
            raise ConnectionResetError("lost before the commit")
        for order in commands:
            if order.is_poison:
                raise PoisonError(order.number)
        done = [
            result if isinstance(result, Defer) else self._apply(order)
            for order, result in zip(commands, results, strict=True)
        ]
        if ending is Ending.LOSES_ACK:
            self.acks_lost.update(o.number for o in commands if not o.defers)
            raise ConnectionResetError("lost after the commit")
        return done

    def _answer(self, order: Order) -> Result | Defer[Order]:
        if order.defers:
            self.deferred.add(order.number)
            return Defer(msgspec.structs.replace(order, defers=order.defers - 1))
        return "to be done"

    def _apply(self, order: Order) -> str:
        self.commits[order.number] += 1
        if order.number in self.committed:
            return "replayed"
        self.committed.append(order.number)
        return "done"


class Ears:
    """A `LaneMeter` that remembers."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.waits: list[float] = []
        self.refusals: Counter[Reason] = Counter()
        self.retries = 0
        self.bisections = 0
        self.deferrals = 0
        self.depths: list[int] = []

    def flushed(self, batch: int, flush_s: float) -> None:
        assert flush_s >= 0
        self.batches.append(batch)

    def waited(self, longest_s: float) -> None:
        self.waits.append(longest_s)

    def refused(self, reason: Reason) -> None:
        self.refusals[reason] += 1

    def retried(self) -> None:
        self.retries += 1

    def bisected(self) -> None:
        self.bisections += 1

    def deferred(self, commands: int) -> None:
        self.deferrals += commands

    def depth(self, waiting: int) -> None:
        self.depths.append(waiting)


PaperLane = Lane[Order, Result]


def paper_lane(
    database: PaperDatabase, limits: LaneLimits | None = None, meter: Ears | None = None
) -> PaperLane:
    """Make and start a lane on the running virtual loop's clock."""
    lane: PaperLane = Lane(
        database,
        later=Later,
        fault_of=fault_of,
        limits=limits,
        meter=meter,
        monotonic=asyncio.get_running_loop().time,
    )
    lane.start()
    return lane


def said(result: Result) -> str | Reason:
    """The result in one comparable word."""
    if isinstance(result, Later):
        assert isinstance(result.outcome, LaterOutcome)
        return result.reason
    return result


def words(answers: Sequence[Answer[Result] | BaseException]) -> dict[int, Word]:
    """What became of each command, by its number: the word, or the error."""
    return {
        number: answer if isinstance(answer, BaseException) else said(answer.result)
        for number, answer in enumerate(answers, 1)
    }
