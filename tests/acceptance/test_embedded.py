"""The embedded PostgreSQL, with real processes that are really killed."""

import asyncio
import os
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import asyncpg
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

import sunseo
from sunseo.postgres.embedded import EmbeddedServer, State, identity
from sunseo.postgres.embedded.binaries import find_binaries
from sunseo.postgres.embedded.error import EmbeddedServerError
from sunseo.postgres.embedded.identity import Identity
from sunseo.postgres.embedded.orphans import processes_in
from tests.postgres_fixture import database_dsn, postgres_server, query

__all__ = ["database_dsn", "postgres_server"]

PATIENCE_S = 120.0
"""For what is awaited by event; none of it is a figure."""

NOBODY = 65534
KEPT = "SELECT number FROM kept"

PYTHONPATH = os.pathsep.join(
    [str(Path(sunseo.__file__).parents[1]), str(Path(asyncpg.__file__).parents[1])]
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
    worker = os.fork()
    if worker == 0:
        os.read(0, 1)
        os._exit(0)
    print(worker, flush=True)
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


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A data folder that is still to be made."""
    return tmp_path / "data"


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an empty database, made once since that takes long."""
    folder = tmp_path_factory.mktemp("stopped") / "data"
    with server_in(folder):
        pass
    return folder


@pytest.fixture
def data(stopped: Path, tmp_path: Path) -> Path:
    """A data folder that has been used before."""
    return shutil.copytree(stopped, tmp_path / "data")


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can act as several users")


@pytest.fixture
def common_folder() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="sunseo-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(as_root: None, common_folder: Path) -> Iterator[Path]:
    """A disk of 160 MB: enough for a cluster, not for much more."""
    folder = common_folder / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting a small file system is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


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


# Starting and stopping


def test_rows_are_there_after_a_stop_and_a_start(fresh: Path) -> None:
    """A stopped server leaves no process and no socket, and a new start finds the rows."""
    server = server_in(fresh)
    dsn = server.start()
    assert server.pid is not None
    query(dsn, "CREATE TABLE kept AS SELECT 7 AS number")
    server.stop()
    assert server.state is State.STOPPED
    assert processes_in(server.layout.cluster) == []
    assert not socket_folder(dsn).exists()

    with server_in(fresh) as again:
        assert again.dsn == dsn
        assert query(again.dsn, KEPT) == [(7,)]


def test_starting_twice_and_stopping_twice_is_harmless(data: Path) -> None:
    """A running server answers a second start with its DSN, and a second stop does nothing."""
    server = server_in(data)
    dsn = server.start()
    pid = server.pid
    assert server.start() == dsn
    assert server.pid == pid
    server.stop()
    server.stop()
    with pytest.raises(EmbeddedServerError, match="has been stopped"):
        server.ensure_running()
    assert server.start() == dsn
    server.stop()


def test_stop_does_not_wait_for_open_transactions(data: Path) -> None:
    """A client in a transaction is sent away by a stop, and its work is undone."""
    server = server_in(data)
    dsn = server.start()
    query(dsn, "CREATE TABLE kept (number integer)")

    async def open_and_stop() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("BEGIN; INSERT INTO kept VALUES (1)")
        await asyncio.to_thread(server.stop)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.execute("COMMIT")
        await connection.close()

    asyncio.run(open_and_stop())
    with server_in(data) as again:
        assert query(again.dsn, "SELECT count(*) FROM kept") == [(0,)]


def test_server_outlives_the_thread_that_started_it(data: Path) -> None:
    """The kernel ties PostgreSQL to a thread; that is the server's own, not the caller's."""
    server = server_in(data)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    pid = server.pid
    assert query(server.ensure_running(), "SELECT 1") == [(1,)]
    assert server.pid == pid
    assert server.restarts == 0
    server.stop()


async def test_dsn_serves_asyncpg_and_sqlalchemy(postgres_server: EmbeddedServer) -> None:
    """The same DSN works for the lanes' driver and for the cold engine."""
    connection = await asyncpg.connect(postgres_server.dsn)
    assert await connection.fetchval("SELECT current_user") == "sunseo"
    await connection.close()

    engine = create_async_engine(make_url(postgres_server.dsn).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as cold:
        assert await cold.scalar(text("SELECT current_database()")) == "sunseo"
    await engine.dispose()


def test_engine_is_no_superuser_and_its_text_is_utf8(postgres_server: EmbeddedServer) -> None:
    """The engine's role owns its database and nothing more."""
    assert query(
        postgres_server.dsn,
        "SELECT rolsuper, rolcreatedb, pg_encoding_to_char(encoding), datcollate"
        " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = 'sunseo'",
    ) == [(False, False, "UTF8", "C")]


def test_settings_reach_a_folder_that_was_made_with_others(fresh: Path) -> None:
    """Settings are given at each start: a folder made for tests becomes durable, and small."""
    with server_in(fresh) as server:
        assert query(server.dsn, "SHOW fsync") == [("off",)]
    with EmbeddedServer(fresh) as server:
        shown = query(
            server.dsn,
            "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit',"
            " 'full_page_writes', 'jit', 'max_connections', 'listen_addresses') ORDER BY name",
        )
    assert shown == [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("jit", "off"),
        ("listen_addresses", ""),
        ("max_connections", "60"),
        ("synchronous_commit", "on"),
    ]


# Privacy and places


def socket_folder(dsn: str) -> Path:
    found = re.search(r"host=([^&]+)", dsn)
    assert found
    return Path(found[1])


def test_nothing_listens_on_the_network(postgres_server: EmbeddedServer) -> None:
    """PostgreSQL has no inet socket, and the folder of its socket is closed to others."""
    assert postgres_server.pid is not None
    kinds = {c.family for c in psutil.Process(postgres_server.pid).net_connections(kind="all")}
    assert kinds <= {socket.AF_UNIX}
    folder = socket_folder(postgres_server.dsn)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(postgres_server.layout.cluster.stat().st_mode) == 0o700


def test_another_user_cannot_connect(as_root: None, postgres_server: EmbeddedServer) -> None:
    """A stranger on the same machine does not even reach the socket."""
    path = socket_folder(postgres_server.dsn) / ".s.PGSQL.5432"
    knock = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-c", knock, str(path)],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PermissionError" in done.stderr


def test_long_path_with_spaces_and_korean_letters(tmp_path: Path) -> None:
    """A path that no socket could have is fine for the data."""
    data = tmp_path / "예매 창구의 '자료' 폴더" / ("아주 긴 이름 " * 5).strip() / "data"
    assert len(os.fsencode(data)) > 107
    with server_in(data) as server:
        assert query(server.dsn, "SELECT '선서'") == [("선서",)]
        assert len(os.fsencode(socket_folder(server.dsn))) < 80


def test_socket_folder_of_a_stranger_is_refused(as_root: None, data: Path) -> None:
    """A folder that somebody else put where the socket belongs is not used."""
    with server_in(data) as server:
        folder = socket_folder(server.dsn)
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    try:
        assert "belongs to somebody else" in refusal(data)
    finally:
        folder.rmdir()


# Killed


CUT = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""How a connection may end when the server is killed (the third: cut between two messages)."""


class Ledger:
    """Writes numbers into the table `kept` and remembers which ones were acknowledged."""

    def __init__(self, enough: int) -> None:
        self.acknowledged: set[int] = set()
        self.has_enough = asyncio.Event()
        self._enough = enough
        self._numbers = count()

    async def write_until_cut(self, dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        with suppress(*CUT):
            while True:
                number = next(self._numbers)
                await connection.execute("INSERT INTO kept VALUES ($1)", number)
                self.acknowledged.add(number)
                if len(self.acknowledged) >= self._enough:
                    self.has_enough.set()
        connection.terminate()


async def write_and_kill(dsn: str, victim: int, *, after: int) -> set[int]:
    """Write on four connections; kill -9 the victim in the middle. What was acknowledged."""
    ledger = Ledger(after)
    writers = [asyncio.create_task(ledger.write_until_cut(dsn)) for _ in range(4)]
    await ledger.has_enough.wait()
    os.kill(victim, signal.SIGKILL)
    await asyncio.gather(*writers)
    return ledger.acknowledged


def test_killed_postmaster_is_replaced_and_no_acknowledged_row_is_lost(data: Path) -> None:
    """After kill -9 in the middle of writing the server comes back by itself under its DSN."""
    with EmbeddedServer(data) as server:
        query(server.dsn, "CREATE TABLE kept (number integer PRIMARY KEY)")
        assert server.pid is not None
        acknowledged = asyncio.run(write_and_kill(server.dsn, server.pid, after=300))

        dsn = server.ensure_running(PATIENCE_S)
        kept = {number for (number,) in query(dsn, KEPT)}
        assert acknowledged <= kept
        assert len(kept - acknowledged) <= 4  # committed, but cut before the answer
        assert server.restarts == 1
        assert server.last_recovery_s is not None
        print(f"recovered in {server.last_recovery_s:.2f} s")  # noqa: T201 - a figure to report


def test_postmaster_killed_again_and_again_comes_back(data: Path) -> None:
    """Three deaths in a row are three recoveries, each with a new process."""
    with server_in(data) as server:
        pids = [server.pid]
        for _ in range(3):
            assert pids[-1] is not None
            os.kill(pids[-1], signal.SIGKILL)
            await_end(pids[-1])
            assert query(server.ensure_running(PATIENCE_S), "SELECT 1") == [(1,)]
            pids.append(server.pid)
        assert len(set(pids)) == 4
        assert server.restarts == 3


def test_killed_backend_does_not_end_the_server(data: Path) -> None:
    """PostgreSQL itself recovers from the death of one backend; the postmaster stays."""
    with server_in(data) as server:
        query(server.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        pid = server.pid

        async def kill_own_backend() -> None:
            connection = await asyncpg.connect(server.dsn)
            backend = connection.get_server_pid()
            os.kill(backend, signal.SIGKILL)
            with pytest.raises((asyncpg.PostgresError, OSError)):
                await connection.fetchval("SELECT pg_sleep(60)")
            connection.terminate()

        asyncio.run(kill_own_backend())
        assert query_when_back(server, KEPT) == [(7,)]
        assert server.pid == pid


def query_when_back(server: EmbeddedServer, statement: str) -> list[tuple[object, ...]]:
    """Ask again while PostgreSQL says that it is recovering."""
    while True:
        with suppress(asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, OSError):
            return query(server.ensure_running(PATIENCE_S), statement)


def test_postgresql_ends_with_a_killed_supervisor(data: Path) -> None:
    """After kill -9 of the supervisor PostgreSQL shuts down by itself, and nothing is lost."""
    killed = Supervisor(data, "durable")
    query(killed.dsn, "CREATE TABLE kept (number integer PRIMARY KEY)")
    acknowledged = asyncio.run(write_and_kill(killed.dsn, killed.process.pid, after=300))
    killed.process.communicate()
    await_end(killed.postmaster)

    with EmbeddedServer(data) as server:
        kept = {number for (number,) in query(server.dsn, KEPT)}
        assert acknowledged <= kept
        assert "received fast shutdown request" in server.layout.log.read_text("utf-8")


def test_start_right_after_a_killed_supervisor_waits_for_its_postgresql(data: Path) -> None:
    """A new supervisor need not wait for the old one's PostgreSQL: it does that itself."""
    killed = Supervisor(data)
    query(killed.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
    killed.process.kill()
    killed.process.wait()
    with server_in(data) as server:
        assert query(server.dsn, KEPT) == [(7,)]
        assert server.pid != killed.postmaster
    killed.process.communicate()


def test_orphan_that_hangs_is_ended_and_its_folder_taken_over(data: Path) -> None:
    """A postmaster that outlived its supervisor and does not listen any more is replaced."""
    killed = Supervisor(data)
    query(killed.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
    os.kill(killed.postmaster, signal.SIGSTOP)
    killed.kill()
    assert psutil.pid_exists(killed.postmaster)

    with server_in(data, stop_grace_s=0.1) as server:
        assert query(server.dsn, KEPT) == [(7,)]
        assert not psutil.pid_exists(killed.postmaster)


def test_forked_worker_does_not_keep_a_dead_supervisors_lock(data: Path) -> None:
    """A worker that survives its supervisor does not block the next start."""
    with supervisor(data, "fork") as killed:
        worker = int(killed.line())
        killed.process.kill()
        killed.process.wait()
        with server_in(data) as server:
            assert query(server.dsn, "SELECT 1") == [(1,)]
            assert psutil.pid_exists(worker)
    await_end(worker)


def test_stop_in_a_forked_child_changes_nothing(data: Path) -> None:
    """A worker that inherited the server cannot stop it by mistake."""
    with server_in(data) as server:
        child = os.fork()
        if child == 0:
            server.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert query(server.dsn, "SELECT 1") == [(1,)]
        assert server.restarts == 0


def test_number_given_anew_to_a_stranger_does_not_block_the_start(data: Path) -> None:
    """A left `postmaster.pid` may name a process that has nothing to do with us."""
    killed = Supervisor(data)
    os.kill(killed.postmaster, signal.SIGKILL)
    killed.kill()
    pid_file = data / "postgresql" / "postmaster.pid"
    for process in processes_in(data / "postgresql"):
        await_end(process.pid)
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    pid_file.write_text(f"{stranger.pid}\n{data}/postgresql\n", "utf-8")
    with server_in(data) as server:
        assert query(server.dsn, "SELECT 1") == [(1,)]
        assert stranger.poll() is None
    stranger.communicate(b"\n")


# Refused, in one line


def test_folder_in_use_names_the_process_that_has_it(data: Path) -> None:
    """A second start on the same folder fails at once and leaves the first one alone."""
    with supervisor(data) as first:
        line = refusal(data)
        assert f"{data} is in use by process {first.process.pid};" in line
        assert query(first.dsn, "SELECT 1") == [(1,)]


def test_same_process_cannot_start_a_folder_twice(data: Path) -> None:
    """The lock holds between two servers of one process too."""
    with server_in(data) as server:
        assert f"in use by process {os.getpid()};" in refusal(data)
        assert query(server.dsn, "SELECT 1") == [(1,)]


def test_folder_of_another_major_version_says_what_to_do(data: Path) -> None:
    """A cluster of PostgreSQL 14 is not touched, and the ways out are named."""
    version = data / "postgresql" / "PG_VERSION"
    ours = version.read_text("ascii")
    version.write_text("14\n", "ascii")
    before = snapshot(data)

    line = refusal(data)
    assert "made by PostgreSQL 14" in line
    assert all(way in line for way in ("PG_BIN", "pg_dump", "pg_restore"))
    assert snapshot(data) == before

    version.write_text(ours, "ascii")
    with server_in(data) as server:
        assert query(server.dsn, "SELECT 1") == [(1,)]


def snapshot(data: Path) -> dict[Path, int]:
    """Every file of a data folder with the time of its last change."""
    return {
        path: path.stat().st_mtime_ns
        for path in data.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_folder_with_other_things_in_it_is_refused_and_kept(fresh: Path) -> None:
    """A folder of that name which is no cluster is neither used nor deleted."""
    (fresh / "postgresql").mkdir(parents=True)
    letter = fresh / "postgresql" / "letter.txt"
    letter.write_text("keep me", "utf-8")
    assert "is no PostgreSQL cluster" in refusal(fresh)
    assert letter.read_text("utf-8") == "keep me"


def test_cluster_of_the_operators_own_is_refused(fresh: Path) -> None:
    """Sunseo does not move into a PostgreSQL folder that somebody made for himself."""
    fresh.mkdir()
    (fresh / "PG_VERSION").write_text("18\n", "ascii")
    assert "is itself a PostgreSQL cluster" in refusal(fresh)


def test_file_in_place_of_the_folder_is_refused(fresh: Path) -> None:
    """A file cannot hold a database."""
    fresh.write_text("not a folder", "utf-8")
    assert f"{fresh} is not a folder" in refusal(fresh)


def test_damaged_cluster_reports_what_postgresql_said(data: Path) -> None:
    """When PostgreSQL gives up, its own last complaint and the log's place are told."""
    shutil.rmtree(data / "postgresql" / "global")
    line = refusal(data)
    assert line.startswith(f"starting PostgreSQL failed in {data}: ")
    assert "global" in line
    assert str(data / "postgresql.log") in line


# Half-made


def test_half_made_cluster_is_made_anew(fresh: Path) -> None:
    """What an interrupted first start left is removed; it never held anybody's data."""
    unfinished = fresh / "postgresql.new-abc"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n", "ascii")
    with server_in(fresh) as server:
        assert query(server.dsn, "SELECT 1") == [(1,)]
    assert not unfinished.exists()


def test_supervisor_killed_while_making_the_cluster(fresh: Path) -> None:
    """A supervisor cut off in the middle of initdb costs nothing but that start."""
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(fresh)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    while not list(fresh.glob("postgresql.new-*/base/1")):
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert not (fresh / "postgresql").exists()

    with server_in(fresh) as server:
        assert query(server.dsn, "SELECT 1") == [(1,)]
    assert list(fresh.glob("postgresql.new-*")) == []


# Saved


def test_backup_of_the_guide_is_served_from_a_new_folder(data: Path, tmp_path: Path) -> None:
    """What `pg_basebackup` wrote while the server ran is a cluster for another data folder."""
    restored = tmp_path / "restored"
    restored.mkdir()
    with server_in(data) as server:
        query(server.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        program = find_binaries().folder / "pg_basebackup"
        source = [
            "--host",
            str(socket_folder(server.dsn)),
            "--username",
            "postgres",
            "--checkpoint",
            "fast",
        ]
        subprocess.run([program, *source, "--pgdata", restored / "postgresql"], check=True)
        query(server.dsn, "DROP TABLE kept")
    with server_in(restored) as server:
        assert query(server.dsn, KEPT) == [(7,)]


def test_dump_of_the_guide_is_restored_over_a_migrated_database(
    postgres_server: EmbeddedServer, database_dsn: str, tmp_path: Path
) -> None:
    """A dump replaces what is in another migrated database, and belongs to the engine's role."""
    name = make_url(database_dsn).database or ""
    programs = find_binaries().folder
    place = ["--host", str(socket_folder(database_dsn)), "--username", "postgres"]
    dump = str(tmp_path / "sunseo.dump")
    query(database_dsn, "UPDATE organisations SET name = 'saved'")
    saving = [str(programs / "pg_dump"), *place, "--format", "custom", "--file", dump, name]
    subprocess.run(saving, check=True)
    query(database_dsn, "UPDATE organisations SET name = 'later'")

    restoring = ["--dbname", name, "--clean", "--if-exists", "--exit-on-error", dump]
    subprocess.run([programs / "pg_restore", *place, *restoring], check=True)
    assert query(database_dsn, "SELECT name FROM organisations") == [("saved",)]


# A full disk


def test_disk_full_at_the_first_start(small_disk: Path) -> None:
    """Without room for a cluster the start says so, leaves nothing, and works later."""
    ballast = fill(small_disk, leave=8 * 1024 * 1024)
    data = small_disk / "data"
    assert f"failed in {data}: the disk is full" in refusal(data)
    assert not (data / "postgresql").exists()
    assert list(data.glob("postgresql.new-*")) == []

    ballast.unlink()
    with server_in(data) as server:
        assert query(server.dsn, "SELECT 1") == [(1,)]


def test_disk_full_at_a_later_start(small_disk: Path) -> None:
    """A cluster on a full disk is not started, and is whole when there is room again."""
    data = small_disk / "data"
    with server_in(data) as server:
        query(server.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
    ballast = fill(small_disk, leave=0)
    assert "the disk is full" in refusal(data)

    ballast.unlink()
    with server_in(data) as server:
        assert query(server.dsn, KEPT) == [(7,)]


def test_disk_that_fills_up_while_running(small_disk: Path) -> None:
    """When PostgreSQL gives up for want of space, it comes back by itself once there is room."""
    with server_in(small_disk / "data") as server:
        query(server.dsn, "CREATE TABLE kept (number integer PRIMARY KEY)")
        ballast = fill(small_disk, leave=1024 * 1024)
        pid = server.pid
        assert pid is not None
        acknowledged = asyncio.run(write_until_full(server.dsn))
        assert acknowledged
        await_end(pid)
        with pytest.raises(EmbeddedServerError, match="the disk is full"):
            server.ensure_running(give_up_on_failure=True)
        assert server.state is State.FAILED

        ballast.unlink()
        kept = {number for (number,) in query(server.ensure_running(PATIENCE_S), KEPT)}
        assert acknowledged <= kept


async def write_until_full(dsn: str) -> set[int]:
    """Write numbers, and much into the log of changes, until PostgreSQL ends for want of space."""
    acknowledged: set[int] = set()
    connection = await asyncpg.connect(dsn)
    with suppress(*CUT):
        for number in count():
            await connection.execute("INSERT INTO kept VALUES ($1)", number)
            acknowledged.add(number)
            await connection.execute(
                "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 100000))"
            )
    connection.terminate()
    return acknowledged


# Other users


def can_import_as_nobody(python: str) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import sunseo.postgres.embedded"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            env={"PYTHONPATH": PYTHONPATH},
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


@pytest.fixture(scope="module")
def open_python() -> str:
    """A Python with which an ordinary user can run this checkout."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as several users")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        if can_import_as_nobody(python):
            return python
    pytest.skip("neither Python nor this checkout is open to other users")


def test_ordinary_user_runs_it_as_himself(open_python: str, common_folder: Path) -> None:
    """An ordinary user's PostgreSQL runs under his name, and comes back after kill -9."""
    os.chown(common_folder, NOBODY, NOBODY)
    with supervisor(common_folder / "data", uid=NOBODY, python=open_python) as started:
        assert psutil.Process(started.postmaster).uids().effective == NOBODY
        assert (common_folder / "data" / "postgresql").stat().st_uid == NOBODY
        started.process.kill()
        started.process.wait()
        await_end(started.postmaster)
    with supervisor(common_folder / "data", uid=NOBODY, python=open_python) as again:
        assert again.postmaster != started.postmaster
        assert again.end() == ""


def test_folder_that_an_ordinary_user_may_not_write_is_refused(
    open_python: str, common_folder: Path
) -> None:
    """Without the right to write, one line says whose rights to correct."""
    with supervisor(common_folder / "data", uid=NOBODY, python=open_python) as refused:
        line = refused.end()
    assert line.startswith("refused: making the data folder failed: ")
    assert "is not writable for this user" in line


def test_root_serves_a_users_folder_as_that_user(open_python: str, common_folder: Path) -> None:
    """Root takes no folder away from its owner: PostgreSQL runs as the owner."""
    os.chown(common_folder, NOBODY, NOBODY)
    data = common_folder / "data"
    with supervisor(data, uid=NOBODY, python=open_python) as first:
        query_as_admin_is_refused(first.dsn)
    with server_in(data) as server:
        assert query(server.dsn, "SELECT 1") == [(1,)]
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().effective == NOBODY
    with supervisor(data, uid=NOBODY, python=open_python) as again:
        assert again.dsn == first.dsn


def query_as_admin_is_refused(dsn: str) -> None:
    """Root is not among the peers of an ordinary user's server."""
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        query(dsn, "SELECT 1")


def forbidden(identity: Identity, postgres: Path) -> bool:
    """What a container says that allows no user namespaces."""
    return False


def test_root_without_namespaces_runs_it_as_nobody(
    open_python: str, common_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a container forbids user namespaces, the user nobody serves and owns the cluster."""
    monkeypatch.setattr(identity, "_works", forbidden)
    with server_in(common_folder / "data") as server:
        assert query(server.dsn, "SELECT 1") == [(1,)]
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().effective == NOBODY
        os.kill(server.pid, signal.SIGKILL)
        await_end(server.pid or 0)
        assert query(server.ensure_running(PATIENCE_S), "SELECT 1") == [(1,)]


def test_roots_own_cluster_is_given_to_nobody_where_it_must(
    open_python: str, common_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder made by root with namespaces still opens where they are forbidden."""
    data = common_folder / "data"
    with server_in(data) as server:
        query(server.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
    monkeypatch.setattr(identity, "_works", forbidden)
    with server_in(data) as server:
        assert query(server.dsn, KEPT) == [(7,)]


# The fixtures that all other tests stand on


async def test_each_test_has_a_migrated_database_of_its_own(database_dsn: str) -> None:
    """A fresh clone has the schema and nothing that another test wrote."""
    connection = await asyncpg.connect(database_dsn)
    assert await connection.fetchval("SELECT count(*) FROM sales") == 0
    await connection.execute("DELETE FROM organisations")
    await connection.close()


async def test_clones_do_not_share_rows(database_dsn: str) -> None:
    """What the test before this one deleted is there again."""
    connection = await asyncpg.connect(database_dsn)
    assert await connection.fetchval("SELECT count(*) FROM organisations") == 1
    await connection.close()
