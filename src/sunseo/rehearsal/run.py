"""Runs a rehearsal: server, scene, crowd, observer, verdict, report.

State       SETTING UP, PLAYING, JUDGING, DONE.
Guarantee   Whatever happens, Ctrl-C included, drivers and server of our own are stopped and a
            folder that we made is removed. Once the crowd was sent off there is always a verdict,
            if need be on what was seen until then.
Clock       T0 is one monotonic moment for observer and drivers, told to the server as wall time.
On failure  One line says what went wrong; the exit code is 2.
"""

import asyncio
import os
import platform
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec
import psutil
import uvloop
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo import __version__
from sunseo.invariants.report import Report
from sunseo.invariants.verify import verify
from sunseo.operators.keys import create_key
from sunseo.postgres.embedded.running import running_dsn
from sunseo.postgres.pool import create_cold_engine
from sunseo.rehearsal.crew import Crew, CrewError
from sunseo.rehearsal.drive import Plan
from sunseo.rehearsal.observe import DatabaseWindow, HttpWindow, Observer, Window
from sunseo.rehearsal.outcome import COULD_NOT, Machine, Options, Outcome, conclude
from sunseo.rehearsal.processes import Groups
from sunseo.rehearsal.report.page import write_report
from sunseo.rehearsal.scene import Issuer
from sunseo.rehearsal.server import ServerError, ServerProcess
from sunseo.rehearsal.stage import Scenery, StageError, set_up
from sunseo.rehearsal.stored import Stored, read_stored
from sunseo.rehearsal.terminal import Terminal
from sunseo.rehearsal.verdict import Evidence, judge

