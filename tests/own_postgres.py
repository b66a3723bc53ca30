"""A PostgreSQL of a test's own, to be stopped, started and spoiled: the shared one may not be."""

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sunseo.postgres.embedded.binaries import Binaries, find_binaries
from sunseo.postgres.embedded.cluster import (
    Layout,
    ensure_cluster,
    server_environment,
    write_config,
)
from sunseo.postgres.embedded.config import CONFIG, PORT
from sunseo.postgres.embedded.identity import choose_identity
from sunseo.postgres.embedded.orphans import is_ready
from sunseo.postgres.embedded.socket import (
    create_socket_folder,
    is_listening,
    remove_socket_folder,
)

PATIENCE_S = 60.0
POLL_S = 0.01


class OwnPostgres:
    """One data folder, of which at most one server runs. `environment` is added to the server's."""

    def __init__(self, folder: Path, binaries: Binaries | None = None) -> None:
        self.layout = Layout(folder)
        self.environment: Mapping[str, str] = {}
        self._binaries = binaries or find_binaries()
        self._identity = choose_identity(self.layout.cluster, self._binaries.postgres)
        ensure_cluster(self.layout, self._binaries, self._identity, durable=False)
        self.sockets = create_socket_folder(folder, self._identity)
        write_config(
            self.layout.cluster, self.sockets, self._binaries, self._identity, durable=False
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def cluster(self) -> Path:
        return self.layout.cluster

    def dsn(self, role: str = "sunseo", database: str = "sunseo") -> str:
        return f"postgresql://{role}@/{database}?host={self.sockets}&port={PORT}"

    @property
    def admin_dsn(self) -> str:
        return self.dsn("postgres", "postgres")

    def start(self, *, ready: bool = True) -> None:
        """Start it, and wait until it lets people in, or only until it hears who knocks."""
        arguments = ["-D", str(self.cluster), "-c", f"config_file={self.cluster / CONFIG}"]
        with self.layout.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._identity.command(signal.SIGINT, self._binaries.postgres, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**server_environment(), **self.environment},
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE_S
        while not (is_ready(self.cluster, self._process.pid) if ready else self._is_listening()):
            assert self._process.poll() is None, self.layout.log.read_text("utf-8")[-2000:]
            assert time.monotonic() < deadline, "PostgreSQL was not there in time"
            time.sleep(POLL_S)

    def stop(self) -> None:
        """A fast shutdown: whoever is connected is sent away."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE_S)
            self._process = None

    def mark(self, name: str, *, there: bool) -> None:
        """Make or remove a file in the cluster by which PostgreSQL is told what to be."""
        path = self.cluster / name
        if there:
            path.touch(mode=0o600)
            self._identity.give(path)
        else:
            path.unlink(missing_ok=True)

    def _is_listening(self) -> bool:
        return is_listening(self.sockets)


@contextmanager
def own_postgres(folder: Path) -> Iterator[OwnPostgres]:
    """A cluster that has been made, and is stopped at the end."""
    server = OwnPostgres(folder)
    try:
        yield server
    finally:
        server.stop()
        remove_socket_folder(server.sockets)
