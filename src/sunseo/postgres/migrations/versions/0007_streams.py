"""The journal tells of streams, whatever their kind; and a table of leases."""

from sunseo.postgres.migrations.run_sql import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql(__file__)
