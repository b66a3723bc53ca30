"""What everybody may read of a sale: however many do, the database hardly notices."""

import asyncio
import gzip
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from sunseo.booking.availability.availability import AvailabilityBoard
from sunseo.booking.routes import hold_endpoints
from sunseo.booking.setup.setup_routes import SaleBody, SeatBody, SeatList, setup_endpoints
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys, new_operator_key
from sunseo.identity.persons import Persons
from sunseo.journal.tail import JournalTail
from sunseo.operators.command import By
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import build_app
from sunseo.web.limits import Limits
from tests.asgi import Response, ask
from tests.store.market import KIM, OPENING, ORGANISATION, SHOW, Market, place
from tests.store.test_board import Statements, Watch

KEY = new_operator_key()
GZIP = {"accept-encoding": "gzip"}
NEW_SALE = {
    "name": "Concert",
    "currency": "KRW",
    "time_zone": "Asia/Seoul",
    "opens_at": OPENING,
    "price_classes": [{"name": "R", "price": 0}],
    "occasions": [{"name": "Friday", "starts_at": SHOW}],
}


class Window:
    """One worker's app, through which the public looks at sales."""

    def __init__(self, market: Market) -> None:
        self.watch = Watch()
        self.board = AvailabilityBoard(
            market.engine, ORGANISATION, JournalTail(market.room_connection()), monotonic=self.watch
        )
        nobody: Any = None  # nothing is held here
        self.app = build_app(
            [
                *setup_endpoints(market.setup, market.engine, ORGANISATION, self.board, self.watch),
                *hold_endpoints(nobody, self.board),
            ],
            Authenticator(Persons(ORGANISATION, []), OperatorKeys(_digest_of)),
            limits=Limits(),
            metrics=Metrics(),
            logs=Logs("error", LineWriter(-1)),
        )

    async def look(self, path: str, method: str = "GET", **headers: str) -> Response:
        path, _, query = path.partition("?")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await ask(self.app, method, path, headers=named, query=query.encode())

    async def operate(self, path: str, body: Any, key: str = "once") -> Response:
        headers = {
            "authorization": f"Bearer {KEY.text}",
            "idempotency-key": f"{path}-{key}",
            "content-type": "application/json",
        }
        return await ask(self.app, "POST", path, msgspec.json.encode(body), headers=headers)


async def _digest_of(_key_id: str) -> bytes | None:
    return KEY.digest


@pytest.fixture
def window(market: Market) -> Window:
    return Window(market)


