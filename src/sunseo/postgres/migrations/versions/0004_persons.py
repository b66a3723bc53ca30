"""A sale with a limit for each person says who counts as one."""

from sunseo.postgres.migrations.run_sql import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql(__file__)
