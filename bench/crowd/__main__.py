"""Measure the rehearsal's driver: `make bench-crowd`.

The same calls by several clients, in turns, each in a process and on a core of its own, against
answers from a can; then the memory that 100,000 visitors in line take.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.contenders import ROOT
from bench.crowd.clients import CLIENTS
from bench.room.session import cores_apart
from bench.run import FOLDER, machine
from bench.servers import free_port, running

PLAYERS = ("driver", *CLIENTS)
ARRIVALS_S = 60.0  # in which the waiting visitors come
PLAYER_TIMEOUT_S = 600.0

Measured = dict[str, float]


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of every client")
    parser.add_argument("--seconds", type=float, default=5, help="of every run")
    parser.add_argument("--waiting", type=int, default=100_000, help="visitors; 0: none")
    parser.add_argument("--quick", action="store_true", help="a smoke test: tiny, says nothing")
    parser.add_argument("--json", type=Path, help="where to write; default: build/bench")
    given = parser.parse_args(arguments)
    if given.quick:
        given.runs, given.seconds, given.waiting = 1, 1.0, 2_000
    return given


def on_core(core: int | None, command: Sequence[str]) -> list[str]:
    return [*(["taskset", "-c", str(core)] if core is not None else []), *command]


def play(name: str, lag: str, *more: str) -> Measured:
    """Start the can and one player, each on a core of its own, and hear what it says."""
    can_core, player_core = cores_apart()
    port = free_port()
    can = [sys.executable, "-m", "bench.crowd.canned", "--port", str(port), "--lag", lag]
    player = [sys.executable, "-m", "bench.crowd.player", name, "--url", f"http://127.0.0.1:{port}"]
    ready = f"http://127.0.0.1:{port}/v1/rooms/1/state"
    with running(on_core(can_core, can), {}, FOLDER / "crowd" / "can.log", ready):
        played = subprocess.run(
            [*on_core(player_core, player), *more],
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=PLAYER_TIMEOUT_S,
        )
    measured: Measured = json.loads(played.stdout)
    return measured


def rates(measured: Measured) -> Measured:
    """Requests per second by the clock (the driver's busiest), and of processor time."""
    requests = measured["requests"]
    by_clock = measured.get("busiest", requests / measured["seconds"])
    return {"wall": by_clock, "core": requests / measured["cpu_s"]}


def show(console: Console, each: dict[str, list[Measured]]) -> dict[str, Any]:
    """Print a line a client, beside the driver; returns the medians."""
    table = Table(title="Requests from one core, medians", title_justify="left")
    table.add_column("client")
    for column in ("a second of its core", "by the clock", "the driver is", "from … to"):
        table.add_column(column, justify="right")
    medians = {
        name: {unit: median(rates(one)[unit] for one in runs) for unit in ("core", "wall")}
        for name, runs in each.items()
    }
    ours = medians["driver"]["core"]
    for name, middle in medians.items():
        spread = sorted(rates(one)["core"] for one in each[name])
        table.add_row(
            name,
            f"{middle['core']:,.0f}",
            f"{middle['wall']:,.0f}",
            f"{ours / middle['core']:.2f} x",
            f"{spread[0]:,.0f} to {spread[-1]:,.0f}",
        )
    console.print(table)
    return medians


def main() -> int:
    given = options()
    console = Console(highlight=False, soft_wrap=True)
    each: dict[str, list[Measured]] = defaultdict(list)
    for run in range(given.runs):
        for name in PLAYERS:
            each[name].append(play(name, "2", "--seconds", str(given.seconds)))
            console.print(f"run {run + 1}, {name}: {rates(each[name][-1])['core']:,.0f}/s")
    medians = show(console, each)
    waiting: Measured = {}
    if given.waiting:
        more = ("--visitors", str(given.waiting), "--seconds", str(ARRIVALS_S))
        waiting = play("waiting", "never", *more)
        console.print(
            f"{waiting['in_line']:,.0f} visitors in line: {waiting['memory_mb']:,.0f} MB, "
            f"{waiting['empty_mb']:,.0f} MB of them before anybody came"
        )
    told = {"machine": machine(), "medians": medians, "each": each, "waiting": waiting}
    stamp = f"crowd-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{'-quick' if given.quick else ''}.json"
    path: Path = (given.json or FOLDER / stamp).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n")
    console.print(f"Written to {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
