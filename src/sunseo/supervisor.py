"""`sunseo serve`: PostgreSQL below, workers above, one process that answers for both.

State       STARTING (PostgreSQL, schema), SERVING, STOPPING (workers drain, then PostgreSQL).
Guarantee   A worker that dies is replaced. Workers end when this process does, however it ends,
            and so does the embedded PostgreSQL.
On failure  PostgreSQL that dies is started again by its own supervisor while the workers answer
            LATER. Workers that die again and again are replaced with pauses.
"""

import asyncio
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

from structlog.typing import FilteringBoundLogger

from sunseo.core.outputs import Output, check_outputs
from sunseo.core.processes import raise_file_limit
from sunseo.postgres.address.address import read_address
from sunseo.postgres.address.pooler import warning_of
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.migrate import head_revision, upgrade
from sunseo.settings import SECRET_FILE, Settings, read_secret
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import prepare
from sunseo.web.server.workers import Workers, preload
from sunseo.wiring import WorkerPlan, serve_worker

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
        AddressError: the database_url cannot be used.
        EmbeddedServerError: PostgreSQL cannot be started; one line says what to do.
        OSError: the port is taken.
        OutputError: the event log cannot be written.
    """
    if settings.event_log is not None:
        check_outputs(Output("event_log", settings.event_log))
    if settings.database_url is not None:
        read_address(settings.database_url)  # told once, and not by every worker
    place = _take_place(settings.host, settings.port, settings.workers)
    raise_file_limit()  # for the fork server and the workers, who inherit it
    preload("sunseo.wiring")  # while PostgreSQL starts
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_starting)
    _take_hang_up()
    with closing(Logs(settings.log_level)) as logs, ExitStack() as stack:
        logs.take_over()
        plan = prepare_plan(settings, stack, announce)
        _warn_of_pooler(plan, announce, logs.logger("supervisor"))
        announce(f"Listening on {place.url}")
        _serve_until_told(place, plan, logs.logger("supervisor"))


def _warn_of_pooler(
    plan: WorkerPlan, announce: Callable[[str], None], logger: FilteringBoundLogger
) -> None:
    """Say it before anybody wonders; `/readyz` says it from then on."""
    if plan.settings.is_embedded:
        return
    if warning := asyncio.run(warning_of(plan.dsn)):
        announce(warning)
        logger.warning("pooler_found", what=warning)


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
    return read_secret(settings.data)


class ListenAddress(NamedTuple):
    """Where we listen: a socket for each worker, all on one port, bound and not yet listening."""

    address: str
    port: int
    listeners: tuple[socket.socket, ...]

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}"


def _serve_until_told(place: ListenAddress, plan: WorkerPlan, logger: FilteringBoundLogger) -> None:
    def on_death(pid: int | None, exit_code: int | None, age_s: float) -> None:
        logger.error("worker_died", worker=pid, exit_code=exit_code, age_s=round(age_s, 3))

    Workers(
        place.listeners,
        partial(serve_worker, plan),
        on_death=on_death,
        kill_after_s=WORKERS_KILL_TIMEOUT_S,
    ).run()


def _take_hang_up() -> None:
    """A terminal that is closed asks us to end in order; under nohup it asks nothing."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda _number, _frame: signal.raise_signal(signal.SIGTERM))


def _stop_starting(_number: int, _frame: object) -> NoReturn:
    """Leave whatever has been started, in order; later on, the server has handlers of its own."""
    raise SystemExit(0)


def _take_place(host: str, port: int, workers: int) -> ListenAddress:
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
                port = _try(family, address, port)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                    raise
                # Workers share their port, as nearly nobody else does: these are a server's.
                _bind(family, address, port, shared=True).close()
            time.sleep(LEFTOVERS_POLL_S)
        listeners = (_bind(family, address, port, shared=True) for _ in range(workers))
        return ListenAddress(address, port, tuple(listeners))
    except OSError as error:
        raise OSError(
            error.errno, f"cannot listen on {host}, port {port}: {error.strerror or error}"
        ) from None


def _try(family: int, address: str, port: int) -> int:
    """Take a port for us alone and give it back; returns its number, a new one for zero."""
    with _bind(family, address, port, shared=False) as probe:
        bound: int = probe.getsockname()[1]
        return bound


def _bind(family: int, address: str, port: int, *, shared: bool) -> socket.socket:
    """A bound socket; those that are shared take connections in turn."""
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound
