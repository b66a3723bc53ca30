"""No room: who comes looks at what there is, again and again, until it opens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sunseo.rehearsal.crowd.visit import Visit, WayIn
from sunseo.rehearsal.scenes.scene import Entrance, RehearsedRoom
from sunseo.rehearsal.target.operator import Operator, Setup


class OpenEntrance(Entrance, frozen=True, kw_only=True):
    """Nobody stands in line."""

    @property
    def way_in(self) -> WayIn:
        return Visit.look_until_open

    async def set_up(self, operator: Operator, sales: list[int], terms: RehearsedRoom) -> Setup:  # noqa: ARG002 - there is no room
        return Setup(sales, None)

    @asynccontextmanager
    async def during(self, operator: Operator, setup: Setup, zero: float) -> AsyncIterator[None]:  # noqa: ARG002 - nothing is done
        yield

    def plan(self) -> dict[str, object]:
        return {"has_room": False, "losable": ["hold", "order"]}
