"""Slots: many small sales of appointments, in equal parts at each opening of `arrivals`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from sunseo.rehearsal.scenes.sale import PersonLimit
from sunseo.rehearsal.scenes.stock import CountedSale

SLOT = timedelta(minutes=10)


class SlotSale(CountedSale, frozen=True, kw_only=True, tag="slots"):
    """
    Attributes:
        sales: all of them.
        slots: appointments, one after another, in each sale.
        slot_units: persons whom one appointment takes.
        person_limit: appointments that one person may have in a sale.
    """

    sales: Annotated[int, Meta(ge=1, le=1_000)] = 300
    slots: Annotated[int, Meta(ge=1, le=1_000)] = 24
    slot_units: Annotated[int, Meta(ge=1, le=1_000)] = 3
    person_limit: PersonLimit = 1

    @property
    def units(self) -> int:
        return self.sales * self.slots * self.slot_units

    def with_units(self, units: int) -> Self:
        """As near to so many as whole slots come."""
        slots = max(1, round(units / (self.sales * self.slot_units)))
        return msgspec.structs.replace(self, slots=slots)

    def stocks(self) -> list[dict[str, Any]]:
        """An appointment every ten minutes."""
        morning = datetime.now(UTC) + timedelta(days=1)
        starts = [morning + place * SLOT for place in range(self.slots)]
        return [
            {
                "occasion": 1,
                "name": f"Appointment {place}",
                "capacity": self.slot_units,
                "starts_at": start.isoformat(),
                "ends_at": (start + SLOT).isoformat(),
            }
            for place, start in enumerate(starts, 1)
        ]
