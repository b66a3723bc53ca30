"""The rooms' store on PostgreSQL: all roles, each on the connections that it should wait for."""

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.room.postgres.draws import PostgresDraws
from sunseo.room.postgres.leader import PostgresLeader
from sunseo.room.postgres.setup import PostgresSetup
from sunseo.room.postgres.signals import PostgresSignals
from sunseo.room.store import LineStore, RoomStore


def postgres_store(
    organisation: int,
    lines: LineStore,
    *,
    cold: AsyncEngine,
    urgent: AsyncEngine,
    rooms: AsyncEngine,
) -> RoomStore:
    """All roles for one organisation.

    Args:
        organisation: whose rooms they are.
        lines: lanes whose flushes are `RoomFlush`.
        cold: for operators, shared with the rest of the house.
        urgent: for operators who stop a room or let it go on.
        rooms: of boards and the leader alone.
    """
    return RoomStore(
        lines=lines,
        leader=PostgresLeader(rooms, organisation),
        signals=PostgresSignals(cold, rooms, organisation),
        setup=PostgresSetup(cold, urgent, organisation),
        draws=PostgresDraws(cold, organisation),
    )
