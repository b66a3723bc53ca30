"""The statements of cold paths, of operators and of the leader."""

from sunseo.postgres.queries import load_cold_queries

QUERIES = load_cold_queries("sunseo.room.postgres")
