"""What the embedded PostgreSQL refuses, in one line, and what it does on a full disk."""

import asyncio
import os
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from sunseo.postgres.embedded import ServerState
from sunseo.postgres.embedded.error import EmbeddedServerError
from tests.acceptance.embedded.supervisors import (
    CUT,
    KEPT,
    PATIENCE_S,
    await_end,
    fill,
    refusal,
    server_in,
    supervisor,
)
from tests.postgres_fixture import query


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
        assert server.state is ServerState.FAILED

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
