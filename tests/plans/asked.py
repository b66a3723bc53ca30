"""Arguments for every hot statement: so many keys of the big sale."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sunseo.postgres.pipelined.arrays import array_of, array_of_texts
from tests.plans.filled import BIG, LATER, NOW, ROWS, identity

Arguments = list[Any]

_ONE = [1]
_NOW = NOW.isoformat()


def _keys(n: int) -> list[int]:
    """Spread over the table, so that neighbours share no page."""
    step = ROWS // (n + 1)
    return [1 + step * place for place in range(1, n + 1)]


def _ids(n: int) -> list[Any]:
    return [identity(key) for key in _keys(n)]


def _columns(*columns: Iterable[Any]) -> list[str]:
    return [array_of(column) for column in columns]


def _sale(n: int) -> list[str]:
    return _columns(_ONE * n, [BIG] * n)


def _new(n: int) -> list[Any]:
    return [identity(ROWS * 10 + key) for key in range(n)]


def _rows(n: int, holds: list[Any], state: str) -> str:
    """Holds as the JSON in which they are written."""
    ended_at = None if state == "open" else NOW
    lists = "seats products product_quantities stocks stock_units use_occasions use_units"
    common: dict[str, Any] = {name: [1] for name in lists.split()} | {
        "organisation": 1,
        "sale": BIG,
        "state": state,
        "units": 1,
        "amount": 0,
        "renewals": [],
        "placed_at": NOW,
        "expires_at": LATER,
        "ended_at": ended_at,
    }
    rows = [
        common | {"hold": hold, "person": person, "request_digest": hold}
        for hold, person in zip(holds, _ids(n), strict=True)
    ]
    return msgspec.json.encode(rows).decode()


def _json(n: int, *lists: tuple[str, list[Any]], **same: Any) -> str:
    """So many rows of the big room as JSON: columns that differ, and those that do not."""
    common = {"organisation": 1, "room": BIG, "epoch": 1} | same
    rows = [common | {name: values[place] for name, values in lists} for place in range(n)]
    return msgspec.json.encode(rows).decode()


def _room_look_up(n: int) -> Arguments:
    """Places, registrations and passes of the big room, and what is past due in as many rooms."""
    rooms = list(range(1, n + 1))
    return [
        _json(n, ("room", rooms), version=0),
        _json(n, ("holder", _ids(n))),
        _json(n, ("holder", _ids(n))),
        _json(n, ("number", _keys(n))),
        _json(n, ("room", rooms), passes_max=100),
        _json(n, ("number", _keys(n))),
    ]


def _room_writes(n: int) -> Arguments:
    """New places, each behind one that is used up, registrations, renewed passes and lines."""
    numbers = [ROWS * 10 + place for place in range(n)]
    at_ms = 1_800_000_000_000
    times = "renewed_at_ms entered_at_ms expires_at_ms slot_until_ms session_until_ms"
    renewed = dict.fromkeys(times.split(), at_ms) | {"state": "live", "renewal": 1}
    return [
        NOW,
        _json(n, ("holder", _new(n)), ("number", numbers)),
        _json(n, ("number", _keys(n)), ("followed_by", numbers)),
        _json(n, ("holder", _new(n)), ("entrant", _new(n))),
        _json(n, ("number", _keys(n)), ("pass_id", _ids(n)), ("holder", _ids(n)), **renewed),
        _json(n, ("room", list(range(1, n + 1))), issued=ROWS * 2, live=1, departed=1, entrants=1),
    ]


LANE: dict[str, dict[str, Callable[[int], Arguments]]] = {
    "sunseo.engine": {"read_clock": lambda _n: []},
    "sunseo.booking": {
        "lock_sales": lambda n: _columns(_ONE * n, range(1, n + 1)),
        "raise_sales": lambda n: _columns(_ONE * n, range(1, n + 1), [ROWS * 2] * n),
        "find_holds": lambda n: [*_sale(n), array_of(_ids(n))],
        "look_up_seats": lambda n: [*_sale(n), array_of(_keys(n))],
        "look_up_uses": lambda n: [*_sale(n), array_of(_ids(n // 2) + _new(n - n // 2))],
        "look_up_stocks": lambda n: [*_sale(n), array_of(_keys(n))],
        "look_up_stocks_of_products": lambda n: [*_sale(n), *_columns(range(1, n + 1))],
        "find_past_due_by_stock": lambda n: [*_sale(n), array_of(range(1, n + 1)), _NOW, "100"],
        "find_past_due_by_person": lambda n: [*_sale(n), array_of(_ids(n)), _NOW, "100"],
        "move_seats": lambda n: [*_sale(n), *_columns(_keys(n), _ids(n), [LATER] * n)],
        "place_holds": lambda n: [_rows(n, _new(n), "open")],
        "move_holds": lambda n: [_rows(n, _ids(n), "released")],
        "make_uses": lambda n: [*_sale(n), *_columns(_new(n), [0] * n, [2] * n, [4] * n)],
        "count_uses": lambda n: [*_sale(n), *_columns(_ids(n), [0] * n, [2] * n)],
        "count_stocks": lambda n: [*_sale(n), *_columns(_keys(n), [1] * n, [1] * n)],
        "read_catalogue_sales": lambda n: _columns(_ONE * n, range(2, n + 2)),
        "read_catalogue_occasions": lambda n: _columns(_ONE * n, range(2, n + 2)),
        "read_catalogue_prices": lambda n: _columns(_ONE * n, range(2, n + 2)),
        "read_catalogue_products": lambda n: _columns(_ONE * n, range(1, n + 1)),
    },
    "sunseo.checkout": {
        "find_orders": lambda n: [*_sale(n), array_of(_ids(n))],
        "place_orders": lambda n: [
            *_sale(n), *_columns(_new(n), _new(n), _ids(n)), array_of_texts([None] * n),
            *_columns([0] * n), array_of_texts(["confirmed"] * n), *_columns(_ids(n), [NOW] * n),
        ],
    },
    "sunseo.room.postgres": {
        "lock_lines": lambda n: [_ONE * n, list(range(1, n + 1))],
        "look_up": _room_look_up,
        "write_lines": _room_writes,
    },
    "sunseo.journal": {
        "append_entries": lambda n: [
            array_of_texts(["sale"] * n), *_columns(_ONE * n, range(1, n + 1), [ROWS * 2] * n),
            array_of_texts(["[]"] * n), _NOW,
        ],
        "read_tails": lambda n: [_ONE * n, list(range(1, n + 1)), [ROWS - 20] + [0] * (n - 1), 200],
    },
}  # fmt: skip

COLD: dict[str, dict[str, dict[str, Any]]] = {
    "sunseo.booking": {
        "find_past_due": {"organisation": 1, "rows_max": 500},
        "read_holds": {
            "organisation": 1,
            "sale": BIG,
            "person": identity(77_777),
            "hold": None,
            "rows_max": 200,
        },
        "read_version": {"organisation": 1, "sale": BIG},
    },
    "sunseo.checkout": {
        "read_orders": {
            "organisation": 1,
            "sale": BIG,
            "person": identity(77_777),
            "order": None,
            "rows_max": 200,
        },
    },
}
