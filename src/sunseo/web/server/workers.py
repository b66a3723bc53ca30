"""Worker processes, replaced for as long as it takes.

State       A worker is ALIVE, or DEAD until the pause before its replacement is over. Beside the
            workers there is the preloaded fork server: a process that has imported everything, and
            forks them.
Guarantee   Every worker that dies is replaced, at once unless it keeps dying young, and the others
            go on meanwhile. A fork is there in a fraction of a second, where Python takes seconds
            to import everything. Each worker has a listening socket of its own, which this process
            keeps open: who connects while a worker is replaced waits, and is served.
Clock       Monotonic.
On failure  Workers that cannot even start are tried again and again, with growing pauses. A fork
            server that dies takes its workers with it; they are replaced, from a new one.
"""

import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from types import FrameType

REPLACE_PAUSES_S = (0.0, 0.0, 0.1, 0.2, 0.5, 1.0)
"""Before replacing a worker that died young so many times in a row; the last one stays."""

YOUNG_S = 3.0
"""Longer than a worker takes to start, or to fail to, on a busy machine."""

LOOK_S = 1.0
"""Between looks at the workers, should a death not have woken us."""

TEMPORARY_PATH_BYTES_MAX = 60
"""In a longer one the path of the fork server's socket would not fit into what a socket takes."""

SHORT_FOLDER = "/tmp"  # noqa: S108 - a private folder is made in it

OnDeath = Callable[[int | None, int | None, float], object]
"""Told the pid of a worker that died, its exit code (negative: a signal), and its age in s."""

ServeOn = Callable[[socket.socket], object]
"""What a worker does: it serves on a listening socket until it gets SIGTERM. Pickled."""


def preload(*modules: str) -> None:
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


class Workers:
    """One worker a listening socket; see the module.

    Args:
        listeners: bound, not yet listening; they are kept open until the end.
        serve_on: what each worker does.
        on_death: told of every worker that ended without being asked to.
        kill_after_s: how long workers may take to drain when told to stop.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        serve_on: ServeOn,
        *,
        on_death: OnDeath,
        kill_after_s: float,
    ) -> None:
        self._listeners = listeners
        self._serve_on = serve_on
        self._on_death = on_death
        self._kill_after_s = kill_after_s
        self._context = multiprocessing.get_context("forkserver")
        self._alive: dict[int, tuple[BaseProcess, float]] = {}
        self._due: dict[int, float] = dict.fromkeys(range(len(listeners)), 0.0)
        self._deaths_in_row: dict[int, int] = {}
        self._told = False
        self._woken, self._wake = os.pipe()

    def run(self) -> None:
        """Keep the workers going until SIGINT or SIGTERM, then stop them."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        while not self._told:
            for index in self._due_now():
                self._start(index)
            deaths = [process.sentinel for process, _ in self._alive.values()]
            connection.wait([*deaths, self._woken], self._patience_s())
        self._stop_all()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._told = True
        os.write(self._wake, b"!")

    def _start(self, index: int) -> None:
        process = self._context.Process(
            name="sunseo-worker", target=self._serve_on, args=(self._listeners[index],)
        )
        process.start()
        self._alive[index] = process, time.monotonic()

    def _due_now(self) -> list[int]:
        """Note who has died, and return whose replacement may not wait any longer."""
        now = time.monotonic()
        for index, (process, birth) in list(self._alive.items()):
            if not process.is_alive():
                del self._alive[index]
                self._due[index] = now + self._pause_s(index, now - birth)
                self._on_death(process.pid, process.exitcode, now - birth)
        due = [index for index, at in self._due.items() if at <= now]
        for index in due:
            del self._due[index]
        return due

    def _patience_s(self) -> float:
        if not self._due:
            return LOOK_S
        return min(LOOK_S, max(0.0, min(self._due.values()) - time.monotonic()))

    def _pause_s(self, index: int, age_s: float) -> float:
        row = self._deaths_in_row.get(index, 0) + 1 if age_s < YOUNG_S else 0
        self._deaths_in_row[index] = row
        return REPLACE_PAUSES_S[min(row, len(REPLACE_PAUSES_S) - 1)]

    def _stop_all(self) -> None:
        """Have all workers drain, and kill those that do not end."""
        deadline = time.monotonic() + self._kill_after_s
        processes = [process for process, _ in self._alive.values()]
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        for listener in self._listeners:
            listener.close()
