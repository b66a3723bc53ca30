"""Operators' changes to rooms: cold, rare, audited, and in force on every worker at its next tick.

Guarantee   What the store is asked to do is complete: told apart from other requests by its digest,
            and checked as far as that can be done without the room.
On failure  Nothing was done, or all of it; sent again with its key it takes effect once.
"""

from collections.abc import Awaitable, Callable

import msgspec

from sunseo.core.outcome import Refusal
from sunseo.operators.command import By, Effect, EffectAnswer, EffectOutcome
from sunseo.room.setup.changes import (
    Creation,
    RoomAction,
    RoomSetupOutcome,
    SettingsChange,
    changed,
    refuse_strangers,
)
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.setup.setup_bodies import NewRoom, ResetRoom, RoomChange, told
from sunseo.room.store import SetupStore

SaleExists = Callable[[int], Awaitable[bool]]


class RoomSetup:
    """What operators can do to rooms.

    Args:
        sale_exists: whether the organisation has such a sale.
    """

    def __init__(self, store: SetupStore, sale_exists: SaleExists) -> None:
        self._store = store
        self._sale_exists = sale_exists

    async def create(self, by: By, body: NewRoom) -> EffectAnswer:
        if body.sale is not None and not await self._sale_exists(body.sale):
            return Refusal(RoomSetupOutcome.UNKNOWN_ROOM_SALE)
        sent = told(body.settings)
        if body.sale is not None:  # a sale sells to persons
            sent.setdefault("holders", "persons")
        settings = changed(RoomSettings(), sent)
        refuse_strangers(body.sale, settings)
        new = Creation(body.name, body.sale, settings, sent)
        return await self._store.create(by.sent(body), new)

    async def change(self, by: By, room: int, body: RoomChange) -> EffectAnswer:
        name = None if isinstance(body.name, msgspec.UnsetType) else body.name
        change = SettingsChange(name, told(body.settings))
        return await self._store.change(by.sent(body), room, change)

    async def pause(self, by: By, room: int) -> EffectAnswer:
        return await self._store.change(by.sent(), room, RoomAction.PAUSE)

    async def resume(self, by: By, room: int) -> EffectAnswer:
        return await self._store.change(by.sent(), room, RoomAction.RESUME)

    async def close(self, by: By, room: int) -> EffectAnswer:
        return await self._store.change(by.sent(), room, RoomAction.CLOSE)

    async def reset(self, by: By, room: int, body: ResetRoom) -> EffectAnswer:
        """Begin a new epoch, which makes all places and passes of the old one void."""
        if body.dry_run:
            return await self._try_reset(room, body)
        return await self._store.reset(by.sent(body), room, body.epoch)

    async def _try_reset(self, room: int, body: ResetRoom) -> EffectAnswer:
        for found in await self._store.read(room, rooms_max=1):
            if found.epoch != body.epoch:
                detail = f"The room is in epoch {found.epoch}."
                return Refusal(RoomSetupOutcome.EPOCH_OVER, detail)
            void = {"room": room, "places": found.issued, "passes": found.live}
            return Effect(EffectOutcome.DONE, void | {"epoch": found.epoch, "done": False})
        return Refusal(RoomSetupOutcome.UNKNOWN_ROOM)
