"""Every number that is taken is one that can be worked with: none of them ends in an error."""

import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from sunseo.booking.setup.setup_bodies import NewSale, NewSeats, NewStocks
from sunseo.room.setup.setup_bodies import RoomChanges, Signal
from tests.asgi import Response, ask
from tests.store.whole_worker import BODIES, OPERATOR, WholeWorker, open_worker

SEAT = {"occasion": 1, "price_class": 1, "section": "X", "row": "1", "label": "1", "x": 0, "y": 0}
STOCK = {"occasion": 1, "name": "Standing", "capacity": 9}
PRODUCT = {"name": "Ticket", "price": 0, "draws": [{"stock": 1, "units": 1}]}
SIGNAL = {"source": "probe", "measured": 1.0, "target": 1.0}
LIMITS = {"hold_ttl_s": 1, "renewals_max": 1, "order_limit": 1, "persons": "guests"}
COUNTED = {"occasion_limit": 1, "person_limit": 1}


def extremes(kind: inspect.Type, body: Any) -> Iterator[Any]:
    """The body with each of its numbers at the ends of what its type takes, one at a time."""
    match kind:
        case inspect.Metadata():
            yield from extremes(kind.type, body)
        case inspect.UnionType():
            for one in kind.types:
                yield from extremes(one, body)
        case inspect.IntType() | inspect.FloatType() if isinstance(body, int | float):
            yield from ends(kind)
        case inspect.StructType() if isinstance(body, dict):
            inside = {field.encode_name: field.type for field in kind.fields}
            for name, part in body.items():
                yield from (body | {name: value} for value in extremes(inside[name], part))
        case inspect.VarTupleType() if isinstance(body, list):
            for index, part in enumerate(body):
                for value in extremes(kind.item_type, part):
                    yield [*body[:index], value, *body[index + 1 :]]


def ends(kind: inspect.IntType | inspect.FloatType) -> Iterator[float]:
    """The least and the most, and of fractions those that are next to nothing."""
    if isinstance(kind, inspect.IntType):
        yield from (one for one in (kind.ge, kind.le) if one is not None)
        return
    low, high = kind.ge if kind.ge is not None else kind.gt, kind.le
    assert low is not None
    assert high is not None
    tiny = (math.ulp(0.0), -math.ulp(0.0), 1e-300, 1e-40)
    candidates = (low, math.nextafter(low, high), high, *tiny)
    yield from (one for one in candidates if low <= one <= high and (kind.gt is None or one > low))


def settings_of_rooms() -> Iterator[dict[str, Any]]:
    """Each number that a room can be set to, by itself."""
    whole = msgspec.to_builtins(msgspec.json.decode(WHOLE_ROOM))
    for name in whole:
        yield from extremes(inspect.type_info(RoomChanges), {name: whole[name]})


WHOLE_ROOM = b"""{"capacity": 1, "capacity_min": 1, "rate_max": 1.0, "tau_s": 1.0,
"units_per_buyer": 1.0, "health": {"lane_wait_s": 1.0, "p99_s": 1.0, "error_rate": 1.0},
"challenge_difficulty": 1000, "network_joins_max": 1, "pass_ttl_s": 60, "session_max_s": 900,
"renewal_grace_s": 1, "skew_s": 1, "grace_s": 150, "poll_floor_s": 1, "poll_ceiling_s": 60,
"poll_divisor": 1, "schedule": [{"time": "09:00", "minutes": 60}], "join_early_s": 1,
"open_rate_max": 1.0}"""


@pytest.fixture
async def whole(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WholeWorker]:
    async with open_worker(database_dsn, tmp_path, monkeypatch) as opened:
        yield opened


class Desk:
    """An operator who sends whatever the types take."""

    def __init__(self, whole: WholeWorker) -> None:
        self.whole = whole
        self.sent = 0

    async def send(self, method: str, path: str, body: Any, token: str = OPERATOR.text) -> Response:
        self.sent += 1
        headers = {
            "authorization": f"Bearer {token}",
            "idempotency-key": f"extreme-{self.sent}",
            "content-type": "application/json",
        }
        answer = await ask(self.whole.app, method, path, msgspec.json.encode(body), headers=headers)
        assert answer.status < 500, (path, body, answer)
        return answer


async def test_sales_at_the_ends_of_their_numbers_are_taken_or_refused(whole: WholeWorker) -> None:
    """Prices, limits, coordinates, capacities and what a unit draws: none is an error of ours."""
    desk, made = Desk(whole), 0
    for body in extremes(inspect.type_info(NewSale), BODIES["create_sale"] | LIMITS | COUNTED):
        made = (await desk.send("POST", "/v1/sales", body)).json["sale"]
        await desk.send("POST", f"/v1/sales/{made}/seats", {"seats": [SEAT]})
        await desk.send("POST", f"/v1/sales/{made}/holds", {"seats": [1]}, whole.known["token"])
    assert desk.sent > 3 * 10
    sale = f"/v1/sales/{made}"
    for number, body in enumerate(extremes(inspect.type_info(NewSeats), {"seats": [SEAT]})):
        body["seats"][0]["label"] += f" {number}"
        await desk.send("POST", f"{sale}/seats", body)
    for number, body in enumerate(
        extremes(inspect.type_info(NewStocks), {"stocks": [STOCK], "products": [PRODUCT]})
    ):
        body["stocks"][0] = body["stocks"][0] | {"name": f"Standing {number}"}
        body["products"][0] = body["products"][0] | {"name": f"Ticket {number}"}
        answer = await desk.send("POST", f"{sale}/stocks", body)
        if answer.status < 300:
            wanted = [{"product": answer.json["products"][0], "quantity": 10_000}]
            await desk.send("POST", f"{sale}/holds", {"products": wanted}, whole.known["token"])


async def test_rooms_at_the_ends_of_their_numbers_are_run(whole: WholeWorker) -> None:
    """What can be set can be lived with: by the board, by the leader, and by who comes."""
    desk = Desk(whole)
    for settings in settings_of_rooms():
        body = {"name": "Room", "settings": settings}
        answer = await desk.send("POST", "/v1/rooms", body)
        if answer.status >= 300:
            continue
        room = f"/v1/rooms/{answer.json['room']}"
        await desk.send("POST", f"{room}/signals", SIGNAL)
        await whole.read_boards()
        await whole.worker._rooms.controller.run_once()
        for path in (room, f"{room}/state", f"/r/{answer.json['room']}"):
            await desk.send("GET", path, None)


async def test_signals_at_the_ends_of_their_numbers_are_heard(whole: WholeWorker) -> None:
    """A measure next to nothing, and a target of a million: a health, and none that is endless."""
    desk, room = Desk(whole), whole.known["room"]
    for body in extremes(inspect.type_info(Signal), SIGNAL):
        await desk.send("POST", f"/v1/rooms/{room}/signals", body)
        await whole.read_boards()
        await whole.worker._rooms.controller.run_once()
        await desk.send("GET", f"/v1/rooms/{room}", None)


async def test_ids_at_the_end_of_their_numbers_name_nothing(whole: WholeWorker) -> None:
    """The highest sale and room that could be: no endpoint has more to say than that."""
    whole.known |= {"sale": 2**63 - 1, "room": 2**63 - 1, "seat": 2**31 - 1}
    for name, endpoint in whole.endpoints.items():
        if "{" in endpoint.path:
            answer = await whole.ask(name)
            assert answer.status < 500, (name, answer)
