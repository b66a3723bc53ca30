"""The driver: plays a crowd from a process of its own, so that server and crowd share no loop.

State       WAITING for T0, PLAYING until its visitors have gone, FINDING what was left without an
            answer, DONE.
Guarantee   Open model: visitors come when they are due, however slow the server is. The record is
            written whatever happens, SIGINT and SIGTERM included; it says whether it is whole.
Clock       Monotonic, shared by all processes of the machine: T0 is one moment for all drivers.
On failure  A bug ends the process with a traceback; no record is no verdict.

Run as `python -m sunseo.rehearsal.driver` with a plan on standard input; progress comes out a line
at a time.
"""

import asyncio
import gc
import json
import resource
import signal
import sys
import time
from pathlib import Path
from random import Random

import aiohttp
import msgspec
import uvloop

from sunseo.core.processes import exit_with_parent, raise_file_limit
from sunseo.rehearsal.crowd.arrivals import arrival_times
from sunseo.rehearsal.crowd.behaviour import behaviour_of
from sunseo.rehearsal.crowd.documents import DocumentCache
from sunseo.rehearsal.crowd.picking import Goods
from sunseo.rehearsal.crowd.shared import CrowdState, Issuer, note_order
from sunseo.rehearsal.crowd.visit import Visit
from sunseo.rehearsal.http.client import ApiClient, GaveUpError
from sunseo.rehearsal.http.connection import ConnectionPool, ServerAddress
from sunseo.rehearsal.observe.histogram import quantiles_ms
from sunseo.rehearsal.observe.ledger import DriverRecord, Figures, Held, Ledger, Operation
from sunseo.rehearsal.scenes.scenario import Scenario

READY = b"ready\n"
"""The first line of a driver, which then reads its plan."""

PROGRESS_S = 0.5
STOPPED_S = 10.0  # for visitors to go when told to
LATEST_S = 3  # of which progress tells latencies


class DriverPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one driver is to do. `zero` is T0, monotonic; visitors are every `parts`-th."""

    url: str
    sales: list[int]
    room: int | None
    companion_url: str | None = None  # of what runs beside the server
    zero: float
    seed: int
    scenario: Scenario
    stop_s: float  # after T0, whoever is left is sent home
    record: str
    part: int = 0
    parts: int = 1
    connections_max: int
    issuer: Issuer | None = None
    via: int | None = None  # a port of our own that leads to the server
    keeps_troubles: bool = False


class DriverProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a driver is. Latencies in milliseconds, of the last seconds."""

    at_s: float
    arrived: int
    in_line: int
    inside: int
    bought: int
    orders: int
    gone: int
    requests: int
    late_ms: float
    p99_ms: dict[str, float]


