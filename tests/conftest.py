"""What every test may ask for: a database of its own, and property tests without a stopwatch."""

from hypothesis import settings

from tests.postgres_fixture import database_dsn, postgres_server

__all__ = ["database_dsn", "postgres_server"]

# A busy machine is no finding, so there is no deadline; a failure prints what reproduces it.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")
