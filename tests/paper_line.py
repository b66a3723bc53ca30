"""A room's line on paper: the real rules on rows in memory, loaded and written as a store does.

`PaperStore` keeps rows between batches and hands rules a line with only the rows that the batch
asks for, so that a rule which reads more than is loaded is found out.
"""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

import msgspec

from sunseo.room.line.commands import (
    Enter,
    ExpirePasses,
    Join,
    PassCommand,
    RoomCommand,
    RoomKey,
    number_of,
)
from sunseo.room.line.line import Line, LineEntrant, LinePass, LinePlace, PassState, RoomTerms
from sunseo.room.line.rules import RoomAnswer, decide
from sunseo.room.setup.schedule import Phase
from sunseo.room.setup.settings import RoomSettings

ROOM: RoomKey = (1, 1)
START_MS = 1_790_000_000_000

K = TypeVar("K")
R = TypeVar("R", bound=msgspec.Struct)


class PaperStore:
    """One room."""

    def __init__(self, settings: RoomSettings | None = None) -> None:
        self.settings = settings or RoomSettings()
        self.phase: Phase = "open"
        self.takes_joins = True
        self.now_ms = START_MS
        self.epoch = 1
        self.issued = self.serving = self.live = self.departed = self.entrants = 0
        self.capacity = self.settings.capacity
        self.sealed = False
        self.places: dict[UUID, LinePlace] = {}
        self.followed: dict[int, int] = {}
        self.registered: dict[UUID, LineEntrant] = {}
        self.passes: dict[int, LinePass] = {}

    def do(self, *commands: RoomCommand) -> list[RoomAnswer]:
        """Decide commands in one batch."""
        line = self._load(commands)
        answers = [decide(command, line, self.now_ms) for command in commands]
        self._save(line)
        return answers

    def ask(self, command: RoomCommand) -> RoomAnswer:
        (answer,) = self.do(command)
        return answer

    def _load(self, commands: Sequence[RoomCommand]) -> Line:
        line = Line(
            key=ROOM,
            epoch=self.epoch,
            issued=self.issued,
            serving=self.serving,
            live=self.live,
            departed=self.departed,
            capacity=self.capacity,
            entrants=self.entrants,
            sealed=self.sealed,
            terms=RoomTerms(self.settings, self.phase, None, self.takes_joins, self.now_ms),
        )
        wants_due = False
        for command in commands:
            if isinstance(command, Join):
                _take(self.places, command.holder, line.places)
                if (place := self.places.get(command.holder)) and place.binding is None:
                    _take(self.passes, place.number, line.passes)
                _take(self.registered, command.holder, line.registered)
            elif isinstance(command, Enter):
                _take(self.passes, command.number, line.passes)
                wants_due = True
            elif isinstance(command, PassCommand):
                _take(self.passes, number_of(command.pass_id), line.passes)
            elif isinstance(command, ExpirePasses):
                wants_due = True
        if wants_due:
            due = [held for held in self.passes.values() if _is_due(held, self.now_ms)]
            due.sort(key=lambda held: (held.slot_until_ms, held.number), reverse=True)
            for held in due:
                line.past_due.append(line.passes.setdefault(held.number, _copy(held)))
        return line

    def _save(self, line: Line) -> None:
        self.issued, self.live, self.departed = line.issued, line.live, line.departed
        self.entrants = line.entrants
        self.places |= {place.holder: place for place in line.new_places}
        self.followed |= line.followed
        self.registered |= {entry.holder: entry for entry in line.new_entrants}
        self.passes |= line.moved_passes


def _take(stored: dict[K, R], key: K, loaded: dict[K, R]) -> None:
    if key in stored:
        loaded[key] = _copy(stored[key])


def _copy(row: R) -> R:
    return msgspec.structs.replace(row)


def _is_due(held: LinePass, now_ms: int) -> bool:
    return held.state is PassState.LIVE and held.slot_until_ms <= now_ms
