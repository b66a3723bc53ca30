"""Run a PostgreSQL of our own: start it, keep it running, stop it.

State       STOPPED, STARTING, RUNNING, or FAILED with the error, until `stop`. A thread of the
            server's own starts PostgreSQL, waits for its end and starts it again.
Guarantee   One supervisor per data folder, by a lock that ends with the process. PostgreSQL ends
            (fast shutdown) when the supervisor does, however that ends: the kernel sends the
            signal when the thread that started PostgreSQL is gone, and that thread lives as long
            as the supervisor. The DSN stays the same over restarts.
Clock       Monotonic, for patience only.
On failure  The first start raises. Later ones are repeated, with growing pauses, until one
            succeeds or `stop` is called; `ensure_running` waits for that and raises the last
            error when its patience ends.
"""

import os
import threading
import time
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import structlog

from sunseo.postgres.embedded.binaries import Binaries, find_binaries
from sunseo.postgres.embedded.cluster import (
    Layout,
    create_data_folder,
    ensure_cluster,
    write_config,
)
from sunseo.postgres.embedded.config import PORT
from sunseo.postgres.embedded.error import EmbeddedServerError
from sunseo.postgres.embedded.identity import Identity, choose_identity
from sunseo.postgres.embedded.lock import FolderLock
from sunseo.postgres.embedded.orphans import clear_folder
from sunseo.postgres.embedded.postmaster import OccupiedError, Postmaster, trim_log
from sunseo.postgres.embedded.socket import create_socket_folder, is_listening, remove_socket_folder

START_S = 120.0
"""Longest wait for a start; recovery after `kill -9` replays at most `max_wal_size`."""

OCCUPIED_S = 10.0
"""How long a start is repeated while remains of a killed server are in the way (about 2 s seen)."""

OCCUPIED_PAUSE_S = 0.1

STOP_GRACE_S = 30.0
"""For a fast shutdown, which writes a last checkpoint. Then SIGQUIT, and recovery next time."""

RESTART_PAUSES_S = (0.0, 0.1, 0.5, 2.0, 5.0)
"""Pauses before the first, second, … restart in a row; the last one stays."""

STEADY_S = 10.0
"""A run of at least this length ends the row."""

LOG_CHECK_S = 30.0

logger: structlog.stdlib.BoundLogger = structlog.get_logger("sunseo.postgres")


class ServerState(Enum):
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"


