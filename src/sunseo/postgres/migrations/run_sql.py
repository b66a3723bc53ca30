"""Run one migration's SQL file, many statements at once."""

from pathlib import Path

from alembic import op


def run_sql(migration: str) -> None:
    """Send the SQL file that lies beside a migration's Python file.

    It goes to the driver itself: a prepared statement, which SQLAlchemy would make of it, may not
    hold several commands.
    """
    script = Path(migration).with_suffix(".sql").read_text("utf-8")
    adapted = op.get_bind().connection.dbapi_connection
    if adapted is None:
        raise RuntimeError("the migration's connection was closed under it")
    adapted.run_async(lambda driver: driver.execute(script))
