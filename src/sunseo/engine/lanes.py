"""Several lanes for one kind of command: what belongs together always goes to the same one."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sunseo.engine.lane import Answer, Lane
from sunseo.engine.part import Command, PartAnswer

C = TypeVar("C")
R = TypeVar("R")


class Lanes(Generic[C, R]):
    """The lanes of one process.

    Args:
        lanes: at least one.
        key_of: organisation and sale or room of a command; commands of one share batches.
    """

    def __init__(self, lanes: Sequence[Lane[C, R]], key_of: Callable[[C], tuple[int, int]]) -> None:
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

    def enqueue(self, command: C) -> asyncio.Future[Answer[R]]:
        """The same for whoever has no task to wait in; cancelling is going away."""
        organisation, number = self._key_of(command)
        return self._lanes[(organisation + number) % len(self._lanes)].enqueue(command)

    @property
    def expected_wait_s(self) -> float:
        """Of the busiest lane."""
        return max(lane.expected_wait_s for lane in self._lanes)


EngineLane = Lane[Command, PartAnswer]


class EngineLanes(Lanes[Command, PartAnswer]):
    """The engine's lanes of one process: what changes one sale's inventory shares batches."""

    def __init__(self, lanes: Sequence[EngineLane]) -> None:
        super().__init__(lanes, lambda command: command.home)
