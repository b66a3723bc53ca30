"""What an exception out of PostgreSQL means to the house: asked by lanes, web, loops, readiness.

An error travels wrapped: SQLAlchemy puts its own around the driver's, twice, and a roll-back that
fails hides what it rolls back. So the whole chain is looked through, from the outside in, and the
first link that says what it is decides.
"""

from collections.abc import Iterator
from enum import Enum, unique

import asyncpg
from sqlalchemy.exc import TimeoutError as NoConnectionError

from sunseo.core.errors import OneLineError
from sunseo.core.later import Fault


@unique
class Trouble(Enum):
    """What keeps PostgreSQL from doing what it is asked, whoever asks, in a sentence for people."""

    UNREACHABLE = "PostgreSQL cannot be reached, or the connection was lost."
    TAKES_NOBODY = "PostgreSQL takes nobody in for now: it is starting, stopping or recovering."
    SHUT_OUT = "PostgreSQL does not let us in: role, password, database or rights are not right."
    READ_ONLY = "The database takes no writes: it is a standby, or set to read only."
    OLD_SCHEMA = "The schema is not the one that this version needs: run `sunseo migrate`."
    FULL = "PostgreSQL has no space left on its disk, or no memory."
    NO_CONNECTION_FREE = "No connection to PostgreSQL is free."
    BUSY = "PostgreSQL gave up: something took too long, or waited too long for a lock."
    BROKEN = "PostgreSQL met a fault of its own; its log says more."
    POOLER = (
        "A pooler (PgBouncer) stands before PostgreSQL, and refuses the settings we begin with."
    )
    UNFIT = "PostgreSQL cannot make sense of a statement of ours."

    @property
    def is_outage(self) -> bool:
        """Whether it passes without a change to this program."""
        return self is not Trouble.UNFIT

    @property
    def goes_with_connection(self) -> bool:
        """Whether the connection is of no more use: what a session began with stays with it.

        One that was opened while the role or the database was set to read only stays so, and one
        to a server that became a standby stays there. Plans of another schema do as well.
        """
        return self in _GO_WITH_CONNECTION


_GO_WITH_CONNECTION = (
    Trouble.UNREACHABLE,
    Trouble.TAKES_NOBODY,
    Trouble.SHUT_OUT,
    Trouble.READ_ONLY,
    Trouble.OLD_SCHEMA,
    Trouble.POOLER,
)

# By SQLSTATE, and by its class, where no state of its own is listed:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_STATE = {
    "0A000": Trouble.OLD_SCHEMA,  # "cached plan must not change result type", seen below
    "25006": Trouble.READ_ONLY,
    "3D000": Trouble.SHUT_OUT,  # no such database
    "3F000": Trouble.OLD_SCHEMA,
    "42501": Trouble.SHUT_OUT,  # a role without the right
    "42703": Trouble.OLD_SCHEMA,  # no such column
    "42704": Trouble.OLD_SCHEMA,  # no such type or constraint
    "42883": Trouble.OLD_SCHEMA,  # no such function
    "42P01": Trouble.OLD_SCHEMA,  # no such table
    "42P10": Trouble.OLD_SCHEMA,  # no such unique index, for ON CONFLICT
    "53300": Trouble.NO_CONNECTION_FREE,
    "53400": Trouble.NO_CONNECTION_FREE,
    "57014": Trouble.BUSY,  # by statement_timeout, or by an operator
    "55000": Trouble.TAKES_NOBODY,  # a database that is closed to connections
    "57P01": Trouble.UNREACHABLE,  # one backend was ended, perhaps with all others
    "57P04": Trouble.SHUT_OUT,  # the database was dropped
    "57P05": Trouble.UNREACHABLE,  # this session idled for too long
}
_BY_CLASS = {
    "08": Trouble.UNREACHABLE,
    "25": Trouble.UNREACHABLE,  # a session that was ended in a transaction, and what follows it
    "28": Trouble.SHUT_OUT,
    "40": Trouble.BUSY,  # deadlock, serialization, conflict with recovery
    "53": Trouble.FULL,
    "55": Trouble.BUSY,  # a lock that was not to be had
    "57": Trouble.TAKES_NOBODY,
    "58": Trouble.BROKEN,
    "F0": Trouble.BROKEN,
    "XX": Trouble.BROKEN,
}

# 22: data exception, 23: integrity constraint violation. What else a server reports is nobody's
# fault in the batch.
DATA_CLASSES = frozenset({"22", "23"})

POOLER_REFUSES = "unsupported startup parameter"
"""PgBouncer's words, under a state that says something else; PostgreSQL takes our settings."""

FENCE = "journal_key"  # (organisation, kind, stream, version)

_LINKS_MAX = 50  # of one chain; real ones have five


def trouble_of(error: BaseException) -> Trouble | None:
    """Name the trouble that an exception tells of; none if it is the data's, or a programmer's."""
    for link in _chain(error):
        if isinstance(link, asyncpg.PostgresError):
            return Trouble.POOLER if POOLER_REFUSES in str(link) else _trouble_of_state(link)
        if isinstance(link, asyncpg.InterfaceError):
            # What cannot be encoded is a ValueError as well; the rest is the connection.
            return None if isinstance(link, ValueError) else Trouble.UNREACHABLE
        if isinstance(link, NoConnectionError):
            return Trouble.NO_CONNECTION_FREE
        if isinstance(link, asyncpg.OutdatedSchemaCacheError):
            return Trouble.OLD_SCHEMA
        if isinstance(link, OSError | EOFError | asyncpg.InternalClientError):
            return Trouble.UNREACHABLE
    return None


def outage_of(error: BaseException) -> str | None:
    """Say why PostgreSQL could not do it; none if that is not what the error is about."""
    trouble = trouble_of(error)
    return trouble.value if trouble is not None and trouble.is_outage else None


class MigrationRefusedError(OneLineError):
    """What is stored does not fit the new schema; nothing was changed, and the message says why."""


def fault_of(error: Exception) -> Fault:
    """Tell a lane an error of the data, or a programmer's, from one of the infrastructure.

    The journal's key is the fence between writers who both believe in one version of a stream: who
    breaks it is not at fault, and has to read anew.
    """
    if constraint_of(error) == FENCE:
        return Fault.FENCE
    return Fault.DATA if trouble_of(error) is None else Fault.INFRASTRUCTURE


def constraint_of(error: Exception) -> str | None:
    """Name the constraint that an error is about, if it is about one."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return error.constraint_name
    return None


def sqlstate_class_of(error: BaseException) -> str:
    """The first two characters of an error's SQLSTATE; `none` where no server sent one."""
    for link in _chain(error):
        if isinstance(link, asyncpg.PostgresError) and link.sqlstate:
            return link.sqlstate[:2]
    return "none"


def _trouble_of_state(error: asyncpg.PostgresError) -> Trouble | None:
    state: str = error.sqlstate or ""
    if state[:2] in DATA_CLASSES:
        return None
    if state == "0A000" and not isinstance(error, asyncpg.InvalidCachedStatementError):
        return Trouble.UNFIT
    return _BY_STATE.get(state) or _BY_CLASS.get(state[:2], Trouble.UNFIT)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it wraps and what it was raised from or beside, each with all of its own.

    What a link wraps comes before what it was raised beside.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _LINKS_MAX:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        wrapped = getattr(link, "orig", None)  # SQLAlchemy's
        waiting += [
            None if link.__suppress_context__ else link.__context__,
            *(link.exceptions if isinstance(link, BaseExceptionGroup) else ()),
            link.__cause__,
            wrapped if isinstance(wrapped, BaseException) else None,
        ]
