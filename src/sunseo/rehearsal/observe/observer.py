"""Watches a rehearsal from beside: once a second the line, the stock, the server and the machine.

State       The samples so far.
Guarantee   A look that fails leaves a gap, never a guess, and never ends the rehearsal.
Clock       Monotonic, seconds from T0.
On failure  Looks go on; `missed` counts those that failed.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import aiohttp
import asyncpg
import msgspec
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.rehearsal.observe.processes import Groups, ProcessUse
from sunseo.rehearsal.observe.stored import QUERIES

LOOK_S = 1.0
LOOK_TIMEOUT_S = 5.0
UNSEEN = (
    TimeoutError,
    OSError,
    aiohttp.ClientError,
    SQLAlchemyError,
    asyncpg.PostgresError,  # as long as nobody can connect, SQLAlchemy passes these on
    asyncpg.InterfaceError,
)
"""What a look fails with."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One look; some figures are only there beside a database or a server of one's own.

    `metrics` are sums over their labels.
    """

    at_s: float
    issued: int
    serving: int
    live: int
    capacity: int
    held: int
    sold: int
    connections: int | None = None
    metrics: dict[str, float] = {}
    uses: dict[str, ProcessUse] = {}


EMPTY_LINE = {"issued": 0, "serving": 0, "live": 0, "capacity": 0}


class StatusSnapshot(msgspec.Struct, frozen=True):
    """Line and stock at one moment."""

    issued: int
    serving: int
    live: int
    capacity: int
    held: int
    sold: int
    connections: int | None = None


class StatusSource(Protocol):
    """A way to look at line and stock."""

    async def look(self) -> StatusSnapshot: ...


class DatabaseStatus:
    """Through the database, past whatever the server is busy with."""

    def __init__(
        self, engine: AsyncEngine, organisation: int, sales: Sequence[int], room: int | None
    ) -> None:
        self._engine = engine
        self._where = {
            "organisation": organisation,
            "sales": list(sales),
            "room": room,
        }

    async def look(self) -> StatusSnapshot:
        async with self._engine.connect() as connection:
            row = (await connection.execute(QUERIES["observe"], self._where)).one()
        return StatusSnapshot(
            row.issued,
            row.serving,
            row.live,
            row.capacity,
            row.held,
            row.sold,
            row.connections,
        )


class HttpStatus:
    """Over HTTP, with an operator's key, where the database is out of reach."""

    def __init__(
        self, session: aiohttp.ClientSession, key: str, sales: Sequence[int], room: int | None
    ) -> None:
        self._session = session
        self._headers = {"Authorization": f"Bearer {key}"}
        self._room = f"/v1/rooms/{room}" if room is not None else None
        self._shelves = [f"/v1/sales/{sale}/availability" for sale in sales]

    async def look(self) -> StatusSnapshot:
        line = (await self._get(self._room))["line"] if self._room is not None else EMPTY_LINE
        held = sold = 0
        for shelf in self._shelves:
            found = await self._get(shelf)
            for part in (*found["occasions"], *found["stocks"]):
                held, sold = held + part["held"], sold + part["sold"]
        return StatusSnapshot(
            line["issued"], line["serving"], line["live"], line["capacity"], held, sold
        )

    async def _get(self, path: str) -> Any:
        async with self._session.get(path, headers=self._headers) as response:
            response.raise_for_status()
            return await response.json()


class Observer:
    def __init__(
        self,
        source: StatusSource,
        session: aiohttp.ClientSession,
        groups: Groups,
        zero: float,
        on_sample: Callable[[Sample], object],
    ) -> None:
        self._source = source
        self._session = session
        self._groups = groups
        self._zero = zero
        self._on_sample = on_sample
        self.samples: list[Sample] = []
        self.missed = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            due = time.monotonic() + LOOK_S
            await self.run_once()
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def run_once(self) -> None:
        """Take one sample. The line is read first: what is known of it is then true by `at_s`."""
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                at_s = round(time.monotonic() - self._zero, 3)
                seat_map = await self._source.look()
                metrics = await self._read_metrics()
        except UNSEEN:
            self.missed += 1
            return
        seen = msgspec.structs.asdict(seat_map)
        sample = Sample(at_s=at_s, **seen, metrics=metrics, uses=self._groups.look())
        self.samples.append(sample)
        self._on_sample(sample)

    async def _read_metrics(self) -> dict[str, float]:
        async with self._session.get("/metrics") as response:
            if response.status != 200:
                return {}
            return sums_of(await response.text())


FLUSHES_WITHIN = "flushes_within"
WATCHED: Mapping[str, str] = {
    "sunseo_http_requests_total": "requests",
    "sunseo_http_requests_shed_total": "shed",
    "sunseo_http_requests_in_flight": "in_flight",
    "sunseo_http_request_seconds_sum": "request_s",
    "sunseo_http_request_seconds_count": "requests_timed",
    "sunseo_lane_wait_seconds_sum": "lane_wait_s",
    "sunseo_lane_wait_seconds_count": "lane_waits",
    "sunseo_lane_flush_seconds_sum": "flush_s",
    "sunseo_lane_flush_seconds_count": "flushes",
    "sunseo_lane_flush_seconds_bucket": FLUSHES_WITHIN,
    "sunseo_lane_refusals_total": "lane_refusals",
    "sunseo_lane_queue_depth": "queue",
    "sunseo_room_polls_total": "polls",
    "sunseo_loop_failures_total": "loop_failures",
    "sunseo_database_errors_total": "database_errors",
}
"""Metrics that are kept, and their short names."""

BY_LANE = "flush_s"
LANE = re.compile(r'lane="([a-z_]+)-[0-9]+"')
WITHIN_S = re.compile(r'le="([^"]+)"')


def sums_of(text: str) -> dict[str, float]:
    """Add the watched metrics up over their labels.

    Flushing also by kind of lane, and the number of flushes by the seconds they took at most.
    """
    sums: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, _, value = line.rpartition(" ")
        short = WATCHED.get(name.partition("{")[0])
        if short is None:
            continue
        if short == FLUSHES_WITHIN and (within_s := WITHIN_S.search(name)) is not None:
            short = f"{short}.{within_s[1]}"
        sums[short] = sums.get(short, 0.0) + float(value)
        if short == BY_LANE and (lane := LANE.search(name)) is not None:
            kind = f"{short}.{lane[1]}"
            sums[kind] = sums.get(kind, 0.0) + float(value)
    return sums
