"""A room with a line: numbers in the order of coming, called as others leave."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from sunseo.rehearsal.crowd.behaviour import LOSABLE
from sunseo.rehearsal.crowd.visit import Visit, WayIn
from sunseo.rehearsal.observe.ledger import DriverRecord
from sunseo.rehearsal.scenes.scene import Entrance, RehearsedRoom, Texts
from sunseo.rehearsal.target.operator import Operator, Setup
from sunseo.rehearsal.verdict.evidence import CheckFunction
from sunseo.rehearsal.verdict.line import (
    first_come,
    nobody_above_serving,
    one_place_each,
    within_capacity,
)

CAPACITY_PART, CAPACITY_MIN = 10, 10  # one inside for so many units, so many at least
RENEWAL_GRACE_S = 10  # as a room has it if nothing is said
POLL_CEILING_S = (5, 60)
"""A minute in life; where visitors are quicker than there, the whole sale may not last so long."""


class LineEntrance(Entrance, frozen=True, kw_only=True):
    """
    Attributes:
        inside: visitors at once; a part of the units if not given.
    """

    inside: Annotated[int, Meta(ge=1)] | None = None

    tiles: ClassVar[Sequence[str]] = ("line",)
    texts: ClassVar[Texts] = {
        "ko": {
            "check.one-place": "한 사람에게 번호 하나, 번호 하나에 한 사람입니다",
            "check.first-come": "이미 번호를 받은 사람보다 앞선 번호를 나중에 받은 사람이 없습니다",
            "check.above-serving": "불리기 전에 들어간 사람이 없습니다",
            "check.capacity": "안에 있는 사람이 정원을 넘은 적이 없습니다",
            "funnel.in_line": "번호 받음",
            "funnel.entered": "입장",
        },
        "en": {
            "check.one-place": "Everybody has one place, and every place is one person's",
            "check.first-come": "Nobody was given a place ahead of somebody who already had hers",
            "check.above-serving": "Nobody entered before being called",
            "check.capacity": "There were never more inside than the room takes",
            "funnel.in_line": "got a place",
            "funnel.entered": "entered",
        },
    }

    @property
    def checks(self) -> Mapping[str, CheckFunction]:
        return {
            "one-place": one_place_each,
            "first-come": first_come,
            "above-serving": nobody_above_serving,
            "capacity": within_capacity,
        }

    @property
    def way_in(self) -> WayIn:
        return Visit.line_up

    def capacity(self, units: int) -> int:
        return self.inside or max(CAPACITY_MIN, units // CAPACITY_PART)

    def sales_open(self, moments: Sequence[datetime]) -> Sequence[datetime]:
        """At once: the room keeps everybody out until then."""
        return [datetime.now(UTC)] * len(moments)

    async def set_up(self, operator: Operator, sales: list[int], terms: RehearsedRoom) -> Setup:
        request = {
            "name": "Rehearsal",
            "sale": sales[0] if sales else None,
            "settings": self.settings(terms),
        }
        room = int((await operator.post("/v1/rooms", request))["room"])
        return Setup(sales, room)

    def settings(self, terms: RehearsedRoom) -> dict[str, Any]:
        shortest, longest = POLL_CEILING_S
        poll_ceiling_s = min(longest, max(shortest, round(4 * terms.session_s)))
        pass_ttl_s = min(60, max(10, round(3 * terms.session_s)))
        return {
            "capacity": terms.capacity,
            "opens_at": terms.opens_at.isoformat(),
            "pass_ttl_s": pass_ttl_s,
            "renewal_grace_s": min(RENEWAL_GRACE_S, pass_ttl_s - 1),
            "grace_s": 2 * poll_ceiling_s,
            "poll_ceiling_s": poll_ceiling_s,
            "units_per_buyer": 2.0,
            "mode": "fifo",
        }

    @asynccontextmanager
    async def during(self, operator: Operator, setup: Setup, zero: float) -> AsyncIterator[None]:  # noqa: ARG002 - the room does it all
        yield

    def funnel(self, record: DriverRecord) -> dict[str, int]:
        ledger = record.ledger
        return {
            "in_line": len({place.visitor for place in ledger.placed}),
            "entered": len({entered.visitor for entered in ledger.entered}),
        }

    def plan(self) -> dict[str, object]:
        return {"has_room": True, "losable": list(LOSABLE)}
