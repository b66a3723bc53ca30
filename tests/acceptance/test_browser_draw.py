"""The verifier in JavaScript in a real browser: a visitor checks a file with nothing installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.browsers import chromium, needs_chromium
from tests.docs.pages import ROOT
from tests.draws import PublishedDraw

if TYPE_CHECKING:  # which it takes half a second to import
    from playwright.sync_api import Browser

pytestmark = needs_chromium

# A module by its text: a page of a file has no origin from which modules could be loaded.
CHECK = """async ([program, receipt]) => {
    const address = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
    const { verifyDraw } = await import(address);
    const file = document.querySelector("input").files[0];
    return await verifyDraw(file.stream(), { receipt });
}"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def test_browser_checks_a_draw(browser: Browser, tmp_path: Path) -> None:
    """A chosen file, gzipped, is valid; one with two numbers swapped is not, on the same line."""
    draw = PublishedDraw(3000)
    path = draw.write(tmp_path, zipped=True)
    entrant, number = draw.lines[1234]
    program = (ROOT / "docs" / "protocol" / "verify-draw.mjs").read_text("utf-8")
    page = browser.new_page()
    page.set_content("<input type=file>")

    page.set_input_files("input", path)
    sound = page.evaluate(CHECK, [program, entrant])
    (one, first), (other, second) = draw.lines[3], draw.lines[9]
    draw.lines[3], draw.lines[9] = (one, second), (other, first)
    page.set_input_files("input", draw.write(tmp_path, zipped=True))
    spoiled = page.evaluate(CHECK, [program, entrant])

    assert (sound["verdict"], sound["receipt"]["number"]) == ("valid", number)
    assert (spoiled["verdict"], spoiled["fault"]["line"]) == ("not valid", 5)
