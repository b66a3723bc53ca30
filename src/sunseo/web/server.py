"""Granian's worker processes, replaced for as long as it takes.

Granian alone gives up: it ends the whole server when a worker dies within 5.5 s of the death before
it, and it can miss a death or a signal that comes while it deals with another.

State       A worker is ALIVE, or DEAD until the pause before its replacement is over. Beside the
            workers an understudy STANDS BY: a process that has imported everything and waits.
Guarantee   Every worker that dies is replaced, at once unless it keeps dying young, and the others
            go on meanwhile. The understudy takes the place of the first one that dies, so that a
            server of one worker is away for a fraction of a second and not for the seconds that
            Python takes to import everything. A signal to stop is never missed.
Clock       Monotonic.
On failure  Workers that cannot even start are tried again and again, with growing pauses. Without
            an understudy that lives, a worker is started from nothing.
"""

import asyncio
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from granian import _signals
from granian._granian import WorkerSignal
from granian.server.mp import MPServer, WorkerProcess

REPLACE_PAUSES_S = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0)
"""Before replacing a worker that died young so many times in a row; the last one stays."""

YOUNG_S = 10.0
"""Longer than a worker takes to start on a busy machine."""

LOOK_S = 1.0
"""Between looks at the workers, should a death not have woken us."""

CALM_S = 1.0
"""After the start of a worker, before the next understudy is made: that takes a processor's time,
which workers need more when they begin."""

OnDeath = Callable[[int, int | None, float], object]
"""Told the number of a worker that died, its exit code (negative: a signal), and its age in s."""


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
        self._understudy: Understudy | None = None
        self._calm_at = 0.0  # when the next understudy may be made

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        while not self.interrupt_signal:
            self._keep_understudy(spawn_target, target_loader)
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
        if self._understudy is not None:
            self._understudy.dismiss()
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]  # Granian's

    def _spawn_worker(  # type: ignore[override]  # Granian's own class differs from its base here
        self, idx: int, target: Any, callback_loader: Any
    ) -> WorkerProcess:
        """Have the understudy take the place, or make a worker from nothing."""
        self._calm_at = time.monotonic() + CALM_S
        understudy, self._understudy = self._understudy, None
        if understudy is not None and understudy.take_place(idx):
            return understudy
        return super()._spawn_worker(idx, target, callback_loader)

    def _keep_understudy(self, target: Any, callback_loader: Any) -> None:
        """Make an understudy when all is calm and there is none that lives."""
        now = time.monotonic()
        if self._understudy is not None and not self._understudy.inner.is_alive():
            self._understudy, self._calm_at = None, now + REPLACE_PAUSES_S[-1]
        if self._understudy is not None or self._due or now < self._calm_at:
            return

        hears, cue = multiprocessing.Pipe(duplex=False)
        with hears:
            loader = partial(stand_by, hears, callback_loader)
            worker = super()._spawn_worker(0, target, loader)
            with suppress(OSError):  # no process is to be had: then workers do without
                self._understudy = Understudy(worker, cue)

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


class Understudy(WorkerProcess):
    """A worker whose process runs already and waits for its cue, which `start` gives.

    Args:
        worker: one that has not been started.
        cue: what its process waits for.
    """

    def __init__(self, worker: WorkerProcess, cue: Connection) -> None:
        # Granian's own would make another process.
        self.parent = worker.parent
        self.idx = worker.idx
        self.interrupt_by_parent = False
        self.birth = time.monotonic()
        self.inner = worker.inner
        self.inner.daemon = True  # should we end without a word, nobody waits for it
        self.inner.start()
        self._cue = cue

    def take_place(self, index: int) -> bool:
        """Be the worker with this index as soon as it is started; false if it has died."""
        self.idx = index
        self.birth = time.monotonic()
        alive: bool = self.inner.is_alive()
        return alive

    def start(self) -> None:
        with suppress(BrokenPipeError):  # it dies this moment, and is missed like any worker
            self._cue.send_bytes(b"begin")
        self._cue.close()
        self._watch()  # type: ignore[no-untyped-call]  # Granian's

    def dismiss(self) -> None:
        """End it. It holds nothing."""
        self.inner.kill()
        self.inner.join()


def stand_by(hears: Connection, loader: Callable[[], Any]) -> Any:
    """Wait until a worker is needed, then load the application; in the understudy's process.

    Everything has been imported before: to unpickle the loader is to import what it needs.
    """
    on_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor
    try:
        hears.recv_bytes()
    except EOFError:  # the supervisor has died
        sys.exit(0)
    signal.signal(signal.SIGINT, on_interrupt)
    return loader()


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
