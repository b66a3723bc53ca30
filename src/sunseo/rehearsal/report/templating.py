"""Where the templates of all pages of a rehearsal are, and how they are read.

What is filled in is escaped for the language of the page: a scenario is called as its file is, and
a file may be called anything.
"""

import re

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

TEMPLATES = Environment(
    loader=PackageLoader("sunseo.rehearsal.report"),
    autoescape=select_autoescape(["html"]),  # Markdown is by its own filters
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def one_line(text: str) -> str:
    """A text with what breaks lines, or cannot be written as UTF-8, shown as an escape."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def in_markdown(text: str) -> str:
    """Words in running text or in a table's cell: no markup begins or ends in them."""
    return re.sub(r"[\\`*\[\]<|]", r"\\\g<0>", one_line(text))


def code_in_markdown(text: str) -> str:
    """A span of code; its fence is longer than any in it."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    blank = " " if "`" in text else ""
    return f"{fence}{blank}{one_line(text)}{blank}{fence}"


TEMPLATES.filters |= {"in_markdown": in_markdown, "code_in_markdown": code_in_markdown}
