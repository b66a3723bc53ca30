"""Signals on PostgreSQL: one row a source."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.room.postgres.cold import QUERIES
from sunseo.room.store import SignalOutcome, SourceSignal

_encode = msgspec.json.Encoder().encode


class PostgresSignals:
    """The `SignalStore` of one organisation.

    Args:
        cold: on which signals are taken; whoever waits for it waits as operators do.
        rooms: on which the leader hears them.
    """

    def __init__(self, cold: AsyncEngine, rooms: AsyncEngine, organisation: int) -> None:
        self._cold = cold
        self._rooms = rooms
        self._organisation = organisation

    async def take(
        self, signal: SourceSignal, *, sources_max: int, silent_s: float
    ) -> SignalOutcome:
        where = {"organisation": self._organisation, "room": signal.room}
        async with self._cold.begin() as connection:
            # The lock lets signals of one room take turns, so that the bound on sources holds.
            if (await connection.execute(QUERIES["lock_room"], where)).first() is None:
                return SignalOutcome.UNKNOWN_ROOM
            await connection.execute(QUERIES["forget_signals"], where | {"silent_s": silent_s})
            taken = await connection.execute(
                QUERIES["take_signal"],
                where
                | {
                    "source": signal.source,
                    "measured": signal.measured,
                    "target": signal.target,
                    "sources_max": sources_max,
                },
            )
            if taken.first() is None:
                return SignalOutcome.TOO_MANY_SOURCES
        return SignalOutcome.SIGNAL_TAKEN

    async def tell(self, signals: Sequence[SourceSignal]) -> None:
        told = {"organisation": self._organisation, "signals": _encode(signals).decode()}
        async with self._cold.begin() as connection:
            await connection.execute(QUERIES["tell_worker_signals"], told)

    async def heard(self, fresh_s: float) -> list[SourceSignal]:
        where = {"organisation": self._organisation, "fresh_s": fresh_s}
        async with self._rooms.connect() as connection:
            found = await connection.execute(QUERIES["read_signals"], where)
            return [SourceSignal(row.room, row.source, row.measured, row.target) for row in found]

    async def reach(self) -> None:
        async with self._cold.connect():
            pass
