"""PostgreSQL by libpq's pipeline mode: several transactions in flight on one connection."""
