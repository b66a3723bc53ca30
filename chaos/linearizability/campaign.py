"""Histories of small sales on one server, whose parts are killed meanwhile, and the verdicts."""

import asyncio
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from math import ceil
from pathlib import Path

import asyncpg
import msgspec

from chaos.kills import Kind, strike
from chaos.linearizability.checker import Verdict, check
from chaos.linearizability.clients import ROUND_S, SEATS, STOCK, Plan, Recorded, record
from chaos.linearizability.history import History
from tests.acceptance.serving import Serving

WORKERS = 2
PROCESSES = 3
CLIENTS = 3  # of each process
STARTING_S = 3.0  # a process of clients imports in one
BETWEEN_S = (0.5, 2.0)  # from one part's recovery to the next kill
KILLED = (Kind.WORKER, Kind.POSTGRESQL)

DEFECTIVE = "chaos.linearizability.defective"
"""The program that serves with the sale's lock left out."""

DROP_FENCE = """
ALTER TABLE journal DROP CONSTRAINT journal_key;
CREATE INDEX journal_key ON journal (organisation, kind, stream, version);
"""
"""The journal's key would refuse the second of two batches that decided on one version."""


class Told(msgspec.Struct, frozen=True):
    """One history and the verdict on it."""

    seed: int
    kills: dict[str, int]
    answers: dict[str, int]
    troubles: dict[str, int]
    history: str
    """The file that holds it."""

    verdict: Verdict

    @property
    def passed(self) -> bool:
        """An undecided history has not passed, nor has one in which nothing happened."""
        return self.verdict.result == "ok" and self.answers.get("hold held", 0) > 0


class Outcome(msgspec.Struct, frozen=True):
    """The verdict on a campaign."""

    passed: bool
    seed: int
    defect: str | None
    histories: list[Told]


async def remove_fence(dsn: str) -> None:
    """Take from a throw-away database what would hide that a lock is missing."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(DROP_FENCE)
    finally:
        await connection.close()


async def one_history(
    server: Serving,
    checker: Path,
    file: Path,
    *,
    seconds: float,
    seed: int,
    progress: Callable[[str], None],
) -> Told:
    """Let clients loose on new sales for some seconds, kill, and have what they saw checked."""
    chance = random.Random(seed)
    operator = server.create_key()
    sales = tuple(
        server.create_concert(
            operator, rows=1, seats_per_row=SEATS, standing=STOCK, hold_ttl_s=7200
        )
        for _ in range(ceil(seconds / ROUND_S))
    )
    starts_at = time.monotonic_ns() + round(STARTING_S * 1e9)
    ends_at = starts_at + round(seconds * 1e9)
    plans = [
        Plan(server.url, sales, starts_at, ends_at, process, CLIENTS, seed)
        for process in range(PROCESSES)
    ]
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        recording = [loop.run_in_executor(pool, record, plan) for plan in plans]
        kills = await _kill_until(server, ends_at, starts_at, chance, progress)
        recorded = await asyncio.gather(*recording)
    progress("checking")
    history = History(STOCK, [one for each in recorded for one in each.operations])
    verdict = await asyncio.to_thread(check, checker, history, file)
    return _told(seed, kills, recorded, file, verdict)


async def _kill_until(
    server: Serving,
    ends_at: int,
    starts_at: int,
    chance: random.Random,
    progress: Callable[[str], None],
) -> Counter[str]:
    """Kill one part after the other, each kind as often as the other."""
    kills: Counter[str] = Counter()
    await asyncio.sleep(max(0.0, (starts_at - time.monotonic_ns()) / 1e9))
    while True:
        for kind in chance.sample(KILLED, len(KILLED)):
            await asyncio.sleep(chance.uniform(*BETWEEN_S))
            if time.monotonic_ns() >= ends_at:
                return kills
            progress(f"kill {kills.total() + 1}: {kind.value}")
            await strike(server, kind, chance)
            kills[kind.value] += 1


def _told(
    seed: int, kills: Counter[str], recorded: list[Recorded], file: Path, verdict: Verdict
) -> Told:
    operations = [one for each in recorded for one in each.operations]
    answers = Counter(f"{one.kind} {one.answer or '?'}" for one in operations)
    troubles = sum((each.troubles for each in recorded), Counter[str]())
    return Told(
        seed,
        kills=dict(kills),
        answers=dict(answers.most_common()),
        troubles=dict(troubles.most_common()),
        history=str(file),
        verdict=verdict,
    )
