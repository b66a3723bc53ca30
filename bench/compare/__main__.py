"""Compare this checkout with another revision: `make compare BASE=main ONLY=seats_64,seats_512`.

The revision is built in a folder of its own by its own lock file. Both take turns, run by run,
each with its own server, schema, halls and audit, before the same crowd. Figures are medians.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import psutil
from rich.console import Console

from bench.compare import ratios
from bench.compare.ratios import MICRO, Figures, Row
from bench.compare.revisions import FOLDER, Side, WrongUseError, build, commit_of, git, side
from bench.contenders import ROOT
from bench.load import LoadError, require_wrk
from bench.measure import Crowd, calm_down, mean_batch, warm_up, watched_load
from bench.room.__main__ import PARTS
from bench.room.session import SCRIPT
from bench.run import PAPER_COLUMNS, machine
from bench.servers import ServerError
from bench.tokens import write_tokens
from bench.workloads import PERSONS, Workload, workloads

HERE, BASE = "here", "base"
SHOWN = 3  # figures of a run, in its line


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise WrongUseError(message)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read what is asked for.

    Raises:
        WrongUseError: there is no such thing.
    """
    parser = OneLineParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--base", default="", help="the revision to compare with")
    parser.add_argument(
        "--only", default="", help="workloads, by commas; default: all, or none with --room"
    )
    parser.add_argument(
        "--room", default="", help="parts of the waiting room's benchmark, by commas"
    )
    parser.add_argument("--runs", type=at_least(int, 1), default=5, help="of each side, in turns")
    parser.add_argument("--seconds", type=at_least(float, 1), default=4, help="of every run")
    parser.add_argument("--json-file", type=Path, help="where to write; default: build/compare")
    parser.add_argument("--quick", action="store_true", help="small halls: it says nothing")
    given = parser.parse_args(arguments)
    known = {workload.name: workload for workload in workloads(quick=given.quick)}
    given.room = chosen("part of the room's benchmark", given.room, list(PARTS))
    names = chosen("workload", given.only, list(known))
    if not names and not given.room:
        names = list(known)
    given.only = [known[name] for name in names]
    return given


def at_least(kind: type[int] | type[float], least: int) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not least <= value < MICRO:
            what = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text!r} is no {what} from {least} on")
        return value

    return number


