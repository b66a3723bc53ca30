"""What a killed supervisor or a killed PostgreSQL may have left running in a folder.

Called only by the holder of the folder's lock: whatever still runs there belongs to nobody.

Guarantee   Afterwards no process works in the cluster, and no `postmaster.pid` names a stranger
            that only happens to have got the same number.
"""

import contextlib
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from sunseo.postgres.embedded.error import EmbeddedServerError

QUIT_S = 3.0
"""For an immediate shutdown, which saves nothing and therefore takes no time."""

KILL_S = 5.0
END_POLL_S = 0.01


def pid_in_file(cluster: Path) -> int | None:
    """The process that `postmaster.pid` names, alive or not."""
    try:
        first = (cluster / "postmaster.pid").read_text("utf-8", "replace").partition("\n")[0]
        return abs(int(first))
    except (OSError, ValueError):
        return None


def is_ready(cluster: Path, pid: int) -> bool:
    """Whether the server `pid` says in its file that it accepts connections."""
    try:
        lines = (cluster / "postmaster.pid").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def clear_folder(cluster: Path, grace_s: float) -> None:
    """Stop every PostgreSQL process that still works in `cluster`.

    Raises:
        EmbeddedServerError: One of them cannot be ended.
    """
    named = pid_in_file(cluster)
    if named is None:
        return
    found = processes_in(cluster)
    if postmaster := [process for process in found if process.pid == named]:
        _end(postmaster, signal.SIGINT, grace_s)
    elif not found and psutil.pid_exists(named):
        # The number was given anew to a stranger: PostgreSQL would take it for a server.
        (cluster / "postmaster.pid").unlink(missing_ok=True)

    # Without their postmaster the others are doomed: the sooner they end, the sooner we recover.
    _end(found, signal.SIGQUIT, QUIT_S)
    _end(found, signal.SIGKILL, KILL_S)
    if left := processes_in(cluster):
        raise EmbeddedServerError(
            f"process {left[0].pid} still works in {cluster} and cannot be ended; end it first"
        )


def processes_in(cluster: Path) -> list[psutil.Process]:
    """PostgreSQL processes whose working folder is the cluster, as it is for all of its own."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name().startswith("postgres") and Path(process.cwd()).samefile(cluster):
                found.append(process)
    return found


def _end(processes: Sequence[psutil.Process], number: signal.Signals, patience_s: float) -> None:
    """Send a signal to those that still run, and wait for their end."""
    alive = [process for process in processes if process.is_running()]
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
    deadline = time.monotonic() + patience_s
    while any(_still_runs(process) for process in alive) and time.monotonic() < deadline:
        time.sleep(END_POLL_S)


def _still_runs(process: psutil.Process) -> bool:
    """Whether a process, not perhaps a later one with its number, has more to do than be reaped.

    These are orphans: to reap them is up to the system, which in a container may take seconds.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
