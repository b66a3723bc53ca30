"""Rooms in the benchmark's database: one to be measured, one to warm up in, and an old one."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from bench.database import BenchDatabase
from sunseo.postgres.migrate import upgrade
from sunseo.room.setup.settings import RoomSettings, encode_settings

ORGANISATION = 1
PAST_ROOM = 1
"""Whose rows are there so that nobody plans for tables that are empty."""

WARM_UP_ROOM = 2
ROOM = 3
"""The newest, as rooms are numbered in the order in which they are made."""

PAST_VISITS = 50_000
CAPACITY = 10_000_000
TEMPLATE = "rooms"

FILL_SECONDS_MAX = 600

ROOMS = """
INSERT INTO rooms (organisation, room, name, settings)
SELECT 1, room, 'Room ' || room, $2::text::jsonb FROM unnest($1::bigint[]) AS room
"""
LINES = """
INSERT INTO room_lines (organisation, room, capacity)
SELECT 1, room, $2 FROM unnest($1::bigint[]) AS room
"""
PLACES = """
INSERT INTO room_places (organisation, room, epoch, holder, number, binding, issued_at)
SELECT 1, $1::bigint, 1, lpad(to_hex(number), 32, '0')::uuid, number, $3::uuid, clock_timestamp()
FROM generate_series(1, $2::bigint) AS number
"""
CALL_ALL = """
UPDATE room_lines SET issued = $2, serving = $2 WHERE organisation = 1 AND room = $1
"""
PAST_PASSES = """
INSERT INTO room_passes (organisation, room, epoch, number, pass_id, holder, state, renewal,
                         renewed_at, entered_at, expires_at, slot_until, session_until, ended_at)
SELECT 1, $1::bigint, 1, number, gen_random_uuid(), gen_random_uuid(), 'left', 0,
       now() - interval '1 day', now() - interval '1 day', now() - interval '1 day',
       now() - interval '1 day', now() - interval '1 day', now() - interval '1 day'
FROM generate_series(1, $2::bigint) AS number
"""
CALLS = """
SELECT coalesce(sum(s.calls), 0)::bigint FROM pg_stat_statements s
JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = $1
"""


class Called(NamedTuple):
    """So many have joined and been called beforehand: in the room, and in the one to warm up in."""

    room: int
    warm_up: int
    binding: UUID


class RoomDatabase(BenchDatabase):
    """The benchmark's PostgreSQL, with rooms on it."""

    async def make_rooms(self) -> None:
        """Make the database that all runs begin with."""
        await self._recreate(TEMPLATE)
        await asyncio.to_thread(upgrade, self.url(TEMPLATE))
        settings = RoomSettings(capacity=CAPACITY, holders="anyone")
        rooms = [ROOM, WARM_UP_ROOM, PAST_ROOM]
        async with self.connected(TEMPLATE) as conn:
            await conn.execute(ROOMS, rooms, encode_settings(settings))
            await conn.execute(LINES, rooms, CAPACITY)
            await conn.execute(PLACES, PAST_ROOM, PAST_VISITS, UUID(int=0))
            await conn.execute(PAST_PASSES, PAST_ROOM, PAST_VISITS)
            await conn.execute(CALL_ALL, PAST_ROOM, PAST_VISITS)
        async with self.as_superuser(TEMPLATE) as conn:
            await conn.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
            await conn.execute("VACUUM (FREEZE, ANALYZE)")

    async def clone_rooms(
        self, name: str, called: Called | None = None, scripts: Iterable[str] = ()
    ) -> str:
        """Make a fresh database of rooms, read into memory and with a checkpoint behind it."""
        await self._recreate(name, TEMPLATE)
        async with self.connected(name) as conn:
            if called is not None:
                for room, total in ((ROOM, called.room), (WARM_UP_ROOM, called.warm_up)):
                    await conn.execute(
                        PLACES, room, total, called.binding, timeout=FILL_SECONDS_MAX
                    )
                    await conn.execute(CALL_ALL, room, total)
            for script in scripts:
                await conn.execute(script, timeout=FILL_SECONDS_MAX)
        await self._read_into_memory(name)
        async with self.as_superuser(name) as conn:
            await conn.execute("VACUUM ANALYZE")
            await conn.execute("CHECKPOINT")
        return self.url(name)

    async def statements(self, name: str) -> int:
        """Count the statements that a database has run so far, whoever sent them."""
        async with self.as_superuser() as conn:
            await conn.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            counted: int = await conn.fetchval(CALLS, name)
            return counted
