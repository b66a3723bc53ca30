"""Kill a server again and again while a crowd buys from it, and count what came of it.

python -m chaos.run                      30 kills, 2 workers, a new seed
python -m chaos.run --kills 100 --seed 7 --json
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from chaos.audit import Findings, audit
from chaos.crowd import Crowd, Sale
from chaos.kills import Kill, Kind, kill
from tests.acceptance.serving import Serving, ended_at_last, serving, token

BETWEEN = (20, 200)  # successes between two kills: some hit a server that has hardly recovered
SEATS = 20_000
STANDING = 20_000
FORGOTTEN_S = 3  # of the second sale: holds that nobody ends expire under the kills, too
REPLAYED_MAX = 500
FINDINGS_SHOWN = 20


class Timed(msgspec.Struct, frozen=True):
    """Seconds over the kills of one kind."""

    median: float
    longest: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Timed":
        return cls(round(median(seconds), 3), round(max(seconds), 3))


class Part(msgspec.Struct, frozen=True):
    """The kills of one kind."""

    kills: int
    first_success_s: Timed
    caught: int
    caught_s: Timed
    whole_s: Timed


class Outcome(msgspec.Struct, frozen=True):
    """The verdict on one campaign."""

    passed: bool
    seed: int
    workers: int
    buyers: int
    seconds: float
    parts: dict[str, Part]
    intents: int
    asked: int
    acknowledged: int
    lost: list[str]
    duplicated: list[str]
    replays_changed: list[str]
    replayed: int
    verify_clean: bool
    violations: list[str]
    troubles: dict[str, int]
    unadvised: int
    server_errors: int
    left_behind: list[str]


async def campaign(server: Serving, options: argparse.Namespace, progress: Progress) -> Outcome:
    """Kill `options.kills` times in mid-sale, then audit everything."""
    began = time.monotonic()
    chance = random.Random(options.seed)
    sales = create_sales(server)
    crowd = Crowd(server.url, sales, token, buyers=options.buyers, seed=options.seed)
    task = progress.add_task("the sale begins", total=options.kills)
    kills: list[Kill] = []
    async with crowd.present():
        for kind in order_of_kills(options.kills, chance):
            await crowd.successes(chance.randint(*BETWEEN))
            kills.append(await kill(server, crowd, kind, chance))
            progress.update(task, advance=1, description=told(kills[-1]))
        await crowd.successes(BETWEEN[1])

    progress.update(task, description="asking again with the same keys")
    sample = [answered for answered in crowd.answered if answered.is_success]
    sample = chance.sample(sample, min(REPLAYED_MAX, len(sample)))
    changed = await crowd.replay(sample)
    progress.update(task, description="comparing answers and data")
    found = await audit(server.dsn(), crowd.answered, [sale.number for sale in sales])
    report = server.verify()
    return judge(
        options,
        kills,
        crowd,
        found,
        seconds=time.monotonic() - began,
        replayed=len(sample),
        changed=changed,
        violations=[str(violation) for violation in report.violations],
        verify_clean=report.clean,
    )


def create_sales(server: Serving) -> list[Sale]:
    """One sale whose holds outlive the campaign, and one whose holds do not."""
    operator = server.create_key()
    size = {"rows": SEATS // 200, "seats_per_row": 200, "standing": STANDING}
    lasting = server.create_concert(operator, **size, person_limit=4, hold_ttl_s=7200)
    brief = server.create_concert(operator, **size, person_limit=4, hold_ttl_s=FORGOTTEN_S)
    return [Sale(lasting, SEATS), Sale(brief, SEATS)]


def order_of_kills(count: int, chance: random.Random) -> list[Kind]:
    """As many of each kind as can be, in random order."""
    kinds = [kind for _, kind in zip(range(count), list(Kind) * count, strict=False)]
    chance.shuffle(kinds)
    return kinds


def told(last: Kill) -> str:
    return f"{last.kind.value}: first success after {last.first_success_s:.2f} s"


def judge(
    options: argparse.Namespace,
    kills: list[Kill],
    crowd: Crowd,
    found: Findings,
    *,
    seconds: float,
    replayed: int,
    changed: list[str],
    violations: list[str],
    verify_clean: bool,
) -> Outcome:
    errors = sum(times for what, times in crowd.troubles.items() if what.startswith("500"))
    passed = verify_clean and not (
        found.lost or found.duplicated or changed or errors or crowd.unadvised
    )
    return Outcome(
        passed=passed,
        seed=options.seed,
        workers=options.workers,
        buyers=options.buyers,
        seconds=round(seconds, 1),
        parts={kind.value: part for kind in Kind if (part := part_of(kills, kind))},
        intents=len(crowd.answered),
        asked=sum(answered.asked for answered in crowd.answered),
        acknowledged=found.acknowledged,
        lost=found.lost,
        duplicated=found.duplicated,
        replays_changed=changed,
        replayed=replayed,
        verify_clean=verify_clean,
        violations=violations,
        troubles=dict(Counter(crowd.troubles).most_common()),
        unadvised=crowd.unadvised,
        server_errors=errors,
        left_behind=[],
    )


def part_of(kills: list[Kill], kind: Kind) -> Part | None:
    of_kind = [one for one in kills if one.kind is kind]
    if not of_kind:
        return None
    return Part(
        len(of_kind),
        Timed.of([one.first_success_s for one in of_kind]),
        sum(one.caught for one in of_kind),
        Timed.of([one.caught_s for one in of_kind]),
        Timed.of([one.whole_s for one in of_kind]),
    )


def show(outcome: Outcome, console: Console) -> None:
    """Print what a person wants to know."""
    table = Table("killed", "times", title=f"seed {outcome.seed}, {outcome.seconds:.0f} s")
    for heading in ("first success", "all caught answered", "whole again"):
        table.add_column(f"{heading}\nmedian / longest", justify="right")
    for name, part in outcome.parts.items():
        times = (part.first_success_s, part.caught_s, part.whole_s)
        spans = [f"{timed.median:.2f} s / {timed.longest:.2f} s" for timed in times]
        table.add_row(name, str(part.kills), *spans)
    console.print(table)
    console.print(
        f"{outcome.intents} intents, sent {outcome.asked} times; "
        f"{outcome.acknowledged} effects acknowledged\n"
        f"lost: {len(outcome.lost)}   duplicated: {len(outcome.duplicated)}   "
        f"answered anew of {outcome.replayed} replays: {len(outcome.replays_changed)}   "
        f"verify: {'clean' if outcome.verify_clean else 'NOT clean'}\n"
        f"500s: {outcome.server_errors}   503 without Retry-After: {outcome.unadvised}   "
        f"left running: {len(outcome.left_behind)}"
    )
    faults = [*outcome.lost, *outcome.duplicated, *outcome.replays_changed]
    for fault in [*faults, *outcome.violations, *outcome.left_behind][:FINDINGS_SHOWN]:
        console.print(f"  {fault}", highlight=False)


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos.run", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--buyers", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> Outcome:
    """Run a campaign on a throw-away folder and show its progress on standard error."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="sunseo-chaos-") as folder:
        server = serving(Path(folder) / "data", workers=options.workers)
        with ended_at_last(server):
            server.start()
            with Progress(*columns, console=Console(stderr=True)) as progress:
                outcome = asyncio.run(campaign(server, options, progress))
            server.stop()
            return msgspec.structs.replace(outcome, left_behind=server.left_behind())


def main() -> int:
    options = options_of()
    outcome = run(options)
    if options.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(outcome)).decode() + "\n")
    else:
        show(outcome, Console())
    return 0 if outcome.passed and not outcome.left_behind else 1


if __name__ == "__main__":
    sys.exit(main())
