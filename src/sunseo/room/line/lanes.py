"""The rooms' store: the lanes of one process on PostgreSQL, and the interface of any store."""

from collections.abc import Sequence
from typing import Protocol

from sunseo.core.later import Later
from sunseo.engine.entry import Answer
from sunseo.engine.lane import Lane
from sunseo.engine.lanes import Lanes
from sunseo.room.line.commands import RoomCommand
from sunseo.room.line.rules import RoomAnswer

StoreAnswer = RoomAnswer | Later
"""What a store answers: an outcome of the command's own, or that it cannot tell."""

RoomLane = Lane[RoomCommand, StoreAnswer]


class RoomStore(Protocol):
    """Keeps lines, places and passes; `tests/store/room_conformance.py` says how.

    An answer other than LATER is durable, whatever becomes of the process that gave it.
    """

    async def submit(self, command: RoomCommand) -> Answer[StoreAnswer]: ...


class RoomLanes(Lanes[RoomCommand, StoreAnswer]):
    """A room always maps to the same lane."""

    def __init__(self, lanes: Sequence[RoomLane]) -> None:
        super().__init__(lanes, lambda command: command.room)
