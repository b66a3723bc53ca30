"""PostgreSQL: raw connections, named statements, the lock order, migrations, a server."""
