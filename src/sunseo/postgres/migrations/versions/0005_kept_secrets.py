"""Secrets of draws that the server keeps itself, until it reveals them."""

from sunseo.postgres.migrations.run_sql import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql(__file__)
