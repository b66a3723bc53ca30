"""Tries one rate: a short, steady crowd on a server that is already there.

State       Each probe sets up its own sale and room, PLAYS, and is OVER when the last visitor has
            come: nobody is waited for.
Guarantee   No driver outlives its probe. What counts is the later half, when as many leave as come.
Clock       Monotonic, as in a rehearsal; passes are dated by the database's clock.
On failure  A driver that breaks down is a DriverError; a look that fails is a gap.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec

from sunseo.rehearsal.capacity.bounds import broken_slos, broken_unsaid, within
from sunseo.rehearsal.capacity.measured import LittlesLaw, Probe
from sunseo.rehearsal.crowd.arrivals import Poisson
from sunseo.rehearsal.driver import DriverProgress
from sunseo.rehearsal.drivers import Drivers, ready_drivers
from sunseo.rehearsal.observe.histogram import merged, quantiles_ms
from sunseo.rehearsal.observe.ledger import DriverRecord
from sunseo.rehearsal.observe.observer import Observer, Sample
from sunseo.rehearsal.observe.processes import Groups
from sunseo.rehearsal.observe.readings import connections_max, overall
from sunseo.rehearsal.observe.stored import StoredPass, read_passes
from sunseo.rehearsal.report.result import Options
from sunseo.rehearsal.run import DRIVERS_START_S, driver_plans
from sunseo.rehearsal.scenes.scenario import Scenario
from sunseo.rehearsal.scenes.setup import set_up, setup_s
from sunseo.rehearsal.target.operator import Setup
from sunseo.rehearsal.target.target import ORGANISATION, Target, status_source

COUNTS_FROM = 0.5  # of the probe: before that, visitors inside are still becoming more
TAIL_S = 1.0  # for answers under way at the end
TICK_S = 0.5
UNITS_EACH = 4.0  # so much on sale for each visitor that nobody finds nothing
UNITS_MAX = 50_000
ROOMY = 10.0  # times as many inside as should be: the room must not be what binds

OnProgress = Callable[[DriverProgress], object]


class Prober:
    """
    Args:
        options: the scenario is the one to be probed; rate, stock and room are the prober's.
    """

    def __init__(
        self,
        target: Target,
        session: aiohttp.ClientSession,
        options: Options,
        *,
        slos: Sequence[str],
        probe_s: float,
        folder: Path,
        on_progress: OnProgress,
    ) -> None:
        self._target = target
        self._session = session
        self._options = options
        self._slos = slos
        self._probe_s = probe_s
        self._folder = folder
        self._on_progress = on_progress

    async def probe(self, rate: float) -> Probe:
        """Send visitors at this rate, and say whether the bounds held."""
        scenario = steady(self._options.scenario, rate, self._probe_s)
        options = msgspec.structs.replace(self._options, scenario=scenario)
        async with ready_drivers(options.drivers, self._folder / "drivers.log") as drivers:
            zero = time.monotonic() + setup_s(scenario) + DRIVERS_START_S
            opens_at = datetime.now(UTC) + timedelta(seconds=zero - time.monotonic())
            setup = await set_up(self._session, self._target.key, scenario, opens_at)
            drivers.start(driver_plans(options, self._target, setup, zero, self._folder))
            source = status_source(self._target, self._session, setup)
            groups = Groups(lambda: self._target.supervisor, drivers.pids)
            observer = Observer(source, self._session, groups, zero, lambda _: None)
            await self._play(drivers, observer, zero)
        record = drivers.collect()
        passes = await self._passes(setup)
        return self._seen(rate, record, observer.samples, passes, opens_at.timestamp())

    async def _play(self, drivers: Drivers, observer: Observer, zero: float) -> None:
        """Until the last has come."""
        observing = asyncio.create_task(observer.run())
        listening = asyncio.create_task(drivers.listen())
        ends_at = zero + self._probe_s + TAIL_S
        try:
            # Who has told nothing yet could not be told to stop, either.
            while (time.monotonic() < ends_at or drivers.progress is None) and not listening.done():
                await asyncio.wait([listening], timeout=TICK_S)
                if drivers.progress is not None:
                    self._on_progress(drivers.progress)
            drivers.stop()
            await listening
        finally:
            for task in (observing, listening):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _passes(self, setup: Setup) -> list[StoredPass]:
        engine = self._target.engine
        if engine is None or setup.room is None:
            return []
        return await read_passes(engine, ORGANISATION, setup.room)

    def _seen(
        self,
        rate: float,
        record: DriverRecord,
        samples: list[Sample],
        passes: list[StoredPass],
        zero_at: float,
    ) -> Probe:
        span = (COUNTS_FROM * self._probe_s, self._probe_s)
        seconds = within(record.figures, span).latencies
        latencies = {name: merged(counts.values()) for name, counts in seconds.items()}
        reading = overall(samples, *span)
        came = sum(record.figures.arrivals.values()) / self._probe_s
        late_p99_ms = quantiles_ms(record.figures.driver_late, 0.99)[0]
        broken = broken_slos(self._slos, record, span)
        broken += broken_unsaid(rate, came, record, reading)
        answered = sum(sum(counts.values()) for counts in latencies.values())
        if not answered:
            broken.append("nobody was answered in the time that counts")
        return Probe(
            rate=round(rate, 2),
            came=round(came, 2),
            held=not broken,
            broken=broken,
            requests_per_s=round(answered / (span[1] - span[0]), 1),
            p99_ms={name: quantiles_ms(counts, 0.99)[0] for name, counts in latencies.items()},
            late_p99_ms=late_p99_ms,
            connections=connections_max(samples),
            reading=reading,
            laws=laws_of(samples, passes, span, zero_at),
        )


def steady(scenario: Scenario, rate: float, probe_s: float) -> Scenario:
    """The scenario's people, coming by chance at one rate, to a sale that has enough for all."""
    visitors = max(1, round(rate * probe_s))
    inside = rate * scenario.session_s
    units = min(UNITS_MAX, round(UNITS_EACH * visitors) + 100)
    changed = scenario.changed(visitors=visitors, units=units)
    changed = msgspec.structs.replace(changed, arrivals=Poisson(duration_s=probe_s))
    return changed.with_room_for(round(ROOMY * inside) + 100)


