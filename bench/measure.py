"""One run: a fresh database, one server, a crowd, an audit."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench import audit, load, valkey
from bench.contenders import ROOT, Contender, Server, Store
from bench.database import BenchDatabase
from bench.load import Load
from bench.servers import cpu_seconds, free_port, running
from bench.workloads import Workload

DATABASE = "bench_run"
WARM_UP_S = 1.0
WARM_UP_CLIENTS = 64
CALM_DOWN_S_MAX = 10.0
CALM_SAMPLE_S = 0.2
CALM_CORES = 0.1
BATCH_METRIC = "sunseo_lane_batch"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run found.

    Attributes:
        cores: processor cores kept busy on average, by `server`, `store` and `machine` (all).
        batch: commands in a batch on average, where the server tells.
        faults: what the audit found wrong, one sentence each.
    """

    contender: str
    workload: str
    rate: float
    load: Load
    cores: dict[str, float] = field(default_factory=dict)
    batch: float | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who asks, and for how long: what a run needs of the side that sends it."""

    folder: Path
    tokens: Path
    seconds: float


@dataclass(frozen=True, slots=True)
class Bench(Crowd):
    """What all runs share."""

    database: BenchDatabase
    quick: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """What a crowd saw, and the CPU seconds used meanwhile: `server`, `store`, `machine` (all)."""

    load: Load
    seconds: float
    cpu_s: dict[str, float]

    @property
    def cores(self) -> dict[str, float]:
        return {name: round(used / self.seconds, 2) for name, used in self.cpu_s.items()}


@asynccontextmanager
async def prepared_store(
    bench: Bench, contender: Contender, workload: Workload
) -> AsyncIterator[tuple[psutil.Process | None, str, int]]:
    """Fill a contender's store: its process, the database's URL, and Valkey's port."""
    if contender.store is Store.NONE:
        yield None, "", 0
    elif contender.store is Store.VALKEY:
        with valkey.valkey(bench.folder / "valkey") as (process, port):
            await valkey.prepare(port, workload.hall, contender.appendfsync)
            yield process, "", port
    else:
        scripts = [script.read_text() for script in contender.scripts]
        url = await bench.database.clone(workload.hall, DATABASE, scripts)
        yield psutil.Process(bench.database.pid), url, 0


async def measure(bench: Bench, contender: Contender, workload: Workload, seed: int) -> Run:
    """Run one contender once under one workload."""
    async with prepared_store(bench, contender, workload) as (store, url, valkey_port):
        port = free_port()
        with running(
            contender.command(port, workload.workers),
            contender.environment(url, valkey_port, workload.workers),
            bench.folder / f"{contender.name}.log",
            f"http://127.0.0.1:{port}/livez",
        ) as server:
            watched = {"server": server} | ({"store": store} if store else {})
            await warm_up(bench, workload, port)
            await calm_down(list(watched.values()))
            found = await asyncio.to_thread(watched_load, bench, workload, port, seed, watched)
            seen = found.load
            batch = mean_batch(port) if contender.server is Server.OURS else None
        faults = await find_faults(bench, contender, workload, seen, valkey_port)
    counted = seen.requests if workload.is_refusal_an_answer else seen.held
    return Run(
        contender=contender.name,
        workload=workload.name,
        rate=counted / seen.seconds,
        load=seen,
        cores=found.cores,
        batch=batch,
        faults=tuple(faults),
    )


async def warm_up(crowd: Crowd, workload: Workload, port: int) -> None:
    """Let connections, statements and caches come to be, in a sale of their own."""
    environment = workload.warm_up_environment() | {
        "BENCH_TOKENS": str(crowd.tokens),
        "BENCH_RUN": "warm-up-",
        "BENCH_SEED": "1",
    }
    clients = min(workload.connections, WARM_UP_CLIENTS)
    out = crowd.folder / "warm-up.json"
    await asyncio.to_thread(load.send, port, clients, WARM_UP_S, environment, out)


async def calm_down(processes: Sequence[psutil.Process]) -> None:
    """Wait until what the warm-up left in flight is done, so that nobody starts with a backlog.

    Nor with what the clone and the crowd's files have left to be written: a commit that is
    measured would wait for that.
    """
    await asyncio.to_thread(os.sync)
    deadline = time.monotonic() + CALM_DOWN_S_MAX
    while time.monotonic() < deadline:
        before = sum(cpu_seconds(process) for process in processes)
        await asyncio.sleep(CALM_SAMPLE_S)
        busy = (sum(cpu_seconds(process) for process in processes) - before) / CALM_SAMPLE_S
        if busy < CALM_CORES:
            return


def watched_load(
    crowd: Crowd, workload: Workload, port: int, seed: int, watched: Mapping[str, psutil.Process]
) -> Watched:
    """Send the crowd and note what kept the cores busy meanwhile."""
    environment = workload.script_environment() | {
        "BENCH_TOKENS": str(crowd.tokens),
        "BENCH_RUN": f"run-{seed}-",
        "BENCH_SEED": str(seed),
    }
    before = {name: cpu_seconds(process) for name, process in watched.items()}
    machine_before = busy_seconds()
    began = time.monotonic()
    seen = load.send(
        port, workload.connections, crowd.seconds, environment, crowd.folder / "load.json"
    )
    spent = time.monotonic() - began
    used = {name: cpu_seconds(process) - before[name] for name, process in watched.items()}
    return Watched(seen, spent, used | {"machine": busy_seconds() - machine_before})


def busy_seconds() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0)


async def find_faults(
    bench: Bench, contender: Contender, workload: Workload, seen: Load, valkey_port: int
) -> list[str]:
    if contender.store is Store.NONE:
        return []
    if contender.store is Store.VALKEY:
        return await valkey.faults(valkey_port, workload, seen)
    async with bench.database.connected(DATABASE) as conn:
        return await audit.faults(conn, workload, seen)


def mean_batch(port: int) -> float | None:
    """Read from our own metrics how many commands a batch had on average."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    sums = dict.fromkeys(("sum", "count"), 0.0)
    for part in sums:
        pattern = rf"^{BATCH_METRIC}\w*_{part}(?:{{[^}}]*}})? (\S+)$"
        sums[part] = sum(float(value) for value in re.findall(pattern, text, re.MULTILINE))
    return sums["sum"] / sums["count"] if sums["count"] else None


async def measure_batch_limit(bench: Bench, workload: Workload, batch: int) -> float:
    """Run the bare batch once and return its rate, in the workload's unit."""
    url = await bench.database.clone(workload.hall, DATABASE, [])
    command = [
        sys.executable, "-m", "bench.limits.bare_batch", "--url", url,
        "--workload", workload.name, "--batch", str(batch), "--seconds", str(bench.seconds),
        *(["--quick"] if bench.quick else []),
    ]  # fmt: skip
    ended = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise RuntimeError(f"the bare batch failed:\n{ended.stderr}")
    rate: float = json.loads(ended.stdout)["rate"]
    return rate
