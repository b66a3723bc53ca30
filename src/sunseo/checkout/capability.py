"""Where waiting room and sale meet: holds and orders of those whom a room has let in."""

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.booking.capability import BookingCapability
from sunseo.capability import Capability
from sunseo.checkout.room_access import RoomAccess
from sunseo.checkout.routes import order_endpoints
from sunseo.checkout.service import OrderService
from sunseo.engine.lanes import EngineLanes
from sunseo.room.capability import RoomCapability
from sunseo.web.endpoint import Endpoint


class CheckoutCapability(Capability):
    """Orders of one organisation; `lanes` are those of all sales."""

    def __init__(
        self,
        organisation: int,
        *,
        engine: AsyncEngine,
        lanes: EngineLanes,
        booking: BookingCapability,
        rooms: RoomCapability,
    ) -> None:
        self._booking = booking
        self._access = RoomAccess(rooms.board, rooms.service)
        self._orders = OrderService(lanes, engine, organisation, self._access)

    def endpoints(self) -> list[Endpoint]:
        return [*self._booking.hold_endpoints(self._access), *order_endpoints(self._orders)]
