"""Several lanes for one kind of command: what belongs together always goes to the same one."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sunseo.engine.entry import Answer
from sunseo.engine.lane import Lane
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
        organisation, number = self._key_of(command)
        return await self._lanes[(organisation + number) % len(self._lanes)].submit(command)

    @property
    def expected_wait_s(self) -> float:
        """Of the busiest lane."""
        return max(lane.expected_wait_s for lane in self._lanes)


EngineLane = Lane[Command, PartAnswer]


class EngineLanes(Lanes[Command, PartAnswer]):
    """The engine's lanes of one process: what changes one sale's inventory shares batches."""

    def __init__(self, lanes: Sequence[EngineLane]) -> None:
        super().__init__(lanes, lambda command: command.home)
