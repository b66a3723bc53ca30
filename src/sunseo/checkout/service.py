"""What persons can do with orders: a command for the inventory's lane, and cold reads."""

import asyncio
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.checkout.bodies import OrderRequest
from sunseo.checkout.commands import PlaceOrder
from sunseo.checkout.part import order_of
from sunseo.checkout.room_access import RoomAccess
from sunseo.checkout.rules import Order
from sunseo.core.ids import Person, effect_id, request_digest
from sunseo.engine.entry import Answer
from sunseo.engine.lanes import EngineLanes
from sunseo.engine.part import PartAnswer
from sunseo.postgres.queries import load_cold_queries

_QUERIES = load_cold_queries("sunseo.checkout")

OWN_ROWS_MAX = 200  # a person's orders in one sale that one answer lists


class OrderService:
    """One organisation's, in one process."""

    def __init__(
        self,
        lanes: EngineLanes,
        engine: AsyncEngine,
        organisation: int,
        access: RoomAccess | None = None,
    ) -> None:
        self._lanes = lanes
        self._engine = engine
        self._organisation = organisation
        self._access = access

    def place(
        self, person: Person, key: str, sale: int, request: OrderRequest
    ) -> asyncio.Future[Answer[PartAnswer]]:
        """Order for a person."""
        return self._lanes.enqueue(
            PlaceOrder(
                sale=(self._organisation, sale),
                effect=effect_id(person, sale, "place_order", key),
                person=person.id,
                hold=request.hold,
                beneficiary=request.beneficiary,
                request_digest=request_digest(request),
            )
        )

    def give_back(self, person: Person, sale: int, shown: str | None) -> None:
        """Give back the slot of the pass that she has shown with an order which stands."""
        if self._access is not None and shown is not None:
            self._access.release(person, sale, shown)

    async def own(
        self, person: Person, sale: int, order: UUID | None = None
    ) -> list[tuple[Order, str]]:
        """Read a person's own orders in a sale, each with its currency, or only the one named."""
        async with self._engine.connect() as connection:
            found = await connection.execute(
                _QUERIES["read_orders"],
                {
                    "organisation": self._organisation,
                    "sale": sale,
                    "person": person.id,
                    "order": order,
                    "rows_max": OWN_ROWS_MAX,
                },
            )
            return [(order_of(row), row["currency"]) for row in found.mappings()]
