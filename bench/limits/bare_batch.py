"""The bare batch on the database: how fast one connection alone could place holds in batches.

No HTTP, no tokens, no queue, next to no rules: only the statements that a batch needs (lock, insert
counters first, lock them, write, journal, commit), one batch after the other. Run as a program, it
prints its figures as JSON.
"""

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
import uvloop

from bench.halls import Hall
from bench.workloads import PERSONS, Workload, workloads
from sunseo.postgres.connection import KEYED_PLANS

BLOCKS = Path(__file__).with_suffix(".sql").read_text().split("-- name: ")[1:]
QUERIES = {name.strip(): query for name, _, query in (block.partition("\n") for block in BLOCKS)}
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Command:
    sale: int
    seat: int
    person: UUID
    hold: UUID


def commands(workload: Workload, dice: random.Random) -> Iterator[Command]:
    """Ask as the load script does."""
    hall = workload.hall
    order = list(range(hall.taken, hall.sales * hall.seats)) or [0]
    dice.shuffle(order)
    for number in count():
        place = order[number % len(order)]
        if workload.shape == "nearly_gone":
            is_fresh = number % 50 == 0 and number // 50 < len(order)
            place = order[number // 50] if is_fresh else dice.randrange(hall.taken)
        yield Command(
            sale=place // max(1, hall.seats) + 1,
            seat=place % max(1, hall.seats) + 1,
            person=UUID(int=1_000 + number // workload.per_person % PERSONS),
            hold=UUID(int=dice.getrandbits(128)),
        )


async def apply(conn: Connection, hall: Hall, batch: list[Command]) -> int:
    """Place what can be placed of a batch, in one transaction; returns how many."""
    async with conn.transaction():
        if hall.seats:
            batch = await lock_free_seats(conn, batch)
        if not batch:
            return 0
        counters = await lock_counters(conn, hall, batch)
        batch = within_limits(hall, batch, counters)
        if hall.stock:
            await conn.fetch(QUERIES["lock_stocks"])
        versions = await lock_sales(conn, batch)
        now: datetime = await conn.fetchval("SELECT clock_timestamp()")
        await conn.fetch(QUERIES["find_holds"], [c.sale for c in batch], [c.hold for c in batch])
        if batch:
            await write(conn, hall, batch, Locked(counters, versions, now))
    return len(batch)


async def lock_free_seats(conn: Connection, batch: list[Command]) -> list[Command]:
    rows = await conn.fetch(QUERIES["lock_seats"], [c.sale for c in batch], [c.seat for c in batch])
    free = {(row["sale"], row["seat"]) for row in rows if row["is_free"]}
    return [c for c in batch if (c.sale, c.seat) in free]


Counters = dict[tuple[int, UUID, int], int]


async def lock_counters(conn: Connection, hall: Hall, batch: list[Command]) -> Counters:
    occasions = (0,) if hall.occasion_limit is None else (0, 1)
    keys = sorted({(c.sale, c.person, occasion) for c in batch for occasion in occasions})
    columns = [list(column) for column in zip(*keys, strict=True)]
    await conn.execute(QUERIES["make_uses"], *columns, hall.person_limit)
    rows = await conn.fetch(QUERIES["lock_uses"], *columns)
    return {(row["sale"], row["person"], row["occasion"]): row["units"] for row in rows}


def within_limits(hall: Hall, batch: list[Command], counters: Counters) -> list[Command]:
    allowed = []
    for command in batch:
        keys = [key for o in (0, 1) if (key := (command.sale, command.person, o)) in counters]
        if all(counters[key] < hall.person_limit for key in keys):
            allowed.append(command)
            for key in keys:
                counters[key] += 1
    return allowed


async def lock_sales(conn: Connection, batch: list[Command]) -> dict[int, int]:
    rows = await conn.fetch(QUERIES["lock_sales"], sorted({c.sale for c in batch}))
    return {row["sale"]: row["version"] for row in rows}


class Locked(NamedTuple):
    """What a batch has locked and read."""

    counters: Counters
    versions: dict[int, int]
    now: datetime


async def write(conn: Connection, hall: Hall, batch: list[Command], locked: Locked) -> None:
    counters, versions, now = locked
    until = now + timedelta(seconds=600)
    sales = [c.sale for c in batch]
    holds = [c.hold for c in batch]
    if hall.seats:
        await conn.execute(QUERIES["move_seats"], sales, [c.seat for c in batch], holds, until)
    occasions = [0] if hall.occasion_limit is None else [0, 1]
    await conn.execute(
        QUERIES["place_holds"],
        sales,
        holds,
        [c.person for c in batch],
        [f"{{{c.seat}}}" if hall.seats else "{}" for c in batch],
        [],
        occasions,
        [1] * len(occasions),
        now,
        until,
    )
    keys = list(counters)
    columns = [list(column) for column in zip(*keys, strict=True)]
    await conn.execute(QUERIES["count_uses"], *columns, list(counters.values()))
    if hall.stock:
        await conn.execute(QUERIES["count_stocks"], len(batch))

    events: dict[int, list[dict[str, object]]] = defaultdict(list)
    for c in batch:
        event = {"type": "HoldPlaced", "hold": c.hold, "person": c.person, "seats": [c.seat]}
        events[c.sale].append(event)
    await conn.execute(
        QUERIES["advance_sales"],
        list(events),
        [versions[sale] + 1 for sale in events],
        [msgspec.json.encode(of_sale).decode() for of_sale in events.values()],
        now,
    )


async def run(url: str, workload: Workload, batch_size: int, seconds: float) -> dict[str, float]:
    conn = await asyncpg.connect(url, server_settings=KEYED_PLANS)  # as our own lanes have it
    stream = commands(workload, random.Random(1))
    asked = placed = batches = 0
    try:
        await apply(conn, workload.hall, list(islice(stream, batch_size)))  # prepares statements
        began = time.perf_counter()
        while (spent := time.perf_counter() - began) < seconds:
            placed += await apply(conn, workload.hall, list(islice(stream, batch_size)))
            asked += batch_size
            batches += 1
    finally:
        await conn.close()
    counted = asked if workload.is_refusal_an_answer else placed
    return {"rate": counted / spent, "batches": batches, "batch_size": batch_size}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--url", required=True)
    options.add_argument("--workload", required=True)
    options.add_argument("--batch", type=int, required=True)
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--quick", action="store_true")
    given = options.parse_args()
    workload = next(w for w in workloads(quick=given.quick) if w.name == given.workload)
    started = datetime.now(UTC)
    figures = uvloop.run(run(given.url, workload, given.batch, given.seconds))
    print(msgspec.json.encode(figures | {"started": started.timestamp()}).decode())


if __name__ == "__main__":
    main()
