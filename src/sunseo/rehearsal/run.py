"""Runs a rehearsal: server, scene, crowd, observer, verdict, report.

State       SETTING UP, PLAYING, JUDGING, DONE.
Guarantee   Whatever happens, Ctrl-C included, drivers and server of our own are stopped. Once the
            crowd was sent off there is always a verdict, if need be on what was seen until then.
Clock       T0 is one monotonic moment for observer and drivers, told to the server as wall time.
On failure  What could not be run is told by `attempt`.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from sunseo.rehearsal.attempt import (
    COULD_NOT,
    Environment,
    attempt,
    deliver,
    stop_on_signals,
)
from sunseo.rehearsal.driver import DriverPlan
from sunseo.rehearsal.drivers import Drivers, ready_drivers
from sunseo.rehearsal.faults.drill import Drill
from sunseo.rehearsal.faults.spec import parse_faults, plan_faults
from sunseo.rehearsal.faults.write import write_incidents
from sunseo.rehearsal.observe.eta import HOME_AFTER_S
from sunseo.rehearsal.observe.observer import Observer
from sunseo.rehearsal.observe.processes import Groups
from sunseo.rehearsal.report.compare import Compared, compare
from sunseo.rehearsal.report.live.server import LivePage
from sunseo.rehearsal.report.page import write_report
from sunseo.rehearsal.report.result import Options, Result, conclude
from sunseo.rehearsal.report.terminal import Terminal
from sunseo.rehearsal.scenes.scene import Surroundings
from sunseo.rehearsal.scenes.setup import set_up, setup_s
from sunseo.rehearsal.target.machine import machine
from sunseo.rehearsal.target.operator import Operator, Setup, open_session
from sunseo.rehearsal.target.target import Target, open_target, read_sale, status_source
from sunseo.rehearsal.verdict.judge import judge

DRIVERS_START_S = 1.0  # for drivers that are ready to read their plans before an early bird is due
CONNECTIONS_MAX = 4000  # of the whole crowd: below the 4,096 that a server's backlog holds
REST_S = 1.0  # for releases under way to be stored


class RunEnvironment(Environment, frozen=True, kw_only=True):
    """And what else a rehearsal may be given: incident reports, a live page, an earlier result."""

    incident: tuple[Path, ...] = ()
    requires_complete: bool = False
    live_port: int = 0
    earlier: Compared | None = None


def run_rehearsal(options: Options, where: RunEnvironment) -> int:
    """Run it and print; returns the exit code."""
    console = Console(stderr=where.as_json)

    def play(folder: Path) -> Coroutine[Any, Any, Result]:
        return _rehearse(options, where, folder, Terminal(console, options))

    def finish(result: Result) -> int:
        unwritten = deliver(
            result,
            where,
            console,
            table=Terminal(console, options).conclude,
            page=write_report,
            more=[partial(write_incidents, file, result) for file in where.incident],
        )
        if where.requires_complete and result.standing == "partly":
            return COULD_NOT
        return unwritten or result.exit_code

    return attempt(console, "rehearsal", where.data, play, finish)


async def _rehearse(
    options: Options, where: RunEnvironment, folder: Path, terminal: Terminal
) -> Result:
    scenario, stop = options.scenario, stop_on_signals()
    faults = plan_faults(parse_faults(options.faults) if options.faults else (), options.seed)
    live = LivePage(terminal.view)
    async with (
        live.served(where.live_port),
        open_target(
            folder,
            terminal.say,
            url=options.target,
            workers=options.workers,
            operator_key=where.operator_key,
            database_url=where.database_url,
        ) as target,
        open_session(target.url) as session,
        Drill(faults, target.server, target.url, terminal.say) as drill,
        ready_drivers(options.drivers, folder / "drivers.log") as drivers,
    ):
        terminal.say(f"Live: {live.url}")
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        early_s = scenario.arrivals.early_from_s
        start_s = DRIVERS_START_S + scenario.scene.companion_start_s
        zero = time.monotonic() + setup_s(scenario) + start_s + early_s
        opens_at = datetime.now(UTC) + timedelta(seconds=zero - time.monotonic())
        setup = await set_up(session, target.key, scenario, opens_at)
        terminal.say(f"{setup.summary} on {target.url}")

        around = Surroundings(target.url, target.key, setup.room, zero, folder)
        source = status_source(target, session, setup)
        async with scenario.scene.companion(around) as companion:
            url = None if companion is None else companion.url
            plans = driver_plans(options, target, setup, zero, folder, companion_url=url)
            drivers.start(map(drill.lead, plans))
            groups = Groups(lambda: target.supervisor, drivers.pids)
            observer = Observer(source, session, groups, zero, terminal.note_sample)
            async with (
                scenario.entrance.during(Operator(session, target.key), setup, zero),
                drill.in_progress(zero, opens_at, session),
            ):
                await _play(drivers, observer, terminal, stop)
            await observer.run_once()
            record = drivers.collect()
            tally = None if companion is None else await companion.tally()
        terminal.view.phase = "judging"
        terminal.say("Holding what visitors were told against what is stored ...")
        stored, report = await read_sale(target.engine, setup)
        evidence = scenario.evidence(
            ledger=record.ledger,
            figures=record.figures,
            samples=observer.samples,
            whole=record.whole,
            tally=tally,
            stored=stored,
            report=report,
            outages=drill.outages,
        )
        result = conclude(
            record,
            judge(evidence),
            observer.samples,
            options=options,
            machine=machine(),
            started_at=started_at,
            samples_missed=observer.missed,
            incidents=await drill.incidents(record, stored),
        )
        result = _compared(result, where.earlier)
        await live.finish(result)
        return result


def _compared(result: Result, earlier: Compared | None) -> Result:
    if earlier is None:
        return result
    now = msgspec.convert(msgspec.to_builtins(result), Compared)
    return msgspec.structs.replace(result, comparison=compare(earlier, now))


async def _play(
    drivers: Drivers, observer: Observer, terminal: Terminal, stop: asyncio.Event
) -> None:
    """Show the crowd until it has gone, or until we are told to stop."""
    observing = asyncio.create_task(observer.run())
    playing = asyncio.create_task(drivers.listen())
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
                    drivers.stop()
                terminal.show(drivers.progress)
        await playing
        await asyncio.sleep(REST_S)
    finally:
        for task in (observing, playing, stopping):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def driver_plans(
    options: Options,
    target: Target,
    setup: Setup,
    zero: float,
    folder: Path,
    *,
    companion_url: str | None = None,
) -> list[DriverPlan]:
    """What each driver is to do."""
    return [
        DriverPlan(
            url=target.url,
            sales=setup.sales,
            room=setup.room,
            companion_url=companion_url,
            zero=zero,
            seed=options.seed,
            scenario=options.scenario,
            stop_s=options.scenario.duration_s + HOME_AFTER_S,
            record=str(folder / f"record-{part}"),
            part=part,
            parts=options.drivers,
            connections_max=CONNECTIONS_MAX // options.drivers,
            issuer=target.issuer,
        )
        for part in range(options.drivers)
    ]
