"""The waiting room: rooms, their lines, places, passes, pacing and draws."""

from sunseo.postgres.migrations.run_sql import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql(__file__)
