"""Kill a part of a running server with `kill -9`, and measure how long buyers feel it."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import psutil

from chaos.asking import AskingCrowd
from tests.acceptance.serving import PATIENCE_S, POLL_S, Serving

T = TypeVar("T")


class Kind(Enum):
    """What can be killed."""

    WORKER = "worker"
    POSTGRESQL = "postgresql"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True)
class Kill:
    """One kill and how it was survived. Times in seconds since the kill."""

    kind: Kind
    at: float
    """On the monotonic clock; the other times count from here."""

    first_success_s: float
    """Until the first success to a request that was sent after the kill."""

    caught_s: float
    """Until everybody whose intent was under way at the kill had been answered."""

    caught: int
    """How many intents were under way."""

    whole_s: float
    """Until what was killed had been replaced and everything was as before."""


async def kill(server: Serving, crowd: AskingCrowd, kind: Kind, chance: random.Random) -> Kill:
    """Kill one part in mid-sale, start the supervisor again if it was that, and await recovery."""
    caught = set(crowd.under_way)
    before = server.workers()
    began = time.monotonic()
    whole = asyncio.create_task(_MEANS[kind](server, before, chance))
    first = await _patiently(crowd.successes(sent_after=began), "somebody succeeds")
    await _patiently(crowd.settled(caught), "everybody who was caught is answered")
    caught_ended = max(
        (answered.ended for answered in crowd.answered if answered.intent in caught), default=began
    )
    await whole
    return Kill(
        kind,
        at=began,
        first_success_s=first.ended - began,
        caught_s=caught_ended - began,
        caught=len(caught),
        whole_s=time.monotonic() - began,
    )


async def strike(server: Serving, kind: Kind, chance: random.Random) -> None:
    """Kill one part, whoever may be asking, and wait until it has been replaced."""
    await _MEANS[kind](server, server.workers(), chance)


async def _kill_worker(server: Serving, before: list[int], chance: random.Random) -> None:
    victim = chance.choice(before)
    os.kill(victim, signal.SIGKILL)
    await _eventually(
        lambda: len(server.workers()) >= len(before) and victim not in server.workers(),
        "the worker is replaced",
    )


async def _kill_postgresql(server: Serving, _before: list[int], _chance: random.Random) -> None:
    victim = server.postmaster()
    if victim is None:
        raise AssertionError("there is no PostgreSQL to kill")
    os.kill(victim, signal.SIGKILL)
    await _eventually(lambda: server.postmaster() not in (None, victim), "PostgreSQL is replaced")
    await _eventually_ready(server)


async def _kill_supervisor(server: Serving, before: list[int], _chance: random.Random) -> None:
    server.kill()
    server.spawn()  # at once, as systemd would with RestartSec=0
    await _eventually(
        lambda: len(server.workers()) >= len(before), "all workers listen", server.give_up
    )
    await _eventually_ready(server)
    await _eventually(
        lambda: not any(psutil.pid_exists(pid) for pid in before), "the old workers are gone"
    )


_MEANS = {
    Kind.WORKER: _kill_worker,
    Kind.POSTGRESQL: _kill_postgresql,
    Kind.SUPERVISOR: _kill_supervisor,
}


async def _eventually_ready(server: Serving) -> None:
    async with asyncio.timeout(PATIENCE_S):
        # Nothing tells us: another process becomes ready.
        while (await asyncio.to_thread(server.ask, "GET", "/readyz")).status != 200:  # noqa: ASYNC110 - as above
            await asyncio.sleep(POLL_S)


async def _eventually(
    holds: Callable[[], bool], what: str, check: Callable[[], None] = lambda: None
) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        check()
        if time.monotonic() >= deadline:
            raise AssertionError(f"it did not come true within {PATIENCE_S:.0f} s that {what}")
        await asyncio.sleep(POLL_S)


async def _patiently(awaitable: Awaitable[T], what: str) -> T:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await awaitable
    except TimeoutError:
        raise AssertionError(
            f"it did not come true within {PATIENCE_S:.0f} s that {what}"
        ) from None
