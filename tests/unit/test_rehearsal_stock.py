"""The verdict on counted stock: what was sold beyond it, or too often to one, is found."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sunseo.rehearsal.observe.ledger import Figures, Held, Known, Ledger, Ordered
from sunseo.rehearsal.observe.stored import Stored, StoredHold, StoredOrder, StoredStock
from sunseo.rehearsal.scenes.stock import StockSale
from sunseo.rehearsal.verdict.evidence import Evidence
from sunseo.rehearsal.verdict.judge import AFTER, BEFORE, judge

ONE: list[tuple[int, int]] = [(1, 1)]


def drop() -> Evidence:
    """Two coupons, one each, for three persons."""
    ledger = Ledger(
        known=[Known(number, f"person-{number}") for number in (1, 2, 3)],
        held=[Held(1, "hold-1", (), ONE), Held(2, "hold-2", (), ONE)],
        ordered=[
            Ordered(1, "order-1", "hold-1", (), 1.0, products=ONE),
            Ordered(2, "order-2", "hold-2", (), 1.1, products=ONE),
        ],
    )
    stored = Stored(
        epoch=1,
        places={},
        passes=[],
        releases=[],
        holds={f"hold-{n}": StoredHold(f"person-{n}", "ordered", (), tuple(ONE)) for n in (1, 2)},
        orders={
            f"order-{n}": StoredOrder(f"hold-{n}", f"person-{n}", (), tuple(ONE), 7) for n in (1, 2)
        },
        stocks=[StoredStock(7, 1, capacity=2, sold=2)],
    )
    return Evidence(
        ledger=ledger,
        figures=Figures(gone={"bought": 2, "found_nothing": 1}),
        samples=[],
        capacity=0,
        units=2,
        person_limit=1,
        checks=StockSale().checks,
        whole=True,
        stored=stored,
    )


def broken(evidence: Evidence) -> set[str]:
    return {check.name for check in judge(evidence).checks if check.standing == "broken"}


def test_true_drop_holds_and_nothing_else_is_told() -> None:
    """Of a drop without a room, checks of seats and places are left out."""
    told = [check.name for check in judge(drop()).checks]

    assert broken(drop()) == set()
    assert told == [*BEFORE, "within-stock", "person-limit", "orders-told", *AFTER]


def one_too_many(stored: Stored, person: str) -> None:
    stored.holds["hold-3"] = StoredHold(person, "ordered", (), tuple(ONE))
    stored.orders["order-3"] = StoredOrder("hold-3", person, (), tuple(ONE), 7)


DEFECTS: dict[str, tuple[Callable[[Any, Any], object], set[str]]] = {
    "a third coupon of two": (
        lambda _, stored: one_too_many(stored, "person-3"),
        {"within-stock", "orders-told"},
    ),
    "a coupon that the stock does not know": (
        lambda _, stored: stored.stocks.__setitem__(0, StoredStock(7, 1, capacity=2, sold=1)),
        {"within-stock"},
    ),
    "a third coupon that was told": (
        lambda ledger, _: ledger.ordered.append(
            Ordered(3, "order-3", "hold-3", (), 1.2, products=ONE)
        ),
        {"within-stock", "told-is-true"},
    ),
    "two orders of one person": (
        lambda _, stored: stored.orders.update(
            {"order-2": msgspec.structs.replace(stored.orders["order-2"], person="person-1")}
        ),
        {"person-limit", "told-is-true"},
    ),
    "a hold with more than was told": (
        lambda _, stored: stored.holds.update(
            {"hold-1": StoredHold("person-1", "ordered", (), ((1, 2),))}
        ),
        {"told-is-true"},
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_caught_by_the_check_meant_for_it(defect: str) -> None:
    """Each defect breaks its own checks and no other."""
    change, checks = DEFECTS[defect]
    evidence = drop()
    change(evidence.ledger, evidence.stored)

    assert broken(evidence) == checks
