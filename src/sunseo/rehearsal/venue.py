"""Where a rehearsal takes place: a server of our own or the one that was named; how to look at it.

State       OPEN from when the server takes requests; CLOSED when the block is left.
Guarantee   A server of our own ends with the block, however that is left.
Clock       None of its own.
On failure  ServerError with one line.
"""

import asyncio
import os
import platform
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

import aiohttp
import psutil
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.core.version import VERSION
from sunseo.invariants.report import Report
from sunseo.invariants.verify import verify
from sunseo.operators.keys import create_key
from sunseo.postgres.embedded.running import running_dsn
from sunseo.postgres.pool import create_cold_engine
from sunseo.rehearsal.observe import DatabaseWindow, HttpWindow, Window
from sunseo.rehearsal.outcome import Machine, Options
from sunseo.rehearsal.scene import Issuer
from sunseo.rehearsal.server import ServerError, ServerProcess
from sunseo.rehearsal.stage import Scenery
from sunseo.rehearsal.stored import Stored, read_stored

ORGANISATION = 1
ISSUER = "https://tickets.example"
SAME_SIGNAL_S = 2.0  # a Ctrl-C comes twice through some shells and tools


class Venue(NamedTuple):
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
async def open_venue(
    options: Options,
    folder: Path,
    say: Callable[[str], object],
    operator_key: str | None,
    database_url: str | None,
) -> AsyncIterator[Venue]:
    """A server of our own in `folder`, or the one that was named, with its key and database."""
    if options.target is not None:
        async with open_engine(database_url) as engine:
            yield Venue(options.target, operator_key or "", engine, None, None)
        return
    issuer = Issuer(ISSUER, secrets.token_hex(32), ORGANISATION)
    settings = {
        "jwt_issuer": issuer.name,
        "jwt_secret": issuer.secret,
        "workers": str(options.workers),
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
            yield Venue(server.url, key, engine, server, issuer)
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


def open_session(url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        url, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=60.0)
    )


def window_on(venue: Venue, session: aiohttp.ClientSession, scenery: Scenery) -> Window:
    if venue.engine is None:
        return HttpWindow(session, venue.key, scenery)
    return DatabaseWindow(venue.engine, ORGANISATION, scenery)


async def read_sale(
    engine: AsyncEngine | None, scenery: Scenery
) -> tuple[Stored | None, Report | None]:
    if engine is None:
        return None, None
    stored = await read_stored(engine, ORGANISATION, scenery.sales, scenery.room)
    return stored, await verify(engine, ORGANISATION, scenery.sales)


def stop_on_signals() -> asyncio.Event:
    """The first SIGINT or SIGTERM asks for a partial report; the next one ends us at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    first = 0.0

    def heed() -> None:
        nonlocal first
        if not stop.is_set():
            stop.set()
            first = loop.time()
        elif loop.time() > first + SAME_SIGNAL_S and task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heed)
    return stop


def machine() -> Machine:
    memory = psutil.virtual_memory().total / 2**30
    return Machine(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        round(memory, 1),
        f"{platform.system()} {platform.release()} {platform.machine()}",
        platform.python_version(),
        VERSION,
    )
