"""Operators' commands take effect once, however often they are sent.

The first transaction with an effect's id owns it; a second one waits for the first to end and
then finds its result.
"""

from collections.abc import Awaitable, Callable, Mapping
from enum import unique
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.core.outcome import Kind, Outcome
from sunseo.postgres.queries import load_cold_queries

_QUERIES = load_cold_queries("sunseo.operators")


@unique
class EffectOutcome(Outcome):
    """What every operator's command can be answered."""

    REPLAYED = Kind.REPLAYED, "This was done before; here is its result."
    KEY_REUSED = Kind.CONFLICT, "This Idempotency-Key was used before for a different request."
    DONE = Kind.DONE, "Done."


class Refused(Exception):  # noqa: N818 - not an error: it rolls the transaction back with its answer
    """Raised inside the work to undo it and answer with a refusal.

    `extra` are members for the problem document, for instance the seats in question.
    """

    def __init__(
        self, outcome: Outcome, detail: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail or outcome.sentence)
        self.outcome = outcome
        self.detail = detail
        self.extra = extra or {}


class EffectAnswer(msgspec.Struct, frozen=True):
    outcome: Outcome
    result: dict[str, Any] | None = None
    detail: str | None = None
    extra: Mapping[str, Any] = {}


Work = Callable[[AsyncConnection], Awaitable[dict[str, Any]]]


async def once(
    engine: AsyncEngine, organisation: int, effect: UUID, request_digest: UUID, work: Work
) -> EffectAnswer:
    """Run `work` in a transaction, unless this effect was had before; its result is kept."""
    named = {"organisation": organisation, "effect": effect}
    try:
        async with engine.begin() as connection:
            claimed = await connection.execute(
                _QUERIES["claim_effect"], named | {"request_digest": request_digest}
            )
            if claimed.first() is None:
                found = (await connection.execute(_QUERIES["find_effect"], named)).one()
                if found.request_digest != request_digest:
                    return EffectAnswer(EffectOutcome.KEY_REUSED)
                return EffectAnswer(EffectOutcome.REPLAYED, found.result)

            result = await work(connection)
            await connection.execute(
                _QUERIES["finish_effect"], named | {"result": msgspec.json.encode(result).decode()}
            )
    except Refused as refused:
        return EffectAnswer(refused.outcome, detail=refused.detail, extra=refused.extra)
    return EffectAnswer(EffectOutcome.DONE, result)
