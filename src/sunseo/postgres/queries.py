"""Named statements: each capability keeps its SQL in one `queries.sql`.

    -- name: lock_seats
    -- Lock the seats that a batch asks for.
    SELECT …

A name is followed by at least one line that says what the statement is for.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)$", re.MULTILINE)


def load_queries(package: str) -> Mapping[str, str]:
    """Read `queries.sql` of a package, for instance `sunseo.booking`.

    Raises:
        ValueError: a name stands twice, or a statement has no line of purpose.
    """
    return parse_queries(files(package).joinpath("queries.sql").read_text("utf-8"), package)


def parse_queries(text: str, source: str) -> Mapping[str, str]:
    found = list(_NAME.finditer(text))
    queries: dict[str, str] = {}
    for place, match in enumerate(found):
        name = match["name"]
        end = found[place + 1].start() if place + 1 < len(found) else len(text)
        body = text[match.end() : end].strip()
        if name in queries:
            raise ValueError(f"{source}/queries.sql names {name} twice")
        if not body.startswith("-- "):
            raise ValueError(f"{source}/queries.sql does not say what {name} is for")
        # The name travels along, so that pg_stat_statements and logs can be read.
        statement = "\n".join(line for line in body.splitlines() if not line.startswith("-- "))
        queries[name] = f"/* {name} */ {statement.strip().rstrip(';')}"
    return MappingProxyType(queries)
