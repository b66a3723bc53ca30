"""A fault that concerns one field names it, whichever check has found it."""

import ast
import inspect
from types import ModuleType
from typing import Any

import msgspec
import pytest

from sunseo.booking import bodies as booking_bodies
from sunseo.booking.bodies import HoldRequest
from sunseo.booking.setup import setup_bodies
from sunseo.booking.setup.setup_bodies import NewSale, NewSeats, NewStocks
from sunseo.checkout import bodies as checkout_bodies
from sunseo.core.fields import FieldError
from sunseo.room.draw import bodies as draw_bodies
from sunseo.room.line import bodies as room_bodies
from sunseo.room.line.bodies import EnterBody, RenewBody
from sunseo.room.setup import settings as room_settings
from sunseo.room.setup import setup_bodies as room_setup_bodies
from sunseo.room.setup.changes import changed
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.setup.setup_bodies import NewRoom, told
from sunseo.web.input.bodies import BodyReader
from sunseo.web.problems import ProblemError

AT = "2026-11-22T20:00:00+09:00"
BEFORE = "2026-11-22T19:00:00+09:00"
SALE: dict[str, Any] = {
    "name": "Concert",
    "currency": "KRW",
    "time_zone": "Asia/Seoul",
    "opens_at": AT,
    "price_classes": [{"name": "R", "price": 0}],
    "occasions": [{"name": "Friday", "starts_at": AT}],
}
SEAT = {"occasion": 1, "price_class": 1, "section": "A", "row": "1", "label": "1"}
BLOCK = {"occasion": 1, "price_class": 1, "section": "A", "rows": 2, "seats_per_row": 3}
STOCK = {"occasion": 1, "name": "Dr Kim", "capacity": 1}
PRODUCT = {"name": "Ticket", "price": 0, "draws": [{"stock": 1}]}
TOKEN = "a" * 40

CASES: list[tuple[type[msgspec.Struct], dict[str, Any], str]] = [
    (NewSale, SALE | {"time_zone": "America"}, "time_zone"),
    (NewSale, SALE | {"time_zone": "localtime"}, "time_zone"),
    (NewSale, SALE | {"name": " "}, "name"),
    (NewSale, SALE | {"closes_at": BEFORE}, "closes_at"),
    (NewSale, SALE | {"person_limit": 2}, "persons"),
    (NewSale, SALE | {"price_classes": SALE["price_classes"] * 2}, "price_classes[1]"),
    (NewSale, SALE | {"price_classes": [{"name": "R ", "price": 0}]}, "price_classes[0].name"),
    (NewSale, SALE | {"occasions": SALE["occasions"] * 2}, "occasions[1]"),
    (NewSeats, {}, "seats"),
    (NewSeats, {"blocks": [BLOCK | {"rows": 50_000}]}, "blocks"),
    (NewSeats, {"seats": [SEAT, SEAT | {"label": "2"}, SEAT]}, "seats[2]"),
    (NewSeats, {"seats": [SEAT], "blocks": [BLOCK | {"section": "B"}, BLOCK]}, "blocks[1]"),
    (NewSeats, {"seats": [SEAT | {"row": " 1"}]}, "seats[0].row"),
    (NewStocks, {}, "stocks"),
    (NewStocks, {"stocks": [STOCK, STOCK]}, "stocks[1]"),
    (NewStocks, {"stocks": [STOCK | {"starts_at": AT}]}, "stocks[0].ends_at"),
    (NewStocks, {"stocks": [STOCK | {"ends_at": AT}]}, "stocks[0].starts_at"),
    (NewStocks, {"stocks": [STOCK | {"starts_at": AT, "ends_at": BEFORE}]}, "stocks[0].ends_at"),
    (NewStocks, {"products": [PRODUCT, PRODUCT]}, "products[1]"),
    (
        NewStocks,
        {"products": [PRODUCT | {"draws": [{"stock": 1}, {"stock": 1}]}]},
        "products[0].draws[1]",
    ),
    (NewRoom, {"name": "\u3000"}, "name"),
    (
        NewRoom,
        {"name": "Room", "settings": {"bypass": {"networks": ["::/0", "x.y"]}}},
        "settings.bypass.networks[1]",
    ),
    (HoldRequest, {}, "seats"),
    (HoldRequest, {"seats": [3, 4, 3]}, "seats"),
    (HoldRequest, {"products": [{"product": 1}, {"product": 1}]}, "products"),
    (EnterBody, {"place": TOKEN, "secret": "A" * 21 + "B"}, "secret"),
    (RenewBody, {}, "pass"),
    (RenewBody, {"pass": TOKEN, "passes": [TOKEN]}, "passes"),
]


