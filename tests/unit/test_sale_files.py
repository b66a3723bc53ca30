"""Files of sales: what they say, every fault at its place, and what is done about a difference."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import tomli

from sunseo.salefile.export import written
from sunseo.salefile.faults import SaleFileError
from sunseo.salefile.model import KINDS
from sunseo.salefile.places import Position, positions_in
from sunseo.salefile.plan import plan_sale
from sunseo.salefile.read import read_sale
from sunseo.salefile.spec import KnownSale, ProductFacts, SaleSpec, StockKey
from sunseo.salefile.template import example

FILE = """\
kind = "concert"
slug = "spring"
name = "Spring"
currency = "KRW"
time_zone = "America/New_York"
opens_at = 2037-03-01T12:00:00

[[occasions]]
name = "Friday"
starts_at = 2037-05-01T19:00:00

[[price_classes]]
name = "R"
price = 0

[[sections]]
name = "A"
price_class = "R"
rows = [{row = "1", seats = "1-3"}, {row = "2", seats = ["1", "B"], x = [0.5, 7.0], y = [1, 1]}]

[[stocks]]
name = "Standing"
capacity = 10
price = 0

[[products]]
name = "Family"
price = 0
draws = [{stock = "Standing", units = 4}]
"""


def spec(**change: str) -> SaleSpec:
    """The file's sale, with texts of it replaced."""
    text = FILE
    for before, after in change.items():
        assert before in text
        text = text.replace(before, after)
    return read_sale("sale.toml", text.encode())


def known(stored: SaleSpec, *, is_on: bool, taken: int = 0) -> KnownSale:
    return KnownSale(
        number=7,
        version=3,
        is_on=is_on,
        spec=stored,
        stock_numbers={key: n for n, key in enumerate(stored.stocks, 1)},
        stock_taken=dict.fromkeys(stored.stocks, taken),
        product_numbers={name: n for n, name in enumerate(stored.products, 1)},
        held=taken,
        sold=0,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_what_is_exported_makes_no_difference(kind: str, language: str) -> None:
    """Each example reads back from its export as the very same sale, and is free of charge."""
    sale = read_sale("sale.toml", example(kind, language).encode())
    again = read_sale("sale.toml", written(sale).encode())
    plan = plan_sale(again, known(sale, is_on=True))

    assert again == sale
    assert plan.is_empty
    assert plan.notes == []
    assert sale.products


def test_seats_of_any_shape_are_exported_as_they_are() -> None:
    """Labels, places off the grid, and what draws on shared stock survive."""
    sale = spec()
    assert read_sale("sale.toml", written(sale).encode()) == sale
    assert sale.products["Family"] == ProductFacts(0, ((StockKey(0, "Standing"), 4),))


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('slug = "spring"', 'slugg = "spring"', (2, 1, "there is no key 'slugg' here", "slug")),
        (
            'kind = "concert"',
            'kind = "ball"',
            (1, 8, "kind cannot be 'ball'", "one of concert, clinic, coupon, quota"),
        ),
        (
            "price = 0",
            "price = 19.90",
            (14, 9, "19.90 is no price in KRW", "whole KRW, such as 19"),
        ),
        (
            "x = [0.5, 7.0]",
            "x = [0.5]",
            (19, 73, "these are 1 for 2 seats", "one for each seat"),
        ),
        (
            '{row = "2", seats',
            '{row = "1", seats',
            (19, 57, "section A, row 1, seat 1 is there already, in line 19", "each seat once"),
        ),
        (
            "2037-03-01T12:00",
            "2037-03-08T02:30",
            (
                6,
                12,
                "2037-03-08 02:30:00 comes never in America/New_York",
                "one with an offset, such as 2037-03-08T02:30:00-05:00",
            ),
        ),
        ('price_class = "R"', 'price_class = "S"', (18, 15, "there is no price class 'S'", "R")),
        (
            '{stock = "Standing"',
            '{stock = "Floor"',
            (29, 19, "the occasion has no such stock 'Floor'", "Standing"),
        ),
        ("capacity = 10", "capacity =", (23, 11, "this is no TOML: Invalid value", "see toml.io")),
        (
            'name = "Family"',
            'name = "Standing"',
            (27, 8, "Standing is there already, in line 22", "each name once"),
        ),
    ],
)
def test_a_fault_is_told_with_its_place(
    before: str, after: str, fault: tuple[int, int, str, str]
) -> None:
    """Line, column, what is wrong, what would be right."""
    with pytest.raises(SaleFileError) as refused:
        spec(**{before: after})
    assert fault in [msgspec.structs.astuple(one) for one in refused.value.faults]


