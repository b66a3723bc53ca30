"""A sale may have a name that its file knows it by."""

from sunseo.postgres.migrations.run_sql import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql(__file__)
