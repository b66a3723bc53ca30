"""Look at the rooms all the while: at their rows in one snapshot, and at their documents.

State       A watch is CONNECTED or tries to be; kills cut it off like everybody else.
Guarantee   Every look is judged by itself and against the one before. What is seen wrong stays in
            `faults`, whatever is right afterwards.
Clock       Monotonic, of this process.
On failure  It connects again.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from chaos.room.ledger import Witness
from chaos.room.visitors import Room
from sunseo.postgres.embedded.running import running_dsn

LOOK_EVERY_S = 0.1
POLL_EVERY_S = 0.05
GAP_S = 0.5  # between looks: within it, a controller has moved the capacity once at most

LOOK = """
SELECT l.room, l.issued, l.serving, l.live, l.capacity, l.fence, (
    SELECT count(*) FROM room_passes AS p
    WHERE ARRAY[p.organisation, p.room, p.epoch] = ARRAY[l.organisation, l.room, l.epoch]
        AND p.state = 'live'
) AS passes
FROM room_lines AS l
WHERE l.organisation = 1 AND l.room = ANY($1::bigint[])
"""

COUNT = """
SELECT l.room, l.issued, count(p.number) AS places, coalesce(min(p.number), 1) AS first,
    coalesce(max(p.number), 0) AS last
FROM room_lines AS l
LEFT JOIN room_places AS p
    ON p.organisation = l.organisation AND p.room = l.room AND p.epoch = l.epoch
WHERE l.organisation = 1 AND l.room = ANY($1::bigint[])
GROUP BY l.room, l.issued
"""

LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass(frozen=True)
class Look:
    """One room's row at a moment."""

    at: float
    issued: int
    serving: int
    live: int
    capacity: int
    fence: int
    passes: int


def faults_of(room: Room, now: Look, before: Look | None) -> list[str]:
    """What one look shows wrong: pure."""
    faults = []
    if now.live != now.passes:
        faults.append(f"the line counts {now.live} live passes, and there are {now.passes}")
    if max(now.live, now.passes, now.capacity) > room.capacity:
        faults.append(f"{now} is above the operator's {room.capacity}")
    if not 0 <= now.serving <= now.issued:
        faults.append(f"serving {now.serving} is not within issued {now.issued}")
    if before is None:
        return faults
    if now.serving < before.serving or now.issued < before.issued or now.fence < before.fence:
        faults.append(f"{before} was followed by {now}")
    drained_from = max(before.live, before.capacity)
    if now.at - before.at < GAP_S and now.live > max(now.capacity, drained_from):
        faults.append(f"{now.live} are inside with a capacity of {now.capacity}, after {before}")
    return faults


@dataclass
class RowWatch:
    """Looks at the rows of rooms, on a connection of its own."""

    data: Path
    rooms: Sequence[Room]
    faults: list[str] = field(default_factory=list)
    looks: int = 0
    most_live: dict[int, int] = field(default_factory=dict)
    moved: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    """When `serving` was first seen at each new height, by room."""

    leaders: int = 0
    """The newest fence: it grows with every change of leader."""

    _last: dict[int, Look] = field(default_factory=dict)

    @property
    def serving(self) -> dict[int, int]:
        """How far each room's line is, as of the last look."""
        return {room.number: self._last[room.number].serving for room in self.rooms}

    async def run(self) -> None:
        while True:
            with suppress(*LOST):
                await self._look_on()
            await asyncio.sleep(LOOK_EVERY_S)

    async def count(self) -> None:
        """See that the numbers are 1..issued, each once."""
        rows: list[Any] = []
        with suppress(*LOST):
            rows = await self._fetch_once(COUNT)
        for row in rows:
            contiguous = row["first"] == 1 and row["last"] == row["places"] == row["issued"]
            if not contiguous:
                self.faults.append(f"numbers have a gap: {dict(row)}")

    async def _fetch_once(self, query: str) -> list[Any]:
        connection = await self._connect()
        try:
            return await connection.fetch(query, self._numbers())
        finally:
            await connection.close()

    async def _look_on(self) -> None:
        connection = await self._connect()
        try:
            while True:
                rows = await connection.fetch(LOOK, self._numbers())
                at = time.monotonic()
                for row in rows:
                    self._judge(row["room"], Look(at, *list(row)[1:]))
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            connection.terminate()

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        dsn = await asyncio.to_thread(running_dsn, self.data)
        if dsn is None:
            raise OSError("PostgreSQL does not run")
        return await asyncpg.connect(dsn, timeout=5)

    def _numbers(self) -> list[int]:
        return [room.number for room in self.rooms]

    def _judge(self, number: int, look: Look) -> None:
        room = next(room for room in self.rooms if room.number == number)
        before = self._last.get(number)
        self.looks += 1
        self.faults += faults_of(room, look, before)
        self.most_live[number] = max(self.most_live.get(number, 0), look.live)
        self.leaders = max(self.leaders, look.fence)
        if before is None or look.serving > before.serving:
            self.moved.setdefault(number, []).append((look.at, look.serving))
        self._last[number] = look


@dataclass
class DocumentWatch:
    """Polls states on one kept connection, which one worker answers: there, nothing goes back."""

    url: str
    rooms: Sequence[Room]
    witness: Witness
    faults: list[str] = field(default_factory=list)
    polls: int = 0
    _seen: dict[tuple[int, str], int] = field(default_factory=dict)

    async def run(self) -> None:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(self._forget)
        connector = aiohttp.TCPConnector(limit=1)
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(
            self.url, connector=connector, timeout=timeout, trace_configs=[tracing]
        ) as session:
            while True:
                for room in self.rooms:
                    with suppress(aiohttp.ClientError, OSError, TimeoutError):
                        await self._poll(session, room.number)
                await asyncio.sleep(POLL_EVERY_S)

    async def _forget(self, *_about: Any) -> None:
        """A new connection may lead to another worker."""
        self._seen.clear()

    async def _poll(self, session: aiohttp.ClientSession, room: int) -> None:
        async with session.get(f"/v1/rooms/{room}/state") as answer:
            if answer.status != 200:
                return  # visitors complain about that
            state = await answer.json()
        received_s = time.time()
        self.polls += 1
        for what in ("serving", "issued", "now"):
            before = self._seen.get((room, what), 0)
            if state[what] < before:
                self.faults.append(f"a worker showed {what} {before}, then {state[what]}")
            self._seen[room, what] = state[what]
        for what in ("serving", "issued"):
            self.witness.judge(room, what, state[what], state["now"] / 1000, received_s)
