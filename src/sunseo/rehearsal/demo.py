"""`sunseo demo`: a concert sells out to a crowd before your eyes, and the result is checked.

State       SETTING UP (server, sale), SELLING, CHECKING, STOPPED.
Guarantee   Whatever happens, Ctrl-C included, the server is stopped, and a data folder that we
            made is removed.
On failure  One line says what went wrong; the exit code is 1. Misuse is for the command line.
"""

import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import msgspec
import uvloop
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.invariants.verify import verify
from sunseo.operators.keys import create_key
from sunseo.postgres.embedded.running import running_dsn
from sunseo.postgres.pool import create_cold_engine
from sunseo.rehearsal.buyers import buyers
from sunseo.rehearsal.concert import DATES, Concert
from sunseo.rehearsal.crowd import Crowd
from sunseo.rehearsal.driver import REQUEST_TIMEOUT_S, Door, NoAnswerError, Window
from sunseo.rehearsal.figures import Figures
from sunseo.rehearsal.result import Result, conclude, count_connections, read_stored
from sunseo.rehearsal.screen import ProgressScreen, show_result
from sunseo.rehearsal.server import ServerError, ServerProcess
from sunseo.rehearsal.visit import Host, Sight

GOOD, BAD, INTERRUPTED = 0, 1, 130
ORGANISATION = 1
ISSUER = "https://tickets.example"
STANDING_PART = 4  # one standing place for so many seats
TICK_S = 0.25  # of the display


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    visitors: int = 500
    seats: int = 2_000
    seed: int | None = None
    data: Path | None = None
    workers: int = 1
    as_json: bool = False


def run_demo(options: DemoOptions) -> int:
    """Run it and print; returns the exit code."""
    console = Console(stderr=options.as_json)
    screen = ProgressScreen(console, quiet=options.as_json)
    try:
        with _data_folder(options.data) as data:
            result = _run(options, data, screen)
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("Stopped before the end; the server is down.")
        return INTERRUPTED
    except (NoAnswerError, ServerError) as error:
        console.print(f"The demo failed: {error}", style="red", highlight=False, markup=False)
        return BAD
    if options.as_json:
        sys.stdout.write(f"{msgspec.json.encode(result).decode()}\n")
    else:
        show_result(result, console)
    return GOOD if result.is_good else BAD


@contextmanager
def _data_folder(given: Path | None) -> Iterator[Path]:
    """The folder named, which stays; else one that is thrown away."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    made = Path(tempfile.mkdtemp(prefix="sunseo-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _run(options: DemoOptions, data: Path, screen: ProgressScreen) -> Result:
    host = Host(ISSUER, secrets.token_hex(32))
    screen.say("Starting PostgreSQL and the server ...")
    server = ServerProcess(
        data,
        data / "demo-server.log",
        {"jwt_issuer": ISSUER, "jwt_secret": host.secret, "workers": str(options.workers)},
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_stage(options, data, server, host, screen))
    finally:
        server.stop()


async def _stage(
    options: DemoOptions, data: Path, server: ServerProcess, host: Host, screen: ProgressScreen
) -> Result:
    _stop_on_sigterm()
    async with _session(server.url) as session:
        await server.await_ready(session)
        dsn = running_dsn(data)
        if dsn is None:
            raise ServerError("its PostgreSQL is not to be found")
        screen.say(f"The server listens on {server.url}; its data lies in {data}")
        async with _engine(dsn) as engine:
            return await _sell(options, engine, session, host, screen)


async def _sell(
    options: DemoOptions,
    engine: AsyncEngine,
    session: aiohttp.ClientSession,
    host: Host,
    screen: ProgressScreen,
) -> Result:
    key = await create_key(engine, ORGANISATION, "demo")
    concert = Concert(options.seats, max(1, options.seats // STANDING_PART))
    sale = await concert.create(session, key)
    plan = await concert.read_plan(session, sale)
    seed = options.seed if options.seed is not None else secrets.randbelow(10**6)
    screen.say(
        f"Sale {sale}: {len(DATES)} dates, each with {concert.seats:,} seats and "
        f"{concert.standing:,} standing places, at most 4 a person. "
        f"{options.visitors:,} buyers at once, seed {seed}."
    )

    figures = Figures()
    sight = Sight(Door(session, sale, figures), Window(plan), host, concert.capacity, figures)
    crowd = Crowd(buyers(seed, list(plan.seats)), options.visitors, sight)
    with screen:
        connections_max = await _watch(crowd, sight, engine, screen)
    seconds = crowd.elapsed_s
    screen.say("Asking `sunseo verify` what it thinks of the data ...")
    return conclude(
        figures,
        await read_stored(engine, ORGANISATION, sale),
        await verify(engine, ORGANISATION),
        seed=seed,
        visitors=options.visitors,
        workers=options.workers,
        capacity=concert.capacity,
        seconds=seconds,
        connections_max=connections_max,
    )


async def _watch(crowd: Crowd, sight: Sight, engine: AsyncEngine, screen: ProgressScreen) -> int:
    """Show the crowd until it has gone; returns how many connections the server had at most."""
    selling = asyncio.create_task(crowd.run())
    connections_max = 0
    try:
        while not selling.done():
            await asyncio.wait([selling], timeout=TICK_S)
            connections_max = max(connections_max, await count_connections(engine))
            screen.show(sight.window, sight.figures, crowd.elapsed_s)
    finally:
        selling.cancel()
        with suppress(asyncio.CancelledError):
            await selling
    return connections_max


def _session(url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        url,
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
    )


@asynccontextmanager
async def _engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    engine = create_cold_engine(dsn, size=1)
    try:
        yield engine
    finally:
        await engine.dispose()


def _stop_on_sigterm() -> None:
    """Let SIGTERM end the demo as cleanly as Ctrl-C."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
