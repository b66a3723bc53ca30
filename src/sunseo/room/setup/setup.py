"""Operators' changes to rooms: cold, rare, audited, and in force on every worker at its next tick.

Guarantee   What the store is asked to do is complete: told apart from other requests by its digest,
            and checked as far as that can be done without the room.
On failure  Nothing was done, or all of it; sent again with its key it takes effect once.
"""

from collections.abc import Awaitable, Callable

import msgspec

from sunseo.core.ids import request_digest
from sunseo.operators.effects import EffectAnswer, EffectOutcome
from sunseo.room.setup.changes import (
    Change,
    Creation,
    Order,
    RoomAction,
    RoomSetupOutcome,
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

    async def create(self, operator: str, key: str, body: NewRoom) -> EffectAnswer:
        if body.sale is not None and not await self._sale_exists(body.sale):
            return EffectAnswer(RoomSetupOutcome.UNKNOWN_ROOM_SALE)
        sent = told(body.settings)
        if body.sale is not None:  # a sale sells to persons
            sent.setdefault("holders", "persons")
        settings = changed(RoomSettings(), sent)
        refuse_strangers(body.sale, settings)
        new = Creation(body.name, body.sale, settings, sent)
        return await self._store.create(_order(operator, key, body), new)

    async def change(self, operator: str, key: str, room: int, body: RoomChange) -> EffectAnswer:
        name = None if isinstance(body.name, msgspec.UnsetType) else body.name
        change = Change(name, told(body.settings))
        return await self._store.change(_order(operator, key, body), room, change)

    async def pause(self, operator: str, key: str, room: int) -> EffectAnswer:
        return await self._store.change(_order(operator, key), room, RoomAction.PAUSE)

    async def resume(self, operator: str, key: str, room: int) -> EffectAnswer:
        return await self._store.change(_order(operator, key), room, RoomAction.RESUME)

    async def close(self, operator: str, key: str, room: int) -> EffectAnswer:
        return await self._store.change(_order(operator, key), room, RoomAction.CLOSE)

    async def reset(self, operator: str, key: str, room: int, body: ResetRoom) -> EffectAnswer:
        """Begin a new epoch, which makes all places and passes of the old one void."""
        if body.dry_run:
            return await self._try_reset(room, body)
        return await self._store.reset(_order(operator, key, body), room, body.epoch)

    async def _try_reset(self, room: int, body: ResetRoom) -> EffectAnswer:
        for found in await self._store.read(room, rooms_max=1):
            if found.epoch != body.epoch:
                detail = f"The room is in epoch {found.epoch}."
                return EffectAnswer(RoomSetupOutcome.EPOCH_OVER, detail=detail)
            void = {"room": room, "places": found.issued, "passes": found.live}
            return EffectAnswer(EffectOutcome.DONE, void | {"epoch": found.epoch, "done": False})
        return EffectAnswer(RoomSetupOutcome.UNKNOWN_ROOM)


def _order(operator: str, key: str, body: msgspec.Struct | None = None) -> Order:
    return Order(operator, key, request_digest(body))
