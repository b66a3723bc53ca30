"""Record histories of small sales under kills, and have porcupine check that they are linearizable.

python -m chaos.linearizability                        3 histories, a new seed
python -m chaos.linearizability --histories 10 --seconds 30 --seed 7 --json
python -m chaos.linearizability --defect lock          a server with one lock left out: it is caught

Exit codes: 0 all histories are linearizable; 1 one is not, or could not be decided; 2 wrong use;
3 it cannot be run here.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from chaos.linearizability.campaign import (
    DEFECTIVE,
    WORKERS,
    Outcome,
    Told,
    one_history,
    remove_fence,
)
from chaos.linearizability.checker import CannotBeRunError, build
from tests.acceptance.serving import Serving, ended_at_last, serving

RESULTS = Path("build/chaos")
CANNOT_BE_RUN = 3
INTERRUPTED = 130
HISTORIES_MAX = 1_000
SECONDS = (3.0, 600.0)


class OneLineParser(argparse.ArgumentParser):
    """Tells of wrong use in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(prog="chaos.linearizability", description=__doc__.splitlines()[0])
    parser.add_argument("--histories", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each history")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--defect", choices=["lock"], help="leave out the lock of the sale")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    if not 1 <= options.histories <= HISTORIES_MAX:
        parser.error(f"--histories is from 1 to {HISTORIES_MAX}, not {options.histories}")
    if not SECONDS[0] <= options.seconds <= SECONDS[1]:
        parser.error(f"--seconds is from {SECONDS[0]:.0f} to {SECONDS[1]:.0f}")
    return options


def name_of(options: argparse.Namespace) -> str:
    """What the campaign's files are called."""
    defect = f"-{options.defect}" if options.defect else ""
    return f"linearizability{defect}-{options.seed}"


async def campaign(
    server: Serving, checker: Path, options: argparse.Namespace, progress: Progress
) -> Outcome:
    if options.defect:
        await remove_fence(server.dsn())
    task = progress.add_task("")
    told: list[Told] = []
    for number in range(1, options.histories + 1):
        file = RESULTS / f"{name_of(options)}-{number}.json"

        def show_progress(line: str, number: int = number) -> None:
            progress.update(task, description=f"history {number} of {options.histories}: {line}")

        show_progress("recording")
        seed = options.seed * HISTORIES_MAX + number
        told.append(
            await one_history(
                server, checker, file, seconds=options.seconds, seed=seed, progress=show_progress
            )
        )
    return Outcome(all(one.passed for one in told), options.seed, options.defect, told)


def run(options: argparse.Namespace) -> Outcome:
    """Run a campaign on a throw-away folder and show its progress on standard error."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    checker = build(RESULTS)
    with tempfile.TemporaryDirectory(prefix="sunseo-chaos-") as folder:
        server = serving(Path(folder) / "data", workers=WORKERS)
        server.program = DEFECTIVE if options.defect else server.program
        with ended_at_last(server):
            server.start()
            with Progress(*columns, console=Console(stderr=True)) as progress:
                return asyncio.run(campaign(server, checker, options, progress))


def show(outcome: Outcome, console: Console) -> None:
    """Print what a person wants to know."""
    of = f", {outcome.defect} left out" if outcome.defect else ""
    table = Table("history", title=f"seed {outcome.seed}{of}; kills: workers + PostgreSQL")
    for heading in ("operations", "unknown", "kills", "parts", "checked in"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for number, told in enumerate(outcome.histories, 1):
        verdict = told.verdict
        kills = f"{told.kills.get('worker', 0)} + {told.kills.get('postgresql', 0)}"
        table.add_row(
            *(str(number), str(verdict.operations), str(verdict.open), kills),
            *(str(verdict.parts), f"{verdict.seconds:.2f} s", _said(told)),
        )
    console.print(table)
    for number, told in enumerate(outcome.histories, 1):
        answers = ", ".join(f"{what} {times}" for what, times in told.answers.items())
        console.print(f"{number}: {answers}", highlight=False)
        if told.troubles:
            troubles = ", ".join(f"{what} {times}" for what, times in told.troubles.items())
            console.print(f"   sent again after: {troubles}", highlight=False)
        if told.verdict.result == "illegal":
            console.print(_why(told), highlight=False, soft_wrap=True)


def _said(told: Told) -> str:
    if told.verdict.result == "ok":
        return "linearizable" if told.passed else "nothing was held in it"
    if told.verdict.result == "illegal":
        return f"NOT linearizable in {told.verdict.offending} parts"
    return "undecided"


def _why(told: Told) -> str:
    verdict = told.verdict
    return (
        f"   sale {verdict.sale}: no order explains the {verdict.shown} operations up to: "
        f"{verdict.last}\n   picture: {verdict.picture}   history: {told.history}"
    )


def main() -> int:
    options = options_of()
    for number in (signal.SIGINT, signal.SIGTERM):  # leave nothing running, whoever ends us
        signal.signal(number, signal.default_int_handler)
    try:
        outcome = run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (CannotBeRunError, AssertionError) as error:  # or the server does not come (back)
        sys.stderr.write(f"chaos.linearizability: {' '.join(str(error).split())}\n")
        return CANNOT_BE_RUN
    text = msgspec.json.format(msgspec.json.encode(outcome)).decode() + "\n"
    (RESULTS / f"{name_of(options)}.json").write_text(text)
    if options.json:
        sys.stdout.write(text)
    else:
        show(outcome, Console())
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
