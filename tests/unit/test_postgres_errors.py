"""What an exception means, however deep the driver's own lies in it."""

import asyncio
from collections.abc import Callable

import asyncpg
import pytest
from asyncpg.exceptions import PostgresError
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from sunseo.core.later import Fault
from sunseo.postgres.errors import (
    Trouble,
    constraint_of,
    fault_of,
    outage_of,
    sqlstate_class_of,
    trouble_of,
)

BY_STATE = {
    "08006": Trouble.UNREACHABLE,
    "0A000": Trouble.UNFIT,
    "22003": None,
    "23505": None,
    "25006": Trouble.READ_ONLY,
    "25P02": Trouble.UNREACHABLE,
    "25P03": Trouble.UNREACHABLE,
    "28000": Trouble.SHUT_OUT,
    "28P01": Trouble.SHUT_OUT,
    "3D000": Trouble.SHUT_OUT,
    "40001": Trouble.BUSY,
    "40P01": Trouble.BUSY,
    "42501": Trouble.SHUT_OUT,
    "42601": Trouble.UNFIT,
    "42703": Trouble.OLD_SCHEMA,
    "42883": Trouble.OLD_SCHEMA,
    "42P01": Trouble.OLD_SCHEMA,
    "53100": Trouble.FULL,
    "53200": Trouble.FULL,
    "53300": Trouble.NO_CONNECTION_FREE,
    "55000": Trouble.TAKES_NOBODY,
    "55P03": Trouble.BUSY,
    "57014": Trouble.BUSY,
    "57P01": Trouble.UNREACHABLE,
    "57P02": Trouble.TAKES_NOBODY,
    "57P03": Trouble.TAKES_NOBODY,
    "57P04": Trouble.SHUT_OUT,
    "57P05": Trouble.UNREACHABLE,
    "58030": Trouble.BROKEN,
    "XX001": Trouble.BROKEN,
    "P0001": Trouble.UNFIT,
}

WITHOUT_STATE = [
    (ConnectionRefusedError("no"), Trouble.UNREACHABLE),
    (FileNotFoundError("no socket"), Trouble.UNREACHABLE),
    (TimeoutError(), Trouble.UNREACHABLE),
    (asyncio.IncompleteReadError(b"", 5), Trouble.UNREACHABLE),
    (asyncpg.InterfaceError("connection is closed"), Trouble.UNREACHABLE),
    (asyncpg.InternalClientError("in mid sentence"), Trouble.UNREACHABLE),
    (asyncpg.OutdatedSchemaCacheError("another schema"), Trouble.OLD_SCHEMA),
    (asyncpg.InvalidCachedStatementError("cached plan"), Trouble.OLD_SCHEMA),
    (NoConnectionError("QueuePool limit"), Trouble.NO_CONNECTION_FREE),
    (asyncpg.ClientConfigurationError("no such option"), None),
    (KeyError("of ours"), None),
    (ValueError("of ours"), None),
]


class AdapterError(Exception):
    """As SQLAlchemy wraps what the driver raises, before it wraps it once more."""


def reported(state: str) -> PostgresError:
    error: PostgresError = PostgresError.new({"C": state, "M": "so it is", "S": "ERROR"})
    assert error.sqlstate == state
    return error


def bare(error: Exception) -> Exception:
    return error


def wrapped_twice(error: Exception) -> Exception:
    adapted = AdapterError(str(error))
    adapted.__cause__ = error
    return DBAPIError("SELECT", {}, adapted)


def raised_from(error: Exception) -> Exception:
    outer = RuntimeError("of a part in between")
    outer.__cause__ = wrapped_twice(error)
    return outer


def raised_beside(error: Exception) -> Exception:
    """As when a roll-back fails because what it rolls back has failed."""
    outer = InvalidRequestError("cannot roll back")
    outer.__context__ = wrapped_twice(error)
    return outer


def in_a_group(error: Exception) -> Exception:
    return ExceptionGroup("of several tasks", [wrapped_twice(error)])


WRAPS = [bare, wrapped_twice, raised_from, raised_beside, in_a_group]


@pytest.mark.parametrize("wrap", WRAPS)
def test_every_state_means_the_same_however_it_is_wrapped(
    wrap: Callable[[Exception], Exception],
) -> None:
    """Web, lanes and loops come to one judgement, whatever was raised from what."""
    for state, trouble in BY_STATE.items():
        error = wrap(reported(state))
        is_outage = trouble is not None and trouble is not Trouble.UNFIT
        assert trouble_of(error) is trouble, state
        assert outage_of(error) == (trouble.value if trouble and is_outage else None), state
        assert fault_of(error) is (Fault.INFRASTRUCTURE if trouble else Fault.DATA), state
        assert sqlstate_class_of(error) == state[:2]
    for error, trouble in WITHOUT_STATE:
        assert trouble_of(wrap(error)) is trouble, error


def test_what_was_raised_last_decides() -> None:
    """A mistake in the data that was met after an outage is no outage."""
    error = wrapped_twice(reported("23505"))
    error.__context__ = reported("57P01")
    assert trouble_of(error) is None
    assert fault_of(error) is Fault.DATA


def test_what_was_said_to_be_irrelevant_is_not_looked_at() -> None:
    """`raise … from None` hides what was being dealt with, from us as from a reader."""
    error = ValueError("of ours")
    error.__context__ = reported("57P01")
    error.__suppress_context__ = True
    assert trouble_of(error) is None


def test_a_chain_that_bites_its_tail_ends() -> None:
    """Exceptions that are each other's context are looked at once."""
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__context__, other.__context__ = other, one
    assert trouble_of(one) is None
    assert constraint_of(one) is None
