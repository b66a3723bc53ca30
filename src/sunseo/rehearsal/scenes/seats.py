"""Seats: one occasion with a seat map, from which visitors choose, collide, and choose again."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Annotated, Any, ClassVar, Self

import aiohttp
import msgspec
from msgspec import Meta

from sunseo.rehearsal.crowd.picking import (
    FAVOURITES,
    AvailabilityBody,
    Claim,
    FreeItems,
    Goods,
    RankedSeats,
    availability_of,
    pick,
    seat_map_of,
)
from sunseo.rehearsal.scenes.sale import PersonLimit, SaleScene
from sunseo.rehearsal.scenes.scene import Texts
from sunseo.rehearsal.verdict.evidence import CheckFunction
from sunseo.rehearsal.verdict.sold import one_owner

SEATS_A_ROW = 50


class SeatGoods(Goods):
    """Seats as visitors see and claim them."""

    def __init__(self, seat_map: RankedSeats, person_limit: int) -> None:
        super().__init__(person_limit)
        self._seat_map = seat_map

    def read(self, document: AvailabilityBody) -> FreeItems:
        return availability_of(self._seat_map, document.occasions[0].states)

    def pick(self, view: FreeItems, wanted: int, attempt: int, dice: Random) -> Claim:
        return {"seats": pick(view, wanted, attempt, dice)}

    def claim_one(self, item: int) -> Claim:
        return {"seats": (item,)}


class SeatSale(SaleScene, frozen=True, kw_only=True, tag="seats"):
    """
    Attributes:
        units: seats, all together.
        person_limit: so many may one person have.
    """

    units: Annotated[int, Meta(ge=1, le=50_000)] = 2_000
    person_limit: PersonLimit = 4

    texts: ClassVar[Texts] = {
        "ko": {"check.one-owner": "두 번 팔린 좌석이 없습니다"},
        "en": {"check.one-owner": "No seat was sold twice"},
    }

    @property
    def own_checks(self) -> Mapping[str, CheckFunction]:
        return {"one-owner": one_owner}

    def with_units(self, units: int) -> Self:
        return msgspec.structs.replace(self, units=units)

    def stock(self) -> tuple[str, dict[str, Any]]:
        return "seats", {"blocks": blocks(self.units)}

    async def load_goods(self, session: aiohttp.ClientSession, sales: Sequence[int]) -> Goods:
        """The seat map does not change."""
        async with session.get(f"/v1/sales/{sales[0]}/seats?occasion=1") as response:
            return SeatGoods(seat_map_of((await response.json())["seats"]), self.person_limit)

    def plan(self) -> dict[str, object]:
        return {"has_seats": True, "favourites": FAVOURITES}


def blocks(seats: int) -> list[dict[str, Any]]:
    """Whole rows in the hall, and a shorter one on the balcony for the rest."""
    whole, rest = divmod(seats, SEATS_A_ROW)
    every = {"occasion": 1, "price_class": 1}
    found: list[dict[str, Any]] = []
    if whole:
        found.append(every | {"section": "Hall", "rows": whole, "seats_per_row": SEATS_A_ROW})
    if rest:
        found.append(every | {"section": "Balcony", "rows": 1, "seats_per_row": rest})
    return found
