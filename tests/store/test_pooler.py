"""A pooler between us and PostgreSQL is noticed, its kind with it, and told with what to set."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import structlog
from structlog.testing import capture_logs

from sunseo.postgres.address.existing import ADVICE, UnreachableDatabaseError, require_reachable
from sunseo.postgres.address.pooler import BY_TRANSACTION, INSTEAD, Pooling, pooling_of, warning_of
from sunseo.postgres.errors import Trouble
from sunseo.postgres.pool import create_cold_engine
from sunseo.postgres.readiness import hindrance_of
from sunseo.settings import Settings
from sunseo.supervisor import _warn_of_pooler
from sunseo.wiring import WorkerPlan
from tests.acceptance.gate_wire import free_port
from tests.store.tls_postgres import FOLDERS, PASSWORD, TlsPostgres, tls_postgres

BOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(
    BOUNCER is None or not FOLDERS,
    reason="there is no PgBouncer, or no PostgreSQL of Debian's: make tools",
)

OURS = (
    "statement_timeout, lock_timeout, idle_in_transaction_session_timeout, jit, plan_cache_mode,"
    " extra_float_digits"
)
PATIENCE_S = 20.0
POLL_S = 0.02


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsPostgres]:
    """One that PgBouncer, which will not run as root, may reach: over the loopback."""
    with tls_postgres(tmp_path_factory.mktemp("pooled")) as running:
        yield running


@contextmanager
def bouncer(server: TlsPostgres, folder: Path, *settings: str) -> Iterator[str]:
    """A PgBouncer before the server; the string that leads through it."""
    port = free_port()
    users = folder / "users.txt"
    users.write_text(f'"app" "{PASSWORD}"\n')
    config = folder / "pgbouncer.ini"
    lines = [
        "[databases]",
        f"box = host=127.0.0.1 port={server.port} user=app password={_doubled(PASSWORD)}",
        "[pgbouncer]",
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =",
        f"auth_type = any\nauth_file = {users}\nlogfile =\npidfile =",
        *settings,
    ]
    config.write_text("\n".join(lines) + "\n")
    words = [str(BOUNCER), "-q", str(config)]
    if os.geteuid() == 0:
        words[1:1] = ["-u", "nobody"]
        for path in (folder, users, config):
            shutil.chown(path, "nobody")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    dsn = f"postgresql://app@127.0.0.1:{port}/box"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not _answers(dsn):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(POLL_S)
        yield dsn
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _doubled(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _answers(dsn: str) -> bool:
    with suppress(psycopg.Error), psycopg.connect(dsn, connect_timeout=5):
        return True
    return False


def at(server: TlsPostgres) -> str:
    return f"host={server.sockets} port={server.port} user=app dbname=box"


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (("pool_mode = transaction",), Pooling.TRANSACTION),
        (("pool_mode = transaction", "server_round_robin = 1"), Pooling.TRANSACTION),
        (("pool_mode = transaction", "default_pool_size = 1"), Pooling.TRANSACTION),
        (("pool_mode = session",), Pooling.SESSION),
        (("pool_mode = session", "default_pool_size = 1"), Pooling.SESSION),
    ],
)
async def test_the_kind_of_a_pooler_is_found_out(
    settings: tuple[str, ...], kind: Pooling, server: TlsPostgres, tmp_path: Path
) -> None:
    """By transaction or by session, however it deals out its servers."""
    with bouncer(server, tmp_path, *settings) as dsn:
        assert await pooling_of(dsn) is kind
        assert await warning_of(dsn) == (BY_TRANSACTION if kind.is_by_transaction else None)


async def test_postgresql_itself_is_no_pooler(server: TlsPostgres) -> None:
    """There is nothing to warn of; nor is there where nobody answers, which is told elsewhere."""
    assert await pooling_of(at(server)) is Pooling.NONE
    assert await warning_of(at(server)) is None
    assert await warning_of("host=127.0.0.1 port=1") is None


def test_serve_says_so_when_it_starts(server: TlsPostgres, tmp_path: Path) -> None:
    """In one line for people, and as one event of the log; of PostgreSQL itself nothing is said."""
    said: list[str] = []
    with bouncer(server, tmp_path, "pool_mode = transaction") as pooled, capture_logs() as logged:
        for dsn in (pooled, at(server)):
            settings = Settings(database_url=dsn, secret="s" * 32)
            plan = WorkerPlan(settings, dsn, "", tmp_path, None, None)
            _warn_of_pooler(plan, said.append, structlog.get_logger())

    assert said == [BY_TRANSACTION]
    assert logged == [{"event": "pooler_found", "what": BY_TRANSACTION, "log_level": "warning"}]


async def test_a_server_is_not_ready_behind_transactions_of_others(
    server: TlsPostgres, tmp_path: Path
) -> None:
    """Readiness says which mode it is, and what to set; in session mode there is no hindrance."""
    for mode, hindrance in (("transaction", BY_TRANSACTION), ("session", None)):
        folder = tmp_path / mode
        folder.mkdir()
        settings = (f"pool_mode = {mode}", f"ignore_startup_parameters = {OURS}")
        with bouncer(server, folder, *settings) as dsn:
            engine = create_cold_engine(dsn, size=1)
            assert await hindrance_of(engine, None, dsn) == hindrance
            await engine.dispose()


async def test_a_pooler_that_refuses_our_settings_is_told_as_one(
    server: TlsPostgres, tmp_path: Path
) -> None:
    """Not as a PostgreSQL that is away: readiness and commands say what to set."""
    with bouncer(server, tmp_path, "pool_mode = session") as dsn:
        engine = create_cold_engine(dsn, size=1)
        told = f"{Trouble.POOLER.value} What to do: {INSTEAD}."
        assert await hindrance_of(engine, None, dsn) == told
        with pytest.raises(UnreachableDatabaseError, match="unsupported startup parameter") as said:
            await require_reachable(engine, "the database")
        assert str(said.value).endswith(f"What to do: {ADVICE[Trouble.POOLER]}")
        await engine.dispose()


async def test_options_that_a_pooler_refuses_are_told_at_the_start(
    server: TlsPostgres, tmp_path: Path
) -> None:
    """PgBouncer refuses `options`, and the line says who it was."""
    with bouncer(server, tmp_path, "pool_mode = transaction") as dsn:
        told = await warning_of(f"{dsn}?options=-c%20search_path%3Dpublic")

    assert told == f"{Trouble.POOLER.value} What to do: {INSTEAD}."
