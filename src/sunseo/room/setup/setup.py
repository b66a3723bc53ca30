"""Operators' changes to rooms: cold, rare, audited, and in force on every worker at its next tick.

Guarantee   Changes of one room take turns on its row. What touches its line locks that after the
            room, as all who lock both do. Workers notice a change by the room's version. Settings
            are read back out of the row before they are committed, in the way that all others
            read them, so that a change which nobody could read is undone and refused.
On failure  The transaction rolls back whole; sent again with its key it takes effect once.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import unique
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.core.clock import Instant
from sunseo.core.ids import Person, effect_id, request_digest
from sunseo.core.outcome import Kind, Outcome
from sunseo.operators import audit
from sunseo.operators.effects import EffectAnswer, EffectOutcome, Refused, Work, once
from sunseo.postgres.clock import read_clock
from sunseo.room.draw.locked import promise_draw
from sunseo.room.postgres.cold import QUERIES
from sunseo.room.postgres.stored import UnreadableSettingsError, mended_settings, read_settings
from sunseo.room.setup.fixed import StageFacts, may_be_refused, refuse_change, stage_of
from sunseo.room.setup.settings import RoomSettings, changed_settings, encode_settings
from sunseo.room.setup.setup_bodies import NewRoom, ResetRoom, RoomChange, told
from sunseo.web.problems import INVALID_FIELD, ProblemError

OPERATOR_ISSUER = "sunseo:operator"


@unique
class RoomSetupOutcome(Outcome):
    """What operators of rooms can be answered besides `EffectOutcome`."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    UNKNOWN_ROOM_SALE = Kind.ABSENT, "There is no such sale for the room."
    SALE_HAS_ROOM = Kind.CONFLICT, "The sale has a room already."
    EPOCH_OVER = Kind.CONFLICT, "The epoch that was named is not the one that counts now."
    SETTING_FIXED = Kind.CONFLICT, "People in line rely on this setting, so that it stays."
    ROOM_UNREADABLE = Kind.CONFLICT, "What is stored of the room cannot be read."


ROOM_SETUP_OUTCOMES: tuple[Outcome, ...] = (*EffectOutcome, *RoomSetupOutcome)

UNLIKELY: dict[str, Any] = {"mode": "closed", "holders": "anyone"}
"""Taken as set before where that cannot be read: whatever is sent then counts as a change."""

SaleExists = Callable[[int], Awaitable[bool]]
Change = Callable[[RoomSettings, Instant], RoomSettings]


class LockedRoom(msgspec.Struct, frozen=True):
    """A room's row, locked."""

    room: int
    name: str
    sale: int | None
    version: int
    settings: RoomSettings
    now: Instant


