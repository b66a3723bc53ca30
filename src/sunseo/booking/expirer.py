"""Return the units of holds whose time has run out.

State       One process of an organisation expires, by a lease; the others find it taken. Expiry
            itself is data, and the past-due holds are found anew every turn.
Guarantee   It only submits commands. A unit returns at most once, however many expirers run: the
            lane decides under the sale's lock. Buyers need not wait for an expirer, since a batch
            reclaims what is in its way; an expirer keeps the journal, and so everybody's view,
            close behind the clock.
Clock       PostgreSQL's.
On failure  What one turn did not expire, the next one finds again. After an expirer was killed the
            next one begins when its lease has ended.
"""

import asyncio
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.booking.commands import ExpireHold, ExpireHoldOutcome
from sunseo.booking.setup.setup import QUERIES
from sunseo.engine.lanes import EngineLanes
from sunseo.postgres.lease import Lease

ROLE = "expirer"
TURN_HOLDS_MAX = 500  # about one batch: a mass expiry shall not crowd buyers out of the lane


class Expirer:
    """One organisation's, in one process."""

    def __init__(
        self,
        engine: AsyncEngine,
        organisation: int,
        lanes: EngineLanes,
        on_turn: Callable[[int, float], None] = lambda _expired, _late_s: None,
    ) -> None:
        """`on_turn` is told how many were expired, and how late the oldest of them was."""
        self._engine = engine
        self._organisation = organisation
        self._lanes = lanes
        self._on_turn = on_turn
        self._lease = Lease(organisation, ROLE)

    async def run_once(self) -> bool:
        """Expire the oldest past-due holds; returns whether there may be more."""
        async with self._engine.begin() as connection:
            if not await self._lease.hold(connection):
                return False
            found = await connection.execute(
                QUERIES["find_past_due"],
                {"organisation": self._organisation, "rows_max": TURN_HOLDS_MAX},
            )
            past_due = found.all()
        answers = await asyncio.gather(
            *(
                self._lanes.submit(ExpireHold((self._organisation, row.sale), row.hold))
                for row in past_due
            )
        )
        expired = sum(answer.result.outcome is ExpireHoldOutcome.EXPIRED for answer in answers)
        self._on_turn(expired, past_due[0].late_s if past_due else 0.0)
        return len(past_due) == TURN_HOLDS_MAX

    async def leave(self) -> None:
        """Let another process go on at once."""
        async with self._engine.begin() as connection:
            await self._lease.drop(connection)
