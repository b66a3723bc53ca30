"""Find a database that is there already; nothing here ever makes one.

A mistyped folder must not become an empty database that everything is found to be right in.
"""

import asyncio
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.core.errors import OneLineError
from sunseo.postgres.address.address import read_address
from sunseo.postgres.address.pooler import INSTEAD
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.embedded.cluster import Layout
from sunseo.postgres.embedded.error import explain_os_error
from sunseo.postgres.embedded.running import running_dsn
from sunseo.postgres.errors import Trouble, trouble_of
from sunseo.postgres.migrate import applied_revision, head_revision
from sunseo.postgres.pool import create_cold_engine
from sunseo.settings import Settings

ADVICE = {
    Trouble.UNREACHABLE: "is PostgreSQL running there, and does it listen on address and port?",
    Trouble.TAKES_NOBODY: "try again in a moment",
    Trouble.SHUT_OUT: "look at role, password and database in database_url, and at pg_hba.conf",
    Trouble.POOLER: INSTEAD,
    Trouble.NO_CONNECTION_FREE: "raise max_connections, or close what holds the others",
}
"""What to do where PostgreSQL does not take us in."""


class NoDatabaseError(OneLineError, RuntimeError):
    """There is no database of ours, or not of this version. Its text is one line."""


class UnreachableDatabaseError(OneLineError, RuntimeError):
    """The database does not take us in. Its text is one line, which says what to do."""

    exit_code = 3


def existing_database(settings: Settings, stack: ExitStack) -> str:
    """Where the database is: the one set, the running server's, or started for this command.

    Raises:
        NoDatabaseError: the data folder holds none.
        EmbeddedServerError: it is there, but cannot be started.
    """
    if settings.database_url is not None:
        return settings.database_url
    require_cluster(settings.data)
    if (running := running_dsn(settings.data)) is not None:
        return running
    return stack.enter_context(EmbeddedServer(settings.data)).dsn


def current_database(settings: Settings, stack: ExitStack) -> str:
    """Where the database is that is there already, once it is known to be of this version."""
    dsn = existing_database(settings, stack)
    require_current(dsn, place_of(settings))
    return dsn


def require_cluster(data: Path) -> None:
    """Refuse a data folder without a database in it.

    Raises:
        NoDatabaseError: there is none.
        EmbeddedServerError: the folder cannot be looked into.
    """
    folder = data.absolute()
    try:
        if Layout(folder).cluster.exists():
            return
    except OSError as error:
        raise explain_os_error("looking for the database", folder, error) from error
    raise NoDatabaseError(
        f"there is no database in {folder}; name the data folder of your server (--data), or set"
        " database_url. Only serve, demo, rehearse and restore make a new one"
    )


def revision_of(dsn: str, place: str, *, may_be_empty: bool = False) -> str | None:
    """The schema that a database has; not to be called from a running event loop.

    Args:
        dsn: of the database.
        place: what people call it; it holds no password.
        may_be_empty: whether one without a schema is taken, too.

    Raises:
        NoDatabaseError: it holds none of our data.
        UnreachableDatabaseError: it does not take us in.
    """
    found = asyncio.run(_read_revision(dsn, place))
    if found is None and not may_be_empty:
        raise NoDatabaseError(f"{place} holds no Sunseo data; is it the right one?")
    return found


def require_current(dsn: str, place: str) -> None:
    """Refuse a database that holds none of our data, or that another version has written.

    Raises:
        NoDatabaseError: which of the two.
    """
    found, head = revision_of(dsn, place), head_revision()
    if found != head:
        raise NoDatabaseError(
            f"{place} has the schema {found}, and this version needs {head}:"
            " run sunseo migrate, which offers a backup first"
        )


async def require_reachable(engine: AsyncEngine, place: str) -> None:
    """See to it that the database takes us in.

    Raises:
        UnreachableDatabaseError: it does not; the line names it, the reason and what to do.
    """
    try:
        async with engine.connect():
            return
    except Exception as error:
        trouble = trouble_of(error)
        if trouble not in ADVICE:
            raise
        cause = str(getattr(error, "orig", None) or error)
        why = f" ({cause.splitlines()[0]})" if cause else ""
        raise UnreachableDatabaseError(
            f"{place} does not answer: {trouble.value}{why} What to do: {ADVICE[trouble]}"
        ) from error


async def _read_revision(dsn: str, place: str) -> str | None:
    engine = create_cold_engine(dsn, size=1)
    try:
        await require_reachable(engine, place)
        async with engine.connect() as connection:
            return await applied_revision(connection)
    finally:
        await engine.dispose()


def place_of(settings: Settings) -> str:
    """What people call the database: its folder, or its server and name; never its password."""
    if settings.database_url is None:
        return f"the database in {settings.data.absolute()}"
    return f"the database {read_address(settings.database_url).place}"
