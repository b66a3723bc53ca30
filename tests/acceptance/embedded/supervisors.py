"""Supervisors of an embedded PostgreSQL in processes of their own, and what is done to them."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

import sunseo
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.embedded.error import EmbeddedServerError

PATIENCE_S = 120.0
"""For what is awaited by event; none of it is a figure."""

NOBODY = 65534
KEPT = "SELECT number FROM kept"

CUT = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""How a connection may end when the server is killed (the third: cut between two messages)."""

PYTHONPATH = os.pathsep.join(
    [str(Path(sunseo.__path__[0]).parent), str(Path(asyncpg.__file__).parents[1])]
)
"""Lets any Python of this version find Sunseo and what it needs."""

SUPERVISOR = """\
import os, pathlib, sys
from sunseo.postgres.embedded import EmbeddedServer, EmbeddedServerError
server = EmbeddedServer(pathlib.Path(sys.argv[1]), durable="durable" in sys.argv)
try:
    print(server.start(), flush=True)
except EmbeddedServerError as error:
    sys.exit(f"refused: {error}")
print(server.pid, flush=True)
if "fork" in sys.argv:
    if os.fork() == 0:
        print(os.getpid(), flush=True)  # by the worker, which has let go of the lock by then
        os.read(0, 1)
        os._exit(0)
sys.stdin.read()
server.stop()
"""


class Supervisor:
    """A supervisor in a process of its own."""

    def __init__(
        self, data: Path, *words: str, uid: int | None = None, python: str = sys.executable
    ) -> None:
        self.process = subprocess.Popen(
            [python, "-c", SUPERVISOR, str(data), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            env=os.environ | {"PYTHONPATH": PYTHONPATH},
        )
        self.dsn = self.line()
        self.postmaster = int(self.line() or 0)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> str:
        """Let it stop in good order; what it said on standard error."""
        _, said = self.process.communicate(timeout=PATIENCE_S)
        return said.strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def supervisor(
    data: Path, *words: str, uid: int | None = None, python: str = sys.executable
) -> Iterator[Supervisor]:
    started = Supervisor(data, *words, uid=uid, python=python)
    try:
        yield started
    finally:
        with suppress(ValueError):  # it has been ended, and its pipes are closed
            started.process.communicate(timeout=PATIENCE_S)


def server_in(data: Path, *, stop_grace_s: float = 10.0) -> EmbeddedServer:
    return EmbeddedServer(data, durable=False, stop_grace_s=stop_grace_s)


def refusal(data: Path) -> str:
    """The one line with which a start in `data` is refused."""
    with pytest.raises(EmbeddedServerError) as raised:
        server_in(data).start()
    line = str(raised.value)
    assert "\n" not in line
    return line


def fill(disk: Path, *, leave: int) -> Path:
    """Take all space on a disk but `leave` bytes."""
    free = os.statvfs(disk)
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - leave)
    return ballast


def await_end(pid: int) -> None:
    """Wait for a process's end without taking its exit status from whoever supervises it."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            assert select.select([handle], [], [], PATIENCE_S)[0]
        finally:
            os.close(handle)
