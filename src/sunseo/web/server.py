"""Granian's worker processes, replaced for as long as it takes.

Granian alone gives up: it ends the whole server when a worker dies within 5.5 s of the death before
it, and it can miss a death or a signal that comes while it deals with another.

State       A worker is ALIVE, or DEAD until the pause before its replacement is over. Beside the
            workers there is their mould: a process that has imported everything, and forks them.
Guarantee   Every worker that dies is replaced, at once unless it keeps dying young, and the others
            go on meanwhile. A fork is there in a fraction of a second, where Python takes seconds
            to import everything. A signal to stop is never missed.
Clock       Monotonic.
On failure  Workers that cannot even start are tried again and again, with growing pauses. A mould
            that dies takes its workers with it; they are replaced, from a new one.
"""

import asyncio
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import forkserver
from typing import Any

from granian import _signals
from granian._granian import WorkerSignal
from granian.server.mp import MPServer, WorkerProcess

REPLACE_PAUSES_S = (0.0, 0.0, 0.1, 0.2, 0.5, 1.0)
"""Before replacing a worker that died young so many times in a row; the last one stays."""

YOUNG_S = 3.0
"""Longer than a worker takes to start, or to fail to, on a busy machine."""

LOOK_S = 1.0
"""Between looks at the workers, should a death not have woken us."""

TEMPORARY_PATH_BYTES_MAX = 60
"""In a longer one the path of the mould's socket would not fit into what a socket takes."""

SHORT_FOLDER = "/tmp"  # noqa: S108 - a private folder is made in it

OnDeath = Callable[[int, int | None, float], object]
"""Told the number of a worker that died, its exit code (negative: a signal), and its age in s."""


def make_mould(*modules: str) -> None:
    """Begin to make the process that workers are forked from; it imports these modules meanwhile.

    It has no threads, unlike this one, whose forks would lack them. It ends with this process and
    all workers.
    """
    multiprocessing.set_forkserver_preload(list(modules))
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) > TEMPORARY_PATH_BYTES_MAX:
        tempfile.tempdir = SHORT_FOLDER
    try:
        forkserver.ensure_running()  # which remembers where it has put its socket
    finally:
        tempfile.tempdir = usual


def _mould(worker: WorkerProcess, target: Any, args: tuple[Any, ...]) -> None:
    context = multiprocessing.get_context("forkserver")
    worker.inner = context.Process(name="sunseo-worker", target=target, args=args)


# Granian forks from its own process or starts from nothing, and leaves no other choice. What it
# fears of other ways are sockets that are shared; ours are opened by each worker for itself.
WorkerProcess._spawn = _mould  # type: ignore[method-assign]  # noqa: SLF001 - as explained


class WorkerServer(MPServer):
    """Granian's server of several processes; see the module.

    Args:
        on_death: told of every worker that ended without being asked to.
        options: Granian's own.
    """

    def __init__(self, *, on_death: OnDeath, **options: Any) -> None:
        super().__init__(**options)
        self._on_death = on_death
        self._due: dict[int, float] = {}
        self._deaths_in_row: dict[int, int] = {}

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(self._patience_s())
            self.main_loop_interrupt.clear()  # before looking, so that what comes now wakes us
            self.interrupt_children.clear()  # Granian's own list, from which it makes an exit code
            if self.reload_signal:
                self._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # Granian's
            for index in self._due_now():
                if self.interrupt_signal:
                    return
                self._respawn_workers([index], spawn_target, target_loader)

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop the workers; one that went by itself, on the same signal, is no failure."""
        self.interrupt_children.clear()
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]  # Granian's

    def _patience_s(self) -> float:
        if not self._due:
            return LOOK_S
        return min(LOOK_S, max(0.0, min(self._due.values()) - time.monotonic()))

    def _due_now(self) -> list[int]:
        """Note who has died, and return whose replacement may not wait any longer."""
        now = time.monotonic()
        for worker in self.wrks:
            if worker.idx not in self._due and not worker.inner.is_alive():
                self._due[worker.idx] = now + self._pause_s(worker.idx, now - worker.birth)
                self._on_death(worker.inner.pid, worker.inner.exitcode, now - worker.birth)
        due = [index for index, at in self._due.items() if at <= now]
        for index in due:
            del self._due[index]
        return due

    def _pause_s(self, index: int, age_s: float) -> float:
        row = self._deaths_in_row.get(index, 0) + 1 if age_s < YOUNG_S else 0
        self._deaths_in_row[index] = row
        return REPLACE_PAUSES_S[min(row, len(REPLACE_PAUSES_S) - 1)]


def heed_first_signal_only(on_stop: Callable[[], object] = lambda: None) -> None:
    """Have this worker's server stop on the first SIGINT or SIGTERM and ignore all that follow.

    `on_stop` is called first: the server waits for answers under way, so that what never ends by
    itself has to be told to.

    To be called in a worker before its server starts. A second signal would hang a worker of
    Granian 2.8 for good, holding Python's lock; and second signals are common: Ctrl-C reaches the
    workers by the terminal and by their supervisor, and the kernel tells of a parent's death once
    for each of its threads.
    """
    _signals.set_loop_signals = partial(_set_loop_signals, on_stop)


def _set_loop_signals(
    on_stop: Callable[[], object], loop: asyncio.AbstractEventLoop
) -> WorkerSignal:
    stop = WorkerSignal()
    heard: list[int] = []

    def heed(number: int) -> None:
        heard.append(number)
        if len(heard) == 1:
            on_stop()
            stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heed, number)
    return stop
