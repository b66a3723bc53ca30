"""What a crowd costs: connections to PostgreSQL and memory, at 64, 512 and 5,000 clients."""

import asyncio
from dataclasses import replace
from typing import Any

import psutil
from rich.console import Console

from bench import halls, load
from bench.contenders import ours
from bench.measure import DATABASE, Bench, warm_up
from bench.servers import free_port, memory_bytes, running
from bench.workloads import Workload

CLIENTS = (64, 512, 5_000)
MEGABYTE = 1024 * 1024
SAMPLE_PAUSE_S = 0.2
COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"


async def measure_connections(
    bench: Bench, console: Console, settings: dict[str, Any]
) -> list[dict[str, Any]]:
    """Watch one server of ours under growing crowds: the highest figures of each."""
    console.rule("connections to PostgreSQL and memory", align="left")
    hall = halls.arena(quick=bench.quick)
    workload = Workload("connections", "growing crowds", hall, "seats", CLIENTS[0])
    await bench.database.make_template(hall)
    url = await bench.database.clone(hall, DATABASE, [])
    port = free_port()
    found = []
    with running(
        ours.command(port, workload.workers),
        ours.environment(url, 0, workload.workers),
        bench.folder / "connections.log",
        f"http://127.0.0.1:{port}/livez",
    ) as server:
        await warm_up(bench, workload, port)
        for number, clients in enumerate(CLIENTS):
            seen = await watch(bench, replace(workload, connections=clients), port, number, server)
            console.print(
                f"  {clients:>5} clients: {seen['postgresql_connections']} connections,"
                f" {seen['server_memory_mb']:.0f} MB, {seen['ours']:,.0f} holds/s,"
                f" p99 {seen['ours_p99_ms']:,.0f} ms"
            )
            found.append(seen | {"settings": {**settings, "connections": clients, "workers": 1}})
    return found


async def watch(
    bench: Bench, workload: Workload, port: int, number: int, server: psutil.Process
) -> dict[str, Any]:
    environment = workload.script_environment() | {
        "BENCH_TOKENS": str(bench.tokens),
        "BENCH_RUN": f"crowd-{number}-",
        "BENCH_SEED": str(number),
    }
    sending = asyncio.create_task(
        asyncio.to_thread(
            load.send,
            port,
            workload.connections,
            bench.seconds,
            environment,
            bench.folder / "load.json",
        )
    )
    open_connections, memory = 0, 0
    async with bench.database.connected("sunseo") as conn:
        while not sending.done():
            open_connections = max(open_connections, await conn.fetchval(COUNT, DATABASE))
            memory = max(memory, memory_bytes(server))
            await asyncio.sleep(SAMPLE_PAUSE_S)
    seen = await sending
    return {
        "name": f"connections and memory at {workload.connections} clients",
        "unit": "holds/s",
        "ours": round(seen.held / seen.seconds, 1),
        "ours_p99_ms": seen.p99_ms,
        "ours_refused_share": round(seen.refused / max(1, seen.requests), 3),
        "postgresql_connections": open_connections,
        "server_memory_mb": round(memory / MEGABYTE, 1),
    }
