"""Bring a database to the schema that this version of Sunseo expects.

Migrations are SQL files in `migrations/versions`, each with a small Python file that gives it its
place in Alembic's order. Processes that start at once wait for each other on an advisory lock.

Alembic is imported where it is used: a sixth of what a worker's start costs would be its import,
and a worker needs none of it.
"""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.postgres.pool import create_cold_engine

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATION_LOCK = 0x73756E73656F  # "sunseo": an advisory lock's key, the same in every version
MIGRATION_TIMEOUT_S = 3600.0  # an index on a large table may take long, and may not be cut off


def upgrade(dsn: str, *, mend_duplicates: bool = False) -> list[str]:
    """Apply what is missing, in one transaction. Not to be called from a running event loop.

    Args:
        dsn: where the database is.
        mend_duplicates: remove or rename what stands more than once under one name.

    Returns:
        a line for each row that was mended.

    Raises:
        MigrationRefusedError: what is stored does not fit; nothing was changed.
    """
    return asyncio.run(_upgrade(dsn, mend_duplicates=mend_duplicates))


def head_revision() -> str | None:
    """The revision that this version was written for."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see the module

    return ScriptDirectory.from_config(_config()).get_current_head()


class UnknownSchemaError(RuntimeError):
    """A newer version has been here. Its text is one line."""


class MigrationStep(NamedTuple):
    """One migration, and what it is for."""

    revision: str
    sentence: str


def is_known(revision: str) -> bool:
    """Whether a schema is this version's, or of one before."""
    return revision in {step.revision for step in _steps()}


def steps_after(revision: str | None) -> list[MigrationStep]:
    """What is still to be applied to a database at a revision, in order.

    Raises:
        UnknownSchemaError: the revision is not of this version, nor of one before.
    """
    steps = _steps()
    if revision is None:
        return steps
    places = [place for place, step in enumerate(steps) if step.revision == revision]
    if not places:
        raise UnknownSchemaError(
            f"the schema {revision} is not known to this version; it is a newer one's"
        )
    return steps[places[0] + 1 :]


def _steps() -> list[MigrationStep]:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see the module

    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return [MigrationStep(script.revision, script.doc) for script in scripts][::-1]


async def applied_revision(connection: AsyncConnection) -> str | None:
    """The revision that a database is at; none if it has never been migrated."""
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see the module

    config = Config()
    config.set_main_option("script_location", "sunseo.postgres:migrations")
    config.set_main_option("path_separator", "os")
    return config


async def _upgrade(dsn: str, *, mend_duplicates: bool) -> list[str]:
    engine = create_cold_engine(dsn, size=1, statement_timeout_s=MIGRATION_TIMEOUT_S)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(upgrade_to_head, mend_duplicates)
    finally:
        await engine.dispose()


def upgrade_to_head(connection: Connection, mend_duplicates: bool = False) -> list[str]:
    """Apply what is missing, in the transaction that is open; see `upgrade`."""
    from alembic import command  # noqa: PLC0415 - see the module

    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    config = _config()
    notes: list[str] = []
    config.attributes.update(connection=connection, mend_duplicates=mend_duplicates, notes=notes)
    command.upgrade(config, "head")
    return notes
