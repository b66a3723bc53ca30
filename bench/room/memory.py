"""What a million who wait cost in memory and on disk."""

import asyncio
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from bench.measure import calm_down
from bench.room.database import ROOM, WARM_UP_ROOM
from bench.room.figures import Figure
from bench.room.session import DATABASE, Bench
from bench.room.visitors import write_nonces
from bench.room.visits import WARM_UP_S, environment
from bench.servers import family, memory_bytes

MEGABYTE = 1_000_000
GROWTH_MB = 200.0
CONNECTIONS = 256
WARM_UP_NONCES = 20_000
SETTLE_S = 3.0
NONCES_SPARE = 50_000
BITE_S = 10.0
SIZES = """
SELECT pg_database_size(current_database()) AS database,
    pg_total_relation_size('room_places') AS places
"""
ISSUED = "SELECT issued FROM room_lines WHERE room = $1"


class Memory(NamedTuple):
    """Bytes that processes have resident: PSS, which counts once what they share, and RSS."""

    server: int
    store: int
    server_rss: int


class Sizes(NamedTuple):
    database: int
    places: int


async def measure_memory(bench: Bench) -> list[Figure]:
    """Have very many join one room over HTTP, and see what has grown.

    PostgreSQL is started anew before, so that whatever it reads or writes for them counts.
    """
    await bench.database.clone_rooms(DATABASE)
    buffers = await restart_with(bench, bench.buffers)
    lines, warm_up_lines = bench.folder / "visitors.txt", bench.folder / "warm-up-visitors.txt"
    await asyncio.to_thread(write_nonces, lines, ROOM, bench.waiting + NONCES_SPARE)
    await asyncio.to_thread(write_nonces, warm_up_lines, WARM_UP_ROOM, WARM_UP_NONCES)
    store = psutil.Process(bench.database.pid)
    with bench.serving(bench.database.url(DATABASE)) as (port, server):
        await asyncio.to_thread(
            bench.send,
            port,
            "join",
            CONNECTIONS,
            environment(WARM_UP_ROOM, warm_up_lines),
            seconds=WARM_UP_S,
        )
        before, sizes_before = await look(bench, server, store)
        rate = await join_until(bench, port, lines)
        after, sizes_after = await look(bench, server, store)
        issued = await issued_in(bench)
    if bench.buffers is not None:
        await restart_with(bench, None)
    return _figures(issued, rate, (before, after), (sizes_before, sizes_after), buffers)


async def restart_with(bench: Bench, buffers: str | None) -> str:
    """Start PostgreSQL anew with so large a page cache; returns how large it is."""
    async with bench.database.as_superuser() as conn:
        change = "RESET shared_buffers" if buffers is None else f"SET shared_buffers = '{buffers}'"
        await conn.execute(f"ALTER SYSTEM {change}")
    bench.restart_database()
    async with bench.database.as_superuser() as conn:
        shown: str = await conn.fetchval("SHOW shared_buffers")
        return shown


async def join_until(bench: Bench, port: int, lines: Path) -> float:
    """Have visitors join, some seconds at a time, until enough wait: joins a second, median."""
    used, rates = 0, []
    while await issued_in(bench) < bench.waiting:
        seen = await asyncio.to_thread(
            bench.send,
            port,
            "join",
            CONNECTIONS,
            {**environment(ROOM, lines), "BENCH_SKIP": str(used)},
            seconds=min(BITE_S, bench.seconds * 2),
        )
        if seen.refused or not seen.requests:
            raise RuntimeError(f"joins were refused, or there were none: {seen}")
        used += seen.requests + CONNECTIONS  # those under way at the end may have been taken
        rates.append(seen.requests / seen.seconds)
    return median(rates)


async def issued_in(bench: Bench) -> int:
    async with bench.database.connected(DATABASE) as conn:
        issued: int = await conn.fetchval(ISSUED, ROOM)
        return issued


async def look(bench: Bench, server: psutil.Process, store: psutil.Process) -> tuple[Memory, Sizes]:
    """Look when nobody is at work any more."""
    await calm_down([server, store])
    await asyncio.sleep(SETTLE_S)
    async with bench.database.connected(DATABASE) as conn:
        (row,) = await conn.fetch(SIZES)
    sizes = Sizes(row["database"], row["places"])
    memory = Memory(memory_bytes(server), memory_bytes(store), rss_bytes(server))
    return memory, sizes


def rss_bytes(process: psutil.Process) -> int:
    return sum(member.memory_info().rss for member in family(process))


def _figures(
    issued: int,
    rate: float,
    memory: tuple[Memory, Memory],
    sizes: tuple[Sizes, Sizes],
    buffers: str,
) -> list[Figure]:
    before, after = memory
    server = (after.server - before.server) / MEGABYTE
    store = (after.store - before.store) / MEGABYTE
    named = f"with {issued:,} waiting"
    details = {
        "before_mb": {name: round(b / MEGABYTE, 1) for name, b in before._asdict().items()},
        "after_mb": {name: round(b / MEGABYTE, 1) for name, b in after._asdict().items()},
    }
    on_disk = sizes[1].places - sizes[0].places
    return [
        Figure(
            section="memory",
            name=f"growth of server and PostgreSQL {named}",
            unit="MB",
            value=round(server + store, 1),
            at_most=GROWTH_MB,
            note="PSS of all processes, which counts shared memory once; joined over HTTP at "
            f"{CONNECTIONS} connections, after PostgreSQL was started anew, with shared_buffers "
            f"at {buffers}",
            details=details,
        ),
        Figure(section="memory", name=f"of it the server's {named}", unit="MB", value=server),
        Figure(
            section="memory",
            name=f"of it PostgreSQL's {named}",
            unit="MB",
            value=store,
            note="mostly the pages that it has read or written, in shared_buffers",
        ),
        Figure(
            section="memory",
            name=f"server's resident memory {named}",
            unit="MB",
            value=round(after.server_rss / MEGABYTE, 1),
            beside="before",
            beside_value=round(before.server_rss / MEGABYTE, 1),
        ),
        Figure(
            section="memory",
            name="on disk for each place, table and indexes",
            unit="bytes",
            value=round(on_disk / issued, 1),
            details={
                "places_mb": round(on_disk / MEGABYTE, 1),
                "database_mb": round((sizes[1].database - sizes[0].database) / MEGABYTE, 1),
            },
        ),
        Figure(
            section="memory",
            name=f"joins sustained until {issued:,} waited",
            unit="/s",
            value=round(rate, 1),
        ),
    ]
