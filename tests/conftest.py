"""What every test may ask for: a database, a market on it, and property tests without a clock."""

import os
import sys
from collections.abc import AsyncIterator

import pytest
from hypothesis import settings

from tests.command_line import command_line
from tests.postgres_fixture import database_dsn, databases, postgres_server
from tests.statuses import _statuses_are_documented, _statuses_are_noted
from tests.store.market import Market
from tests.suite import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_xdist_make_scheduler,
)

__all__ = [
    "_statuses_are_documented",
    "_statuses_are_noted",
    "command_line",
    "database_dsn",
    "databases",
    "market",
    "postgres_server",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_xdist_make_scheduler",
]

# Without bytecode each of the hundreds of processes that tests start compiles everything anew, and
# every worker of the suite rewrites every assertion.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A busy machine is no finding, so there is no deadline; a failure prints what reproduces it. The
# tests that judge a change draw the same examples each time; `make search` looks for new ones.
settings.register_profile("house", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile("house")


@pytest.fixture
async def market(database_dsn: str) -> AsyncIterator[Market]:
    """An empty market on a database of its own."""
    opened = Market(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()
