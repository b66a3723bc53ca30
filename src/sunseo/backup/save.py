"""`sunseo backup`: one snapshot of the database, and the secret that signs what visitors carry."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec
from sqlalchemy import text

from sunseo.backup.archive import (
    DATABASE,
    MANIFEST,
    SECRETS,
    Part,
    check_target,
    content_of,
    write_archive,
)
from sunseo.backup.error import BackupError
from sunseo.backup.facts import LONG_S, QUERIES, read_facts
from sunseo.backup.manifest import FORMAT, Facts, Manifest, Secrets
from sunseo.backup.tools import PostgresTool, find_tool, run_tool, target_of
from sunseo.core.version import VERSION
from sunseo.postgres.connect import Connection
from sunseo.postgres.migrate import is_known
from sunseo.postgres.pool import create_cold_engine
from sunseo.settings import Settings, read_secret

OnBytes = Callable[[int], None]


def secrets_of(settings: Settings) -> tuple[Secrets | None, str]:
    """What signs tokens, and where it is kept: in the settings, the data folder, or none yet."""
    retired: dict[int, str] = dict(settings.retired_secrets or {})
    if settings.secret is not None:
        return Secrets(settings.secret_id, settings.secret, retired), "settings"
    try:
        kept = read_secret(settings.data)
    except FileNotFoundError:
        return None, "none"
    return Secrets(settings.secret_id, kept, retired), "folder"


async def save_backup(
    settings: Settings,
    dsn: str,
    file: Path,
    passphrase: str | None,
    *,
    force: bool,
    on_bytes: OnBytes = lambda _: None,
) -> Manifest:
    """Save everything into one file, beside a running server if need be.

    Raises:
        BackupError: nothing was written, and why.
    """
    folder = check_target(file, force=force)
    secrets, secret_from = secrets_of(settings)
    # Without a name, so that nobody else reads it, and nothing is left when we are killed.
    with tempfile.TemporaryFile(dir=folder) as dump:
        facts, tool = await _dump(dsn, dump, on_bytes)
        parts: dict[str, Part] = {DATABASE: dump}
        if secrets is not None:
            parts = {SECRETS: msgspec.json.encode(secrets), **parts}
        contents = {name: content_of(part) for name, part in parts.items()}
        manifest = Manifest(FORMAT, VERSION, tool.version, secret_from, facts, contents)
        parts = {MANIFEST: msgspec.json.format(msgspec.json.encode(manifest)), **parts}
        write_archive(file, parts, passphrase, force=force)
    return manifest


async def _dump(dsn: str, to: IO[bytes], on_bytes: OnBytes) -> tuple[Facts, PostgresTool]:
    engine = create_cold_engine(dsn, size=1, statement_timeout_s=LONG_S)
    try:
        async with engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="REPEATABLE READ")
            async with connection.begin():
                facts = await read_facts(connection)
                if not is_known(facts.schema):
                    raise BackupError(
                        f"the database has the schema {facts.schema}, which this version does not"
                        " know: save it with the version that serves it"
                    )
                snapshot = (await connection.execute(QUERIES["export_snapshot"])).one().snapshot
                # The snapshot is known to the server that made it only.
                raw = (await connection.get_raw_connection()).driver_connection
                server = raw.server.for_libpq() if isinstance(raw, Connection) else None
                target = target_of(dsn, server)
                tool = find_tool("pg_dump", _major(facts), is_local=target.is_local)
                arguments = [
                    *("--dbname", target.conninfo, "--format", "custom"),
                    *("--snapshot", snapshot, "--no-owner", "--no-acl", "--no-password"),
                ]
                await run_tool(
                    tool,
                    arguments,
                    target.environment,
                    lambda: on_bytes(os.fstat(to.fileno()).st_size),
                    writes=to,
                )
                await connection.execute(text("SELECT 1"))  # the snapshot was kept to the end
                return facts, tool
    finally:
        await engine.dispose()


def _major(facts: Facts) -> int:
    return int(facts.postgres.split(".")[0])
