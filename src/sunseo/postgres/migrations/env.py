"""Alembic's entry: run on the connection, and in the transaction, that `migrate.py` opened."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], transaction_per_migration=False
)
context.run_migrations()
