"""What a leader of rooms needs of PostgreSQL.

Guarantee   A step is one transaction that sees first that its leader still leads, and keeps others
            from leading until it ends. Lines take no fence below their own, besides.
Clock       PostgreSQL's, as of each statement.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.room.postgres.cold import QUERIES
from sunseo.room.store import LineAdvance, LineMemory, LineSince, PassLengths

ROLE = "pacing"

_encode = msgspec.json.Encoder().encode
_read_entered = msgspec.json.Decoder(list[tuple[int, float]]).decode


class PostgresLeader:
    """The `LeaderStore` of one organisation."""

    def __init__(self, engine: AsyncEngine, organisation: int) -> None:
        self._engine = engine
        self._organisation = organisation

    async def hold_lease(self, leader: UUID, lease_s: float) -> int | None:
        async with self._engine.begin() as connection:
            held = await connection.execute(
                QUERIES["hold_lease"], self._role() | {"leader": leader, "lease_s": lease_s}
            )
            fence: int | None = held.scalar_one_or_none()
            return fence

    async def drop_lease(self, leader: UUID) -> None:
        with suppress(SQLAlchemyError, OSError):
            async with self._engine.begin() as connection:
                await connection.execute(QUERIES["drop_lease"], self._role() | {"leader": leader})

    async def recall(self, rooms: Sequence[int]) -> list[LineMemory]:
        where = self._where() | {"rooms": list(rooms)}
        async with self._engine.connect() as connection:
            found = await connection.execute(QUERIES["read_memory"], where)
            return [LineMemory(row.room, row.epoch, row.memory, row.shown) for row in found]

    async def entered(
        self, lines: Sequence[LineSince], *, entries_max: int
    ) -> dict[int, list[tuple[int, float]]]:
        asked = {"rooms": _json(lines), "rows_max": entries_max}
        async with self._engine.connect() as connection:
            found = await connection.execute(QUERIES["read_entered"], self._where() | asked)
            return {row.room: _read_entered(row.entered) for row in found}

    async def advance(
        self, fence: int, steps: Sequence[LineAdvance], *, forget_s: float | None = None
    ) -> dict[int, int] | None:
        async with self._engine.begin() as connection:
            held = await connection.execute(QUERIES["check_lease"], self._role() | {"fence": fence})
            if held.first() is None:
                return None
            moved = await self._advance(connection, fence, steps)
            if forget_s is not None:
                await connection.execute(
                    QUERIES["forget_releases"], self._where() | {"kept_s": forget_s}
                )
        return moved

    async def _advance(
        self, connection: AsyncConnection, fence: int, steps: Sequence[LineAdvance]
    ) -> dict[int, int]:
        if moving := [step.room for step in steps if step.moves]:
            await connection.execute(
                QUERIES["lock_moving_lines"], self._where() | {"rooms": moving}
            )
        rows = _json([_row_of(step) for step in steps])
        moved = await connection.execute(
            QUERIES["advance_lines"], self._where() | {"fence": fence, "advances": rows}
        )
        return {row.room: row.serving for row in moved}

    async def shorten_passes(self, rooms: Sequence[PassLengths]) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(
                QUERIES["lock_moving_lines"],
                self._where() | {"rooms": [one.room for one in rooms]},
            )
            await connection.execute(
                QUERIES["shorten_passes"], self._where() | {"rooms": _json(rooms)}
            )

    async def due_rooms(self) -> list[int]:
        async with self._engine.connect() as connection:
            found = await connection.execute(QUERIES["find_due_rooms"], self._where())
            return [row.room for row in found]

    def _where(self) -> dict[str, Any]:
        return {"organisation": self._organisation}

    def _role(self) -> dict[str, Any]:
        return self._where() | {"role": ROLE}


def _row_of(step: LineAdvance) -> dict[str, Any]:
    return {
        "room": step.room,
        "epoch": step.epoch,
        "serving": step.serving,
        "capacity": step.capacity,
        "moves": step.moves,
        "state": {"memory": step.memory, "shown": step.shown},
    }


def _json(rows: Sequence[Any]) -> str:
    return _encode(rows).decode()
