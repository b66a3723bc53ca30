"""A market for each test that asks, on a database of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.store.market import Market


@pytest.fixture
async def market(database_dsn: str) -> AsyncIterator[Market]:
    """An empty market."""
    opened = Market(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()