def chosen(what: str, names: str, known: Sequence[str]) -> list[str]:
    wanted = [name for name in names.replace(" ", ",").split(",") if name]
    if unknown := [name for name in wanted if name not in known]:
        raise WrongUseError(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    return list(dict.fromkeys(wanted))


class Comparison:
    """Both sides, and what was found."""

    def __init__(self, given: argparse.Namespace, root: Path, console: Console) -> None:
        self.given = given
        self.roots = {BASE: root, HERE: ROOT}
        self.console = console
        self.crowd = Crowd(FOLDER / "crowd", FOLDER / "crowd" / "tokens", given.seconds)
        self.rows: list[Row] = []
        self.faults: list[str] = []

    def run(self) -> None:
        if self.given.only:
            write_tokens(self.crowd.tokens, PERSONS)
            with self.sides() as sides:
                for hall in {w.hall.name: w.hall for w in self.given.only}.values():
                    for each in sides:
                        each.ask("prepare", hall=asdict(hall))
                for workload in self.given.only:
                    self.compare(workload.name, sides, partial(self.holds, workload))
        if self.given.room:
            with self.sides() as sides:
                for part in self.given.room:
                    self.compare(part, sides, partial(self.room, part))

    def compare(
        self, name: str, sides: Sequence[Side], once: Callable[[Side, int], Figures]
    ) -> None:
        self.console.rule(name, align="left")
        runs: dict[str, list[Figures]] = {each.name: [] for each in sides}
        for number in range(1, self.given.runs + 1):
            # Who begins changes, so that neither always follows the other.
            for each in sides if number % 2 else reversed(sides):
                runs[each.name].append(once(each, number))
                self.console.print(
                    f"  {number}/{self.given.runs} {line(each, runs[each.name][-1])}"
                )
        self.rows += ratios.rows(name, runs[BASE], runs[HERE])

    def holds(self, workload: Workload, each: Side, number: int) -> Figures:
        """Run one side once under one workload."""
        asked = asdict(workload)
        began = each.ask("begin", workload=asked)
        watched = {name: psutil.Process(began[name]) for name in ("server", "store")}
        asyncio.run(warm_up(self.crowd, workload, began["port"]))
        asyncio.run(calm_down(list(watched.values())))
        wal = each.ask("wal")
        found = watched_load(self.crowd, workload, began["port"], number, watched)
        wal = each.ask("wal") - wal
        batch = mean_batch(began["port"])
        seen = found.load
        faults = each.ask("end", workload=asked, load=asdict(seen))
        self.faults += [f"{each.name}, {workload.name}, run {number}: {f}" for f in faults]
        requests = max(1, seen.requests)
        counted = requests if workload.is_refusal_an_answer else seen.held
        figures = {
            ("rate", workload.unit): counted / seen.seconds,
            ("p50", "ms"): seen.p50_ms,
            ("p99", "ms"): seen.p99_ms,
            ("server's CPU a request", "µs"): found.cpu_s["server"] / requests * MICRO,
            ("PostgreSQL's CPU a request", "µs"): found.cpu_s["store"] / requests * MICRO,
            ("WAL a request", "bytes"): wal / requests,
        }
        return figures | ({("batch", "commands"): batch} if batch else {})

    def room(self, part: str, each: Side, _number: int) -> Figures:
        """Run a part of the room's benchmark once at one side."""
        found = each.ask("room", part=part, seconds=self.given.seconds, script=str(SCRIPT))
        figures: Figures = {}
        for figure in found:
            figures[figure["name"], figure["unit"]] = figure["value"]
            figures |= costs(figure)
        return figures

    @contextmanager
    def sides(self) -> Iterator[list[Side]]:
        with ExitStack() as both:
            yield [both.enter_context(side(name, root)) for name, root in self.roots.items()]


def costs(figure: Mapping[str, Any]) -> Figures:
    """What a request cost, where a part of the room's benchmark tells the cores kept busy."""
    told, rate = figure["details"], figure["value"]
    if figure["unit"] != "/s" or not rate:
        return {}
    return {
        (f"{figure['name']}: {whose} CPU a request", "µs"): told[cores] / rate * MICRO
        for cores, whose in (("server_cores", "server's"), ("store_cores", "PostgreSQL's"))
        if cores in told
    }


def line(each: Side, found: Figures) -> str:
    """One run in one line; of a part with many figures the first ones."""
    told = [
        f"{figure} {value:,.4g} {unit}" if value < 1_000 else f"{figure} {value:,.0f} {unit}"
        for (figure, unit), value in list(found.items())[:SHOWN]
    ]
    return f"{each.name}  " + "   ".join(told)


def write(path: Path, given: argparse.Namespace, comparison: Comparison, names: Any) -> None:
    told = {
        **names,
        "runs": given.runs,
        "seconds": given.seconds,
        "machine": machine(),
        "rows": [row.told() for row in comparison.rows],
        "faults": comparison.faults,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PAPER_COLUMNS
    try:
        given = options(arguments)
        commit = commit_of(given.base)
        names = {
            BASE: {"asked": given.base, "commit": commit},
            HERE: {"commit": commit_of("HEAD"), "changed": bool(git("status", "--porcelain"))},
        }
        require_wrk()
    except (WrongUseError, LoadError) as wrong:
        print(wrong, file=sys.stderr)
        return 2

    try:
        console.print(f"Building {given.base} ({commit[:12]}) …")
        comparison = Comparison(given, build(commit), console)
        comparison.run()
    except (ServerError, LoadError) as failed:
        print(failed, file=sys.stderr)
        return 1
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}{'-quick' if given.quick else ''}.json"
    path = (given.json_file or FOLDER / stamp).absolute()
    write(path, given, comparison, names)
    ratios.show(console, comparison.rows, f"{given.base} ({commit[:12]})")
    for fault in comparison.faults:
        console.print(fault, style="yellow", markup=False)
    console.print(f"Written to {path}", markup=False)
    return 1 if any(fault.startswith(HERE) for fault in comparison.faults) else 0


if __name__ == "__main__":
    sys.exit(main())
