"""The lanes of one process: they gather what is submitted, for a store to decide in batches."""

from collections.abc import Sequence

from sunseo.core.later import Later
from sunseo.engine.lane import Lane
from sunseo.engine.lanes import Lanes
from sunseo.room.line.commands import RoomCommand
from sunseo.room.line.rules import RoomAnswer

StoreAnswer = RoomAnswer | Later
"""What a store answers: an outcome of the command's own, or that it cannot tell."""

RoomLane = Lane[RoomCommand, StoreAnswer]


class RoomLanes(Lanes[RoomCommand, StoreAnswer]):
    """A room always maps to the same lane."""

    def __init__(self, lanes: Sequence[RoomLane]) -> None:
        super().__init__(lanes, lambda command: command.room)
