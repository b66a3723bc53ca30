"""What the database says happened, to be held against what visitors were told."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.postgres.queries import load_cold_queries

QUERIES = load_cold_queries("sunseo.rehearsal")


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


class StoredOrder(msgspec.Struct, frozen=True):
    hold: str
    person: str
    seats: tuple[int, ...]


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


async def read_stored(engine: AsyncEngine, organisation: int, sale: int, room: int) -> Stored:
    """Read it all. Everything has come to rest: the crowd has gone."""
    of_sale = {"organisation": organisation, "sale": sale}
    of_room = {"organisation": organisation, "room": room}
    async with engine.connect() as connection:
        places = (await connection.execute(QUERIES["read_places"], of_room)).all()
        passes = (await connection.execute(QUERIES["read_passes"], of_room)).all()
        releases = (await connection.execute(QUERIES["read_releases"], of_room)).all()
        holds = (await connection.execute(QUERIES["read_holds"], of_sale)).all()
        orders = (await connection.execute(QUERIES["read_sold"], of_sale)).all()
    return Stored(
        epoch=max((row.epoch for row in places), default=1),
        places={str(row.holder): row.number for row in places},
        passes=[
            StoredPass(row.number, str(row.holder), row.state, row.entered_at, row.ended_at)
            for row in passes
        ],
        releases=[(row.upto, row.released_at) for row in releases],
        holds={
            str(row.hold): StoredHold(str(row.person), row.state, tuple(row.seats)) for row in holds
        },
        orders={
            str(row.order_id): StoredOrder(str(row.hold), str(row.person), tuple(row.seats or ()))
            for row in orders
        },
    )
