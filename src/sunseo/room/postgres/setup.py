"""Set-up on PostgreSQL: one transaction a command, which begins with its key.

Guarantee   Changes of one room take turns on its row. What touches its line locks that after the
            room, as all who lock both do. Workers notice a change by the room's version. Settings
            are read back out of the row before they are committed.
Clock       PostgreSQL's, as the locking statement read it.
On failure  The transaction rolls back whole; sent again with its key it takes effect once.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.core.outcome import RefusedError
from sunseo.operators.command import EffectAnswer, OperatorCommands, SentCommand
from sunseo.room.postgres.cold import QUERIES
from sunseo.room.postgres.locked_draw import promise_draw
from sunseo.room.postgres.rows import fields_of
from sunseo.room.setup.changes import (
    Creation,
    RoomAction,
    RoomAsStored,
    RoomSetupOutcome,
    SettingsChange,
    Settled,
    plain,
    refuse_fixed,
    refuse_unreadable,
    settings_of,
    settle,
)
from sunseo.room.setup.fixed import StageFacts, may_be_refused
from sunseo.room.setup.settings import RoomSettings, encode_settings
from sunseo.room.store import RoomRecord


class PostgresSetup:
    """The `SetupStore` of one organisation.

    Args:
        commands: with an urgent way for what cannot wait: to pause, to go on, to close.
    """

    def __init__(self, engine: AsyncEngine, commands: OperatorCommands) -> None:
        self._engine = engine
        self._commands = commands
        self._organisation = commands.organisation

    async def create(self, by: SentCommand, new: Creation) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            room = await self._insert(connection, new)
            details = {"room": room, "name": new.name, "settings": plain(new.sent)}
            await self._record(connection, by, "create_room", new.sale, details)
            await self._promise(connection, by, room, new.settings)
            return {"room": room, "version": 1}

        return await self._commands.once(by, "create_room", work)

    async def change(
        self, by: SentCommand, room: int, change: SettingsChange | RoomAction
    ) -> EffectAnswer:
        is_action = isinstance(change, RoomAction)
        action = change.value if isinstance(change, RoomAction) else "change_room"

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            stored = await self._lock(connection, room)
            settled = settle(change, stored)
            await self._refuse_fixed(connection, room, settled)
            version = await self._write(connection, room, settled)
            await self._record(connection, by, action, stored.sale, {"room": room} | settled.told)
            if not is_action:  # which changes no mode
                await self._promise(connection, by, room, settled.settings)
            return {"room": room, "version": version}

        return await self._commands.once(by, f"{action} {room}", work, urgent=is_action)

    async def reset(self, by: SentCommand, room: int, epoch: int) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            stored = await self._lock(connection, room)
            settings, where = settings_of(stored), self._where(room)
            line = (await connection.execute(QUERIES["lock_line"], where)).one()
            if line.epoch != epoch:
                detail = f"The room is in epoch {line.epoch}."
                raise RefusedError(RoomSetupOutcome.EPOCH_OVER, detail)
            await connection.execute(QUERIES["reset_line"], where | {"capacity": settings.capacity})
            await connection.execute(QUERIES["raise_room_version"], where)
            void = {"room": room, "places": line.issued, "passes": line.live, "epoch": epoch + 1}
            await self._record(connection, by, "reset_room", stored.sale, void)
            await self._promise(connection, by, room, settings)
            return void | {"done": True}

        return await self._commands.once(by, f"reset_room {room}", work)

    async def note_revoked(
        self, by: SentCommand, room: int, sale: int | None, pass_id: UUID
    ) -> None:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            details = {"room": room, "pass_id": str(pass_id)}
            await self._record(connection, by, "revoke_pass", sale, details)
            return {}

        await self._commands.once(by, f"revoke_pass {room} {pass_id}", work)

    async def read(self, room: int | None, *, rooms_max: int) -> list[RoomRecord]:
        where = {"organisation": self._organisation, "room": room, "rows_max": rooms_max}
        async with self._engine.connect() as connection:
            found = await connection.execute(QUERIES["read_rooms"], where)
            return [RoomRecord(**fields_of(row)) for row in found]

    async def _lock(self, connection: AsyncConnection, room: int) -> RoomAsStored:
        """Lock a room's row.

        Raises:
            RefusedError: there is no such room.
        """
        row = (await connection.execute(QUERIES["lock_room"], self._where(room))).first()
        if row is None:
            raise RefusedError(RoomSetupOutcome.UNKNOWN_ROOM)
        return RoomAsStored(row.name, row.sale, row.settings, row.now)

    async def _refuse_fixed(self, connection: AsyncConnection, room: int, settled: Settled) -> None:
        """Look at the line where that can matter, which keeps it as it is until all is written."""
        if not may_be_refused(settled.before, settled.settings):
            return
        where = self._where(room)
        line = (await connection.execute(QUERIES["lock_line"], where)).one()
        draw = await connection.execute(QUERIES["read_draw_state"], where | {"epoch": line.epoch})
        state = draw.scalar_one_or_none()
        refuse_fixed(settled, StageFacts(line.issued, line.entrants, line.sealed, state))

    async def _insert(self, connection: AsyncConnection, new: Creation) -> int:
        added = await connection.execute(
            QUERIES["add_room"],
            {
                "organisation": self._organisation,
                "name": new.name,
                "sale": new.sale,
                "settings": encode_settings(new.settings),
            },
        )
        row = added.one_or_none()
        if row is None:
            raise RefusedError(RoomSetupOutcome.SALE_HAS_ROOM)
        refuse_unreadable(row.settings, row.now, new.sent)
        room: int = row.room
        await connection.execute(
            QUERIES["add_line"], self._where(room) | {"capacity": new.settings.capacity}
        )
        return room

    async def _write(self, connection: AsyncConnection, room: int, settled: Settled) -> int:
        where = self._where(room)
        before, after = settled.before.capacity, settled.settings.capacity
        if before != after:
            await connection.execute(QUERIES["lock_line"], where)
            await connection.execute(
                QUERIES["change_capacity"], where | {"before": before, "after": after}
            )
        settings = encode_settings(settled.settings)
        raised = await connection.execute(
            QUERIES["change_room"], where | {"name": settled.name, "settings": settings}
        )
        row = raised.one()
        refuse_unreadable(row.settings, row.now, settled.sent)
        version: int = row.version
        return version

    async def _promise(
        self, connection: AsyncConnection, by: SentCommand, room: int, settings: RoomSettings
    ) -> None:
        """See that a room that draws has a commitment before anybody can register."""
        if settings.mode == "random":
            await promise_draw(connection, self._organisation, room, by.operator)

    async def _record(
        self,
        connection: AsyncConnection,
        by: SentCommand,
        action: str,
        sale: int | None,
        details: Mapping[str, Any],
    ) -> None:
        await self._commands.record(connection, by.operator, action, sale, dict(details))

    def _where(self, room: int) -> dict[str, Any]:
        return {"organisation": self._organisation, "room": room}
