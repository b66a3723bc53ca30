"""The one way in for operators' commands: claimed once, run, audited, answered.

A command takes effect once, however often it is sent. The first transaction with its id owns it;
a second one waits for the first to end and then finds its result.

State       Of each command that took effect its result, for as long as the database keeps it.
Guarantee   Work, its audit entry and its result are one transaction. A refusal out of the work
            undoes all of it, so that the same key may be tried again.
Clock       PostgreSQL's.
On failure  Nothing is in effect, or all of it: the same key tells which.
"""

from collections.abc import Awaitable, Callable
from enum import unique
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.core.clock import Instant
from sunseo.core.ids import Person, effect_id, request_digest
from sunseo.core.outcome import Kind, Outcome, Refusal, RefusedError
from sunseo.operators import audit
from sunseo.postgres.clock import read_clock
from sunseo.postgres.queries import load_cold_queries

OPERATOR_ISSUER = "sunseo:operator"

_QUERIES = load_cold_queries("sunseo.operators")


@unique
class EffectOutcome(Outcome):
    """What every operator's command can be answered."""

    REPLAYED = Kind.REPLAYED, "This was done before; here is its result."
    KEY_REUSED = Kind.CONFLICT, "This Idempotency-Key was used before for a different request."
    DONE = Kind.DONE, "Done."


class Effect(msgspec.Struct, frozen=True):
    """What a command came to: just now, or when it was sent before."""

    outcome: EffectOutcome
    result: dict[str, Any]


EffectAnswer: TypeAlias = Effect | Refusal

Work = Callable[[AsyncConnection], Awaitable[dict[str, Any]]]
"""What a command does in its transaction; a `RefusedError` undoes it."""


class SentCommand(NamedTuple):
    """Who sent a command under which key; the digest tells whether the key was used for another."""

    operator: str
    key: str
    digest: UUID


class By(NamedTuple):
    """Who commands: an operator's key id, and the Idempotency-Key that she sent."""

    operator: str
    key: str

    def sent(self, body: msgspec.Struct | None = None) -> SentCommand:
        """Of what she sent."""
        return SentCommand(self.operator, self.key, request_digest(body))


class OperatorCommands:
    """One organisation's, in one process.

    Args:
        urgent: of what cannot wait until others are done: to stop, and to go on.
    """

    def __init__(
        self, engine: AsyncEngine, organisation: int, urgent: AsyncEngine | None = None
    ) -> None:
        self._engine = engine
        self.organisation = organisation
        self._urgent = urgent or engine

    async def once(
        self,
        by: SentCommand,
        action: str,
        work: Work,
        *,
        sale: int = 0,
        urgent: bool = False,
    ) -> EffectAnswer:
        """Run `work` in a transaction, unless this command was had before; its result is kept.

        `action` is the command's verb, and with it whatever it is about beyond what was sent;
        `sale` is the one it concerns, or 0 where there is none.
        """
        person = Person.named(self.organisation, OPERATOR_ISSUER, by.operator)
        effect = effect_id(person, sale, action, by.key)
        try:
            async with (self._urgent if urgent else self._engine).begin() as connection:
                return await self._claim(connection, effect, by.digest, work)
        except RefusedError as refused:
            return refused.refusal

    async def record(
        self,
        connection: AsyncConnection,
        operator: str,
        action: str,
        sale: int | None,
        details: dict[str, Any],
        *,
        now: Instant | None = None,
    ) -> None:
        """Put into the audit log what the transaction does; last, since other writers wait."""
        await audit.append(
            connection,
            self.organisation,
            actor=operator,
            action=action,
            sale=sale,
            details=details,
            now=now or await read_clock(connection),
        )

    async def _claim(
        self, connection: AsyncConnection, effect: UUID, request_digest: UUID, work: Work
    ) -> EffectAnswer:
        named = {"organisation": self.organisation, "effect": effect}
        claimed = await connection.execute(
            _QUERIES["claim_effect"], named | {"request_digest": request_digest}
        )
        if claimed.first() is None:
            found = (await connection.execute(_QUERIES["find_effect"], named)).one()
            if found.request_digest != request_digest:
                return Refusal(EffectOutcome.KEY_REUSED)
            return Effect(EffectOutcome.REPLAYED, found.result)
        result = await work(connection)
        await connection.execute(
            _QUERIES["finish_effect"], named | {"result": msgspec.json.encode(result).decode()}
        )
        return Effect(EffectOutcome.DONE, result)
