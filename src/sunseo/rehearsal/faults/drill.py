"""The faults of one rehearsal, from their plan to their incidents.

State       OPEN (the way for the crowd is there), UNDER WAY (faults are done, the server is
            watched), OVER (all is undone and the server answers again).
Guarantee   Nothing stays stopped, cut or dead behind us. Without planned faults nothing is done,
            and the crowd goes its own way.
On failure  A server that does not come back is a ServerError.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from typing import Self

import aiohttp
import msgspec

from sunseo.rehearsal.driver import DriverPlan
from sunseo.rehearsal.faults.impact import Observations, tell_incidents
from sunseo.rehearsal.faults.incident import Incident
from sunseo.rehearsal.faults.injector import Injected, Injector
from sunseo.rehearsal.faults.proxy import Proxy, Route
from sunseo.rehearsal.faults.server_log import read_log
from sunseo.rehearsal.faults.spec import FaultTarget, PlannedFault
from sunseo.rehearsal.faults.watch import Watch
from sunseo.rehearsal.http.connection import ServerAddress
from sunseo.rehearsal.observe.ledger import DriverRecord
from sunseo.rehearsal.observe.stored import Stored
from sunseo.rehearsal.target.server import ServerProcess


class Drill:
    """
    Args:
        server: ours, unless it is somebody else's.
        url: of the server.
        say: told a line of each fault that begins or ends.
    """

    def __init__(
        self,
        plan: Sequence[PlannedFault],
        server: ServerProcess | None,
        url: str,
        say: Callable[[str], object],
    ) -> None:
        self._plan = plan
        self._server = server
        self._url = url
        self._say = say
        self._network: Proxy | None = None
        self._stack = AsyncExitStack()
        self._injected: list[Injected] = []
        self._watch: Watch | None = None
        self._opens_at: datetime | None = None
        self._via: int | None = None

    def lead(self, plan: DriverPlan) -> DriverPlan:
        """The plan of a driver whose crowd comes our way and keeps what befalls it."""
        if not self._plan:
            return plan
        return msgspec.structs.replace(plan, via=self._via, keeps_troubles=True)

    async def __aenter__(self) -> Self:
        if any(fault.kind.part is FaultTarget.NETWORK for fault in self._plan):
            address = ServerAddress.of(self._url)
            route = Route(address.host, address.port)
            self._network = await self._stack.enter_async_context(Proxy(route))
            self._via = route.port
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def in_progress(
        self, zero: float, opens_at: datetime, session: aiohttp.ClientSession
    ) -> AsyncIterator[None]:
        """Do the faults and watch, for as long as the block lasts; then wait for the server."""
        if not self._plan:
            yield
            return
        self._opens_at = opens_at
        self._watch = Watch(self._url, self._via, session, zero)
        injector = Injector(self._plan, self._server, self._network, zero, self._tell)
        self._injected = injector.injected
        tasks = [asyncio.create_task(injector.run()), asyncio.create_task(self._watch.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            if self._server is not None:
                await self._server.await_ready(session)

    @property
    def outages(self) -> list[tuple[float, float]]:
        """When faults were on, in seconds from T0."""
        return [
            (injected.began_s, injected.ended_s)
            for injected in self._injected
            if injected.began_s is not None and injected.ended_s is not None
        ]

    async def incidents(self, record: DriverRecord, stored: Stored | None) -> list[Incident]:
        """What came of each fault."""
        if self._watch is None or self._opens_at is None:
            return []
        log_events = [] if self._server is None else read_log(self._server.log, self._opens_at)
        seen = Observations(
            ledger=record.ledger,
            figures=record.figures,
            stored=stored,
            looks=self._watch.looks,
            scrapes=self._watch.scrapes,
            log_events=log_events,
        )
        return await asyncio.to_thread(tell_incidents, self._injected, seen)

    def _tell(self, injected: Injected) -> None:
        fault, began_s, ended_s = injected.fault, injected.began_s, injected.ended_s
        if ended_s is None:
            hit = len(injected.processes)
            whom = f"processes: {hit}" if hit else "the network"
            self._say(f"T+{began_s:.1f} s  {fault.kind.value}: {whom}")
        elif fault.lasts_s:
            self._say(f"T+{ended_s:.1f} s  {fault.kind.value} is over")
