"""Kill a server again and again while visitors join and enter its rooms, and count what is lost.

python -m chaos.room                       60 kills, 2 workers, a new seed
python -m chaos.room --kills 200 --seed 2026 --workers 1
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from chaos.room.campaign import Outcome, Part, Plan, Timed, campaign, set_up
from tests.acceptance.serving import ended_at_last, serving, until

RESULTS = Path("build/chaos")
FINDINGS_SHOWN = 20
INTERRUPTED = 130


def run(plan: Plan) -> Outcome:
    """Run a campaign on a throw-away folder and show its progress on standard error."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="sunseo-chaos-") as folder:
        server = serving(Path(folder) / "data", workers=plan.workers)
        with ended_at_last(server):
            server.start()
            with Progress(*columns, console=Console(stderr=True)) as progress:
                task = progress.add_task("the doors open", total=plan.kills)
                stage = set_up(server, plan)
                outcome = asyncio.run(
                    campaign(
                        stage,
                        plan,
                        lambda line, step: progress.update(task, description=line, advance=step),
                    )
                )
            server.stop()
            with suppress(AssertionError):
                until(lambda: not server.left_behind(), "nothing is left")
            return msgspec.structs.replace(outcome, left_behind=server.left_behind())


def show(outcome: Outcome, console: Console) -> None:
    """Print what a person wants to know."""
    title = f"seed {outcome.seed}, workers {outcome.workers}, {outcome.seconds:.0f} s; in seconds:"
    table = Table("killed", "times", title=title)
    for heading in ("serving", "a join", "an entry", "line moves", "whole"):
        table.add_column(f"{heading}\nmedian / max", justify="right")
    table.add_column("late", justify="right")
    for name, part in outcome.parts.items():
        table.add_row(name, str(part.kills), *_spans_of(part), str(part.late))
    console.print(table)
    console.print(
        f"{outcome.intents} intents, sent {outcome.asked} times; {outcome.joins} joins and "
        f"{outcome.entries} entries acknowledged: {outcome.places} places, "
        f"{outcome.passes} passes\n"
        f"given twice: {len(outcome.given_twice)}   lost: {len(outcome.lost)}   "
        f"unasked: {len(outcome.unasked)}   above capacity: {len(outcome.above_capacity)}   "
        f"rows wrong in {outcome.looks} looks: {len(outcome.rows_wrong)}\n"
        f"answered wrongly: {len(outcome.broken)}   went back in {outcome.documents} readings: "
        f"{len(outcome.went_back)}   came late: {outcome.latecomers}   "
        f"joined again: {outcome.replayed}   verify: {'clean' if outcome.verify_clean else 'NOT'}\n"
        f"5xx but 503: {outcome.server_errors}   503 without Retry-After: {outcome.unadvised}   "
        f"renewals overdue: {outcome.overdue_renewals}   leaders: {outcome.leaders}   "
        f"left running: {len(outcome.left_behind)}"
    )
    faults = [
        *outcome.given_twice, *outcome.lost, *outcome.unasked, *outcome.above_capacity,
        *outcome.rows_wrong, *outcome.broken, *outcome.went_back, *outcome.left_behind,
    ]  # fmt: skip
    for fault in faults[:FINDINGS_SHOWN]:
        console.print(f"  {fault}", highlight=False)
    for one in outcome.late:
        console.print(
            f"kill {one.number}, of {one.kind}, was felt for {one.serving_s:.1f} s "
            f"(before it: {one.after}):"
        )
        for line in one.logged:
            console.print(f"  {line}", highlight=False)


def _spans_of(part: Part) -> list[str]:
    return [
        _span_of(timed)
        for timed in (part.serving_s, part.join_s, part.entry_s, part.line_s, part.whole_s)
    ]


def _span_of(timed: Timed | None) -> str:
    return "-" if timed is None else f"{timed.median:.1f} / {timed.longest:.1f}"


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos.room", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--visitors", type=int, default=80)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args(arguments)


def main() -> int:
    options = options_of()
    for number in (signal.SIGINT, signal.SIGTERM):  # leave nothing running, whoever ends us
        signal.signal(number, signal.default_int_handler)
    plan = Plan(options.kills, options.visitors, options.seed, options.workers)
    try:
        outcome = run(plan)
    except KeyboardInterrupt:
        return INTERRUPTED
    text = msgspec.json.format(msgspec.json.encode(outcome)).decode() + "\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"room-{plan.seed}-{plan.workers}.json").write_text(text)
    if options.json:
        sys.stdout.write(text)
    else:
        show(outcome, Console())
    return 0 if outcome.passed and outcome.kept_in_time and not outcome.left_behind else 1


if __name__ == "__main__":
    sys.exit(main())
