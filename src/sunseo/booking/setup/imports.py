"""What an import adds to a sale: what is there already stays, what contradicts it is refused.

State       None. All of it runs in the transaction that has locked the sale's row, so that two
            imports take turns and the second one finds what the first has added.
Guarantee   A seat is known by occasion, section, row and label; a stock by occasion, name and
            start; a product by its name. Named twice, it exists once: the schema says so, too.
On failure  Nothing of the import is kept.
"""

from collections.abc import Mapping, Sequence
from enum import unique
from itertools import count
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.booking.setup.setup_bodies import (
    NewOccasion,
    NewPriceClass,
    NewProduct,
    NewSeat,
    NewStock,
)
from sunseo.core.clock import Instant
from sunseo.core.outcome import Kind, Outcome, RefusedError
from sunseo.postgres.clock import read_clock
from sunseo.postgres.queries import load_cold_queries

_QUERIES = load_cold_queries("sunseo.booking")

P = TypeVar("P", NewSeat, NewStock, NewProduct)

SHOWN_MAX = 100  # numbers of parts that differ, in one answer


@unique
class ImportOutcome(Outcome):
    """What an import can be answered besides what all of set-up can."""

    PART_DIFFERS = Kind.CONFLICT, "Something of that name exists already, and is different."
    IN_THE_PAST = Kind.REFUSED, "It would be over before anybody could book it."


class Numbered(msgspec.Struct, frozen=True):
    """The numbers that the parts of an import have, in the order given."""

    numbers: list[int]
    existing: list[int]  # those of them that were there before

    @property
    def added(self) -> list[int]:
        before = set(self.existing)
        return [number for number in self.numbers if number not in before]


async def add_occasions(
    connection: AsyncConnection, where: dict[str, int], occasions: Sequence[NewOccasion], last: int
) -> None:
    """Add occasions, numbered on from the last one."""
    columns = {"names": [o.name for o in occasions], "starts": [o.starts_at for o in occasions]}
    await connection.execute(_QUERIES["add_occasions"], where | columns | {"last_occasion": last})


async def add_price_classes(
    connection: AsyncConnection, where: dict[str, int], classes: Sequence[NewPriceClass], last: int
) -> None:
    """Add price classes, numbered on from the last one."""
    columns = {"names": [c.name for c in classes], "prices": [c.price for c in classes]}
    await connection.execute(
        _QUERIES["add_price_classes"], where | columns | {"last_price_class": last}
    )


async def add_seats(
    connection: AsyncConnection, where: dict[str, int], seats: list[NewSeat], last: int
) -> Numbered:
    """Add the seats that are not there yet, numbered on from the last one.

    Raises:
        RefusedError: a seat is there with another price class, or elsewhere on the plan.
    """
    found = (await connection.execute(_QUERIES["find_seats"], where | _seats(seats))).all()
    if differing := [row for row in found if not row.is_same]:
        raise _refused("seats", [row.seat for row in differing], _seat_detail(differing[0], seats))

    numbered, new = _number([(row.place, row.seat) for row in found], seats, last)
    if new:
        await connection.execute(_QUERIES["add_seats"], where | _seats(new) | {"last_seat": last})
    return numbered


async def add_stocks(
    connection: AsyncConnection, where: dict[str, int], stocks: Sequence[NewStock], last: int
) -> Numbered:
    """Add the stocks that are not there yet, numbered on from the last one.

    Raises:
        RefusedError: a stock is there with another capacity or end, or a new one is over already.
    """
    found = (await connection.execute(_QUERIES["find_stocks"], where | _stocks(stocks))).all()
    if differing := [row for row in found if not row.is_same]:
        stock = stocks[differing[0].place - 1]
        detail = (
            f"{stock.name} of occasion {stock.occasion} exists as stock {differing[0].stock},"
            " with another capacity or end."
        )
        raise _refused("stocks", [row.stock for row in differing], detail)

    numbered, new = _number([(row.place, row.stock) for row in found], stocks, last)
    if new:
        ends = {f"stocks[{stocks.index(stock)}].ends_at": stock.ends_at for stock in new}
        refuse_past(ends, await read_clock(connection))
        await connection.execute(
            _QUERIES["add_stocks"], where | _stocks(new) | {"last_stock": last}
        )
    return numbered