async def test_seats_are_read_once_however_many_ask(
    market: Market, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred readers at once are one query, in either form; later ones, HEAD and 304 none."""
    sale = await market.sale(seats=[40, 2])
    path = f"/v1/sales/{sale[1]}/seats?occasion=1"
    await window.board.look(sale[1])
    statements = Statements(market, monkeypatch)

    answers = await asyncio.gather(
        *(window.look(path) for _ in range(50)),
        *(window.look(path, **{"accept-encoding": "gzip"}) for _ in range(50)),
    )
    assert statements.cold == 1
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 2
    plain, packed = answers[0], answers[-1]
    assert gzip.decompress(packed.body) == plain.body

    again = await window.look(path, if_none_match=plain.headers["etag"])
    other = await window.look(path, if_none_match=packed.headers["etag"], **GZIP)
    head = await window.look(path, "HEAD", **GZIP)
    assert [(a.status, a.body) for a in (again, other)] == [(304, b"")] * 2
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(packed.body))
    assert head.headers["etag"] == packed.headers["etag"] != plain.headers["etag"]
    assert (statements.cold, statements.tail) == (1, 0)


async def test_seat_list_is_what_was_set_up(market: Market, window: Window) -> None:
    """In the order of the bitmap, with every field as it was given, in any script."""
    sale = await market.sale(seats=0)
    told = {"occasion": 1, "price_class": 1, "section": '나"\\', "row": "가", "label": "№ 7"}
    await market.add_seats(sale[1], {"seats": [told | {"x": 1.5, "y": -3.0}]})
    await market.add_seats(
        sale[1],
        {
            "blocks": [
                {
                    "occasion": 1,
                    "price_class": 1,
                    "section": "B",
                    "rows": 1,
                    "seats_per_row": 2,
                }
            ]
        },
    )

    answer = await window.look(f"/v1/sales/{sale[1]}/seats")

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=10"
    assert msgspec.json.decode(answer.body, type=SeatList) == SeatList(
        sale[1],
        1,
        [
            SeatBody(1, 1, '나"\\', "가", "№ 7", 1.5, -3.0),
            SeatBody(2, 1, "B", "1", "1", 1.0, 1.0),
            SeatBody(3, 1, "B", "1", "2", 2.0, 1.0),
        ],
    )


async def test_seats_added_elsewhere_show_after_the_boards_turn(
    market: Market, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is read once more, and whoever has the old one gets the new one."""
    sale = await market.sale(seats=1)
    path = f"/v1/sales/{sale[1]}/seats"
    old = await window.look(path)
    await market.add_seats(
        sale[1],
        {"seats": [{"occasion": 1, "price_class": 1, "section": "B", "row": "9", "label": "9"}]},
    )
    await window.board.run_once()
    statements = Statements(market, monkeypatch)

    new = await asyncio.gather(
        *(window.look(path, if_none_match=old.headers["etag"]) for _ in range(20))
    )
    assert statements.cold == 1
    assert {answer.status for answer in new} == {200}
    assert [seat["seat"] for seat in new[0].json["seats"]] == [1, 2]


async def test_what_an_operator_did_shows_at_once_where_she_did_it(
    market: Market, window: Window
) -> None:
    """No turn of the board is waited for, not even where somebody had asked for it too early."""
    assert (await window.look("/v1/sales/1")).status == 404
    created = await window.operate("/v1/sales", NEW_SALE)
    assert (created.status, created.json["sale"]) == (201, 1)
    assert (await window.look("/v1/sales/1")).status == 200
    assert (await window.look("/v1/sales/1/seats")).json["seats"] == []

    block = {"occasion": 1, "price_class": 1, "section": "B", "rows": 1, "seats_per_row": 2}
    assert (await window.operate("/v1/sales/1/seats", {"blocks": [block]})).status == 201
    assert len((await window.look("/v1/sales/1/seats")).json["seats"]) == 2
    stock = {"occasion": 1, "name": "Standing", "capacity": 5}
    product = {"name": "Ticket", "price": 0, "draws": [{"stock": 1}]}
    offer = {"stocks": [stock], "products": [product]}
    assert (await window.operate("/v1/sales/1/stocks", offer)).status == 201
    assert [one["product"] for one in (await window.look("/v1/sales/1")).json["products"]] == [1]


async def test_occasions_without_seats_cost_no_query(
    market: Market, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever counts occasions up reads empty lists out of memory."""
    sale = await market.sale(seats=1)
    await window.board.look(sale[1])
    statements = Statements(market, monkeypatch)
    for occasion in range(2, 40):
        answer = await window.look(f"/v1/sales/{sale[1]}/seats?occasion={occasion}")
        assert (answer.status, answer.json["seats"]) == (200, [])
    assert statements.cold == 0


async def test_a_sale_is_read_once_a_catalogue(
    market: Market, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holds and pauses change what is told of a sale, and cost no query; its parts are kept."""
    sale = await market.sale(seats=3, stocks=[5], products=[{1: 2}])
    path = f"/v1/sales/{sale[1]}"
    await window.board.look(sale[1])
    statements = Statements(market, monkeypatch)
    first, *others = await asyncio.gather(*(window.look(path) for _ in range(50)))
    assert statements.cold == 1
    assert {other.body for other in others} == {first.body}

    body = msgspec.json.decode(first.body, type=SaleBody)
    assert (body.version, body.is_open, body.paused, body.name) == (3, True, False, "Concert")
    assert body.opens_at == OPENING
    [product] = body.products
    assert (product["product"], product["price"]) == (1, 0)
    assert product["draws"] == [{"stock": 1, "units": 2}]
    same = await window.look(path, if_none_match=first.headers["etag"])
    assert same.status == 304

    await market.held(place(sale, KIM, "a", 1))
    await market.setup.set_paused(By("op", "pause"), sale[1], paused=True)
    before = statements.cold
    await window.board.run_once()
    changed = await window.look(path, if_none_match=first.headers["etag"])
    assert (changed.status, changed.json["version"]) == (200, 5)
    assert (changed.json["paused"], changed.json["is_open"]) == (True, False)
    assert changed.json["products"] == body.products
    assert statements.cold == before


async def test_a_sale_opens_and_closes_without_being_read(
    market: Market, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's clock goes on by ours, and is asked again when that was long ago."""
    monkeypatch.setattr("sunseo.booking.setup.setup_routes.OFFER_S", 10_000)
    now = await market.value("SELECT clock_timestamp()")
    opens_at, closes_at = (now + timedelta(seconds=s) for s in (1000, 2000))
    sale = await market.sale(seats=1, opens_at=opens_at, closes_at=closes_at)
    path = f"/v1/sales/{sale[1]}"
    assert (await window.look(path)).json["is_open"] is False
    statements = Statements(market, monkeypatch)
    window.watch.now += 1500
    assert (await window.look(path)).json["is_open"] is True
    window.watch.now += 1000
    assert (await window.look(path)).json["is_open"] is False
    assert statements.cold == 0

    window.watch.now += 10_000
    assert (await window.look(path)).json["is_open"] is False
    assert statements.cold == 1


async def test_availability_is_compressed_for_those_who_take_it(
    market: Market, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both forms, of all and of one occasion, are what the plain ones are; 304 for each."""
    sale = await market.sale(seats=[9000, 5], stocks=[5, 6])
    await window.board.look(sale[1])
    statements = Statements(market, monkeypatch)
    for query in ("", "?form=bitmap", "?occasion=1", "?form=bitmap&occasion=1"):
        path = f"/v1/sales/{sale[1]}/availability{query}"
        plain, packed = await window.look(path), await window.look(path, **GZIP)
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        assert len(packed.body) < len(plain.body) / 20
        assert plain.headers["vary"] == "Accept, Accept-Encoding"
        for one, headers in ((plain, {}), (packed, GZIP)):
            same = await window.look(path, if_none_match=one.headers["etag"], **headers)
            assert (same.status, same.headers["etag"]) == (304, one.headers["etag"])
    assert (statements.cold, statements.tail) == (0, 0)
    of_one = await window.look(f"/v1/sales/{sale[1]}/availability?occasion=2")
    assert (of_one.json["stocks"], of_one.json["occasions"][0]["states"]) == ([], "00000")


@pytest.mark.parametrize("path", ["/v1/sales/9", "/v1/sales/9/seats", "/v1/sales/9/availability"])
async def test_sales_that_do_not_exist_are_asked_for_once_a_second(
    market: Market, window: Window, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Guessing numbers does not reach the database each time."""
    statements = Statements(market, monkeypatch)
    for _ in range(20):
        assert (await window.look(path)).json["outcome"] == "unknown_sale"
    assert statements.cold == 1


async def test_a_list_of_seats_is_never_a_part_of_them(market: Market, window: Window) -> None:
    """Without an occasion it is the only one with seats; of more, none is picked unasked."""
    two = [{"name": name, "starts_at": SHOW} for name in ("Friday", "Saturday")]
    number = (await window.operate("/v1/sales", NEW_SALE | {"occasions": two})).json["sale"]
    path = f"/v1/sales/{number}/seats"

    def block(occasion: int) -> dict[str, Any]:
        shape = {"price_class": 1, "section": "B", "rows": 1, "seats_per_row": 2}
        return {"blocks": [{"occasion": occasion, **shape}]}

    assert (await window.operate(path, block(2))).status == 201
    only = (await window.look(path)).json
    assert (only["occasion"], len(only["seats"])) == (2, 2)

    assert (await window.operate(path, block(1), "again")).status == 201
    refused = (await window.look(path)).json
    assert (refused["outcome"], refused["occasions"]) == ("occasion_required", [1, 2])
    assert len((await window.look(f"{path}?occasion=1")).json["seats"]) == 2


async def test_all_times_of_a_sale_have_one_form(market: Market, window: Window) -> None:
    """Those that PostgreSQL has written look like those that we have: in UTC, with a Z."""
    number = (await window.operate("/v1/sales", NEW_SALE)).json["sale"]

    sale = (await window.look(f"/v1/sales/{number}")).json

    assert sale["opens_at"].endswith("Z")
    assert [one["starts_at"][-1] for one in sale["occasions"]] == ["Z"]
    assert msgspec.convert(sale["occasions"][0]["starts_at"], datetime) == SHOW


async def test_sales_are_listed_for_operators(market: Market, window: Window) -> None:
    """The newest first, each with its times and whether it is open; nobody else gets the list."""
    later = NEW_SALE | {"name": "Later", "opens_at": SHOW}
    for number, body in enumerate((NEW_SALE, later), 1):
        await window.operate("/v1/sales", body, str(number))
    await market.setup.set_paused(By("op", "pause"), 1, paused=True)

    listed = await window.look("/v1/sales", authorization=f"Bearer {KEY.text}")

    assert (await window.look("/v1/sales")).status == 401
    assert listed.json["more"] is False
    assert [
        (one["sale"], one["name"], one["is_open"], one["paused"], one["opens_at"][-1])
        for one in listed.json["sales"]
    ] == [(2, "Later", False, False, "Z"), (1, "Concert", False, True, "Z")]
