"""Measure the waiting room: `make bench-room`.

One run, one table, one JSON file. What is compared is measured in turns; figures are medians.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.contenders import ROOT
from bench.load import LoadError, require_wrk
from bench.room import figures
from bench.room.database import TEMPLATE, RoomDatabase
from bench.room.disk import measure_disk
from bench.room.drawing import measure_draw
from bench.room.figures import Figure, Report
from bench.room.gating import measure_gate
from bench.room.memory import measure_memory
from bench.room.polls import measure_nginx, measure_polls
from bench.room.session import DATABASE, Bench, cores_apart
from bench.room.visits import measure_visits
from bench.room.waiting import measure_wait
from bench.run import FOLDER, PAPER_COLUMNS, machine
from bench.servers import ServerError

Part = Callable[[Bench], Awaitable[list[Figure]]]

PARTS: dict[str, Part] = {
    "polls": measure_polls,
    "nginx": measure_nginx,
    "disk": measure_disk,
    "visits": measure_visits,
    "gate": measure_gate,
    "memory": measure_memory,
    "draw": measure_draw,
    "wait": measure_wait,
}


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.room", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="repeatable; default: all")
    parser.add_argument("--runs", type=int, default=5, help="of everything that is repeated")
    parser.add_argument("--seconds", type=float, default=4, help="of every run")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="when memory is measured")
    parser.add_argument(
        "--buffers",
        help="shared_buffers while memory is measured, like 128MB; default: the product's own, an "
        "eighth of the machine's memory up to 1 GB",
    )
    parser.add_argument("--entrants", type=int, default=1_000_000, help="of the draw")
    parser.add_argument("--without-peer", action="store_true", help="measure ours alone")
    parser.add_argument("--quick", action="store_true", help="a smoke test: tiny, says nothing")
    parser.add_argument("--json", type=Path, help="where to write; default: build/bench")
    parser.add_argument("--report", type=Path, help="print such a file as Markdown, and end")
    parser.add_argument("--into", type=Path, help="with --report: a page to put its tables into")
    given = parser.parse_args(arguments)
    if given.quick:
        given.runs, given.seconds = 1, 1.0
        given.waiting, given.entrants = 5_000, 10_000
    return given


async def measure(given: argparse.Namespace, bench: Bench) -> Report:
    bench.console.print("Preparing rooms …")
    await bench.database.make_rooms()
    cores = cores_apart()
    settings: dict[str, Any] = {
        **await bench.database.settings(),
        **machine(),
        "runs": bench.runs,
        "seconds": bench.seconds,
        "polls_and_nginx": f"server and nginx on core {cores[0]}, wrk on core {cores[1]}"
        if cores[0] is not None
        else "server, nginx and wrk on one core",
        "visits_and_memory": "one worker, wrk and PostgreSQL share all cores",
    }
    took: dict[str, float] = {}
    found: list[Figure] = []
    for name in given.only or PARTS:
        bench.console.rule(name, align="left")
        began = time.monotonic()
        found += await PARTS[name](bench)
        took[name] = round(time.monotonic() - began)
    for name in (DATABASE, TEMPLATE):
        await bench.database.drop(name)
    return Report({**settings, "seconds_taken": took}, found)


def main() -> int:
    given = options()
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PAPER_COLUMNS
    if given.report:
        told = figures.markdown(figures.read(given.report))
        if given.into:
            figures.put_into(given.into, told)
        else:
            sys.stdout.write(told)
        return 0
    try:
        require_wrk()
    except LoadError as missing:
        console.print(f"[red]{missing}")
        return 2

    work = FOLDER / "room"
    bench = Bench(
        database=RoomDatabase(work / "postgres"),
        folder=work,
        console=console,
        runs=given.runs,
        seconds=given.seconds,
        waiting=given.waiting,
        buffers=given.buffers,
        entrants=given.entrants,
        with_peer=not given.without_peer,
    )
    bench.database.start()
    try:
        report = asyncio.run(measure(given, bench))
    except (ServerError, LoadError, RuntimeError) as failed:
        console.print(f"[red]{failed}")
        return 1
    finally:
        bench.database.stop()

    stamp = f"room-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{'-quick' if given.quick else ''}.json"
    path: Path = (given.json or FOLDER / stamp).absolute()
    figures.write(path, report)
    figures.show(console, report.figures)
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    console.print(f"Written to {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
