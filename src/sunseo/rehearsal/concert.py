"""The sale that the crowd comes for, set up as an operator would: over REST, with her key."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp

from sunseo.rehearsal.buyers import PERSON_LIMIT
from sunseo.rehearsal.driver import HallPlan, Json, NoAnswerError

SEATS_A_ROW = 50
HOLD_TTL_S = 5  # short, so that what is abandoned comes back while the crowd is still there
DATES = ("Friday", "Saturday")


class Concert:
    """Two dates with `seats` seats each, and `standing` places each."""

    def __init__(self, seats: int, standing: int) -> None:
        self.seats = seats
        self.standing = standing

    @property
    def capacity(self) -> int:
        return len(DATES) * (self.seats + self.standing)

    async def create(self, session: aiohttp.ClientSession, key: str) -> int:
        """Create the sale; returns its number."""
        now = datetime.now(UTC)
        sale = await _post(session, "/v1/sales", key, self._sale(now))
        number: int = sale["sale"]
        await _post(session, f"/v1/sales/{number}/seats", key, {"blocks": self._blocks()})
        await _post(session, f"/v1/sales/{number}/stocks", key, self._stocks())
        return number

    async def read_plan(self, session: aiohttp.ClientSession, sale: int) -> HallPlan:
        """Read the seats as a buyer's seat picker does, and put the best first."""
        seats = {}
        for occasion in range(1, len(DATES) + 1):
            path = f"/v1/sales/{sale}/seats?occasion={occasion}"
            async with session.get(path) as response:
                listed = (await response.json())["seats"]
            middle = sum(seat["x"] for seat in listed) / len(listed)
            best = sorted(enumerate(listed), key=lambda pair: _distance(pair[1], middle))
            seats[occasion] = [(place, seat["seat"]) for place, seat in best]
        async with session.get(f"/v1/sales/{sale}") as response:
            told = await response.json()
        return HallPlan(
            seats=seats,
            products={p["draws"][0]["stock"]: p["product"] for p in told["products"]},
            names={one["occasion"]: one["name"] for one in told["occasions"]},
        )

    def _sale(self, now: datetime) -> Json:
        evenings = [now + timedelta(days=30 + day) for day in range(len(DATES))]
        return {
            "template": "concert",
            "name": "Rehearsal: two nights",
            "currency": "KRW",
            "time_zone": "Asia/Seoul",
            "opens_at": now.isoformat(),
            "hold_ttl_s": HOLD_TTL_S,
            "order_limit": PERSON_LIMIT,
            "occasion_limit": PERSON_LIMIT,
            "person_limit": PERSON_LIMIT,
            "price_classes": [{"name": "Free for this rehearsal", "price": 0}],
            "occasions": [
                {"name": name, "starts_at": evening.isoformat()}
                for name, evening in zip(DATES, evenings, strict=True)
            ],
        }

    def _blocks(self) -> list[Json]:
        whole, rest = divmod(self.seats, SEATS_A_ROW)
        blocks: list[Json] = []
        for occasion in range(1, len(DATES) + 1):
            common = {"occasion": occasion, "price_class": 1}
            if whole:
                size = {"rows": whole, "seats_per_row": SEATS_A_ROW}
                blocks.append({**common, "section": "Hall", **size})
            if rest:
                size = {"rows": 1, "seats_per_row": rest}
                blocks.append({**common, "section": "Balcony", **size})
        return blocks

    def _stocks(self) -> Json:
        numbers = range(1, len(DATES) + 1)
        return {
            "stocks": [
                {"occasion": number, "name": "standing", "capacity": self.standing}
                for number in numbers
            ],
            "products": [
                {
                    "name": f"Standing, {DATES[number - 1]}",
                    "price": 0,
                    "draws": [{"stock": number, "units": 1}],
                }
                for number in numbers
            ],
        }


def _distance(seat: Json, middle: float) -> float:
    """From the middle of the first row, sideways counted half."""
    y: float = seat["y"]
    x: float = seat["x"]
    return y + abs(x - middle) / 2


async def _post(session: aiohttp.ClientSession, path: str, key: str, body: Json) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": str(uuid4())}
    async with session.post(path, headers=headers, json=body) as response:
        told: dict[str, Any] = await response.json(content_type=None)
        if response.status not in (200, 201):
            raise NoAnswerError(f"{path} was answered {response.status}: {told.get('detail')}")
        return told
