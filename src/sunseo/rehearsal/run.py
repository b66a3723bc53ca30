"""Runs a rehearsal: server, scene, crowd, observer, verdict, report.

State       SETTING UP, PLAYING, JUDGING, DONE.
Guarantee   Whatever happens, Ctrl-C included, drivers and server of our own are stopped. Once the
            crowd was sent off there is always a verdict, if need be on what was seen until then.
Clock       T0 is one monotonic moment for observer and drivers, told to the server as wall time.
On failure  What could not be run is told by `attempt`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from sunseo.core.outputs import write_outputs
from sunseo.rehearsal.attempt import COULD_NOT, attempt, json_writers, page_writers, say_unwritten
from sunseo.rehearsal.crew import Crew
from sunseo.rehearsal.drive import Plan
from sunseo.rehearsal.faults.drill import Drill
from sunseo.rehearsal.faults.spec import parse_faults, plan_faults
from sunseo.rehearsal.faults.write import write_incidents
from sunseo.rehearsal.observe.eta import HOME_AFTER_S
from sunseo.rehearsal.observe.observe import Observer
from sunseo.rehearsal.observe.processes import Groups
from sunseo.rehearsal.report.compare import Compared, compare
from sunseo.rehearsal.report.live.server import LivePage
from sunseo.rehearsal.report.outcome import Options, Outcome, conclude
from sunseo.rehearsal.report.page import write_report
from sunseo.rehearsal.report.terminal import Terminal
from sunseo.rehearsal.scenes.scenario import Scenario
from sunseo.rehearsal.target.neighbour import Neighbour, open_neighbour
from sunseo.rehearsal.target.server import free_port
from sunseo.rehearsal.target.site import SiteTerms
from sunseo.rehearsal.target.stage import Operator, Scenery, StageError, hold_draw, set_up, setup_s
from sunseo.rehearsal.target.venue import (
    Venue,
    machine,
    open_session,
    open_venue,
    read_sale,
    stop_on_signals,
    window_on,
)
from sunseo.rehearsal.verdict.evidence import Evidence
from sunseo.rehearsal.verdict.verdict import judge

CREW_START_S = 4.0  # for drivers to start before the first early bird is due
CONNECTIONS_MAX = 4000  # of the whole crowd: below the 4,096 that a server's backlog holds
DRAWN_BEFORE_S = 2.0  # T0, so that everybody can have her number then
REST_S = 1.0  # for releases under way to be stored


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Where the results go, and how to reach a server that is not ours."""

    operator_key: str | None = None
    database_url: str | None = None
    json: Path | None = None
    report: Path | None = None
    incident: tuple[Path, ...] = ()
    data: Path | None = None
    as_json: bool = False
    requires_complete: bool = False
    live_port: int = 0
    earlier: Compared | None = None


def run_rehearsal(options: Options, where: Where) -> int:
    """Run it and print; returns the exit code."""
    console = Console(stderr=where.as_json)

    def play(folder: Path) -> Coroutine[Any, Any, Outcome]:
        return _rehearse(options, where, folder, Terminal(console, options))

    def finish(outcome: Outcome) -> int:
        failed = _write(outcome, where)
        Terminal(console, options).conclude(outcome, where.report)
        if say_unwritten(console, failed):
            return COULD_NOT
        if where.requires_complete and outcome.standing == "partly":
            return COULD_NOT
        return outcome.exit_code

    return attempt(console, "rehearsal", where.data, play, finish)


def _write(outcome: Outcome, where: Where) -> list[str]:
    """Write and print the results; returns what could not be, a line each."""
    return write_outputs(
        *json_writers(outcome, where.json, as_json=where.as_json),
        *page_writers(write_report, where.report, outcome),
        *(partial(write_incidents, file, outcome) for file in where.incident),
    )


