"""`sunseo serve`: PostgreSQL below, workers above, one process that answers for both.

State       STARTING (PostgreSQL, schema), SERVING, STOPPING (workers drain, then PostgreSQL).
Guarantee   A worker that dies is replaced. Workers end when this process does, however it ends,
            and so does the embedded PostgreSQL.
On failure  PostgreSQL that dies is started again by its own supervisor while the workers answer
            LATER. Workers that die again and again are replaced with pauses.
"""

import errno
import secrets
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

from granian.constants import Interfaces, Loops
from structlog.typing import FilteringBoundLogger

from sunseo.core.processes import raise_file_limit
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.migrate import head_revision, upgrade
from sunseo.settings import Settings
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import prepare
from sunseo.web.limits import granian_options
from sunseo.web.server import WorkerServer, make_mould
from sunseo.wiring import WorkerPlan, limits_of, load_worker

SECRET_FILE = "secret"  # noqa: S105 - the name of a file
METRICS_FOLDER = "metrics"
WORKERS_KILL_TIMEOUT_S = 30  # for a worker to drain: above the handlers' own time-out
LEFTOVERS_S = 10.0  # for the workers of a supervisor that was killed to let go of the port
LEFTOVERS_POLL_S = 0.1


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: where, how much, who may.
        announce: told one line for a person when PostgreSQL is up, and where we listen.

    Raises:
        EmbeddedServerError: PostgreSQL cannot be started; one line says what to do.
        OSError: the port is taken.
    """
    place = _free_place(settings.host, settings.port)
    raise_file_limit()  # for the mould and the workers, who inherit it
    make_mould("sunseo.wiring")  # while PostgreSQL starts
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_starting)
    with closing(Logs(settings.log_level)) as logs, ExitStack() as stack:
        logs.take_over()
        plan = prepare_plan(settings, stack, announce)
        announce(f"Listening on {place.url}")
        _serve_until_told(settings, place, plan, logs.logger("supervisor"))


def prepare_plan(
    settings: Settings, stack: ExitStack, announce: Callable[[str], None] = lambda _line: None
) -> WorkerPlan:
    """Start what workers stand on; the stack stops it again."""
    if settings.database_url is not None:
        dsn, disk = settings.database_url, None
    else:
        server = stack.enter_context(EmbeddedServer(settings.data))
        dsn, disk = server.dsn, settings.data
        upgrade(dsn)
        announce(f"PostgreSQL is up, its data lies in {settings.data}")
    if settings.is_embedded:  # a supervisor that is killed leaves it, and its successor finds it
        folder = settings.data / METRICS_FOLDER
    else:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sunseo-metrics-")))
    prepare(folder)
    return WorkerPlan(settings, dsn, secret_of(settings), folder, disk, head_revision())


def secret_of(settings: Settings) -> str:
    """The secret that signs guest sessions: as set, or made once and kept with the data."""
    if settings.secret is not None:
        return settings.secret
    file = settings.data / SECRET_FILE
    if not file.exists():
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32))
        draft.rename(file)
    return file.read_text().strip()


class Place(NamedTuple):
    """Where to listen, as the kernel wants it."""

    address: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}"


def _serve_until_told(
    settings: Settings, place: Place, plan: WorkerPlan, logger: FilteringBoundLogger
) -> None:
    def on_death(pid: int, exit_code: int | None, age_s: float) -> None:
        logger.error("worker_died", worker=pid, exit_code=exit_code, age_s=round(age_s, 3))

    server = WorkerServer(
        target="sunseo",  # of no use: the loader builds the application
        address=place.address,
        port=place.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=settings.workers,
        workers_kill_timeout=WORKERS_KILL_TIMEOUT_S,
        log_enabled=False,
        on_death=on_death,
        **granian_options(limits_of(settings)),
    )
    server.serve(target_loader=partial(load_worker, plan=plan))


def _stop_starting(_number: int, _frame: object) -> NoReturn:
    """Leave whatever has been started, in order; later on, the server has handlers of its own."""
    raise SystemExit(0)


def _free_place(host: str, port: int) -> Place:
    """Fail at once and clearly, before PostgreSQL is started for nothing.

    Raises:
        OSError: we cannot listen there; it says where and why.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, address = found[0][0], str(found[0][4][0])
        deadline = time.monotonic() + LEFTOVERS_S
        while True:
            try:
                return Place(address, _try(family, address, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                    raise
                # Workers share their port, as nearly nobody else does: these are a server's.
                _try(family, address, port, shared=True)
            time.sleep(LEFTOVERS_POLL_S)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot listen on {host}, port {port}: {error.strerror or error}"
        ) from None


def _try(family: int, address: str, port: int, *, shared: bool = False) -> int:
    """Take a port and give it back; returns its number, which is a new one for zero."""
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        probe.bind((address, port))
        bound: int = probe.getsockname()[1]
        return bound
