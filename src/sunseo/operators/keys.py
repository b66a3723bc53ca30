"""Operator keys in the database: added with an audit entry, looked up by their id.

Guarantee   However many keys are asked for or guessed at once, one statement at a time looks for
            them all, on one connection.
On failure  All who waited for a look-up that failed are told so; the next one begins anew.
"""

import asyncio
from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.operators import audit
from sunseo.postgres.clock import read_clock
from sunseo.postgres.queries import load_cold_queries
from sunseo.web.operators import new_operator_key

_QUERIES = load_cold_queries("sunseo.operators")


async def create_key(engine: AsyncEngine, organisation: int, name: str) -> str:
    """Make an operator key and return it: the only time that it can be seen."""
    key = new_operator_key()
    async with engine.begin() as connection:
        await connection.execute(
            _QUERIES["add_key"],
            {
                "organisation": organisation,
                "key_id": key.key_id,
                "name": name,
                "digest": key.digest,
            },
        )
        await audit.append(
            connection,
            organisation,
            actor="command line",
            action="create_key",
            sale=None,
            details={"key_id": key.key_id, "name": name},
            now=await read_clock(connection),
        )
    return key.text


class KeyFinder:
    """Looks keys up; one organisation's, in one process."""

    def __init__(self, engine: AsyncEngine, organisation: int) -> None:
        self._engine = engine
        self._organisation = organisation
        self._one_at_a_time = asyncio.Lock()
        self._next: tuple[set[str], asyncio.Task[Mapping[str, bytes]]] | None = None

    async def find(self, key_id: str) -> bytes | None:
        """The digest of a key; none where it is unknown or revoked."""
        if self._next is None:
            wanted: set[str] = set()
            self._next = wanted, asyncio.create_task(self._read(wanted))
        wanted, found = self._next
        wanted.add(key_id)
        return (await asyncio.shield(found)).get(key_id)

    async def _read(self, wanted: set[str]) -> Mapping[str, bytes]:
        async with self._one_at_a_time:
            self._next = None  # who comes from now on waits for the one after this
            async with self._engine.connect() as connection:
                found = await connection.execute(
                    _QUERIES["find_keys"],
                    {"organisation": self._organisation, "key_ids": list(wanted)},
                )
                return {row.key_id: row.digest for row in found}
