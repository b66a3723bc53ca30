"""Named statements: each capability keeps its SQL beside its code.

`queries.sql` holds what lanes run (parameters `$1`, by asyncpg), `cold.sql` what cold paths run
(parameters `:name`, by SQLAlchemy).

    -- name: lock_seats
    -- Lock the seats that a batch asks for.
    SELECT …

A name is followed by at least one line that says what the statement is for.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from sqlalchemy import TextClause, text

_NAME = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)$", re.MULTILINE)


def load_queries(package: str, file: str = "queries.sql") -> Mapping[str, str]:
    """Read the statements of a package, for instance `sunseo.booking`.

    Raises:
        ValueError: a name stands twice, or a statement has no line of purpose.
    """
    return parse_queries(files(package).joinpath(file).read_text("utf-8"), f"{package}/{file}")


def load_cold_queries(package: str) -> Mapping[str, TextClause]:
    """Read `cold.sql` of a package, ready for SQLAlchemy."""
    return {name: text(query) for name, query in load_queries(package, "cold.sql").items()}


def parse_queries(script: str, source: str) -> Mapping[str, str]:
    found = list(_NAME.finditer(script))
    queries: dict[str, str] = {}
    for place, match in enumerate(found):
        name = match["name"]
        end = found[place + 1].start() if place + 1 < len(found) else len(script)
        body = script[match.end() : end].strip()
        if name in queries:
            raise ValueError(f"{source} names {name} twice")
        if not body.startswith("-- "):
            raise ValueError(f"{source} does not say what {name} is for")
        # The name travels along, so that pg_stat_statements and logs can be read.
        statement = "\n".join(line for line in body.splitlines() if not line.startswith("-- "))
        queries[name] = f"/* {name} */ {statement.strip().rstrip(';')}"
    return MappingProxyType(queries)