class EmbeddedServer:
    """The PostgreSQL of one data folder. See the module.

    Args:
        data: The folder for the data; made if it is missing.
        durable: False only for tests: fast, and lost in a power cut.
        binaries: Which PostgreSQL to run; found by `find_binaries` if not given.
        stop_grace_s: How long a fast shutdown may take.
    """

    def __init__(
        self,
        data: Path,
        *,
        durable: bool = True,
        binaries: Binaries | None = None,
        stop_grace_s: float = STOP_GRACE_S,
    ) -> None:
        self.layout = Layout(data.absolute())
        self.durable = durable
        self.restarts = 0
        self.last_recovery_s: float | None = None
        self._owner = os.getpid()
        self._binaries = binaries
        self._stop_grace_s = stop_grace_s
        self._lock = FolderLock(self.layout.lock)
        self._changed = threading.Condition()
        self._state = ServerState.STOPPED
        self._error: EmbeddedServerError | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._postmaster: Postmaster | None = None
        self._socket_folder: Path | None = None

    @property
    def state(self) -> ServerState:
        return self._state

    @property
    def pid(self) -> int | None:
        """The number of the postmaster, while there is one."""
        postmaster = self._postmaster
        return postmaster.pid if postmaster is not None else None

    @property
    def dsn(self) -> str:
        """Where the engine's database is, as the role that owns it."""
        return self._dsn("sunseo", "sunseo")

    @property
    def admin_dsn(self) -> str:
        """The maintenance database as superuser: for tests and repairs."""
        return self._dsn("postgres", "postgres")

    def _dsn(self, role: str, database: str) -> str:
        if self._socket_folder is None:
            raise EmbeddedServerError("the embedded PostgreSQL has not been started")
        host = quote(str(self._socket_folder), safe="/")
        return f"postgresql://{role}@/{database}?host={host}&port={PORT}"

    def start(self) -> str:
        """Start PostgreSQL, making its folder first if need be; returns the DSN.

        Raises:
            EmbeddedServerError: One line that says what is wrong, where, and what to do.
        """
        if self._thread is not None:
            return self.ensure_running()
        self._owner = os.getpid()
        binaries = self._binaries or find_binaries()
        create_data_folder(self.layout.data)
        self._lock.acquire()
        try:
            identity = self._prepare(binaries)
            self._start_thread(binaries, identity)
            return self.ensure_running(START_S + OCCUPIED_S, give_up_on_failure=True)
        except BaseException:
            self.stop()
            raise

    def ensure_running(
        self, timeout_s: float = START_S, *, give_up_on_failure: bool = False
    ) -> str:
        """Wait until PostgreSQL accepts connections; returns the DSN.

        Raises:
            EmbeddedServerError: It was stopped, or it does not within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._is_up():
                if self._state is ServerState.STOPPED:
                    raise EmbeddedServerError("the embedded PostgreSQL has been stopped")
                if self._state is ServerState.FAILED and self._error and give_up_on_failure:
                    raise self._error
                if time.monotonic() >= deadline:
                    raise self._error or EmbeddedServerError(
                        f"PostgreSQL in {self.layout.data} was not ready within {timeout_s:.0f} s;"
                        f" see {self.layout.log}"
                    )
                # Short, since a death is noticed here a moment before its thread says so.
                self._changed.wait(min(0.05, max(0.0, deadline - time.monotonic())))
        return self.dsn

    def _is_up(self) -> bool:
        # A killed postmaster is silent a moment before the system calls it dead.
        return (
            self._state is ServerState.RUNNING
            and self.pid is not None
            and self._socket_folder is not None
            and is_listening(self._socket_folder)
        )

    def stop(self) -> None:
        """Stop PostgreSQL and give the folder back.

        Does nothing if it was not started, nor in a forked child, which owns none of it.
        """
        if self._owner != os.getpid():
            return
        self._stopping.set()
        if self._postmaster is not None:
            self._postmaster.stop(self._stop_grace_s)
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._socket_folder is not None:
            remove_socket_folder(self._socket_folder)
            self._socket_folder = None
        self._lock.release()
        self._become(ServerState.STOPPED)
        self._stopping.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _prepare(self, binaries: Binaries) -> Identity:
        cluster = self.layout.cluster
        identity = choose_identity(cluster, binaries.postgres)
        ensure_cluster(self.layout, binaries, identity, durable=self.durable)
        self._socket_folder = create_socket_folder(self.layout.data, identity)
        return identity

    def _start_thread(self, binaries: Binaries, identity: Identity) -> None:
        self._become(ServerState.STARTING)
        self._thread = threading.Thread(
            target=self._supervise,
            args=(binaries, identity),
            name="sunseo-postgresql",
            daemon=True,
        )
        self._thread.start()

    def _supervise(self, binaries: Binaries, identity: Identity) -> None:
        row = 0
        died_at: float | None = None
        while not self._stopping.wait(RESTART_PAUSES_S[min(row, len(RESTART_PAUSES_S) - 1)]):
            try:
                postmaster = self._launch_until_ready(binaries, identity)
            except EmbeddedServerError as error:
                self._fail(error)
                row += 1
                continue
            except Exception as error:  # noqa: BLE001 - the edge: this thread must not end unheard
                self._fail(EmbeddedServerError(f"supervising {self.layout.data} failed: {error!r}"))
                row += 1
                continue
            if postmaster is None:
                return
            self._arrive(died_at)
            began = time.monotonic()
            self._await_exit(postmaster)
            died_at = time.monotonic()
            if self._stopping.is_set():
                return
            row = 0 if died_at - began >= STEADY_S else row + 1
            self._report_end(postmaster)

    def _launch_until_ready(self, binaries: Binaries, identity: Identity) -> Postmaster | None:
        """Start PostgreSQL; None if `stop` was called meanwhile."""
        assert self._socket_folder is not None  # noqa: S101 - made before the thread
        cluster = self.layout.cluster
        deadline = time.monotonic() + OCCUPIED_S
        while True:
            clear_folder(cluster, self._stop_grace_s)
            write_config(cluster, self._socket_folder, binaries, identity, durable=self.durable)
            postmaster = Postmaster.launch(self.layout, binaries, identity)
            self._postmaster = postmaster
            try:
                if postmaster.await_ready(self._stopping, START_S):
                    return postmaster
            except OccupiedError:
                if time.monotonic() >= deadline or self._stopping.wait(OCCUPIED_PAUSE_S):
                    raise
                continue
            except EmbeddedServerError:
                postmaster.stop(self._stop_grace_s)
                raise
            postmaster.stop(self._stop_grace_s)
            return None

    def _await_exit(self, postmaster: Postmaster) -> None:
        while not self._stopping.is_set():
            if postmaster.await_exit(LOG_CHECK_S):
                return
            trim_log(self.layout.log)
        postmaster.stop(self._stop_grace_s)

    def _arrive(self, died_at: float | None) -> None:
        if died_at is not None:
            self.restarts += 1
            self.last_recovery_s = time.monotonic() - died_at
            logger.warning("postgresql_recovered", seconds=round(self.last_recovery_s, 3))
        self._become(ServerState.RUNNING)

    def _report_end(self, postmaster: Postmaster) -> None:
        logger.error("postgresql_died", data=str(self.layout.data), how=postmaster.epitaph())
        self._become(ServerState.STARTING)

    def _fail(self, error: EmbeddedServerError) -> None:
        logger.error("postgresql_failed", reason=str(error))
        self._become(ServerState.FAILED, error)

    def _become(self, state: ServerState, error: EmbeddedServerError | None = None) -> None:
        with self._changed:
            self._state = state
            self._error = error
            self._changed.notify_all()
