"""Does what was planned to our own server and its network, each fault at its moment.

State       Each fault is PLANNED, ON, OVER, or FAILED with the reason.
Guarantee   What a fault stopped, cut or killed is let go, mended or started again when it is over,
            also when we are interrupted: every fault is a context that undoes itself. Signals go
            to processes below our own server only.
Clock       Monotonic; moments are seconds from T0.
On failure  A fault that could not be done says why, and the others go on. If this process is killed
            outright while something is paused, that stays stopped until it is sent SIGCONT.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import psutil

from sunseo.rehearsal.faults import victims
from sunseo.rehearsal.faults.proxy import Proxy
from sunseo.rehearsal.faults.spec import FaultKind, FaultTarget, PlannedFault
from sunseo.rehearsal.target.server import ServerError, ServerProcess

AHEAD_S = 2.0  # before a fault is due, one begins to look whom it is done to
GONE_S = 5.0  # for processes that were killed to be gone before others take their place


class Injected(msgspec.Struct, kw_only=True):
    """What became of a planned fault. Moments are none where it did not come to that.

    Attributes:
        began_s, ended_s: when it was done, and when it was undone, from T0.
        processes: whom it was done to.
        connections: how many were cut, held or slowed when it began.
        trouble: why it could not be done, or not be undone.
    """

    fault: PlannedFault
    began_s: float | None = None
    ended_s: float | None = None
    processes: list[int] = []
    connections: int = 0
    trouble: str = ""

    @property
    def has_happened(self) -> bool:
        return self.began_s is not None and not self.trouble


class Injector:
    """
    Args:
        server: ours; without it, there are faults of the network only.
        network: between the crowd and the server, where that is part of the plan.
        zero: the monotonic moment of T0.
        on_change: told of every fault that begins or ends.
    """

    def __init__(
        self,
        plan: Sequence[PlannedFault],
        server: ServerProcess | None,
        network: Proxy | None,
        zero: float,
        on_change: Callable[[Injected], object],
    ) -> None:
        self._server = server
        self._network = network
        self._zero = zero
        self._on_change = on_change
        self.injected = [Injected(fault=fault) for fault in plan]

    async def run(self) -> None:
        """Do everything, each in its time."""
        await asyncio.gather(*map(self._inject, self.injected))

    async def _inject(self, injected: Injected) -> None:
        fault = injected.fault
        await self._await(fault.at_s - AHEAD_S)
        try:
            async with self._done(injected):
                self._on_change(injected)
                await asyncio.sleep(fault.lasts_s)
        except (victims.NobodyError, psutil.Error, ServerError, OSError) as error:
            injected.began_s, injected.trouble = None, str(error)
        finally:
            if injected.began_s is not None:
                injected.ended_s = self._now()
                self._on_change(injected)

    def _done(self, injected: Injected) -> AbstractAsyncContextManager[None]:
        kind = injected.fault.kind
        match kind:
            case FaultKind.KILL_WORKER:
                return self._worker_killed(injected)
            case FaultKind.KILL_SERVER:
                return self._server_killed(injected)
            case FaultKind.KILL_DB:
                return self._database_killed(injected)
            case FaultKind.PAUSE_SERVER | FaultKind.PAUSE_DB:
                return self._paused(injected)
            case FaultKind.CUT_NETWORK:
                return self._cut(injected)
            case FaultKind.HANG_NETWORK:
                return self._hung(injected)
            case FaultKind.SLOW_NETWORK:
                return self._slowed(injected)

    @asynccontextmanager
    async def _worker_killed(self, injected: Injected) -> AsyncIterator[None]:
        """One worker; the supervisor replaces it."""
        server = self._ours()
        several = await asyncio.to_thread(victims.workers, server.pid, server.port)
        one = several[int(injected.fault.choice * len(several))]
        await self._await_moment(injected)
        victims.kill_all([one])
        injected.processes = [one.pid]
        yield

    @asynccontextmanager
    async def _server_killed(self, injected: Injected) -> AsyncIterator[None]:
        """Everything, PostgreSQL included, as when the machine loses its power; started after."""
        server = self._ours()
        await self._await_moment(injected)

        def find() -> victims.Processes:
            return _all_of(server.pid)

        still = victims.stop_all(find)  # so that nobody replaces anybody, nor ends in order
        victims.kill_all(still)
        injected.processes = [process.pid for process in still]
        try:
            yield
        finally:
            await asyncio.to_thread(psutil.wait_procs, still[1:], GONE_S)
            server.start()

    @asynccontextmanager
    async def _database_killed(self, injected: Injected) -> AsyncIterator[None]:
        """All of PostgreSQL; the supervisor starts it again."""
        await self._await_moment(injected)
        pid = self._ours().pid
        still = victims.stop_all(lambda: victims.processes_of(pid, FaultTarget.DATABASE))
        victims.kill_all(still)
        injected.processes = [process.pid for process in still]
        yield

    @asynccontextmanager
    async def _paused(self, injected: Injected) -> AsyncIterator[None]:
        await self._await_moment(injected)
        pid, part = self._ours().pid, injected.fault.kind.part
        still = victims.stop_all(lambda: victims.processes_of(pid, part))
        injected.processes = [process.pid for process in still]
        try:
            yield
        finally:
            victims.resume_all(still)

    @asynccontextmanager
    async def _cut(self, injected: Injected) -> AsyncIterator[None]:
        network = self._way()
        await self._await_moment(injected)
        injected.connections = network.cut()
        try:
            yield
        finally:
            await network.mend()

    @asynccontextmanager
    async def _hung(self, injected: Injected) -> AsyncIterator[None]:
        network = self._way()
        await self._await_moment(injected)
        injected.connections = network.hang()
        try:
            yield
        finally:
            network.resume()

    @asynccontextmanager
    async def _slowed(self, injected: Injected) -> AsyncIterator[None]:
        network = self._way()
        await self._await_moment(injected)
        injected.connections = network.slow(injected.fault.delay_s)
        try:
            yield
        finally:
            network.slow(0.0)

    def _ours(self) -> ServerProcess:
        if self._server is None:
            raise victims.NobodyError("the server is not ours")
        return self._server

    def _way(self) -> Proxy:
        if self._network is None:
            raise victims.NobodyError("the crowd goes its own way")
        return self._network

    async def _await_moment(self, injected: Injected) -> None:
        """Wait until it is due, with everything prepared."""
        await self._await(injected.fault.at_s)
        injected.began_s = self._now()

    async def _await(self, moment_s: float) -> None:
        await asyncio.sleep(self._zero + moment_s - time.monotonic())

    def _now(self) -> float:
        return round(time.monotonic() - self._zero, 3)


def _all_of(server: int) -> victims.Processes:
    found = victims.processes_of(server, FaultTarget.SERVER)
    try:
        return found + victims.processes_of(server, FaultTarget.DATABASE)
    except victims.NobodyError:  # it is down at this moment
        return found
