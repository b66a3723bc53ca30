"""The settings of the embedded PostgreSQL, each with its reason.

They are written anew at every start into a file of their own in the database's folder, which
PostgreSQL reads instead of the `postgresql.conf` of `initdb`: so a setting changed in a later
version of Sunseo reaches folders that were made by an earlier one. An operator's `ALTER SYSTEM`
still has the last word.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

from sunseo.postgres.embedded.binaries import Binaries
from sunseo.postgres.embedded.identity import Identity

PORT = 5432
"""Part of the socket's name only; nothing listens on the network."""

CONFIG = "sunseo.conf"
HBA = "sunseo_hba.conf"
IDENT = "sunseo_ident.conf"

MEGABYTE = 1024 * 1024
SHARED_BUFFERS_MIN = 64 * MEGABYTE
SHARED_BUFFERS_MAX = 1024 * MEGABYTE

CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class ServerSetting(NamedTuple):
    name: str
    value: str
    reason: str


def settings(
    binaries: Binaries, socket_folder: Path, cluster: Path, *, durable: bool
) -> list[ServerSetting]:
    """All settings of one start, in the order in which an operator would ask about them."""
    return [
        *_reach(socket_folder, cluster),
        *(_durable(binaries) if durable else _disposable()),
        *_recovery(),
        *_memory(),
        *_manners(binaries),
        *_language(),
    ]


def _reach(socket_folder: Path, cluster: Path) -> Iterable[ServerSetting]:
    yield ServerSetting("listen_addresses", "", "nothing listens on the network")
    yield ServerSetting("port", str(PORT), "fixed, so that PGPORT cannot move the socket")
    yield ServerSetting(
        "unix_socket_directories", str(socket_folder), "a folder that only we may enter"
    )
    yield ServerSetting(
        "unix_socket_permissions", "0700", "and the socket is as private as its folder"
    )
    yield ServerSetting("hba_file", str(cluster / HBA), "written anew at every start")
    yield ServerSetting("ident_file", str(cluster / IDENT), "the folder may have changed its owner")
    yield ServerSetting("max_connections", "60", "a worker needs a handful; each slot costs memory")


def _durable(binaries: Binaries) -> Iterable[ServerSetting]:
    yield ServerSetting("fsync", "on", "an acknowledged seat survives a power cut")
    yield ServerSetting(
        "synchronous_commit", "on", "an answer leaves only after its commit is on disk"
    )
    yield ServerSetting("full_page_writes", "on", "a page torn by a power cut can be repaired")
    if binaries.has_lz4:
        yield ServerSetting(
            "wal_compression", "lz4", "less to write after a checkpoint, for little CPU"
        )


def _disposable() -> Iterable[ServerSetting]:
    yield ServerSetting(
        "fsync", "off", "a database for tests: speed matters, its survival does not"
    )
    yield ServerSetting(
        "synchronous_commit", "on", "and yet nothing acknowledged is lost by kill -9"
    )
    yield ServerSetting("full_page_writes", "off", "only a power cut tears pages")


def _recovery() -> Iterable[ServerSetting]:
    yield ServerSetting(
        "max_wal_size", "512MB", "bounds what must be replayed after kill -9: seconds"
    )
    yield ServerSetting(
        "min_wal_size", "128MB", "a few recycled files spare the rush their creation"
    )
    yield ServerSetting(
        "checkpoint_timeout", "5min", "bounds the replay after a quiet time as well"
    )
    yield ServerSetting(
        "checkpoint_completion_target", "0.9", "spreads the writing; no stall mid-sale"
    )
    yield ServerSetting("wal_level", "replica", "allows pg_basebackup and a standby")
    if sys.platform == "linux":
        # Before replay, all files are flushed: one by one took up to 3 s, at once 10 ms.
        yield ServerSetting("recovery_init_sync_method", "syncfs", "recovery begins at once")
    yield ServerSetting("restart_after_crash", "on", "a killed backend does not end the server")


def _memory() -> Iterable[ServerSetting]:
    buffers = shared_buffers(memory_bytes()) // MEGABYTE
    yield ServerSetting(
        "shared_buffers", f"{buffers}MB", "an eighth of the memory; workers need theirs"
    )
    yield ServerSetting(
        "max_parallel_workers_per_gather", "0", "a report leaves the cores to the sale"
    )
    yield ServerSetting("jit", "off", "compiling costs more than any of our short statements")


def _manners(binaries: Binaries) -> Iterable[ServerSetting]:
    yield ServerSetting(
        "idle_in_transaction_session_timeout",
        "30s",
        "a client that hangs in a transaction must not keep its locks",
    )
    yield ServerSetting(
        "client_connection_check_interval", "10s", "a vanished client's query is given up"
    )
    yield ServerSetting("log_min_duration_statement", "1s", "a slow statement is news")
    yield ServerSetting("log_lock_waits", "on", "and so is a long wait for a lock")
    yield ServerSetting("log_line_prefix", "%m [%p] %q%a ", "time, process, application")
    yield ServerSetting(
        "log_checkpoints", "off", "routine; the log is small and kept for complaints"
    )
    if binaries.has_library("pg_stat_statements"):
        yield ServerSetting(
            "shared_preload_libraries", "pg_stat_statements", "what the time is spent on"
        )


def _language() -> Iterable[ServerSetting]:
    yield ServerSetting("lc_messages", "C", "the log is in English wherever it runs")
    yield ServerSetting("timezone", "UTC", "times are told in UTC everywhere in the house")
    yield ServerSetting("log_timezone", "UTC", "as above")


def shared_buffers(memory: int) -> int:
    """An eighth of `memory`, at least 64 MB and at most 1 GB, all in bytes.

    More gains nothing: the seats of a large sale fit into a few hundred megabytes, and the
    kernel's cache is behind it.
    """
    return max(SHARED_BUFFERS_MIN, min(memory // 8, SHARED_BUFFERS_MAX))


def memory_bytes() -> int:
    """The memory that we may use: the machine's, or the container's where that is less."""
    limits = [psutil.virtual_memory().total]
    for path in CGROUP_LIMITS:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):  # no such limit, or the word "max"
            continue
    return min(limits)


def files(chosen: Iterable[ServerSetting], identity: Identity) -> Mapping[str, str]:
    """The texts of the three configuration files, by name."""
    head = "# Written by Sunseo at every start: changes here are lost. Use ALTER SYSTEM instead.\n"
    return {
        CONFIG: head + "".join(f"{s.name} = {_quoted(s.value)}  # {s.reason}\n" for s in chosen),
        # Who reaches the socket is decided by its folder's rights first, then by name.
        HBA: head + "local all all peer map=sunseo\nlocal replication all peer map=sunseo\n",
        IDENT: head
        + "".join(
            f"sunseo {_ident(peer)} {role}\n"
            for peer in sorted(identity.peers)
            for role in ("sunseo", "postgres")
        ),
    }


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _ident(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
