"""`sunseo serve`: PostgreSQL below, workers above, one process that answers for both.

State       STARTING (PostgreSQL, schema), SERVING, STOPPING (workers drain, then PostgreSQL).
Guarantee   A worker that dies is replaced. Workers end when this process does, however it ends,
            and so does the embedded PostgreSQL.
On failure  PostgreSQL that dies is started again by its own supervisor while the workers answer
            LATER. A server whose workers die again and again is started anew, with pauses.
"""

import logging
import multiprocessing
import secrets
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces, Loops

from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.migrate import head_revision, upgrade
from sunseo.settings import Settings
from sunseo.telemetry.metrics import prepare
from sunseo.web.limits import granian_options
from sunseo.wiring import WorkerPlan, limits_of, load_worker

SECRET_FILE = "secret"  # noqa: S105 - the name of a file
WORKERS_KILL_TIMEOUT_S = 30  # for a worker to drain: above the handlers' own time-out
RESTART_PAUSE_S = 1.0


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: where, how much, who may.
        announce: told one line for a person when PostgreSQL is up, and where we listen.

    Raises:
        EmbeddedServerError: PostgreSQL cannot be started; one line says what to do.
        OSError: the port is taken.
    """
    _refuse_taken_port(settings)
    with ExitStack() as stack:
        plan = prepare_plan(settings, stack, announce)
        announce(f"Listening on http://{settings.host}:{settings.port}")
        _serve_until_told(settings, plan)


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


def _serve_until_told(settings: Settings, plan: WorkerPlan) -> None:
    while True:
        server = Granian(
            "sunseo",  # of no use: the loader builds the application
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            loop=Loops.uvloop,
            workers=settings.workers,
            workers_kill_timeout=WORKERS_KILL_TIMEOUT_S,
            log_enabled=False,
            **granian_options(limits_of(settings)),
        )
        try:
            server.serve(target_loader=partial(load_worker, plan=plan))
        except SystemExit:
            logging.getLogger(__name__).warning("workers died in a row; starting anew")
        if server.interrupt_signal:
            return
        time.sleep(RESTART_PAUSE_S)


def _refuse_taken_port(settings: Settings) -> None:
    """Fail at once and clearly, before PostgreSQL is started for nothing."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))


def use_spawned_workers() -> None:
    """Start workers from a fresh interpreter: this process has threads, which forks do not copy."""
    multiprocessing.set_start_method("spawn", force=True)
