"""A server of one's own: `sunseo serve` as a separate process, as a user would run it.

State       STARTED, then STOPPED; KILLED in between where somebody killed it, until `start`.
Guarantee   It ends with this process, however that ends (on Linux). Started again, it has the same
            address, data and settings.
On failure  What the server said last is in the error.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from sunseo.core.processes import exit_with_parent
from sunseo.rehearsal.attempt import AttemptError
from sunseo.settings import PREFIX

READY_S = 120.0  # a first start makes the database
POLL_S = 0.1
STOP_S = 45.0  # above the time that workers and PostgreSQL take to stop at the worst
LOG_LINES_TOLD = 3


class ServerError(AttemptError):
    """The server did not start; one line says why."""


class ServerProcess:
    """One `sunseo serve`.

    Args:
        data: folder of its database.
        log: file for what it prints.
        settings: further settings by name, for instance `jwt_issuer`.
    """

    def __init__(self, data: Path, log: Path, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        given = {"data": str(data), "port": str(self.port), **settings}
        # Settings of the caller's shell are for the caller's server, not for this one.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        self._environment = environment | {
            PREFIX + name.upper(): value for name, value in given.items()
        }
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "sunseo", "serve"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us; we stop it when the crowd is out
                preexec_fn=exit_with_parent,  # noqa: PLW1509 - none of our threads, if there are any, is busy
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> Path:
        return self._log

    def start(self) -> None:
        """Start it again after somebody has killed it, as a service manager would."""
        self._process.wait()
        self._process = self._started()

    async def await_ready(self, session: aiohttp.ClientSession) -> None:
        """Wait until it takes requests.

        Raises:
            ServerError: it ended, or took too long.
        """
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerError(f"the server ended: {self._last_words()}")
            try:
                async with session.get("/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass  # it does not listen yet
            await asyncio.sleep(POLL_S)
        raise ServerError(f"the server was not ready in {READY_S:.0f} s: {self._last_words()}")

    def stop(self) -> None:
        """End it as Ctrl-C would, and wait."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        return " / ".join(lines[-LOG_LINES_TOLD:]) or "it said nothing"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
