"""Joining and entering, against a queue table as people write one."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import psutil

from bench.contenders import PEERS, Contender, Server, ours
from bench.load import Load
from bench.measure import calm_down, mean_batch
from bench.room import figures
from bench.room.database import ROOM, WARM_UP_ROOM, Called
from bench.room.figures import Figure
from bench.room.session import DATABASE, Bench
from bench.room.visitors import BINDING, JOIN_BODY, write_nonces, write_places, write_rows
from bench.servers import cpu_seconds

A_SECOND = 5_000
P99_MS = 50.0
RATE_MAX = 15_000
"""Visits a second that there are enough visitors for."""

KEEPING_UP = 0.99
"""Who answers less of what is offered does not keep up."""

DISK_REST_S = 8.0
"""After a clone has been written to disk. A virtual one lets so much be written in a burst, and
then makes everybody wait: right afterwards commits stood still for 100 to 400 ms."""

WARM_UP_S = 1.0
ASKED_CONNECTIONS = 256

queue_table = Contender(
    "queue_table",
    "FastAPI + SQLAlchemy, a transaction a request",
    Server.UVICORN,
    app="bench.peers.queue_table:app",
    pool=20,
    scripts=(PEERS / "queue_table.sql",),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """A thing to ask for.

    Attributes:
        shape: of wrk/room.lua.
        word: for the table.
        offered: so many a second, each at its moment; 0 offers the next one after each answer.
    """

    shape: str
    word: str
    connections: int
    offered: int = 0

    @property
    def name(self) -> str:
        offered = f" at {self.offered:,}/s offered" if self.offered else ""
        return f"{self.word}{offered}, {self.connections} connections"

    @property
    def is_entering(self) -> bool:
        return self.shape == "enter"


@dataclass(frozen=True, slots=True)
class Run:
    rate: float
    load: Load
    server_cores: float
    store_cores: float
    batch: float | None


VISITS = tuple(
    Visit(shape, word, connections, offered)
    for shape, word in (("join", "durable joins"), ("enter", "entering"))
    for connections, offered in ((ASKED_CONNECTIONS, 0), (64, 0), (ASKED_CONNECTIONS, A_SECOND))
)

# Faults are counted from the rows: more acknowledged than kept, numbers twice or left out.
AUDITS = {
    ("ours", "join"): """
SELECT count(*) AS kept, count(DISTINCT p.number) = count(*)
    AND coalesce(max(p.number), 0) = count(*) AND max(l.issued) = count(*) AS is_whole
FROM room_lines l LEFT JOIN room_places p USING (organisation, room, epoch) WHERE l.room = $1
""",
    ("ours", "enter"): """
SELECT count(p.number) AS kept, max(l.live) = count(p.number) FILTER (WHERE p.state = 'live')
    AS is_whole
FROM room_lines l LEFT JOIN room_passes p USING (organisation, room, epoch) WHERE l.room = $1
""",
    ("queue_table", "join"): """
SELECT count(*) AS kept, max(p.number) = count(*) AND max(r.issued) = count(*) AS is_whole
FROM queue_rooms r JOIN queue_places p USING (room) WHERE r.room = $1
""",
    ("queue_table", "enter"): """
