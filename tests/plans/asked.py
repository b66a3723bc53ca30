"""Arguments for every hot statement: so many keys of the big sale."""

from collections.abc import Callable
from typing import Any

import msgspec

from tests.plans.filled import BIG, LATER, NOW, ROWS, identity

Arguments = list[Any]

_ONE = [1]


def _keys(n: int) -> list[int]:
    """Spread over the table, so that neighbours share no page."""
    step = ROWS // (n + 1)
    return [1 + step * place for place in range(1, n + 1)]


def _ids(n: int) -> list[Any]:
    return [identity(key) for key in _keys(n)]


def _sale(n: int) -> list[list[int]]:
    return [_ONE * n, [BIG] * n]


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


LANE: dict[str, dict[str, Callable[[int], Arguments]]] = {
    "sunseo.booking": {
        "find_holds": lambda n: [*_sale(n), _ids(n)],
        "lock_seats": lambda n: [*_sale(n), _keys(n)],
        "lock_holds": lambda n: [*_sale(n), _ids(n)],
        "make_person_uses": lambda n: [*_sale(n), _new(n), [0] * n, [4] * n],
        "lock_person_uses": lambda n: [*_sale(n), _ids(n), [0] * n],
        "lock_stocks": lambda n: [*_sale(n), _keys(n)],
        "lock_sales": lambda n: [_ONE * n, list(range(1, n + 1))],
        "find_past_due_by_stock": lambda n: [*_sale(n), list(range(1, n + 1)), NOW, 100],
        "find_past_due_by_person": lambda n: [*_sale(n), _ids(n), NOW, 100],
        "move_seats": lambda n: [*_sale(n), _keys(n), _ids(n), [LATER] * n],
        "place_holds": lambda n: [_rows(n, _new(n), "open")],
        "move_holds": lambda n: [_rows(n, _ids(n), "released")],
        "count_person_uses": lambda n: [*_sale(n), _ids(n), [0] * n, [2] * n],
        "count_stocks": lambda n: [*_sale(n), _keys(n), [1] * n, [1] * n],
        "read_catalogue_sales": lambda n: [_ONE * n, list(range(2, n + 2))],
        "read_catalogue_prices": lambda n: [_ONE * n, list(range(2, n + 2))],
        "read_catalogue_products": lambda n: [_ONE * n, list(range(1, n + 1))],
    },
    "sunseo.checkout": {
        "find_orders": lambda n: [*_sale(n), _ids(n)],
        "place_orders": lambda n: [
            *_sale(n), _new(n), _new(n), _ids(n), [None] * n, [0] * n, ["confirmed"] * n, _ids(n),
            [NOW] * n,
        ],
    },
    "sunseo.journal": {
        "advance_sales": lambda n: [
            _ONE * n, list(range(1, n + 1)), [ROWS * 2] * n, ["[]"] * n, NOW,
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
