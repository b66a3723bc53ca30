"""Runs a search for capacity: one server, probe after probe, then advice.

State       SETTING UP, PROBING, DONE.
Guarantee   Drivers and a server of our own are stopped, whatever happens. Ctrl-C ends the search
            with what is known until then; it is then told to be incomplete.
Clock       That of its probes.
On failure  What could not be run is told by `attempt`.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from sunseo.rehearsal.attempt import (
    Environment,
    attempt,
    deliver,
    stop_on_signals,
)
from sunseo.rehearsal.capacity.advice import advise
from sunseo.rehearsal.capacity.binding import binding_of
from sunseo.rehearsal.capacity.measured import Probe
from sunseo.rehearsal.capacity.page import write_page
from sunseo.rehearsal.capacity.probe import Prober
from sunseo.rehearsal.capacity.result import CapacityResult, SearchTerms, last_of
from sunseo.rehearsal.capacity.screen import Screen
from sunseo.rehearsal.capacity.search import Search
from sunseo.rehearsal.report.result import Options
from sunseo.rehearsal.report.slowest import Machinery
from sunseo.rehearsal.target.machine import machine
from sunseo.rehearsal.target.operator import open_session
from sunseo.rehearsal.target.target import open_target


def run_capacity(options: Options, terms: SearchTerms, where: Environment) -> int:
    """Search and print; returns the exit code."""
    console = Console(stderr=where.as_json)
    screen = Screen(console)

    def play(folder: Path) -> Coroutine[Any, Any, CapacityResult]:
        return _search(options, terms, where, folder, screen)

    def finish(capacity: CapacityResult) -> int:
        unwritten = deliver(capacity, where, console, table=screen.conclude, page=write_page)
        return unwritten or capacity.exit_code

    return attempt(console, "search", where.data, play, finish)


async def _search(
    options: Options, terms: SearchTerms, where: Environment, folder: Path, screen: Screen
) -> CapacityResult:
    stop = stop_on_signals()
    search = Search(terms.first, terms.ceiling, terms.precision)
    probes: list[Probe] = []
    async with (
        open_target(
            folder,
            screen.say,
            url=options.target,
            workers=options.workers,
            operator_key=where.operator_key,
            database_url=where.database_url,
        ) as target,
        open_session(target.url) as session,
    ):
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        prober = Prober(
            target,
            session,
            options,
            slos=terms.slos,
            probe_s=terms.probe_s,
            folder=folder,
            on_progress=screen.show,
        )
        while not stop.is_set() and (rate := search.next_rate()) is not None:
            screen.begin(rate, terms, search.highest_held, search.lowest_failed)
            probe = await _probe_or_stop(prober, rate, stop)
            if probe is None:
                break
            search.note(rate, held=probe.held)
            probes.append(probe)
            screen.end(probe)
    return _concluded(options, terms, search, probes, started_at)


async def _probe_or_stop(prober: Prober, rate: float, stop: asyncio.Event) -> Probe | None:
    """The probe, or none if we are told to stop meanwhile."""
    probing = asyncio.create_task(prober.probe(rate))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([probing, stopping], return_when=asyncio.FIRST_COMPLETED)
        return await probing if probing.done() else None
    finally:
        for task in (probing, stopping):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _concluded(
    options: Options, terms: SearchTerms, search: Search, probes: list[Probe], started_at: str
) -> CapacityResult:
    here = machine()
    machinery = Machinery(here.cores, options.workers, options.drivers)
    failed = last_of(probes, search.lowest_failed, held=False)
    best = last_of(probes, search.found, held=True)
    binding = binding_of(failed, machinery)
    sales = options.scenario.sales
    return CapacityResult(
        started_at=started_at,
        options=options,
        terms=terms,
        machine=here,
        found=search.found,
        failed_at=search.lowest_failed,
        binding=binding,
        probes=probes,
        advice=[] if best is None else advise(best, binding, machinery, sales),
        whole=search.next_rate() is None,
    )
