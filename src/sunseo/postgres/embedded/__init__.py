"""A PostgreSQL of our own, in a folder: found, made, started, watched, stopped."""

from sunseo.postgres.embedded.error import EmbeddedServerError
from sunseo.postgres.embedded.server import EmbeddedServer, ServerState

__all__ = ["EmbeddedServer", "EmbeddedServerError", "ServerState"]
