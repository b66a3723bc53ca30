"""The server that is rehearsed on: one of our own or the one that was named; how to look at it.

State       OPEN from when the server takes requests; CLOSED when the block is left.
Guarantee   A server of our own ends with the block, however that is left.
Clock       None of its own.
On failure  ServerError with one line.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

import aiohttp
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.invariants.report import Report
from sunseo.invariants.verify import verify
from sunseo.operators.keys import create_key
from sunseo.postgres.embedded.running import running_dsn
from sunseo.postgres.pool import create_cold_engine
from sunseo.rehearsal.crowd.shared import Issuer
from sunseo.rehearsal.observe.observer import DatabaseStatus, HttpStatus, StatusSource
from sunseo.rehearsal.observe.stored import Stored, read_stored
from sunseo.rehearsal.target.operator import Setup, open_session
from sunseo.rehearsal.target.server import ServerError, ServerProcess

ORGANISATION = 1
ISSUER = "https://tickets.example"


class Target(NamedTuple):
    """A server to rehearse on."""

    url: str
    key: str
    engine: AsyncEngine | None
    server: ServerProcess | None  # ours
    issuer: Issuer | None

    @property
    def supervisor(self) -> int | None:
        """The process of our server at this moment: another one after it was started again."""
        return None if self.server is None else self.server.pid


@asynccontextmanager
async def open_target(
    folder: Path,
    say: Callable[[str], object],
    *,
    url: str | None,
    workers: int,
    operator_key: str | None,
    database_url: str | None,
) -> AsyncIterator[Target]:
    """A server of our own in `folder`, or the one that was named, with its key and database."""
    if url is not None:
        async with open_engine(database_url) as engine:
            yield Target(url, operator_key or "", engine, None, None)
        return
    issuer = Issuer(ISSUER, secrets.token_hex(32), ORGANISATION)
    settings = {
        "jwt_issuer": issuer.name,
        "jwt_secret": issuer.secret,
        "workers": str(workers),
    }
    say("Starting PostgreSQL and the server ...")
    server = ServerProcess(folder, folder / "server.log", settings)
    try:
        async with open_session(server.url) as session:
            await server.await_ready(session)
        async with open_engine(running_dsn(folder)) as engine:
            if engine is None:
                raise ServerError("its PostgreSQL is not to be found")
            key = await create_key(engine, ORGANISATION, f"rehearsal {token_hex(4)}")
            yield Target(server.url, key, engine, server, issuer)
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def open_engine(dsn: str | None) -> AsyncIterator[AsyncEngine | None]:
    if dsn is None:
        yield None
        return
    engine = create_cold_engine(dsn, size=1)
    try:
        yield engine
    finally:
        await engine.dispose()


def status_source(target: Target, session: aiohttp.ClientSession, setup: Setup) -> StatusSource:
    if target.engine is None:
        return HttpStatus(session, target.key, setup.sales, setup.room)
    return DatabaseStatus(target.engine, ORGANISATION, setup.sales, setup.room)


async def read_sale(
    engine: AsyncEngine | None, setup: Setup
) -> tuple[Stored | None, Report | None]:
    if engine is None:
        return None, None
    stored = await read_stored(engine, ORGANISATION, setup.sales, setup.room)
    return stored, await verify(engine, ORGANISATION, setup.sales)
