"""The embedded PostgreSQL, started, stopped, kept to itself, saved and restored."""

import asyncio
import os
import re
import socket
import stat
import subprocess
import threading
from pathlib import Path

import asyncpg
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from sunseo.postgres.embedded import EmbeddedServer, ServerState
from sunseo.postgres.embedded.binaries import find_binaries
from sunseo.postgres.embedded.error import EmbeddedServerError
from sunseo.postgres.embedded.orphans import processes_in
from tests.acceptance.embedded.supervisors import (
    KEPT,
    NOBODY,
    refusal,
    server_in,
)
from tests.postgres_fixture import query

# Starting and stopping


def test_rows_are_there_after_a_stop_and_a_start(fresh: Path) -> None:
    """A stopped server leaves no process and no socket, and a new start finds the rows."""
    server = server_in(fresh)
    dsn = server.start()
    assert server.pid is not None
    query(dsn, "CREATE TABLE kept AS SELECT 7 AS number")
    server.stop()
    assert server.state is ServerState.STOPPED
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
