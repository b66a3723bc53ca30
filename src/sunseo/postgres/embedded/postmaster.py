"""One run of PostgreSQL, from launch to exit.

Guarantee   The process belongs to the thread that launches it: the kernel sends it SIGINT, a fast
            shutdown, when that thread ends.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

from sunseo.postgres.embedded.binaries import Binaries
from sunseo.postgres.embedded.cluster import Layout, server_environment
from sunseo.postgres.embedded.config import CONFIG
from sunseo.postgres.embedded.error import (
    EmbeddedServerError,
    explain,
    explain_os_error,
    is_still_occupied,
    last_error_line,
    read_tail,
)
from sunseo.postgres.embedded.identity import Identity
from sunseo.postgres.embedded.orphans import is_ready

READY_POLL_S = 0.01
QUIT_S = 5.0
LOG_BYTES_MAX = 16 * 1024 * 1024


class OccupiedError(EmbeddedServerError):
    """Remains of a killed server are in the way; trying again soon helps."""


class Postmaster:
    """A PostgreSQL that was launched by the calling thread."""

    def __init__(self, layout: Layout, process: subprocess.Popen[bytes], log_start: int) -> None:
        self._layout = layout
        self._process = process
        self._log_start = log_start

    @classmethod
    def launch(cls, layout: Layout, binaries: Binaries, identity: Identity) -> Self:
        """Start the process; it is not ready yet.

        Raises:
            EmbeddedServerError: Its log cannot be written, or no process can be made.
        """
        trim_log(layout.log)
        arguments = ["-D", str(layout.cluster), "-c", f"config_file={layout.cluster / CONFIG}"]
        try:
            with layout.log.open("ab") as log:
                log_start = log.tell()
                process = subprocess.Popen(  # noqa: S603 - our own command line
                    identity.command(signal.SIGINT, binaries.postgres, *arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=server_environment(),
                    start_new_session=True,  # a terminal's Ctrl-C is for us, not for PostgreSQL
                )
        except OSError as error:
            raise explain_os_error("starting PostgreSQL", layout.data, error) from error
        return cls(layout, process, log_start)

    @property
    def pid(self) -> int | None:
        """Its number, or None once it has ended."""
        return self._process.pid if self._process.poll() is None else None

    def await_ready(self, stopping: threading.Event, timeout_s: float) -> bool:
        """Wait until it accepts connections; False if `stopping` was set first.

        Raises:
            OccupiedError: It ended because remains of a killed server are in the way.
            EmbeddedServerError: It ended for another reason, or took too long.
        """
        deadline = time.monotonic() + timeout_s
        while not is_ready(self._layout.cluster, self._process.pid):
            if self._process.poll() is not None:
                raise self._early_end()
            if time.monotonic() >= deadline:
                raise EmbeddedServerError(
                    f"PostgreSQL in {self._layout.data} was not ready within {timeout_s:.0f} s;"
                    f" see {self._layout.log}"
                )
            if stopping.wait(READY_POLL_S):
                return False
        return True

    def await_exit(self, timeout_s: float) -> bool:
        """Wait for its end, without polling where the kernel can tell; False if it still runs."""
        if sys.platform == "linux":
            with contextlib.suppress(ProcessLookupError):  # ended, and reaped by `pid`
                handle = os.pidfd_open(self._process.pid)
                try:
                    watch = select.poll()
                    watch.register(handle, select.POLLIN)
                    if not watch.poll(timeout_s * 1000):
                        return False
                finally:
                    os.close(handle)
            self._process.wait()
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, grace_s: float) -> None:
        """End it: a fast shutdown, after the grace an immediate one, and then by force."""
        for number, patience_s in (
            (signal.SIGINT, grace_s),
            (signal.SIGQUIT, QUIT_S),
            (signal.SIGKILL, QUIT_S),
        ):
            self._process.send_signal(number)
            if self.await_exit(patience_s):
                return

    def epitaph(self) -> str:
        """How it ended, for the log."""
        status = self._process.returncode
        if status < 0:
            return f"killed by signal {-status}"
        said = last_error_line(read_tail(self._layout.log, self._log_start))
        return f"ended with status {status}: {said}"

    def _early_end(self) -> EmbeddedServerError:
        said = read_tail(self._layout.log, self._log_start)
        told = explain("starting PostgreSQL", self._layout.data, said, self._layout.log)
        return OccupiedError(str(told)) if is_still_occupied(said) else told


def trim_log(log: Path) -> None:
    """Keep the log small: set it aside as `.1` once it is large, and begin anew."""
    with contextlib.suppress(OSError):
        if log.stat().st_size < LOG_BYTES_MAX:
            return
        with contextlib.suppress(OSError):  # on a full disk the old text is worth less than space
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        # PostgreSQL appends: cutting the file under its hands is safe, renaming it is not.
        os.truncate(log, 0)
