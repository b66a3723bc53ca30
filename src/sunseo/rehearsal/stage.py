"""The sale and the room that the crowd comes for, set up as an operator would: over REST."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from sunseo.rehearsal.scenario import Scenario

SEATS_A_ROW = 50
POLL_CEILING_S = (5, 60)
"""A minute in life; where visitors are quicker than there, the whole sale may not last so long."""


class StageError(Exception):
    """The server refuses to set up the scene; one line says why."""


class Scenery(msgspec.Struct, frozen=True):
    """What has been set up."""

    sale: int
    room: int


async def set_up(
    session: aiohttp.ClientSession, key: str, scenario: Scenario, opens_at: datetime
) -> Scenery:
    """Create sale, seats and room.

    Raises:
        StageError: something was refused.
    """
    sale = (await _post(session, "/v1/sales", key, _sale(scenario)))["sale"]
    await _post(session, f"/v1/sales/{sale}/seats", key, {"blocks": _blocks(scenario.units)})
    room = (await _post(session, "/v1/rooms", key, _room(scenario, sale, opens_at)))["room"]
    return Scenery(int(sale), int(room))


def _sale(scenario: Scenario) -> dict[str, Any]:
    limit = scenario.sale.person_limit
    now = datetime.now(UTC)
    evening = now + timedelta(days=30)
    return {
        "template": "concert",
        "name": "Rehearsal: one night",
        "currency": "KRW",
        "time_zone": "Asia/Seoul",
        "opens_at": now.isoformat(),
        "hold_ttl_s": max(10, round(3 * scenario.session_s)),
        "order_limit": limit,
        "occasion_limit": limit,
        "person_limit": limit,
        "price_classes": [{"name": "Free for this rehearsal", "price": 0}],
        "occasions": [{"name": "Friday", "starts_at": evening.isoformat()}],
    }


def _blocks(seats: int) -> list[dict[str, Any]]:
    whole, rest = divmod(seats, SEATS_A_ROW)
    common = {"occasion": 1, "price_class": 1}
    blocks: list[dict[str, Any]] = []
    if whole:
        blocks.append(common | {"section": "Hall", "rows": whole, "seats_per_row": SEATS_A_ROW})
    if rest:
        blocks.append(common | {"section": "Balcony", "rows": 1, "seats_per_row": rest})
    return blocks


def _room(scenario: Scenario, sale: int, opens_at: datetime) -> dict[str, Any]:
    session_s = scenario.session_s
    shortest, longest = POLL_CEILING_S
    poll_ceiling_s = min(longest, max(shortest, round(4 * session_s)))
    return {
        "name": "Rehearsal",
        "sale": sale,
        "settings": {
            "capacity": scenario.capacity,
            "opens_at": opens_at.isoformat(),
            "pass_ttl_s": min(60, max(10, round(3 * session_s))),
            "renewal_grace_s": 5,
            "grace_s": 2 * poll_ceiling_s,
            "poll_ceiling_s": poll_ceiling_s,
            "units_per_buyer": 2.0,
        },
    }


async def _post(
    session: aiohttp.ClientSession, path: str, key: str, body: dict[str, Any]
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": str(uuid4())}
    async with session.post(path, headers=headers, json=body) as response:
        told: dict[str, Any] = await response.json(content_type=None)
        if response.status not in (200, 201):
            raise StageError(f"{path} was answered {response.status}: {told.get('detail')}")
        return told