def laws_of(
    samples: list[Sample],
    passes: list[StoredPass],
    span: tuple[float, float],
    zero_at: float,
) -> list[LittlesLaw]:
    """Little's law with the measured numbers put in: in the room, in the server, in the lanes."""
    within = [sample for sample in samples if span[0] <= sample.at_s <= span[1]]
    if len(within) < 2:
        return []
    seconds = within[-1].at_s - within[0].at_s

    def grown(name: str) -> float:
        return within[-1].metrics.get(name, 0.0) - within[0].metrics.get(name, 0.0)

    def seen(values: list[float]) -> float:
        return round(sum(values) / len(values), 2)

    laws = []
    if (inside := _inside(passes, span, zero_at)) is not None:
        laws.append(LittlesLaw("inside", *inside, seen([float(s.live) for s in within])))
    for station, name, times, gauge in (
        ("server", "request_s", "requests_timed", "in_flight"),
        ("lanes", "flush_s", "flushes", ""),
    ):
        if (count := grown(times)) > 0:
            counted = seen([s.metrics.get(gauge, 0.0) for s in within]) if gauge else None
            laws.append(
                LittlesLaw(
                    station, round(count / seconds, 2), round(grown(name) / count, 5), counted
                )
            )
    return laws


def _inside(
    passes: list[StoredPass], span: tuple[float, float], zero_at: float
) -> tuple[float, float] | None:
    """How many entered per second, and how long those stayed who left meanwhile."""
    start, end = zero_at + span[0], zero_at + span[1]
    entered = sum(start <= one.entered_at < end for one in passes)
    stays = [
        one.ended_at - one.entered_at
        for one in passes
        if one.ended_at is not None and start <= one.ended_at < end
    ]
    if not entered or not stays:
        return None
    return round(entered / (end - start), 2), round(sum(stays) / len(stays), 3)
