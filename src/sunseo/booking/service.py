"""What persons can do with holds: commands for the lane, and cold reads of their own."""

import asyncio
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.booking.bodies import HoldBody, HoldRequest, hold_body
from sunseo.booking.commands import (
    PlaceHold,
    PlaceHoldOutcome,
    ReleaseHold,
    RenewHold,
    RoomAdmission,
)
from sunseo.booking.locked import hold_of
from sunseo.booking.rules import HoldAnswer
from sunseo.booking.setup.setup import QUERIES
from sunseo.core.ids import Person, effect_id, request_digest
from sunseo.engine.entry import Answer
from sunseo.engine.lanes import EngineLanes
from sunseo.engine.part import PartAnswer
from sunseo.identity.persons import GUEST_ISSUER

OWN_ROWS_MAX = 200  # a person's holds in one sale that one answer lists


class RoomAccessRule(Protocol):
    """The waiting rooms in front of sales."""

    def admission_of(self, person: Person, sale: int, shown: str | None) -> RoomAdmission | None:
        """What a pass says for this person, or none where the sale has no waiting room."""
        ...


class NoRoomAccess:
    """Where there are no waiting rooms."""

    def admission_of(self, _person: Person, _sale: int, _shown: str | None) -> None:
        return None


class HoldService:
    """One organisation's, in one process.

    Args:
        stopped_by: why no new holds are taken at the moment, whatever the sale, if they are not.
        access: looked at by every new hold; whether a pass is still live is for the rules to say.
    """

    def __init__(
        self,
        lanes: EngineLanes,
        engine: AsyncEngine,
        organisation: int,
        stopped_by: Callable[[], PlaceHoldOutcome | None] = lambda: None,
        access: RoomAccessRule | None = None,
    ) -> None:
        self._lanes = lanes
        self._engine = engine
        self._organisation = organisation
        self._stopped_by = stopped_by
        self._access = access or NoRoomAccess()

    def place(
        self,
        person: Person,
        key: str,
        sale: int,
        request: HoldRequest,
        shown: str | None = None,
    ) -> asyncio.Future[Answer[PartAnswer]]:
        """Hold for a person; `shown` is the pass that she sent along."""
        if (stop := self._stopped_by()) is not None:
            return _at_once(HoldAnswer(stop))
        return self._lanes.enqueue(
            PlaceHold(
                sale=(self._organisation, sale),
                effect=effect_id(person, sale, "place_hold", key),
                person=person.id,
                seats=request.seats,
                products=tuple([(q.product, q.quantity) for q in request.products]),
                request_digest=request_digest(request),
                admission=self._access.admission_of(person, sale, shown),
                is_guest=person.issuer == GUEST_ISSUER,
            )
        )

    def renew(
        self, person: Person, key: str, sale: int, hold: UUID
    ) -> asyncio.Future[Answer[PartAnswer]]:
        # The hold is part of the operation: one key may renew several holds, each of them once.
        effect = effect_id(person, sale, f"renew_hold {hold}", key)
        return self._lanes.enqueue(RenewHold((self._organisation, sale), effect, person.id, hold))

    def release(self, person: Person, sale: int, hold: UUID) -> asyncio.Future[Answer[PartAnswer]]:
        return self._lanes.enqueue(ReleaseHold((self._organisation, sale), person.id, hold))

    async def own(self, person: Person, sale: int, hold: UUID | None = None) -> list[HoldBody]:
        """Read a person's own holds in a sale, the newest first, or only the one named."""
        async with self._engine.connect() as connection:
            found = await connection.execute(
                QUERIES["read_holds"],
                {
                    "organisation": self._organisation,
                    "sale": sale,
                    "person": person.id,
                    "hold": hold,
                    "rows_max": OWN_ROWS_MAX,
                },
            )
            return [
                hold_body(
                    hold_of(row),
                    row["currency"],
                    max(0, row["renewals_max"] - len(row["renewals"])),
                    row["now"],
                )
                for row in found.mappings()
            ]


def _at_once(result: PartAnswer) -> asyncio.Future[Answer[PartAnswer]]:
    """An answer for which no lane is needed."""
    answer: asyncio.Future[Answer[PartAnswer]] = asyncio.get_running_loop().create_future()
    answer.set_result(Answer(result, 0.0, 0.0))
    return answer