async def add_products(
    connection: AsyncConnection, where: dict[str, int], products: Sequence[NewProduct], last: int
) -> Numbered:
    """Add the products that are not there yet, numbered on from the last one.

    Raises:
        RefusedError: a product is there with another price, or draws something else.
    """
    names = {"names": [product.name for product in products]}
    found = (await connection.execute(_QUERIES["find_products"], where | names)).all()
    if differing := [row for row in found if not _is_same(row, products[row.place - 1])]:
        detail = (
            f"{products[differing[0].place - 1].name} exists as product {differing[0].product},"
            " with another price, or drawing something else."
        )
        raise _refused("products", [row.product for row in differing], detail)

    numbered, new = _number([(row.place, row.product) for row in found], products, last)
    if new:
        await connection.execute(
            _QUERIES["add_products"],
            where
            | {
                "last_product": last,
                "names": [p.name for p in new],
                "prices": [p.price for p in new],
            },
        )
        await connection.execute(_QUERIES["add_draws"], where | _draws(new, last))
    return numbered


def refuse_past(times: Mapping[str, Instant | None], now: Instant) -> None:
    """Refuse what nobody could book any more; times by their fields.

    Raises:
        RefusedError: names the first field whose time is past.
    """
    for field, time in times.items():
        if time is not None and time <= now:
            raise RefusedError(
                ImportOutcome.IN_THE_PAST,
                f"`{field}` is {time.isoformat()}, and it is {now:%Y-%m-%dT%H:%M:%SZ} already."
                " Nothing was added.",
                {"field": field, "expected": "a time to come"},
            )


def _number(
    found: list[tuple[int, int]], parts: Sequence[P], last: int
) -> tuple[Numbered, list[P]]:
    """Give each part a number, its own or the next one; and tell which parts are new."""
    there = dict(found)
    following = count(last + 1)
    numbers = [there.get(place) or next(following) for place, _ in enumerate(parts, 1)]
    new = [part for place, part in enumerate(parts, 1) if place not in there]
    return Numbered(numbers, list(there.values())), new


def _refused(what: str, numbers: list[int], detail: str) -> RefusedError:
    more = f" {len(numbers) - 1} more differ." if len(numbers) > 1 else ""
    return RefusedError(
        ImportOutcome.PART_DIFFERS,
        f"{detail}{more} Nothing was added.",
        {what: numbers[:SHOWN_MAX]},
    )


def _seat_detail(found: Row[Any], seats: Sequence[NewSeat]) -> str:
    seat = seats[found.place - 1]
    return (
        f"Section {seat.section}, row {seat.row}, seat {seat.label} of occasion {seat.occasion}"
        f" exists as seat {found.seat}, with price class {found.price_class} at"
        f" ({found.x:g}, {found.y:g}), not price class {seat.price_class} at"
        f" ({seat.x:g}, {seat.y:g})."
    )


def _is_same(found: Row[Any], product: NewProduct) -> bool:
    draws = sorted((draw.stock, draw.units) for draw in product.draws)
    kept = list(zip(found.stocks or (), found.units or (), strict=True))
    return bool(found.price == product.price and kept == draws)


def _seats(seats: Sequence[NewSeat]) -> dict[str, Any]:
    return {
        "occasions": [s.occasion for s in seats],
        "price_classes": [s.price_class for s in seats],
        "sections": [s.section for s in seats],
        "rows": [s.row for s in seats],
        "labels": [s.label for s in seats],
        "xs": [s.x for s in seats],
        "ys": [s.y for s in seats],
    }


def _stocks(stocks: Sequence[NewStock]) -> dict[str, Any]:
    return {
        "occasions": [s.occasion for s in stocks],
        "names": [s.name for s in stocks],
        "starts": [s.starts_at for s in stocks],
        "ends": [s.ends_at for s in stocks],
        "capacities": [s.capacity for s in stocks],
    }


def _draws(products: Sequence[NewProduct], last: int) -> dict[str, Any]:
    draws = [
        (last + place, draw.stock, draw.units)
        for place, product in enumerate(products, 1)
        for draw in product.draws
    ]
    return {
        "products": [product for product, _, _ in draws],
        "stocks": [stock for _, stock, _ in draws],
        "units": [units for _, _, units in draws],
    }
