"""One flush of the room's lane: lock, look up, decide, write, commit.

State       None between batches but the lane's connection and the settings of rooms.
Guarantee   All changes of a batch are committed, or none. Numbers, slots and answers are decided
            in order of arrival while the room's line is locked, so that they are right however
            many workers serve a room.
Clock       PostgreSQL's, read after the last lock; `on_clock` hears every reading.
On failure  The transaction rolls back whole and the error goes to the lane. A room of which the
            settings cannot be read is no failure: its commands are told so, and others go on.
"""

from collections.abc import Callable, Sequence

from sunseo.core.clock import Instant, to_millis
from sunseo.core.later import LaterOutcome
from sunseo.postgres.connection import LaneConnection
from sunseo.room.line.commands import RoomCommand
from sunseo.room.line.line import Line
from sunseo.room.line.rules import RoomAnswer, decide
from sunseo.room.postgres.load import LineLoader
from sunseo.room.postgres.save import save
from sunseo.room.setup.stored import UnreadableSettingsError


class RoomFlush:
    """The `Flush` of a room lane."""

    def __init__(
        self,
        connection: LaneConnection,
        on_clock: Callable[[Instant], None] = lambda _now: None,
    ) -> None:
        self._connection = connection
        self._loader = LineLoader()
        self._on_clock = on_clock

    def abandon(self) -> None:
        self._connection.drop()

    async def __call__(
        self, commands: Sequence[RoomCommand], _turn: object = None
    ) -> Sequence[RoomAnswer]:
        async with self._connection.transaction() as tx:
            lines, now = await self._loader.load(tx, commands)
            if now is None:  # none of these rooms exists
                return [decide(command, None, 0) for command in commands]
            self._on_clock(now)
            now_ms = to_millis(now)
            answers = [_decided(command, lines.get(command.room), now_ms) for command in commands]
            readable = [line for line in lines.values() if isinstance(line, Line)]
            await save(tx, readable, now_ms)
        return answers


def _decided(
    command: RoomCommand, line: Line | UnreadableSettingsError | None, now_ms: int
) -> RoomAnswer:
    if isinstance(line, UnreadableSettingsError):
        return RoomAnswer(LaterOutcome.UNREADABLE)
    return decide(command, line, now_ms)
