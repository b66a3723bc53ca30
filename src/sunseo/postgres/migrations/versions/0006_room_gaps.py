"""Numbers that were given after a backup, and live only in their holders' tokens."""

from sunseo.postgres.migrations.run_sql import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql(__file__)
