"""The inventory's lanes of one process."""

from collections.abc import Sequence

from sunseo.booking.batch import InventoryAnswer
from sunseo.booking.commands import InventoryCommand
from sunseo.core.lane import Answer, Lane

InventoryLane = Lane[InventoryCommand, InventoryAnswer]


class InventoryLanes:
    """A sale always maps to the same lane, so that its commands share batches."""

    def __init__(self, lanes: Sequence[InventoryLane]) -> None:
        self._lanes = lanes

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    async def stop(self) -> None:
        for lane in self._lanes:
            await lane.stop()

    async def submit(self, command: InventoryCommand) -> Answer[InventoryAnswer]:
        organisation, sale = command.sale
        return await self._lanes[(organisation + sale) % len(self._lanes)].submit(command)

    @property
    def expected_wait_s(self) -> float:
        """Of the busiest lane."""
        return max(lane.expected_wait_s for lane in self._lanes)