class RoomSetup:
    """What operators can do to rooms; one organisation's, by one process.

    Args:
        sale_exists: whether the organisation has such a sale.
        urgent: of what cannot wait until others are done: to pause, to go on, to close.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        organisation: int,
        sale_exists: SaleExists,
        urgent: AsyncEngine | None = None,
    ) -> None:
        self._engine = engine
        self._organisation = organisation
        self._sale_exists = sale_exists
        self._urgent = urgent or engine

    async def create(self, operator: str, key: str, body: NewRoom) -> EffectAnswer:
        if body.sale is not None and not await self._sale_exists(body.sale):
            return EffectAnswer(RoomSetupOutcome.UNKNOWN_ROOM_SALE)
        changes = told(body.settings)
        if body.sale is not None:  # a sale sells to persons
            changes.setdefault("holders", "persons")
        settings = changed(RoomSettings(), changes)
        refuse_strangers(body.sale, settings)

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            room = await self._insert(connection, body, settings, changes)
            details = {"room": room, "name": body.name, "settings": _plain(changes)}
            await self._record(connection, operator, "create_room", body.sale, details)
            await self._promise(connection, operator, room, settings)
            return {"room": room, "version": 1}

        return await self._once((operator, key), "create_room", body, work)

    async def change(self, operator: str, key: str, room: int, body: RoomChange) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            changes = told(body.settings)
            locked = await self.lock(connection, room, changes)
            name = locked.name if isinstance(body.name, msgspec.UnsetType) else body.name
            settings = changed(locked.settings, changes)
            refuse_strangers(locked.sale, settings)
            await self._refuse_fixed(connection, locked, settings)
            version = await self._write(connection, locked, name, settings, changes)
            details = {"room": room, "name": name, "settings": _plain(changes)}
            await self._record(connection, operator, "change_room", locked.sale, details)
            await self._promise(connection, operator, room, settings)
            return {"room": room, "version": version}

        return await self._once((operator, key), f"change_room {room}", body, work)

    async def pause(self, operator: str, key: str, room: int) -> EffectAnswer:
        return await self._settle((operator, key), room, "pause_room", _paused)

    async def resume(self, operator: str, key: str, room: int) -> EffectAnswer:
        return await self._settle((operator, key), room, "resume_room", _resumed)

    async def close(self, operator: str, key: str, room: int) -> EffectAnswer:
        return await self._settle((operator, key), room, "close_room", _closed)

    async def reset(self, operator: str, key: str, room: int, body: ResetRoom) -> EffectAnswer:
        """Begin a new epoch, which makes all places and passes of the old one void."""
        if body.dry_run:
            return await self._try_reset(room, body)

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self.lock(connection, room)
            where = self._where(room)
            line = (await connection.execute(QUERIES["lock_line"], where)).one()
            if line.epoch != body.epoch:
                raise Refused(RoomSetupOutcome.EPOCH_OVER, f"The room is in epoch {line.epoch}.")
            await connection.execute(
                QUERIES["reset_line"], where | {"capacity": locked.settings.capacity}
            )
            await connection.execute(QUERIES["raise_room_version"], where)
            void = {"room": room, "places": line.issued, "passes": line.live}
            epoch = line.epoch + 1
            await self._record(
                connection, operator, "reset_room", locked.sale, void | {"epoch": epoch}
            )
            await self._promise(connection, operator, room, locked.settings)
            return void | {"epoch": epoch, "done": True}

        return await self._once((operator, key), f"reset_room {room}", body, work)

    async def lock(
        self, connection: AsyncConnection, room: int, mending: dict[str, Any] | None = None
    ) -> LockedRoom:
        """Lock a room's row; what cannot be read of its settings, `mending` may replace.

        Raises:
            Refused: there is no such room, or it cannot be read.
        """
        row = (await connection.execute(QUERIES["lock_room"], self._where(room))).first()
        if row is None:
            raise Refused(RoomSetupOutcome.UNKNOWN_ROOM)
        settings = _settings_of(row, mending or {})
        return LockedRoom(row.room, row.name, row.sale, row.version, settings, row.now)

    async def _promise(
        self, connection: AsyncConnection, operator: str, room: int, settings: RoomSettings
    ) -> None:
        """See that a room that draws has a commitment before anybody can register."""
        if settings.mode == "random":
            await promise_draw(connection, self._organisation, room, operator)

    async def _settle(
        self, by: tuple[str, str], room: int, action: str, change: Change
    ) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            locked = await self.lock(connection, room)
            settings = change(locked.settings, locked.now)
            version = await self._write(connection, locked, locked.name, settings, {})
            await self._record(connection, by[0], action, locked.sale, {"room": room})
            return {"room": room, "version": version}

        return await self._once(by, f"{action} {room}", None, work, engine=self._urgent)

    async def _refuse_fixed(
        self, connection: AsyncConnection, locked: LockedRoom, settings: RoomSettings
    ) -> None:
        """See that people in line keep what they were promised.

        Raises:
            Refused: a setting that they rely on would change.
        """
        if not may_be_refused(locked.settings, settings):
            return
        where = self._where(locked.room)
        line = (await connection.execute(QUERIES["lock_line"], where)).one()
        draw = await connection.execute(QUERIES["read_draw_state"], where | {"epoch": line.epoch})
        standing = StageFacts(line.issued, line.entrants, line.sealed, draw.scalar_one_or_none())
        refusal = refuse_change(locked.settings, settings, stage_of(standing))
        if refusal is not None:
            raise Refused(RoomSetupOutcome.SETTING_FIXED, f"{refusal.why} {refusal.instead}")

    async def _insert(
        self,
        connection: AsyncConnection,
        body: NewRoom,
        settings: RoomSettings,
        changes: dict[str, Any],
    ) -> int:
        added = await connection.execute(
            QUERIES["add_room"],
            {
                "organisation": self._organisation,
                "name": body.name,
                "sale": body.sale,
                "settings": encode_settings(settings),
            },
        )
        row = added.one_or_none()
        if row is None:
            raise Refused(RoomSetupOutcome.SALE_HAS_ROOM)
        refuse_unreadable(row, changes)
        room: int = row.room
        await connection.execute(
            QUERIES["add_line"], self._where(room) | {"capacity": settings.capacity}
        )
        return room

    async def _write(
        self,
        connection: AsyncConnection,
        locked: LockedRoom,
        name: str,
        settings: RoomSettings,
        changes: dict[str, Any],
    ) -> int:
        where = self._where(locked.room)
        before, after = locked.settings.capacity, settings.capacity
        if before != after:
            await connection.execute(QUERIES["lock_line"], where)
            await connection.execute(
                QUERIES["change_capacity"], where | {"before": before, "after": after}
            )
        raised = await connection.execute(
            QUERIES["change_room"], where | {"name": name, "settings": encode_settings(settings)}
        )
        row = raised.one()
        refuse_unreadable(row, changes)
        version: int = row.version
        return version

    async def _try_reset(self, room: int, body: ResetRoom) -> EffectAnswer:
        async with self._engine.connect() as connection:
            found = await connection.execute(
                QUERIES["read_rooms"], self._where(room) | {"rows_max": 1}
            )
            row = found.first()
        if row is None:
            return EffectAnswer(RoomSetupOutcome.UNKNOWN_ROOM)
        if row.epoch != body.epoch:
            detail = f"The room is in epoch {row.epoch}."
            return EffectAnswer(RoomSetupOutcome.EPOCH_OVER, detail=detail)
        void = {"room": room, "places": row.issued, "passes": row.live}
        return EffectAnswer(EffectOutcome.DONE, void | {"epoch": row.epoch, "done": False})

    async def _once(
        self,
        by: tuple[str, str],
        action: str,
        body: msgspec.Struct | None,
        work: Work,
        *,
        engine: AsyncEngine | None = None,
    ) -> EffectAnswer:
        operator, key = by
        person = Person.named(self._organisation, OPERATOR_ISSUER, operator)
        effect, digest = effect_id(person, 0, action, key), request_digest(body)
        return await once(engine or self._engine, self._organisation, effect, digest, work)

    async def _record(
        self,
        connection: AsyncConnection,
        operator: str,
        action: str,
        sale: int | None,
        details: dict[str, Any],
    ) -> None:
        await audit.append(
            connection,
            self._organisation,
            actor=operator,
            action=action,
            sale=sale,
            details=details,
            now=await read_clock(connection),
        )

    def _where(self, room: int) -> dict[str, Any]:
        return {"organisation": self._organisation, "room": room}


def changed(settings: RoomSettings, changes: dict[str, Any]) -> RoomSettings:
    """Settings with some fields changed.

    Raises:
        ProblemError: a value contradicts another.
    """
    try:
        return changed_settings(settings, changes)
    except ValueError as error:
        rule = str(error)
        raise ProblemError(
            INVALID_FIELD,
            f"Of the settings, {rule}.",
            field=f"settings.{_at_fault(rule, changes)}",
            expected=rule,
        ) from None


def _at_fault(rule: str, changes: dict[str, Any]) -> str:
    """Of the settings that a rule names, the first that was sent: only that can be wrong."""
    named: list[str] = re.findall(r"[a-z][a-z_]*(?:\[[0-9]+\])?", rule)
    return next((name for name in named if name.partition("[")[0] in changes), named[0])


def refuse_unreadable(row: Any, changes: dict[str, Any]) -> None:
    """Read settings back as they stand in the row, before they are committed.

    Raises:
        ProblemError: nobody could read them; the field is one of those that were sent.
    """
    try:
        read_settings(row.settings, row.now)
    except UnreadableSettingsError as error:
        field = error.field if error.field != "settings" else _only(changes)
        raise ProblemError(
            INVALID_FIELD,
            f"Settings would be stored that cannot be read: {error}.",
            field=field,
            expected="a setting that can be read back",
        ) from None


def _settings_of(row: Any, mending: dict[str, Any]) -> RoomSettings:
    """The settings of a locked row.

    Raises:
        Refused: they cannot be read, not even with what is sent to mend them.
    """
    try:
        return read_settings(row.settings, row.now)
    except UnreadableSettingsError:
        pass
    kept = {name: value for name, value in mending.items() if name not in UNLIKELY}
    try:
        return mended_settings(row.settings, kept, row.now)
    except UnreadableSettingsError:
        pass
    try:
        mended = mended_settings(row.settings, mending, row.now)
    except UnreadableSettingsError as error:
        detail = f"{error}. Send this setting anew, or null for its default."
        raise Refused(RoomSetupOutcome.ROOM_UNREADABLE, detail) from None
    return msgspec.structs.replace(mended, **UNLIKELY)


def _only(changes: dict[str, Any]) -> str:
    """The field at fault where but one was sent."""
    return f"settings.{next(iter(changes))}" if len(changes) == 1 else "settings"


def refuse_strangers(sale: int | None, settings: RoomSettings) -> None:
    """See that nobody queues up for a sale in which her pass could book nothing.

    Raises:
        ProblemError: the room is a sale's, and takes holders who are no persons.
    """
    if sale is not None and settings.holders == "anyone":
        raise ProblemError(
            INVALID_FIELD,
            "A sale sells to persons, so that a pass of anyone else would be worth nothing.",
            field="settings.holders",
            expected="persons or accounts in the room of a sale",
        )


def _paused(settings: RoomSettings, _now: Instant) -> RoomSettings:
    return msgspec.structs.replace(settings, paused=True)


def _resumed(settings: RoomSettings, _now: Instant) -> RoomSettings:
    return msgspec.structs.replace(settings, paused=False)


def _closed(settings: RoomSettings, now: Instant) -> RoomSettings:
    """Take no more joins from now on; whoever is in line is still served."""
    opens_at = settings.opens_at
    if opens_at is not None and opens_at >= now:
        opens_at = now - timedelta(seconds=1)
    return msgspec.structs.replace(settings, opens_at=opens_at, closes_at=now)


def _plain(changes: dict[str, Any]) -> Any:
    """As JSON has it, for the audit log."""
    return msgspec.to_builtins(changes)
