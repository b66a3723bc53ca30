"""Links between documents lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

_LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?:#(?P<part>[^)\s]+))?\)")
_OUTSIDE = ("http://", "https://", "mailto:")


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every file that a document links to exists, and so does the heading it names."""
    for match in _LINK.finditer(page.read_text("utf-8")):
        if match["target"].startswith(_OUTSIDE):
            continue
        target = page.parent / match["target"]
        assert target.exists(), match["target"]
        if match["part"] is not None:
            assert match["part"] in anchors(target), match["part"]


def anchors(page: Path) -> set[str]:
    """Headings as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