SELECT count(*) AS kept, count(DISTINCT place) = count(*) AS is_whole
FROM queue_passes WHERE room = $1
""",
}


async def measure_visits(bench: Bench, chosen: Sequence[Visit] = VISITS) -> list[Figure]:
    found: list[Figure] = []
    for visit in chosen:
        # Offered more than it can do, the peer would show how long its queue has become, no more.
        contenders = [ours, queue_table] if bench.with_peer and not visit.offered else [ours]
        runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
        for number in range(1, bench.runs + 1):
            for contender in contenders:
                run = await measure_once(bench, contender, visit)
                runs[contender.name].append(run)
                bench.console.print(_line(bench, number, contender, visit, run))
        found += _figures(visit, runs)
    return found


async def measure_once(bench: Bench, contender: Contender, visit: Visit) -> Run:
    """Run one contender once: a fresh database, a fresh server, fresh visitors."""
    total = round(RATE_MAX * bench.seconds)
    lines = bench.folder / "visitors.txt"
    warm_up_lines = bench.folder / "warm-up-visitors.txt"
    write = _writer(contender, visit)
    warm_up_total = round(RATE_MAX * WARM_UP_S)
    await asyncio.to_thread(write, lines, ROOM, total)
    await asyncio.to_thread(write, warm_up_lines, WARM_UP_ROOM, warm_up_total)
    called = Called(total, warm_up_total, UUID(bytes=BINDING)) if visit.is_entering else None
    scripts = [script.read_text() for script in contender.scripts]
    url = await bench.database.clone_rooms(DATABASE, called, scripts)
    store = psutil.Process(bench.database.pid)
    with bench.serving(url, contender) as (port, server):
        warm_up = environment(WARM_UP_ROOM, warm_up_lines)
        await asyncio.to_thread(bench.send, port, visit.shape, 64, warm_up, seconds=WARM_UP_S)
        await calm_down([server, store])
        await asyncio.sleep(DISK_REST_S)
        before = cpu_seconds(server), cpu_seconds(store)
        room = environment(ROOM, lines) | {"BENCH_RATE": str(visit.offered)}
        seen = await asyncio.to_thread(bench.send, port, visit.shape, visit.connections, room)
        server_cores = (cpu_seconds(server) - before[0]) / seen.seconds
        store_cores = (cpu_seconds(store) - before[1]) / seen.seconds
        batch = mean_batch(port) if contender is ours else None
    await audit(bench, contender, visit, seen, total)
    return Run(seen.held / seen.seconds, seen, server_cores, store_cores, batch)


def environment(room: int, lines: Path) -> dict[str, str]:
    return {
        "BENCH_PATH": f"/v1/rooms/{room}",
        "BENCH_LINES": str(lines),
        "BENCH_BODY": JOIN_BODY,
    }


def _writer(contender: Contender, visit: Visit) -> Callable[[Path, int, int], None]:
    if not visit.is_entering:
        return write_nonces
    return write_places if contender is ours else write_rows


async def audit(bench: Bench, contender: Contender, visit: Visit, seen: Load, total: int) -> None:
    """Hold what the crowd was told against the rows.

    Raises:
        RuntimeError: something is missing or there twice, or the run has asked for nothing new.
    """
    if seen.requests + 2 * visit.connections >= total:
        raise RuntimeError(f"there were visitors for {total} requests only")
    if seen.refused or seen.socket_errors or seen.timeouts:
        raise RuntimeError(f"{contender.name} refused or lost {visit.shape}s: {seen}")
    async with bench.database.connected(DATABASE) as conn:
        row = await conn.fetchrow(AUDITS[contender.name, visit.shape], ROOM)
    if row is None or row["kept"] < seen.held or not row["is_whole"]:
        raise RuntimeError(f"{contender.name} told {seen.held} of {visit.shape}, but has {row}")


def _line(bench: Bench, number: int, contender: Contender, visit: Visit, run: Run) -> str:
    return (
        f"  {number}/{bench.runs} {visit.name}: {contender.name:<12}"
        f" {run.rate:>8,.0f}/s   p50 {run.load.p50_ms:>6,.1f} ms   p99 {run.load.p99_ms:>6,.1f} ms"
        f"   cores: server {run.server_cores:.2f}, store {run.store_cores:.2f}"
        + (f"   batch {run.batch:.0f}" if run.batch else "")
        + (f"   sent late {run.load.late_p99_ms:.0f} ms (p99)" if visit.offered else "")
    )


def _figures(visit: Visit, runs: dict[str, list[Run]]) -> list[Figure]:
    our_runs = runs[ours.name]
    peer_runs = runs.get(queue_table.name, [])
    is_asked = visit.connections == ASKED_CONNECTIONS
    late_ms = max(run.load.late_p99_ms for run in our_runs)
    details = {
        "p50_ms": median(run.load.p50_ms for run in our_runs),
        "server_cores": round(median(run.server_cores for run in our_runs), 2),
        "store_cores": round(median(run.store_cores for run in our_runs), 2),
        "batch": median(run.batch or 0 for run in our_runs),
        "sent_late_p99_ms": late_ms,
    }

    def figure(kind: str, unit: str, value_of: Callable[[Run], float], **named: Any) -> Figure:
        return figures.of(
            [value_of(run) for run in our_runs],
            beside_each=[value_of(run) for run in peer_runs],
            section="visits",
            name=visit.name + kind,
            unit=unit,
            beside="queue table" if peer_runs else None,
            **named,
        )

    asked = (KEEPING_UP if visit.offered else 1) * A_SECOND
    note = f"99 of 100 were sent at most {late_ms:.0f} ms after their moment, in any run"
    return [
        figure(
            "",
            "/s",
            lambda run: run.rate,
            at_least=asked if is_asked else None,
            details=details,
            note=note if visit.offered else "",
        ),
        figure(": p50", "ms", lambda run: run.load.p50_ms),
        figure(
            ": p99",
            "ms",
            lambda run: run.load.p99_ms,
            at_most=P99_MS if is_asked else None,
            details=details,
        ),
    ]
