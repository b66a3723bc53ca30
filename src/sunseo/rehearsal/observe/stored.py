"""What the database says happened, to be held against what visitors were told."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.postgres.queries import load_cold_queries

QUERIES = load_cold_queries("sunseo.rehearsal.observe")


class StoredPass(msgspec.Struct, frozen=True):
    """Moments are seconds since 1970 by the database's clock; a pass that lives has no end."""

    number: int
    holder: str
    state: str
    entered_at: float
    ended_at: float | None


class StoredHold(msgspec.Struct, frozen=True):
    person: str
    state: str
    seats: tuple[int, ...]
    products: tuple[tuple[int, int], ...] = ()


class StoredOrder(msgspec.Struct, frozen=True):
    hold: str
    person: str
    seats: tuple[int, ...]
    products: tuple[tuple[int, int], ...] = ()
    sale: int = 1

    @property
    def units(self) -> int:
        return len(self.seats) + sum(quantity for _, quantity in self.products)


class StoredStock(msgspec.Struct, frozen=True):
    """Its product has the same number, and draws one unit of it."""

    sale: int
    stock: int
    capacity: int
    sold: int


class Stored(msgspec.Struct, frozen=True):
    """
    Attributes:
        places: numbers by holder.
        releases: the highest number called, and when, in order.
    """

    epoch: int
    places: dict[str, int]
    passes: list[StoredPass]
    releases: list[tuple[int, float]]
    holds: dict[str, StoredHold]
    orders: dict[str, StoredOrder]
    stocks: list[StoredStock] = []


async def read_passes(engine: AsyncEngine, organisation: int, room: int) -> list[StoredPass]:
    """Every pass of a room, with when it took up a slot and for how long."""
    async with engine.connect() as connection:
        where = {"organisation": organisation, "room": room}
        rows = (await connection.execute(QUERIES["read_passes"], where)).all()
    return [
        StoredPass(row.number, str(row.holder), row.state, row.entered_at, row.ended_at)
        for row in rows
    ]


async def read_stored(
    engine: AsyncEngine, organisation: int, sales: Sequence[int], room: int | None
) -> Stored:
    """Read it all. Everything has come to rest: the crowd has gone."""
    of_sale = {"organisation": organisation, "sales": list(sales)}
    of_room = {"organisation": organisation, "room": room}
    async with engine.connect() as connection:
        places = (await connection.execute(QUERIES["read_places"], of_room)).all()
        passes = (await connection.execute(QUERIES["read_passes"], of_room)).all()
        releases = (await connection.execute(QUERIES["read_releases"], of_room)).all()
        holds = (await connection.execute(QUERIES["read_holds"], of_sale)).all()
        orders = (await connection.execute(QUERIES["read_sold"], of_sale)).all()
        stocks = (await connection.execute(QUERIES["read_stocks"], of_sale)).all()
    return Stored(
        epoch=max((row.epoch for row in places), default=1),
        places={str(row.holder): row.number for row in places},
        passes=[
            StoredPass(row.number, str(row.holder), row.state, row.entered_at, row.ended_at)
            for row in passes
        ],
        releases=[(row.upto, row.released_at) for row in releases],
        holds={
            str(row.hold): StoredHold(str(row.person), row.state, tuple(row.seats), _products(row))
            for row in holds
        },
        orders={
            str(row.order_id): StoredOrder(
                str(row.hold), str(row.person), tuple(row.seats or ()), _products(row), row.sale
            )
            for row in orders
        },
        stocks=[StoredStock(row.sale, row.stock, row.capacity, row.sold) for row in stocks],
    )


def _products(row: Row[Any]) -> tuple[tuple[int, int], ...]:
    return tuple(zip(row.products or (), row.product_quantities or (), strict=True))