class Driver:
    def __init__(self, plan: DriverPlan, goods: Goods) -> None:
        self._plan = plan
        self._ledger = Ledger()
        self._companion_connections: ConnectionPool | None = None
        self._figures = Figures()
        address = ServerAddress.of(plan.url)
        self._connections = ConnectionPool(
            address, connections_max=plan.connections_max, parts=plan.parts, via=plan.via
        )
        self._client = ApiClient(
            self._connections,
            address.authority,
            plan.zero,
            self._ledger,
            self._figures,
            keeps_troubles=plan.keeps_troubles,
        )
        self._crowd = CrowdState(
            client=self._client,
            documents=DocumentCache(goods, len(plan.sales)),
            ledger=self._ledger,
            figures=self._figures,
            sales=[f"/v1/sales/{sale}" for sale in plan.sales],
            issuer=plan.issuer,
            arrivals=plan.scenario.arrivals,
            goods=goods,
            room="" if plan.room is None else f"/v1/rooms/{plan.room}",
        )
        self._journey = plan.scenario.scene.journey(self._companion_client())
        self._way_in = plan.scenario.entrance.way_in
        self._visits: set[asyncio.Task[None]] = set()
        self.told_to_stop = asyncio.Event()

    def _companion_client(self) -> ApiClient | None:
        """Of what runs beside the server, where anything does."""
        plan = self._plan
        if plan.companion_url is None:
            return None
        address = ServerAddress.of(plan.companion_url)
        self._companion_connections = ConnectionPool(
            address, connections_max=plan.connections_max, parts=plan.parts
        )
        return ApiClient(
            self._companion_connections, address.authority, plan.zero, self._ledger, self._figures
        )

    async def run(self) -> DriverRecord:
        reporting = asyncio.create_task(self._report())
        whole = await self._play()
        if whole:
            await self._find_orders()
        reporting.cancel()
        self._tell()
        self._connections.close()
        if self._companion_connections is not None:
            self._companion_connections.close()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return DriverRecord(
            ledger=self._ledger,
            figures=self._figures,
            whole=whole,
            seconds=time.monotonic() - self._plan.zero,
            cpu_s=used.ru_utime + used.ru_stime,
            memory_mb=used.ru_maxrss / 1024,
        )

    async def _play(self) -> bool:
        """Send everybody in, and wait until they have gone; whether nobody stopped us."""
        plan = self._plan
        stopping = asyncio.create_task(self.told_to_stop.wait())
        coming = asyncio.create_task(self._send_in())
        ends_at = plan.zero + plan.stop_s
        while not stopping.done() and time.monotonic() < ends_at:
            if coming.done() and not self._visits:
                break
            await asyncio.wait([stopping], timeout=PROGRESS_S)
        whole = not stopping.done()
        for task in (coming, stopping, *self._visits):
            task.cancel()
        if self._visits:
            await asyncio.wait(self._visits, timeout=STOPPED_S)
        return whole

    async def _send_in(self) -> None:
        plan, scenario = self._plan, self._plan.scenario
        arrivals = arrival_times(scenario.arrivals, scenario.visitors, plan.seed)
        for index, at in enumerate(arrivals):
            if index % plan.parts != plan.part:
                continue
            due = plan.zero + at
            behaviour = behaviour_of(index + 1, plan.seed, scenario.people, scenario.session_s)
            if (ahead := due - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            second = int(at // 1)
            self._figures.arrivals[second] = self._figures.arrivals.get(second, 0) + 1
            visiting = asyncio.create_task(
                Visit(behaviour, self._crowd, self._journey, self._way_in, due).run()
            )
            self._visits.add(visiting)
            visiting.add_done_callback(self._visits.discard)

    async def _find_orders(self) -> None:
        """Ask again, with the same keys, for what nobody waited for: as people do the next day."""
        dice = Random(self._plan.seed)  # noqa: S311 - a crowd is no secret
        for pending in self._crowd.pending_orders:
            try:
                reply = await self._client.ask(
                    pending.request, time.monotonic(), pending.visitor, dice
                )
            except GaveUpError:
                continue
            if reply.is_success:
                held = Held(pending.visitor, pending.hold, ())
                note_order(self._crowd, held, reply, found=True)

    async def _report(self) -> None:
        while True:
            self._tell()
            await asyncio.sleep(PROGRESS_S)

    def _tell(self) -> None:
        sys.stdout.write(json.dumps(msgspec.to_builtins(self.progress())) + "\n")
        sys.stdout.flush()

    def progress(self) -> DriverProgress:
        now_s = time.monotonic() - self._plan.zero
        since = int(now_s) - LATEST_S
        shown = (Operation.JOIN, Operation.STATE, Operation.ENTER, Operation.HOLD, Operation.ORDER)
        crowd = self._crowd
        return DriverProgress(
            at_s=round(now_s, 1),
            arrived=crowd.arrived,
            in_line=crowd.now["in_line"],
            inside=crowd.now["inside"],
            bought=crowd.bought,
            orders=len(self._ledger.ordered),
            gone=sum(self._figures.gone.values()),
            requests=self._client.answers,
            late_ms=quantiles_ms(self._figures.driver_late, 0.99)[0],
            p99_ms={
                one.value: quantiles_ms(self._figures.latency(one, since), 0.99)[0] for one in shown
            },
        )


async def _drive(plan: DriverPlan) -> DriverRecord:
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(plan.url) as session:
        goods = await plan.scenario.scene.load_goods(session, plan.sales)
    driver = Driver(plan, goods)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, driver.told_to_stop.set)
    return await driver.run()


def prepare_process() -> None:
    """Make room for a crowd: in file descriptors, and in what the collector looks through."""
    raise_file_limit()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)  # visits are long-lived: looking through them is no use


def main() -> None:
    exit_with_parent()
    prepare_process()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=DriverPlan)
    record = uvloop.run(_drive(plan))
    Path(plan.record).write_bytes(msgspec.msgpack.encode(record))


if __name__ == "__main__":
    main()
