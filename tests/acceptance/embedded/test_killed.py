"""The embedded PostgreSQL, really killed: nothing acknowledged is lost, and it comes back."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import asyncpg
import psutil
import pytest

from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.embedded.orphans import processes_in
from tests.acceptance.embedded.supervisors import (
    CUT,
    KEPT,
    PATIENCE_S,
    SUPERVISOR,
    Supervisor,
    await_end,
    server_in,
    supervisor,
)
from tests.postgres_fixture import query


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