@pytest.mark.parametrize(("kind", "body", "field"), CASES)
def test_a_body_that_contradicts_itself_is_refused_by_field(
    kind: type[msgspec.Struct], body: dict[str, Any], field: str
) -> None:
    """Checks across fields name the one to change, and where it stands in a list."""
    with pytest.raises(ProblemError) as refused:
        BodyReader(kind).read(msgspec.json.encode(body))

    members = refused.value.members
    assert members["field"] == field
    assert members["expected"]
    assert (refused.value.detail or "").startswith(f"`{field}` ")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"time_zone": "America"}, "settings.time_zone"),
        ({"capacity_min": 1001}, "settings.capacity_min"),
        ({"capacity": 9}, "settings.capacity"),
        ({"poll_floor_s": 61}, "settings.poll_floor_s"),
        ({"poll_ceiling_s": 80}, "settings.poll_ceiling_s"),
        ({"grace_s": 100}, "settings.grace_s"),
        ({"pass_ttl_s": 10}, "settings.pass_ttl_s"),
        ({"session_max_s": 59}, "settings.session_max_s"),
        ({"opens_at": AT, "closes_at": BEFORE}, "settings.closes_at"),
        ({"fail_mode": "open"}, "settings.fail_mode"),
        ({"languages": ["ko", "ko"]}, "settings.languages"),
        ({"return_hosts": ["https://a.example", "a.example"]}, "settings.return_hosts[1]"),
    ],
)
def test_settings_that_contradict_others_name_the_one_that_was_sent(
    changes: dict[str, Any], field: str
) -> None:
    """Where one that stands contradicts one that is new, it is the new one that can be changed."""
    body = msgspec.convert({"name": "Room", "settings": changes}, NewRoom)
    standing = RoomSettings(capacity_min=10)

    with pytest.raises(FieldError) as refused:
        changed(standing, told(body.settings))

    assert refused.value.field == field


@pytest.mark.parametrize(
    "module",
    [
        *(booking_bodies, setup_bodies, checkout_bodies, room_bodies, room_setup_bodies),
        *(draw_bodies, room_settings),
    ],
)
def test_every_check_of_a_body_begins_with_its_field(module: ModuleType) -> None:
    """What a struct's own check says begins with one of its fields, or with one worked out."""
    for kind in ast.parse(inspect.getsource(module)).body:
        if not isinstance(kind, ast.ClassDef):
            continue
        fields = {one.target.id for one in kind.body if isinstance(one, ast.AnnAssign)}  # type: ignore[union-attr]  # fields are names
        names = {name.rstrip("_") for name in fields}
        for sentence in _sentences(kind):
            assert sentence is None or sentence.split("[")[0].split()[0] in names, sentence


def _sentences(kind: ast.ClassDef) -> list[str | None]:
    """The beginning of each ValueError's text in a class; none where that is worked out."""
    raised = [node.exc for node in ast.walk(kind) if isinstance(node, ast.Raise)]
    texts = [call.args[0] for call in raised if isinstance(call, ast.Call)]
    starts = [text.values[0] if isinstance(text, ast.JoinedStr) else text for text in texts]
    return [str(start.value) if isinstance(start, ast.Constant) else None for start in starts]
