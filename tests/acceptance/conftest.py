"""A browser, a visitor's own storage in it, and scripted rooms to wait in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.browsers import chromium
from tests.acceptance.room_peer import RoomPeer, scripted_room

if TYPE_CHECKING:  # which it takes half a second to import
    from playwright.sync_api import Browser, BrowserContext


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context()
    yield opened
    opened.close()


@pytest.fixture
def peer() -> Iterator[RoomPeer]:
    with scripted_room() as served:
        yield served


@pytest.fixture
def far() -> Iterator[RoomPeer]:
    """A room with 600 people ahead, ten of whom enter in a second."""
    with scripted_room(ahead=600) as served:
        yield served
