"""The engine's first schema: sales, their inventory, claims on it, and the journal."""

from sunseo.postgres.migrations.run_sql import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql(__file__)
