"""What a killed supervisor or a killed PostgreSQL may have left running in a folder.

Called only by the holder of the folder's lock: whatever still runs there belongs to nobody.

Guarantee   Afterwards no process works in the cluster, and no `postmaster.pid` names a stranger
            that only happens to have got the same number.
"""

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path

import psutil

from sunseo.postgres.embedded_error import EmbeddedServerError

LEFTOVERS_S = 3.0
"""Children notice the death of their postmaster within a second or so and end by themselves."""

KILLED_S = 5.0


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
    postmaster = pid_in_file(cluster)
    if postmaster is None:
        return
    found = processes_in(cluster)
    if any(process.pid == postmaster for process in found):
        _end(found, postmaster, grace_s)
    elif found:
        _end_leftovers(found)
    elif psutil.pid_exists(postmaster):
        # The number was given anew to a stranger: PostgreSQL would take it for a server.
        (cluster / "postmaster.pid").unlink(missing_ok=True)

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


def _end(found: Sequence[psutil.Process], postmaster: int, grace_s: float) -> None:
    first = [process for process in found if process.pid == postmaster]
    _signal(first, signal.SIGINT)
    _, alive = psutil.wait_procs(first, timeout=grace_s)
    _signal(alive, signal.SIGQUIT)
    _end_leftovers([process for process in found if process.is_running()])


def _end_leftovers(found: Sequence[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(found, timeout=LEFTOVERS_S)
    _signal(alive, signal.SIGQUIT)
    _, alive = psutil.wait_procs(alive, timeout=LEFTOVERS_S)
    _signal(alive, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=KILLED_S)


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
