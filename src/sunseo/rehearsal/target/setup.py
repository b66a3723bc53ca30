"""The sale and the room that the crowd comes for, set up as an operator would: over REST."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from sunseo.rehearsal.attempt import AttemptError
from sunseo.rehearsal.scenes.scenario import Scenario, SeatSale, SlotSale, StockSale
from sunseo.room.draw.rules import commitment_of, new_secret

SEATS_A_ROW = 50
SLOT = timedelta(minutes=10)
SALE_S = 0.05  # to set up each of many sales, on a busy machine
AT_ONCE = 8  # sales being created: the server is to be fresh when the crowd comes
TRIES = 5
RENEWAL_GRACE_S = 10  # as a room has it if nothing is said
POLL_CEILING_S = (5, 60)
"""A minute in life; where visitors are quicker than there, the whole sale may not last so long."""


class SetupError(AttemptError):
    """The server refuses to set up the scene; one line says why."""


class Setup(msgspec.Struct, frozen=True):
    """What has been set up: sales, those of each opening in turn, and the room in front of them."""

    sales: list[int]
    room: int | None
    draw_secret: str = ""  # promised to those who register; empty where no numbers are drawn

    @property
    def summary(self) -> str:
        if not self.sales:
            return f"Room {self.room}"
        sales = f"Sale {self.sales[0]}" if len(self.sales) == 1 else f"{len(self.sales)} sales"
        return sales if self.room is None else f"{sales} behind room {self.room}"


def setup_s(scenario: Scenario) -> float:
    """How long to leave for setting it up, before anybody comes."""
    return SALE_S * scenario.sales


async def set_up(
    session: aiohttp.ClientSession, key: str, scenario: Scenario, zero: datetime
) -> Setup:
    """Create sales with what they sell, and the room where there is one; `zero` is T0.

    Raises:
        SetupError: something was refused.
    """
    operator = Operator(session, key)
    openings = scenario.arrivals.openings_s
    count = scenario.sales
    opens_at = [zero + timedelta(seconds=openings[place % len(openings)]) for place in range(count)]
    if scenario.room is not None:  # it keeps the door until then
        opens_at = [datetime.now(UTC)] * count
    at_once = asyncio.Semaphore(AT_ONCE)

    async def create(moment: datetime) -> int:
        async with at_once:
            return await _sell(operator, scenario, moment)

    sales = await asyncio.gather(*map(create, opens_at))
    if scenario.room is None:
        return Setup(sales, None)
    room = (await operator.post("/v1/rooms", _room(scenario, sales[0] if sales else None, zero)))[
        "room"
    ]
    return Setup(sales, int(room), await _promise(operator, int(room)) if scenario.draws else "")


async def _promise(operator: "Operator", room: int) -> str:
    """Commit to the secret of a draw; returns it."""
    secret = new_secret()
    promised = {"committer": "This rehearsal", "independent": False}
    commitment = {"commitment": commitment_of(secret).hex()}
    await operator.post(f"/v1/rooms/{room}/draw/commit", promised | commitment)
    return secret.hex()


async def hold_draw(operator: "Operator", setup: Setup, wait_s: float) -> None:
    """After so long end registration and draw the numbers.

    Raises:
        SetupError: it was refused.
    """
    await asyncio.sleep(wait_s)
    draw = f"/v1/rooms/{setup.room}/draw"
    await operator.post(f"{draw}/seal", None, unless="already_sealed")  # by the server, at T0
    await operator.post(f"{draw}/reveal", {"secret": setup.draw_secret})


async def _sell(operator: "Operator", scenario: Scenario, opens_at: datetime) -> int:
    sale = int((await operator.post("/v1/sales", _sale(scenario, opens_at)))["sale"])
    if isinstance(scenario.sale, SeatSale):
        await operator.post(f"/v1/sales/{sale}/seats", {"blocks": _blocks(scenario.units)})
    elif scenario.sale is not None:
        await operator.post(f"/v1/sales/{sale}/stocks", _stocks(scenario.sale))
    return sale


def _sale(scenario: Scenario, opens_at: datetime) -> dict[str, Any]:
    limit = scenario.person_limit
    evening = opens_at + timedelta(days=30)
    return {
        "template": "concert",
        "name": "Rehearsal",
        "currency": "KRW",
        "time_zone": "Asia/Seoul",
        "opens_at": opens_at.isoformat(),
        "hold_ttl_s": max(10, round(3 * scenario.session_s)),
        "order_limit": limit,
        "occasion_limit": limit,
        "person_limit": limit,
        "persons": "guests",  # as which a part of the crowd comes
        "price_classes": [{"name": "Free for this rehearsal", "price": 0}],
        "occasions": [{"name": "The day", "starts_at": evening.isoformat()}],
    }


def _stocks(sale: StockSale | SlotSale) -> dict[str, Any]:
    """One stock, or an appointment every ten minutes; a product of each, with the same number."""
    stocks: list[dict[str, Any]] = [{"occasion": 1, "name": "Coupon", "capacity": sale.units}]
    if isinstance(sale, SlotSale):
        morning = datetime.now(UTC) + timedelta(days=1)
        starts = [morning + place * SLOT for place in range(sale.slots)]
        stocks = [
            {
                "occasion": 1,
                "name": f"Appointment {place}",
                "capacity": sale.slot_units,
                "starts_at": start.isoformat(),
                "ends_at": (start + SLOT).isoformat(),
            }
            for place, start in enumerate(starts, 1)
        ]
    products = [
        {"name": stock["name"], "price": 0, "draws": [{"stock": number}]}
        for number, stock in enumerate(stocks, 1)
    ]
    return {"stocks": stocks, "products": products}


def _blocks(seats: int) -> list[dict[str, Any]]:
    whole, rest = divmod(seats, SEATS_A_ROW)
    common = {"occasion": 1, "price_class": 1}
    blocks: list[dict[str, Any]] = []
    if whole:
        blocks.append(common | {"section": "Hall", "rows": whole, "seats_per_row": SEATS_A_ROW})
    if rest:
        blocks.append(common | {"section": "Balcony", "rows": 1, "seats_per_row": rest})
    return blocks


def _room(scenario: Scenario, sale: int | None, opens_at: datetime) -> dict[str, Any]:
    session_s = scenario.session_s
    shortest, longest = POLL_CEILING_S
    poll_ceiling_s = min(longest, max(shortest, round(4 * session_s)))
    pass_ttl_s = min(60, max(10, round(3 * session_s)))
    return {
        "name": "Rehearsal",
        "sale": sale,
        "settings": {
            "capacity": scenario.capacity,
            "opens_at": opens_at.isoformat(),
            "pass_ttl_s": pass_ttl_s,
            "renewal_grace_s": min(RENEWAL_GRACE_S, pass_ttl_s - 1),
            "grace_s": 2 * poll_ceiling_s,
            "poll_ceiling_s": poll_ceiling_s,
            "units_per_buyer": 2.0,
            "mode": "random" if scenario.draws else "fifo",
        },
    }


class Operator:
    """Who sets up, with a key, over REST."""

    def __init__(self, session: aiohttp.ClientSession, key: str) -> None:
        self._session = session
        self._key = key

    async def read(self, path: str) -> str:
        """The text of an answer.

        Raises:
            SetupError: it was refused.
        """
        headers = {"Authorization": f"Bearer {self._key}"}
        async with self._session.get(path, headers=headers) as response:
            if response.status != 200:
                raise SetupError(f"{path} was answered {response.status}")
            return await response.text()

    async def post(
        self, path: str, body: dict[str, Any] | None, *, unless: str | None = None
    ) -> dict[str, Any]:
        """Send it, again where the server asks to come later; `unless` is an outcome that will do.

        Raises:
            SetupError: it was refused.
        """
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": str(uuid4())}
        refusal = ""
        for _ in range(TRIES):
            async with self._session.post(path, headers=headers, json=body) as response:
                told: dict[str, Any] = await response.json(content_type=None)
                if response.status in (200, 201) or (unless and told.get("outcome") == unless):
                    return told
                refusal = f"{path} was answered {response.status}: {told.get('detail')}"
                if response.status not in (429, 503):
                    break
                await asyncio.sleep(float(response.headers.get("Retry-After", 1)))
        raise SetupError(refusal)
