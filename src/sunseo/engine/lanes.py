"""Several lanes for one kind of command: what belongs together always goes to the same one."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from sunseo.core.clock import Monotonic
from sunseo.core.later import Fault, Reason
from sunseo.engine.applying import FOLLOWING, Applier, LaneLimits
from sunseo.engine.blocked import BlockedCommands, WaitingFlush
from sunseo.engine.entry import Answer, Entry, Flush, LaneMeter, SilentMeter
from sunseo.engine.lane import Lane
from sunseo.engine.part import Command, PartAnswer

C = TypeVar("C")
R = TypeVar("R")
C_contra = TypeVar("C_contra", contravariant=True)


class OneLane(Protocol[C_contra, R]):
    """What a `Lane` is to those who bring commands."""

    def start(self) -> None: ...
    async def stop(self) -> None: ...
    def enqueue(self, command: C_contra, /) -> "asyncio.Future[Answer[R]]": ...
    @property
    def expected_wait_s(self) -> float: ...


class Lanes(Generic[C, R]):
    """The lanes of one process.

    Args:
        lanes: at least one.
        key_of: organisation and sale or room of a command; commands of one share batches.
    """

    def __init__(
        self, lanes: Sequence[OneLane[C, R]], key_of: Callable[[C], tuple[int, int]]
    ) -> None:
        self._lanes = lanes
        self._key_of = key_of

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    async def stop(self) -> None:
        for lane in self._lanes:
            await lane.stop()

    async def submit(self, command: C) -> Answer[R]:
        return await self.enqueue(command)

    def enqueue(self, command: C) -> "asyncio.Future[Answer[R]]":
        organisation, number = self._key_of(command)
        return self._lanes[(organisation + number) % len(self._lanes)].enqueue(command)

    @property
    def expected_wait_s(self) -> float:
        """Of the busiest lane."""
        return max(lane.expected_wait_s for lane in self._lanes)

    def keep_up(self, wait_max_s: float) -> bool | str:
        """Whether nobody would wait longer than that; if not, a line that says how long."""
        wait_s = self.expected_wait_s
        return wait_s <= wait_max_s or f"commands wait {wait_s:.1f} s"


class EngineLane:
    """A lane of the engine: its queue, and beside it the commands for what others have locked.

    Args:
        flush: skips what somebody else has locked.
        waiting: waits for it, on a connection of its own.
        later, fault_of, limits, meter, monotonic: as for a `Lane`.
    """

    def __init__(
        self,
        flush: Flush[Command, PartAnswer],
        waiting: WaitingFlush[Command, PartAnswer],
        *,
        later: Callable[[Reason], PartAnswer],
        fault_of: Callable[[Exception], Fault],
        limits: LaneLimits = FOLLOWING,
        meter: LaneMeter | None = None,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        meter = meter or SilentMeter()
        self._lane: Lane[Command, PartAnswer] = Lane(
            flush,
            later=later,
            fault_of=fault_of,
            limits=limits,
            meter=meter,
            monotonic=monotonic,
            on_missed=self._note_missed,
        )
        applier = Applier(
            waiting,
            later=later,
            fault_of=fault_of,
            limits=limits,
            meter=meter,
            monotonic=monotonic,
            pause=asyncio.sleep,
        )
        self._blocked: BlockedCommands[tuple[int, int], Command, PartAnswer] = BlockedCommands(
            waiting, applier, limits, monotonic, self._hand_back
        )
        self._is_stopping = False

    def start(self) -> None:
        self._lane.start()
        self._blocked.start()

    async def stop(self) -> None:
        self._is_stopping = True
        await self._lane.stop()
        await self._blocked.stop()

    async def submit(self, command: Command) -> Answer[PartAnswer]:
        """See `Lane.submit`."""
        return await self.enqueue(command)

    def enqueue(self, command: Command) -> "asyncio.Future[Answer[PartAnswer]]":
        if command.home in self._blocked:
            return self._blocked.enqueue(command.home, command)
        return self._lane.enqueue(command)

    @property
    def expected_wait_s(self) -> float:
        return self._lane.expected_wait_s

    def _note_missed(self, entries: Sequence[Entry[Command, PartAnswer]]) -> None:
        """Have all commands of a home wait elsewhere once one was missed twice in a row."""
        homes = {entry.command.home for entry in entries if entry.misses > 1}
        if not homes:
            return
        moving: dict[tuple[int, int], list[Entry[Command, PartAnswer]]] = {h: [] for h in homes}
        for entry in self._lane.withdraw(lambda command: command.home in homes):
            moving[entry.command.home].append(entry)
        for home, waiting in moving.items():
            self._blocked.adopt(home, waiting)

    def _hand_back(
        self, home: tuple[int, int], entries: Sequence[Entry[Command, PartAnswer]]
    ) -> None:
        if self._is_stopping:  # nobody may be there any more to take them
            self._blocked.adopt(home, entries)
            return
        for entry in entries:
            entry.misses = 0
        self._lane.put_back(entries)


class EngineLanes(Lanes[Command, PartAnswer]):
    """The engine's lanes of one process: what changes one sale's inventory shares batches."""

    def __init__(self, lanes: Sequence[EngineLane]) -> None:
        super().__init__(lanes, lambda command: command.home)
