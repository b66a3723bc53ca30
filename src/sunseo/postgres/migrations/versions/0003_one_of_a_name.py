"""What has a name exists once; where it stands more often, the migration tells, or mends it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic import op
from sqlalchemy import Row, text

from sunseo.postgres.errors import MigrationRefusedError
from sunseo.postgres.migrations.run_sql import run_sql
from sunseo.postgres.queries import parse_queries

revision = "0003"
down_revision = "0002"

SHOWN_MAX = 20  # duplicates told one by one; the first few show what has happened
HEADING = "what has a name must stand once; nothing was changed, since here stands more than once:"
ADVICE = (
    "`sunseo migrate --mend-duplicates --backup FILE` saves everything, then removes those of these"
    " seats that nobody ever held, gives the others a number behind their name, and says which."
)
MENDING = (
    "remove_seats",
    "rename_seats",
    "rename_stocks",
    "rename_products",
    "rename_price_classes",
    "rename_occasions",
)


def upgrade() -> None:
    file = Path(__file__).with_name("0003_duplicates.sql")
    queries = parse_queries(file.read_text("utf-8"), file.name)
    bind, options = op.get_bind(), op.get_context().config
    found = bind.execute(text(queries["find_duplicates"])).all()
    if found and not (options and options.attributes.get("mend_duplicates")):
        raise MigrationRefusedError(_told(found))
    if found and options:
        notes: list[str] = options.attributes["notes"]
        for name in MENDING:
            notes += bind.execute(text(queries[name])).scalars()
    run_sql(__file__)


def _told(found: Sequence[Row[Any]]) -> str:
    lines = [
        f"  {row.unit}: {len(row.numbers)} times, numbers {', '.join(map(str, row.numbers))}"
        f"{_owned(row.owned)}"
        for row in found[:SHOWN_MAX]
    ]
    if len(found) > SHOWN_MAX:
        lines.append(f"  and {len(found) - SHOWN_MAX} more")
    return "\n".join([HEADING, *lines, ADVICE])


def _owned(owned: int) -> str:
    return f" ({owned} of them held or sold)" if owned else ""