def test_a_price_without_its_digits_may_be_in_another_unit() -> None:
    """1990 in USD could be cents; 19.90 is taken exactly."""
    dollars = {'"KRW"': '"USD"', 'name = "R"\nprice = 0': 'name = "R"\nprice = 1990'}
    with pytest.raises(SaleFileError) as refused:
        spec(**dollars)
    exact = spec(**{'"KRW"': '"USD"', 'name = "R"\nprice = 0': 'name = "R"\nprice = 19.90'})

    assert [str(fault) for fault in refused.value.faults] == [
        (
            "14:9: 1990 is no price in USD. Right would be: USD with 2 digits behind the point,"
            " such as 1990.00."
        )
    ]
    assert exact.price_classes == (("R", 1990),)
    assert plan_sale(exact, None).notes == [
        "Nobody can pay yet: 'R' at 19.90 USD will be refused as payment_required."
    ]


def test_slots_around_a_clock_change_have_their_length() -> None:
    """Where an hour is skipped, six half hours of local time are four slots, each of 30 minutes."""
    slots = (
        '[[slots]]\nname = "Dr. Kim"\nstarts_at = 2037-03-08T01:00:00\n'
        "ends_at = 2037-03-08T04:00:00\nminutes = 30\n\n[[products]]"
    )
    sale = spec(**{"[[products]]": slots})
    found = [(k.starts_at, f.ends_at) for k, f in sale.stocks.items() if k.starts_at]

    assert len(found) == 4
    assert found[0][0] == datetime(2037, 3, 8, 6, tzinfo=UTC)
    assert all(end is not None and (end - start).seconds == 1800 for start, end in found)


def test_before_a_sale_is_on_anything_may_change_but_nothing_goes() -> None:
    """A renamed date is the same date; what is gone from the file is refused by name."""
    stored = spec()
    wanted = spec(**{'"Friday"': '"Matinee"', "capacity = 10": "capacity = 5"})
    plan = plan_sale(wanted, known(stored, is_on=False))
    less = plan_sale(spec(**{"1-3": "1-2"}), known(stored, is_on=False))

    assert plan.refused == []
    assert plan.change == {
        "occasions": [{"occasion": 1, "name": "Matinee"}],
        "stocks": [{"stock": 1, "capacity": 5}],
    }
    assert less.refused == [
        (
            "section A on 'Friday': row 1 seat 3 is in the sale and not in the file:"
            " nothing can be taken away"
        )
    ]


def test_once_a_sale_is_on_what_people_may_have_is_refused_by_name() -> None:
    """Capacity may rise and units may be added; a price stays, and capacity does not fall."""
    on = known(spec(), is_on=True, taken=6)
    more = plan_sale(spec(**{"capacity = 10": "capacity = 11", "1-3": "1-4"}), on)
    less = plan_sale(spec(**{"capacity = 10": "capacity = 9"}), on)
    below = plan_sale(spec(**{"capacity = 10": "capacity = 5"}), on)
    dearer = plan_sale(spec(**{'name = "R"\nprice = 0': 'name = "R"\nprice = 900'}), on)

    assert more.refused == []
    assert more.added == ["section A on 'Friday': row 1 seat 4"]
    assert less.refused == [
        "stock 'Standing' on 'Friday', capacity: 10 → 9: it may only rise while the sale is on"
    ]
    assert below.refused == ["stock 'Standing' on 'Friday', capacity: 6 are held or sold"]
    assert dearer.refused == [
        "price class 'R', price: 0 KRW → 900 KRW: it stays as it is while the sale is on"
    ]


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in [(*path, k), *paths(v, (*path, k))]]
    if isinstance(value, list):
        return [p for n, v in enumerate(value) for p in [(*path, n), *paths(v, (*path, n))]]
    return []


def test_every_key_and_value_has_a_position() -> None:
    """Whatever way TOML has to write it: quoted, dotted, inline, nested, over several lines."""
    text = (
        'a."b.c" = 1 # "x"\n[t]\n x = [ [1, 2], # ]\n  "]", {y = \'}\', z.w = 07:00:00} ]\n'
        '[[t.l]]\nq = """\n"# [no]"""\n[[t.l]]\n[t.l.m]\nv = 2037-01-01 10:00:00Z\n'
    )
    data, found = tomli.loads(text), positions_in(text)

    assert [p for p in paths(data) if p not in found.keys and p not in found.values] == []
    assert found.keys["t", "l", 1, "m", "v"] == Position(10, 1)
    assert found.values["t", "x", 2, "z", "w"] == Position(4, 24)
