"""Start one server, watch what it uses, stop it with all its children.

State       A server is STARTING, READY (it answers), then ENDED.
Guarantee   Every server runs in a session of its own, and ends with everything it started: by
            SIGTERM, and by SIGKILL to its session when it does not within a grace.
Clock       Monotonic, for patience only.
On failure  A server that does not answer in time raises with the end of what it printed.
"""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from bench.contenders import ROOT

READY_S = 60.0
STOP_S = 15.0
PAUSE_S = 0.05
LOG_TAIL = 2_000  # characters


class ServerError(Exception):
    """A server did not start, and this is what it said."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: Path, health_url: str | None
) -> Iterator[psutil.Process]:
    """Run a server while the block lasts; with a `health_url`, from when that answers."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if health_url is not None:
                wait_until_ready(child, health_url, log)
            yield psutil.Process(child.pid)
        finally:
            stop(child)


def wait_until_ready(child: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server on loopback
                return
        except urllib.error.HTTPError as answer:
            if answer.code < 500:
                return
        except OSError:
            pass
        time.sleep(PAUSE_S)
    raise ServerError(f"no answer from {url}:\n{log.read_text(errors='replace')[-LOG_TAIL:]}")


def stop(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # the session that we made: its stragglers
    child.wait()


def family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time that a process and its living children have used so far."""
    used = 0.0
    for member in family(process):
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system
    return used


def memory_bytes(process: psutil.Process) -> int:
    """Resident memory of a process and its children, what they share counted once (PSS)."""
    total = 0
    for member in family(process):
        try:
            total += member.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total
