"""Columns as PostgreSQL reads them from text.

A lane sends hundreds of keys with every statement. asyncpg encodes an array element by element in
Python, about 1 µs each; as one text, encoded at once and cast by the server
(`$1::text::integer[]`), the same keys take a tenth of that.
"""

from collections.abc import Iterable
from uuid import UUID

import msgspec

from sunseo.core.clock import Instant

_encode = msgspec.json.Encoder().encode


def array_of(values: Iterable[int | UUID | Instant | None]) -> str:
    """Write an array literal. JSON's elements are PostgreSQL's for these types, and only for these.

    Free text is not among them: there the two escape differently.
    """
    return f"{{{_encode(list(values))[1:-1].decode()}}}"


def array_of_texts(values: Iterable[str | None]) -> str:
    """Write an array literal of free text: quoted, quotes and backslashes escaped, nothing else.

    Raises:
        ValueError: a text has a NUL in it, which PostgreSQL cannot store.
    """
    literal = f"{{{','.join(map(_quoted, values))}}}"
    if "\0" in literal:
        raise ValueError("PostgreSQL stores no NUL in a text")
    return literal


def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
