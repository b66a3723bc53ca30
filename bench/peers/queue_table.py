"""A waiting line as people write it today: a transaction a join, and a transaction an entering.

FastAPI, Pydantic v2 and SQLAlchemy 2 (asyncpg), Core statements as in the other peers. Joining
raises a counter that is locked until the commit, and writes a row. Entering locks the room, counts
the passes that live, and writes a row. It signs nothing and knows no epochs, draws or renewals,
which is work that it is spared.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import FastAPI, Path
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

PASS_TTL = timedelta(seconds=60)

metadata = MetaData()
rooms = Table(
    "queue_rooms",
    metadata,
    Column("room", BigInteger, primary_key=True),
    Column("issued", BigInteger),
    Column("serving", BigInteger),
    Column("capacity", Integer),
)
places = Table(
    "queue_places",
    metadata,
    Column("place", Uuid, primary_key=True),
    Column("room", BigInteger),
    Column("number", BigInteger),
    Column("nonce", Text),
)
passes = Table(
    "queue_passes",
    metadata,
    Column("pass", Uuid, primary_key=True),
    Column("place", Uuid),
    Column("room", BigInteger),
    Column("entered_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
)

IN_ROOM = rooms.c.room == bindparam("room_number")
find_place = select(places.c.place, places.c.number).where(
    places.c.room == bindparam("room_number"), places.c.nonce == bindparam("its_nonce")
)
find_number = select(places.c.number).where(places.c.place == bindparam("its_place"))
find_serving = select(rooms.c.serving).where(IN_ROOM)
take_number = (
    update(rooms)
    .where(IN_ROOM)
    .values(issued=rooms.c.issued + 1)
    .returning(rooms.c.issued, rooms.c.serving)
)
lock_room = select(rooms.c.serving, rooms.c.capacity).where(IN_ROOM).with_for_update()
find_pass = select(passes.c["pass"], passes.c.expires_at).where(
    passes.c.place == bindparam("its_place")
)
count_live = (
    select(func.count())
    .select_from(passes)
    .where(passes.c.room == bindparam("room_number"), passes.c.expires_at > bindparam("now"))
)
add_place = insert(places)
add_pass = insert(passes)


class JoinAsk(BaseModel):
    model_config = ConfigDict(extra="forbid")
    binding: Annotated[str, Field(min_length=22, max_length=22)]


class PlaceView(BaseModel):
    epoch: int
    serving: int
    poll_after_s: int
    place: UUID
    number: int


class EnterAsk(BaseModel):
    model_config = ConfigDict(extra="forbid")
    place: UUID


class PassView(BaseModel):
    pass_: Annotated[UUID, Field(serialization_alias="pass")]
    expires_at: datetime


RoomNumber = Annotated[int, Path(ge=1, le=2**63 - 1)]


async def join(conn: AsyncConnection, room: int, nonce: str) -> dict[str, Any]:
    """Take a number, or find the one that this nonce has."""
    found = (await conn.execute(find_place, {"room_number": room, "its_nonce": nonce})).first()
    if found is not None:
        serving = (await conn.execute(find_serving, {"room_number": room})).scalar_one()
        return _view(found.place, found.number, serving)
    taken = (await conn.execute(take_number, {"room_number": room})).one()
    place = uuid4()
    row = {"place": place, "room": room, "number": taken.issued, "nonce": nonce}
    await conn.execute(add_place, row)
    return _view(place, taken.issued, taken.serving)


async def enter(conn: AsyncConnection, room: int, place: UUID) -> PassView | int:
    """Give a pass, or the status of a refusal."""
    line = (await conn.execute(lock_room, {"room_number": room})).one()
    found = (await conn.execute(find_pass, {"its_place": place})).first()
    if found is not None:
        return PassView(pass_=found[0], expires_at=found.expires_at)
    number = await conn.scalar(find_number, {"its_place": place})
    if number is None:
        return 404
    if number > line.serving:
        return 409
    now = datetime.now(UTC)
    live = await conn.scalar(count_live, {"room_number": room, "now": now})
    if live >= line.capacity:
        return 202
    given = PassView(pass_=uuid4(), expires_at=now + PASS_TTL)
    row = {
        "pass": given.pass_,
        "place": place,
        "room": room,
        "entered_at": now,
        "expires_at": given.expires_at,
    }
    await conn.execute(add_pass, row)
    return given


def _view(place: UUID, number: int, serving: int) -> dict[str, Any]:
    return {"epoch": 1, "serving": serving, "poll_after_s": 2, "place": place, "number": number}


def create_app() -> FastAPI:
    engine = create_async_engine(
        make_url(os.environ["BENCH_DATABASE_URL"]).set(drivername="postgresql+asyncpg"),
        pool_size=int(os.environ.get("BENCH_POOL", "20")),
        max_overflow=0,
        pool_timeout=60,
    )
    app = FastAPI()

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "live"}

    @app.put("/v1/rooms/{room}/places/{nonce}", status_code=201, response_model=PlaceView)
    async def join_room(room: RoomNumber, nonce: str, body: JoinAsk) -> Any:
        del body  # bound to nothing here
        for is_last_try in (False, True):
            try:
                async with engine.begin() as conn:
                    return await join(conn, room, nonce)
            except IntegrityError:  # the same nonce at once: the second try finds its place
                if is_last_try:
                    raise
        return None

    @app.post("/v1/rooms/{room}/enter", status_code=201, response_model=PassView)
    async def enter_room(room: RoomNumber, body: EnterAsk) -> Any:
        async with engine.begin() as conn:
            entered = await enter(conn, room, body.place)
        if isinstance(entered, int):
            return _refused(entered)
        return entered

    return app


def _refused(status: int) -> Response:
    return JSONResponse({"status": status}, status_code=status)


app = create_app()
