"""Write log lines in bursts, off the event loop.

State       A list of lines, and one thread that sleeps until there are some.
Guarantee   `write` never blocks and costs well under a microsecond. Lines come out in order, whole,
            within `flush_interval_s`, at once after `flush_now`, and all of them by `close`.
Clock       The thread's own sleep.
On failure  When nobody reads the log (a full pipe), `lines_max` lines wait and further ones are
            dropped and counted, and so is what a full disk or a terminal that is gone does not
            take. A line says how many when it flows again; one that was cut off is ended first.
"""

import atexit
import contextlib
import os
import select
import stat
import threading
import weakref
from collections.abc import Callable

FLUSH_INTERVAL_S = 0.1  # a reader sees a line soon enough, a burst makes ten writes a second
LINES_MAX = 100_000  # about 30 MB; a pipe that is stuck for longer than that loses lines
PIPE_ATOMIC_BYTES = 4096  # PIPE_BUF on Linux: several workers share one pipe, lines must not mix


class LineWriter:
    """A buffer in front of a file descriptor, shared by everything that logs in this process."""

    def __init__(
        self,
        fd: int = 1,
        *,
        flush_interval_s: float = FLUSH_INTERVAL_S,
        lines_max: int = LINES_MAX,
        on_dropped: Callable[[int], object] | None = None,
    ) -> None:
        self.dropped = 0
        self.on_dropped = on_dropped  # told from the writer's thread, for a metric
        self._fd = fd
        self._flush_interval_s = flush_interval_s
        self._lines_max = lines_max
        self._chunk_bytes = PIPE_ATOMIC_BYTES if _is_pipe(fd) else 1 << 20
        self._unsaid = 0  # lost lines that are counted, but not yet told in the log
        self._is_torn = False  # the last line that got out has no end yet
        self._lines: list[bytes] = []
        self._append = self._lines.append
        self._reset()
        atexit.register(_call_weakly(self, LineWriter.close))
        os.register_at_fork(after_in_child=_call_weakly(self, LineWriter._forget_parent))

    def write(self, line: bytes) -> None:
        """Add one line, ending in a newline."""
        if len(self._lines) >= self._lines_max:
            self.dropped += 1
            return
        self._append(line)
        if self._idle:
            self._wake()

    def flush_now(self) -> None:
        """Have what waits written now, not at the end of the interval."""
        self._urgent.set()

    def close(self) -> None:
        """Write what waits and stop the thread; writing afterwards starts it anew."""
        thread = self._thread
        if thread is not None:
            self._stopping = True
            self._some.set()
            self._urgent.set()
            thread.join(timeout=2.0)  # a reader that is stuck must not keep the process alive
        if thread is None or not thread.is_alive():
            self._drain()
            self._reset()

    def _reset(self) -> None:
        self._thread: threading.Thread | None = None
        self._idle = True
        self._stopping = False
        self._some = threading.Event()
        self._urgent = threading.Event()
        self._starting = threading.Lock()

    def _forget_parent(self) -> None:
        # The thread did not come along through the fork, and its lines are the parent's to write.
        self._lines.clear()
        self._reset()

    def _wake(self) -> None:
        self._idle = False
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name="log-writer", daemon=True
                    )
                    self._thread.start()
        self._some.set()

    def _run(self) -> None:
        while not self._stopping:
            self._some.wait()
            self._urgent.wait(self._flush_interval_s)
            self._some.clear()
            self._urgent.clear()
            self._idle = True  # before draining: a line added from here on wakes us again
            self._drain()

    def _drain(self) -> None:
        while count := len(self._lines):
            # One slice and one delete are each atomic, and only this thread removes.
            batch = self._lines[:count]
            self._put(batch)
            del self._lines[:count]
        if self.dropped:
            lost, self.dropped = self.dropped, 0
            if self.on_dropped is not None:
                self.on_dropped(lost)
            self._unsaid += lost
        if self._unsaid:
            told = b'{"level":"warning","event":"log_lines_dropped","lines":%d}\n' % self._unsaid
            if self._write_all(told) == 0:
                self._unsaid = 0

    def _put(self, lines: list[bytes]) -> None:
        chunk: list[bytes] = []
        size = 0
        for line in lines:
            if size + len(line) > self._chunk_bytes and chunk:
                self._write_out(chunk)
                chunk, size = [], 0
            chunk.append(line)
            size += len(line)
        if chunk:
            self._write_out(chunk)

    def _write_out(self, lines: list[bytes]) -> None:
        self.dropped += self._write_all(b"".join(lines))

    def _write_all(self, data: bytes) -> int:
        """Write whole lines; returns how many of them are lost."""
        view = memoryview(b"\n" + data if self._is_torn else data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
                self._is_torn = False
            except BlockingIOError:  # somebody made the descriptor non-blocking: wait for room
                select.select([], [self._fd], [], 1.0)
            except OSError:  # the reader is gone, or the disk full: the server goes on
                break
        if not view:
            return 0
        self._is_torn = self._is_torn or (0 < len(view) < len(data) and data[-len(view) - 1] != 10)
        return bytes(view).count(b"\n")


def _is_pipe(fd: int) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISFIFO(os.fstat(fd).st_mode)
    return False


def _call_weakly(writer: LineWriter, method: Callable[[LineWriter], None]) -> Callable[[], None]:
    """Call a method as long as somebody else still holds the writer."""
    reference = weakref.ref(writer)

    def call() -> None:
        if (alive := reference()) is not None:
            method(alive)

    return call
