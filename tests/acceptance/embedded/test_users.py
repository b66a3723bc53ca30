"""The embedded PostgreSQL run by root, by ordinary users, and for each other."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest

from sunseo.postgres.embedded import identity
from sunseo.postgres.embedded.identity import Identity
from tests.acceptance.embedded.supervisors import (
    KEPT,
    NOBODY,
    PATIENCE_S,
    PYTHONPATH,
    await_end,
    server_in,
    supervisor,
)
from tests.postgres_fixture import query


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
        postmaster = server.pid
        assert postmaster is not None
        assert psutil.Process(postmaster).uids().effective == NOBODY
        os.kill(postmaster, signal.SIGKILL)
        await_end(postmaster)
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
