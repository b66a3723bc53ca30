"""The inventory's lanes of one process."""

from collections.abc import Sequence

from sunseo.booking.batch import InventoryAnswer
from sunseo.booking.commands import InventoryCommand
from sunseo.core.lane import Lane
from sunseo.core.lanes import Lanes

InventoryLane = Lane[InventoryCommand, InventoryAnswer]


class InventoryLanes(Lanes[InventoryCommand, InventoryAnswer]):
    """A sale always maps to the same lane."""

    def __init__(self, lanes: Sequence[InventoryLane]) -> None:
        super().__init__(lanes, lambda command: command.sale)
