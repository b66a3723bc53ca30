"""Find a peer's best server and pool: what `contenders.py` states was found with this.

.venv/bin/python -m bench.tune --peer fastapi_sqlalchemy --pools 5,10,20,40 --only seats_64
"""

import argparse
import asyncio
from dataclasses import replace
from statistics import median

from rich.console import Console

from bench.contenders import Contender, Server, peers
from bench.database import BenchDatabase
from bench.measure import Bench, Run, measure
from bench.run import FOLDER
from bench.tokens import write_tokens
from bench.workloads import PERSONS, workloads


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.tune", description=__doc__)
    parser.add_argument("--peer", action="append", choices=[peer.name for peer in peers])
    parser.add_argument("--pools", default="5,10,20,40")
    parser.add_argument("--servers", default="granian,uvicorn")
    parser.add_argument("--only", action="append", choices=[w.name for w in workloads(quick=True)])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    return parser.parse_args()


async def tune(given: argparse.Namespace, bench: Bench, console: Console) -> None:
    write_tokens(bench.tokens, PERSONS)
    chosen = [w for w in workloads(quick=False) if not given.only or w.name in given.only]
    variants = [
        replace(peer, server=Server(server), pool=int(pool))
        for peer in peers
        if not given.peer or peer.name in given.peer
        for server in given.servers.split(",")
        for pool in given.pools.split(",")
    ]
    for workload in chosen:
        await bench.database.make_template(workload.hall)
        found: dict[Contender, list[Run]] = {variant: [] for variant in variants}
        for number in range(given.runs):
            for variant in variants:
                found[variant].append(await measure(bench, variant, workload, seed=number))
        for variant, runs in found.items():
            console.print(
                f"{workload.name} {variant.name} {variant.server.value}, pool {variant.pool}:"
                f" {median(run.rate for run in runs):,.0f} {workload.unit},"
                f" p99 {median(run.load.p99_ms for run in runs):,.0f} ms,"
                f" cores {runs[-1].cores} {[fault for run in runs for fault in run.faults]}"
            )


def main() -> None:
    given = options()
    folder = FOLDER / "work"
    database = BenchDatabase(folder / "postgres")
    bench = Bench(folder, folder / "tokens", given.seconds, database=database, quick=False)
    bench.database.start()
    try:
        asyncio.run(tune(given, bench, Console(highlight=False, soft_wrap=True)))
    finally:
        bench.database.stop()


if __name__ == "__main__":
    main()
