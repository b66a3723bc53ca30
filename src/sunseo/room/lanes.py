"""The rooms' store: the lanes of one process on PostgreSQL, and the interface of any store."""

from collections.abc import Sequence
from typing import Protocol

from sunseo.core.lane import Answer, Lane, Later
from sunseo.room.commands import RoomCommand
from sunseo.room.rules import RoomAnswer

StoreAnswer = RoomAnswer | Later
"""What a store answers: an outcome of the command's own, or that it cannot tell."""

RoomLane = Lane[RoomCommand, StoreAnswer]


class RoomStore(Protocol):
    """Keeps lines, places and passes; `tests/store/room_conformance.py` says how.

    An answer other than LATER is durable, whatever becomes of the process that gave it.
    """

    async def submit(self, command: RoomCommand) -> Answer[StoreAnswer]: ...


class RoomLanes:
    """A room always maps to the same lane, so that its commands share batches."""

    def __init__(self, lanes: Sequence[RoomLane]) -> None:
        self._lanes = lanes

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    async def stop(self) -> None:
        for lane in self._lanes:
            await lane.stop()

    async def submit(self, command: RoomCommand) -> Answer[StoreAnswer]:
        organisation, room = command.room
        return await self._lanes[(organisation + room) % len(self._lanes)].submit(command)

    @property
    def expected_wait_s(self) -> float:
        """Of the busiest lane."""
        return max(lane.expected_wait_s for lane in self._lanes)
