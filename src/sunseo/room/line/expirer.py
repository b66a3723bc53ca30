"""Give back the slots of passes whose time has run out.

State       None: the rooms concerned are found anew every turn.
Guarantee   A slot returns once, however many expirers run: the lane decides on the locked line.
            Nobody at the door waits for an expirer, since a batch reclaims before it answers that
            the room is full; it keeps `live` right where nobody is at the door.
Clock       The store's.
On failure  What one turn did not give back, the next one finds again.
"""

import asyncio
from collections.abc import Callable

from sunseo.core.outcome import Outcome
from sunseo.room.line.commands import ExpirePasses, ExpirePassesOutcome
from sunseo.room.store import LeaderStore, LineStore

TURN_PASSES_MAX = 500  # of a room: about one batch, and others are served in between


class PassExpirer:
    """One organisation's, in one process; only the leader's has anything to do."""

    def __init__(
        self,
        organisation: int,
        leader: LeaderStore,
        lines: LineStore,
        is_wanted: Callable[[], bool],
    ) -> None:
        self._organisation = organisation
        self._leader = leader
        self._lines = lines
        self._is_wanted = is_wanted

    async def run_once(self) -> bool:
        """Expire the oldest past-due passes of each room."""
        if not self._is_wanted():
            return False
        due = await self._leader.due_rooms()
        answers = await asyncio.gather(*(self._expire(room) for room in due))
        return any(outcome is ExpirePassesOutcome.EXPIRED for outcome in answers)

    async def _expire(self, room: int) -> Outcome:
        command = ExpirePasses((self._organisation, room), TURN_PASSES_MAX)
        return (await self._lines.submit(command)).result.outcome
