"""What a test asks of its database beside the engine, on connections that are kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


class Beside:
    """Connections of a test's own, which are opened as they are needed and used again."""

    def __init__(self, dsn: str, **settings: str) -> None:
        self._dsn = dsn
        self._settings = settings
        self._idle: list[asyncpg.Connection[asyncpg.Record]] = []

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        while self._idle and self._idle[-1].is_closed():  # PostgreSQL was sent away meanwhile
            self._idle.pop()
        connection = self._idle.pop() if self._idle else await self._open()
        try:
            yield connection
        finally:
            self._idle.append(connection)

    async def records(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.connection() as connection:
            return await connection.fetch(query, *arguments)

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return [tuple(record) for record in await self.records(query, *arguments)]

    async def close(self) -> None:
        for connection in self._idle:
            await connection.close()

    async def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
        # Statements are not kept: tests change tables beneath them.
        return await asyncpg.connect(
            self._dsn, server_settings=self._settings, statement_cache_size=0
        )
