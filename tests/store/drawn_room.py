"""A room in random mode with its draw, on a real database."""

import io
from contextlib import aclosing
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.core.outcome import Outcome
from sunseo.drawcheck.verifier import DrawVerdict, Notes, verify
from sunseo.operators.command import By, OperatorCommands
from sunseo.room.draw.bodies import DrawStatus, NewCommitment, Reveal, Withholding
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.draw.rules import commitment_of
from sunseo.room.line.commands import RoomKey
from sunseo.room.postgres.draws import PostgresDraws
from tests.store.lobby import ORGANISATION, Lobby

SECRET = bytes(range(32))


class DrawnRoom:
    """One room in random mode with its draw."""

    def __init__(self, lobby: Lobby, engine: AsyncEngine, key: RoomKey) -> None:
        self.lobby = lobby
        self.engine = engine
        self.key = key
        self.room = key[1]
        self.store = PostgresDraws(engine, OperatorCommands(engine, ORGANISATION))
        self._steps = 0

    async def commit(self, secret: bytes = SECRET, *, independent: bool = True) -> Outcome:
        body = NewCommitment(commitment_of(secret).hex(), "A notary", independent)
        return (await self.store.commit(By("ann", self._key()), self.room, body)).outcome

    async def seal(self) -> Outcome:
        return (await self.store.seal(By("ann", self._key()), self.room)).outcome

    async def reveal(self, secret: bytes = SECRET) -> Outcome:
        return (
            await self.store.reveal(By("ann", self._key()), self.room, Reveal(secret.hex()))
        ).outcome

    async def withhold(self) -> Outcome:
        body = Withholding("The notary cannot be reached")
        return (await self.store.withhold(By("ann", self._key()), self.room, body)).outcome

    async def status(self) -> DrawStatus:
        found = await self.store.status(self.room)
        assert isinstance(found, DrawStatus)
        return found

    async def file(self) -> bytes:
        chunks = await self.store.publish(self.room)
        assert not isinstance(chunks, DrawOutcome)
        async with aclosing(chunks):
            return b"".join([chunk async for chunk in chunks])

    async def check(self, notes: Notes | None = None) -> DrawVerdict:
        return verify(io.BytesIO(await self.file()), notes)

    async def everything(self) -> list[Any]:
        """All that a step could have moved."""
        kept: list[Any] = list(await self.lobby.snapshot(self.key))
        for table in ("room_draws", "audit_log", "operator_effects"):
            kept += await self.lobby.rows(f"SELECT * FROM {table} ORDER BY {table}")  # noqa: S608 - from above
        return kept

    def _key(self) -> str:
        self._steps += 1
        return f"step {self._steps}"
