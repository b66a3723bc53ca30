"""The database's own folder: made once, whole or not at all.

    DATA/postgresql        the cluster, as `initdb` makes it
    DATA/postgresql.new-…  a cluster in the making; it never held anybody's data
    DATA/postgresql.lock   held by the supervisor for as long as it runs
    DATA/postgresql.log    what PostgreSQL says; DATA/postgresql.log.1 what it said before

Guarantee   A cluster appears under its name by one rename, after `initdb` has ended and the role
            and the database exist. What was cut off half-way is recognised by its other name,
            and only that is ever deleted.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sunseo.postgres.embedded import config
from sunseo.postgres.embedded.binaries import Binaries
from sunseo.postgres.embedded.error import EmbeddedServerError, explain, explain_os_error
from sunseo.postgres.embedded.identity import Identity

INITDB_S = 120.0
"""Longest wait for `initdb`: about one second on a good disk, far more on a poor one."""

FIRST_STATEMENTS = """\
CREATE ROLE sunseo LOGIN;
GRANT pg_monitor TO sunseo;
CREATE DATABASE sunseo OWNER sunseo;
"""
"""The engine is no superuser; it owns its database and may read statistics."""


@dataclass(frozen=True)
class Layout:
    """Where things are in the data folder."""

    data: Path

    @property
    def cluster(self) -> Path:
        return self.data / "postgresql"

    @property
    def lock(self) -> Path:
        return self.data / "postgresql.lock"

    @property
    def log(self) -> Path:
        return self.data / "postgresql.log"


def create_data_folder(data: Path) -> None:
    """Make the data folder if need be.

    Raises:
        EmbeddedServerError: It cannot be made, or is no folder.
    """
    try:
        # Open to pass through, so that PostgreSQL may run as another user; its own is closed.
        data.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise explain_os_error("making the data folder", data, error) from error
    if (data / "PG_VERSION").exists():
        raise EmbeddedServerError(
            f"{data} is itself a PostgreSQL cluster; name a folder for Sunseo's data, and use a"
            " PostgreSQL of your own by its URL"
        )


def ensure_cluster(
    layout: Layout, binaries: Binaries, identity: Identity, *, durable: bool
) -> None:
    """Make the cluster unless it is there, and check that these binaries can serve it.

    Raises:
        EmbeddedServerError: No cluster can be made, or the one there is not for these binaries.
    """
    for unfinished in layout.data.glob("postgresql.new-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    if not layout.cluster.exists():
        try:
            _create(layout, binaries, identity, durable=durable)
        except OSError as error:
            raise explain_os_error("creating the database", layout.data, error) from error
    _check_version(layout.cluster, binaries)
    try:
        identity.take_over(layout.cluster)
    except OSError as error:
        raise explain_os_error("opening the database", layout.cluster, error) from error


def write_config(
    cluster: Path, socket_folder: Path, binaries: Binaries, identity: Identity, *, durable: bool
) -> None:
    """Write the configuration of this start; see `config`."""
    chosen = config.settings(binaries, socket_folder, cluster.resolve(), durable=durable)
    try:
        for name, text in config.files(chosen, identity).items():
            draft = cluster / f"{name}.new"
            draft.write_text(text, encoding="utf-8")
            draft.chmod(0o600)
            identity.give(draft)
            draft.replace(cluster / name)
    except OSError as error:
        raise explain_os_error("writing the configuration", cluster, error) from error


def _check_version(cluster: Path, binaries: Binaries) -> None:
    try:
        found = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise EmbeddedServerError(
            f"{cluster} is no PostgreSQL cluster (it has no PG_VERSION); move it away, or name"
            " another data folder"
        ) from None
    except OSError as error:
        raise explain_os_error("opening the database", cluster, error) from error
    if found != str(binaries.major):
        raise EmbeddedServerError(
            f"{cluster} was made by PostgreSQL {found}, but {binaries.folder} is PostgreSQL"
            f" {binaries.major}: set PG_BIN to the programs of PostgreSQL {found} to go on with it,"
            f" or move the data to {binaries.major} with pg_dump and pg_restore"
            " (docs/guides/embedded-postgresql.md)"
        )


def _create(layout: Layout, binaries: Binaries, identity: Identity, *, durable: bool) -> None:
    draft = Path(tempfile.mkdtemp(prefix="postgresql.new-", dir=layout.data))
    try:
        identity.give(draft)
        _run_initdb(draft, binaries, identity, durable=durable)
        _run_first_statements(draft, binaries, identity, durable=durable)
        draft.rename(layout.cluster)
        _sync_folder(layout.data)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run_initdb(draft: Path, binaries: Binaries, identity: Identity, *, durable: bool) -> None:
    arguments = [
        *("--pgdata", str(draft), "--username", "postgres"),
        *("--locale", "C", "--encoding", "UTF8"),
        *("--auth", "peer", "--data-checksums", "--no-instructions"),
        *(() if durable else ("--no-sync",)),
    ]
    _run(draft, identity, binaries.initdb, arguments)


def _run_first_statements(
    draft: Path, binaries: Binaries, identity: Identity, *, durable: bool
) -> None:
    statements = FIRST_STATEMENTS
    fsync = "on" if durable else "off"
    single = ["--single", "-D", str(draft), "-c", f"fsync={fsync}", "-c", "log_checkpoints=off"]
    said = _run(draft, identity, binaries.postgres, [*single, "postgres"], statements)
    if binaries.has_library("pg_stat_statements"):
        wish = "CREATE EXTENSION pg_stat_statements;\n"
        said += _run(draft, identity, binaries.postgres, [*single, "sunseo"], wish)
    if "ERROR:" in said:  # single-user mode goes on after an error and ends with success
        raise explain("creating the database", draft.parent, said)


def _run(
    draft: Path, identity: Identity, program: Path, arguments: list[str], stdin: str = ""
) -> str:
    what = "creating the database"
    try:
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            identity.command(signal.SIGKILL, program, *arguments),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=server_environment(),
            timeout=INITDB_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EmbeddedServerError(
            f"{what} in {draft.parent} took longer than {INITDB_S:.0f} s; is the disk healthy?"
        ) from error
    if done.returncode != 0:
        raise explain(what, draft.parent, done.stdout)
    return done.stdout


def server_environment() -> dict[str, str]:
    """Our environment without what would bend PostgreSQL: PGDATA, PGPORT, PGOPTIONS, LC_*, …"""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_", "LANG"))
    } | {"LC_ALL": "C"}


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
