"""What an exception out of PostgreSQL means to the house."""

import asyncpg
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from sunseo.core.lane import Fault

# 22: data exception, 23: integrity constraint violation. Everything else that a server reports
# (lost connections, shutdown, locks, time-outs, lack of resources, a schema that is being
# migrated) is nobody's fault in the batch.
DATA_CLASSES = frozenset({"22", "23"})


class MigrationRefusedError(Exception):
    """What is stored does not fit the new schema; nothing was changed, and the message says why."""


def fault_of(error: Exception) -> Fault:
    """Tell an error of the data, or a programmer's, from one of the infrastructure."""
    if isinstance(error, asyncpg.PostgresError):
        in_data = (error.sqlstate or "")[:2] in DATA_CLASSES
        return Fault.DATA if in_data else Fault.INFRASTRUCTURE
    if isinstance(error, asyncpg.InterfaceError):
        # An argument that cannot be encoded is a ValueError as well; the rest is the connection.
        return Fault.DATA if isinstance(error, ValueError) else Fault.INFRASTRUCTURE
    if isinstance(error, OSError | TimeoutError | EOFError | asyncpg.InternalClientError):
        return Fault.INFRASTRUCTURE
    return Fault.DATA


def constraint_of(error: Exception) -> str | None:
    """Name the constraint that an error is about, if it is about one."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return error.constraint_name
    return None


def is_outage(error: Exception) -> bool:
    """Whether an exception means that PostgreSQL is away, out of a lane or of a cold path."""
    if isinstance(error, OperationalError | InterfaceError | NoConnectionError):
        return True
    if isinstance(error, SQLAlchemyError):
        return isinstance(error.__cause__, Exception) and is_outage(error.__cause__)
    return fault_of(error) is Fault.INFRASTRUCTURE


def sqlstate_class_of(error: Exception) -> str:
    """The first two characters of an error's SQLSTATE; `none` where no server sent one."""
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate:
        return error.sqlstate[:2]
    return "none"
