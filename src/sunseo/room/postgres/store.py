"""The rooms' store on PostgreSQL: all roles, each on the connections that it should wait for."""

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.operators.command import OperatorCommands
from sunseo.room.postgres.board import PostgresBoard
from sunseo.room.postgres.draws import PostgresDraws
from sunseo.room.postgres.leader import PostgresLeader
from sunseo.room.postgres.setup import PostgresSetup
from sunseo.room.postgres.signals import PostgresSignals
from sunseo.room.store import LineStore, RoomStore


def postgres_store(
    lines: LineStore,
    *,
    cold: AsyncEngine,
    commands: OperatorCommands,
    rooms: AsyncEngine,
) -> RoomStore:
    """All roles for one organisation.

    Args:
        lines: lanes whose flushes are `RoomFlush`.
        cold: for operators, shared with the rest of the house.
        commands: of operators.
        rooms: of boards and the leader alone.
    """
    organisation = commands.organisation
    return RoomStore(
        lines=lines,
        board=PostgresBoard(rooms, organisation),
        leader=PostgresLeader(rooms, organisation),
        signals=PostgresSignals(cold, rooms, organisation),
        setup=PostgresSetup(cold, commands),
        draws=PostgresDraws(cold, commands),
    )