ORGANISATION = 1
ISSUER = "https://tickets.example"
SAME_SIGNAL_S = 2.0  # a Ctrl-C comes twice through some shells and tools
CREW_START_S = 4.0  # for drivers to start before the first early bird is due
AFTER_S = 180.0  # past the last arrival, whoever is left is sent home
REQUESTS_MAX = 1024
"""Under way in a worker of ours. With 8,192, the default, those inside waited among all who wanted
to join: in the first half minute of an overload nothing was sold, with 1,024 it went on."""
CONNECTIONS_MAX = 4000  # of the whole crowd: below the 4,096 that a server's backlog holds
REST_S = 1.0  # for releases under way to be stored


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Where the results go, and how to reach a server that is not ours."""

    operator_key: str | None = None
    database_url: str | None = None
    json: Path | None = None
    report: Path | None = None
    data: Path | None = None
    as_json: bool = False


class Venue(NamedTuple):
    """A server to rehearse on."""

    url: str
    key: str
    engine: AsyncEngine | None
    supervisor: int | None
    issuer: Issuer | None


def run_rehearsal(options: Options, where: Where) -> int:
    """Run it and print; returns the exit code."""
    console = Console(stderr=where.as_json)
    try:
        with (
            _folder(where.data) as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            outcome = runner.run(_rehearse(options, where, folder, Terminal(console, options)))
    except (CrewError, ServerError, StageError, aiohttp.ClientError) as error:
        console.print(f"No rehearsal: {error}", style="red", highlight=False, markup=False)
        return COULD_NOT
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("Stopped at once; nothing is left behind.")
        return COULD_NOT
    if where.json is not None:
        where.json.write_bytes(msgspec.json.encode(outcome))
    if where.report is not None:
        write_report(where.report, outcome)
    if where.as_json:
        print(msgspec.json.encode(outcome).decode())  # noqa: T201 - the result of a command
    Terminal(console, options).conclude(outcome, where.report)
    return outcome.exit_code


async def _rehearse(options: Options, where: Where, folder: Path, terminal: Terminal) -> Outcome:
    stop = _stop_on_signals()
    async with _venue(options, where, folder, terminal) as venue, _session(venue.url) as session:
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        zero = time.monotonic() + options.scenario.arrivals.early_from_s + CREW_START_S
        opens_at = datetime.now(UTC) + timedelta(seconds=zero - time.monotonic())
        scenery = await set_up(session, venue.key, options.scenario, opens_at)
        terminal.say(f"Sale {scenery.sale} behind room {scenery.room} on {venue.url}")

        crew = Crew(_plans(options, venue, scenery, zero, folder), folder / "drivers.log")
        window = _window(venue, session, scenery)
        try:
            await crew.start()
            groups = Groups(venue.supervisor, crew.pids)
            observer = Observer(window, session, groups, zero, terminal.note_sample)
            await _play(crew, observer, terminal, stop)
            await observer.run_once()
            record = crew.bring_home()
        finally:
            await crew.end()
        terminal.say("Holding what visitors were told against what is stored ...")
        stored, report = await _read(venue.engine, scenery)
        verdict = judge(
            Evidence(
                ledger=record.ledger,
                figures=record.figures,
                samples=observer.samples,
                capacity=options.scenario.capacity,
                units=options.scenario.units,
                whole=record.whole,
                stored=stored,
                report=report,
            )
        )
        return conclude(
            record,
            verdict,
            observer.samples,
            options=options,
            machine=_machine(),
            started_at=started_at,
            samples_missed=observer.missed,
        )


async def _play(crew: Crew, observer: Observer, terminal: Terminal, stop: asyncio.Event) -> None:
    """Show the crowd until it has gone, or until we are told to stop."""
    observing = asyncio.create_task(observer.run())
    playing = asyncio.create_task(crew.listen())
    stopping = asyncio.create_task(stop.wait())
    try:
        with terminal:
            while not playing.done():
                await asyncio.wait(
                    [playing, stopping] if not stopping.done() else [playing],
                    timeout=terminal.tick_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if stopping.done():
                    crew.tell_to_stop()
                terminal.show(crew.progress)
        await playing
        await asyncio.sleep(REST_S)
    finally:
        for task in (observing, playing, stopping):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _plans(
    options: Options, venue: Venue, scenery: Scenery, zero: float, folder: Path
) -> list[Plan]:
    return [
        Plan(
            url=venue.url,
            sale=scenery.sale,
            room=scenery.room,
            zero=zero,
            seed=options.seed,
            scenario=options.scenario,
            stop_s=options.scenario.duration_s + AFTER_S,
            record=str(folder / f"record-{part}"),
            part=part,
            parts=options.drivers,
            connections_max=CONNECTIONS_MAX // options.drivers,
            issuer=venue.issuer,
        )
        for part in range(options.drivers)
    ]


def _window(venue: Venue, session: aiohttp.ClientSession, scenery: Scenery) -> Window:
    if venue.engine is None:
        return HttpWindow(session, venue.key, scenery)
    return DatabaseWindow(venue.engine, ORGANISATION, scenery)


async def _read(
    engine: AsyncEngine | None, scenery: Scenery
) -> tuple[Stored | None, Report | None]:
    if engine is None:
        return None, None
    stored = await read_stored(engine, ORGANISATION, scenery.sale, scenery.room)
    return stored, await verify(engine, ORGANISATION, [scenery.sale])


@asynccontextmanager
async def _venue(
    options: Options, where: Where, folder: Path, terminal: Terminal
) -> AsyncIterator[Venue]:
    """A server of our own, or the one that was named."""
    if options.target is not None:
        async with _engine(where.database_url) as engine:
            yield Venue(options.target, where.operator_key or "", engine, None, None)
        return
    issuer = Issuer(ISSUER, secrets.token_hex(32), ORGANISATION)
    settings = {
        "jwt_issuer": issuer.name,
        "jwt_secret": issuer.secret,
        "workers": str(options.workers),
        "requests_max": str(REQUESTS_MAX),
    }
    terminal.say("Starting PostgreSQL and the server ...")
    server = ServerProcess(folder, folder / "server.log", settings)
    try:
        async with _session(server.url) as session:
            await server.await_ready(session)
        async with _engine(running_dsn(folder)) as engine:
            if engine is None:
                raise ServerError("its PostgreSQL is not to be found")
            key = await create_key(engine, ORGANISATION, "rehearsal")
            yield Venue(server.url, key, engine, server.pid, issuer)
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def _engine(dsn: str | None) -> AsyncIterator[AsyncEngine | None]:
    if dsn is None:
        yield None
        return
    engine = create_cold_engine(dsn, size=1)
    try:
        yield engine
    finally:
        await engine.dispose()


def _session(url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        url, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=60.0)
    )


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder named, which stays; else one that is thrown away."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    made = Path(tempfile.mkdtemp(prefix="sunseo-rehearsal-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _stop_on_signals() -> asyncio.Event:
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


def _machine() -> Machine:
    memory = psutil.virtual_memory().total / 2**30
    return Machine(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        round(memory, 1),
        f"{platform.system()} {platform.release()} {platform.machine()}",
        platform.python_version(),
        __version__,
    )
