"""A real Chromium for tests, where this machine has one.

Playwright's own download is not used: Debian's `chromium` or whatever `CHROMIUM` names is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # which it takes half a second to import
    from playwright.sync_api import Browser, Locator

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium_path() -> str | None:
    named = os.environ.get("CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser")


needs_chromium = pytest.mark.skipif(
    chromium_path() is None, reason="there is no Chromium: make tools, or set CHROMIUM"
)


def expect(what: Locator) -> Any:
    """Playwright's own, which waits until it is so."""
    from playwright.sync_api import expect as expect_of_playwright

    return expect_of_playwright(what)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start it, and end it whatever has happened."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