async def _rehearse(options: Options, where: Where, folder: Path, terminal: Terminal) -> Outcome:
    stop = stop_on_signals()
    faults = plan_faults(parse_faults(options.faults) if options.faults else (), options.seed)
    live = LivePage(terminal.view)
    async with (
        live.served(where.live_port),
        open_venue(options, folder, terminal.say, where.operator_key, where.database_url) as venue,
        open_session(venue.url) as session,
        Drill(faults, venue.server, venue.url, terminal.say) as drill,
    ):
        terminal.say(f"Live: {live.url}")
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        early_s = options.scenario.arrivals.early_from_s
        zero = time.monotonic() + setup_s(options.scenario) + CREW_START_S + early_s
        opens_at = datetime.now(UTC) + timedelta(seconds=zero - time.monotonic())
        scenery = await set_up(session, venue.key, options.scenario, opens_at)
        terminal.say(f"{scenery.told} on {venue.url}")

        window = window_on(venue, session, scenery)
        async with _neighbour(options, venue, scenery, zero, folder) as neighbour:
            site_url = None if neighbour is None else neighbour.url
            plans = plans_of(options, venue, scenery, zero, folder, site_url=site_url)
            crew = Crew(map(drill.lead, plans), folder / "drivers.log")
            try:
                await crew.start()
                groups = Groups(lambda: venue.supervisor, crew.pids)
                observer = Observer(window, session, groups, zero, terminal.note_sample)
                async with (
                    _drawing(options.scenario, Operator(session, venue.key), scenery, zero),
                    drill.under_way(zero, opens_at, session),
                ):
                    await _play(crew, observer, terminal, stop)
                await observer.run_once()
                record = crew.bring_home()
            finally:
                await crew.end()
            tally = None if neighbour is None else await neighbour.tally()
        terminal.view.phase = "judging"
        terminal.say("Holding what visitors were told against what is stored ...")
        stored, report = await read_sale(venue.engine, scenery)
        evidence = Evidence.of(
            options.scenario,
            ledger=record.ledger,
            figures=record.figures,
            samples=observer.samples,
            whole=record.whole,
            tally=tally,
            stored=stored,
            report=report,
            outages=drill.outages,
        )
        outcome = conclude(
            record,
            judge(evidence),
            observer.samples,
            options=options,
            machine=machine(),
            started_at=started_at,
            samples_missed=observer.missed,
            incidents=await drill.incidents(record, stored),
        )
        outcome = _compared(outcome, where.earlier)
        await live.finish(outcome)
        return outcome


@asynccontextmanager
async def _drawing(
    scenario: Scenario, operator: Operator, scenery: Scenery, zero: float
) -> AsyncIterator[None]:
    """Numbers are drawn meanwhile, shortly before T0, where the scenario draws them.

    Raises:
        StageError: they could not be.
    """
    if not scenario.draws:
        yield
        return
    wait_s = zero - DRAWN_BEFORE_S - time.monotonic()
    drawing = asyncio.create_task(hold_draw(operator, scenery, wait_s))
    try:
        yield
        if drawing.done():
            await drawing
    finally:
        drawing.cancel()
        with suppress(asyncio.CancelledError, StageError):
            await drawing


@asynccontextmanager
async def _neighbour(
    options: Options, venue: Venue, scenery: Scenery, zero: float, folder: Path
) -> AsyncIterator[Neighbour | None]:
    """The site behind the room, with a gate in front, where the scenario has one."""
    if options.scenario.site is None or scenery.room is None:
        yield None
        return
    async with open_session(venue.url) as session:
        keys = await Operator(session, venue.key).read(f"/v1/rooms/{scenery.room}/keys")
    terms = SiteTerms(
        site=options.scenario.site,
        port=free_port(),
        room=scenery.room,
        keys=keys,
        sunseo_url=venue.url,
        operator_key=venue.key,
        zero=zero,
    )
    async with open_neighbour(terms, folder / "site.log") as neighbour:
        yield neighbour


def _compared(outcome: Outcome, earlier: Compared | None) -> Outcome:
    if earlier is None:
        return outcome
    now = msgspec.convert(msgspec.to_builtins(outcome), Compared)
    return msgspec.structs.replace(outcome, comparison=compare(earlier, now))


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


def plans_of(
    options: Options,
    venue: Venue,
    scenery: Scenery,
    zero: float,
    folder: Path,
    *,
    site_url: str | None = None,
) -> list[Plan]:
    """What each driver is to do."""
    return [
        Plan(
            url=venue.url,
            sales=scenery.sales,
            room=scenery.room,
            site_url=site_url,
            zero=zero,
            seed=options.seed,
            scenario=options.scenario,
            stop_s=options.scenario.duration_s + HOME_AFTER_S,
            record=str(folder / f"record-{part}"),
            part=part,
            parts=options.drivers,
            connections_max=CONNECTIONS_MAX // options.drivers,
            issuer=venue.issuer,
        )
        for part in range(options.drivers)
    ]
