"""Read what documents say can be run: blocks below a comment `<!-- test: ... -->`."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(
    r"^<!-- test: (?P<purpose>[a-z -]+) -->\n+```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    purpose: str
    language: str
    text: str


def blocks_of(page: str) -> list[Block]:
    """The marked blocks of a page, which is named by its path from the root."""
    found = [Block(*match.groups()) for match in _BLOCK.finditer(text_of(page))]
    marks = text_of(page).count("<!-- test: ")
    assert len(found) == marks, f"{page}: a mark stands above no block"
    return found


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")
