"""One flush of the inventory's lane: load, decide, save, commit.

Commands come from several capabilities: booking's own are decided by `rules`, and others join as
participants, so that for instance an order and the seats it sells change in one transaction.

State       None between batches but the lane's connection and its catalogues.
Guarantee   Either all changes of a batch are committed, with one journal row a sale, or none.
            Commands are decided in order of arrival on rows that are locked.
Clock       PostgreSQL's, read after the last lock; `on_clock` hears every reading.
On failure  The transaction rolls back whole and the error goes to the lane.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

from sunseo.booking import load, rules
from sunseo.booking.commands import (
    ExpireHold,
    InventoryCommand,
    PlaceHold,
    PlaceHoldOutcome,
    ReleaseHold,
    RenewHold,
    SaleKey,
)
from sunseo.booking.hall import Hall, NotLoadedError, SaleState
from sunseo.booking.load import HallLoader
from sunseo.booking.rules import AskAgain, HoldAnswer
from sunseo.booking.save import save
from sunseo.core.clock import Instant
from sunseo.core.lane import Defer
from sunseo.core.outcome import Outcome
from sunseo.postgres.connection import LaneConnection, Transaction


class InventoryAnswer(Protocol):
    """What every answer has, whichever capability gave it; the lane's `Later` has it too."""

    @property
    def outcome(self) -> Outcome: ...


S = TypeVar("S")


class Participant(Protocol[S]):
    """A capability whose commands change inventory together with rows of its own."""

    @property
    def commands(self) -> tuple[type[InventoryCommand], ...]: ...

    async def load(self, tx: Transaction, commands: Sequence[InventoryCommand]) -> S:
        """Read its own rows, after all locks of the hall."""
        ...

    def decide(
        self, command: InventoryCommand, sale: SaleState | None, state: S, now: Instant
    ) -> InventoryAnswer | AskAgain: ...

    async def save(self, tx: Transaction, state: S) -> None: ...


_OWN_RULES: Mapping[type[InventoryCommand], Callable[..., HoldAnswer | AskAgain]] = {
    PlaceHold: rules.place_hold,
    RenewHold: rules.renew_hold,
    ReleaseHold: rules.release_hold,
    ExpireHold: rules.expire_hold,
}


class InventoryFlush:
    """The `Flush` of an inventory lane."""

    def __init__(
        self,
        connection: LaneConnection,
        participants: Sequence[Participant[Any]] = (),
        on_clock: Callable[[Instant], None] = lambda _now: None,
    ) -> None:
        self._connection = connection
        self._loader = HallLoader()
        self._participants = participants
        self._on_clock = on_clock

    def abandon(self) -> None:
        self._connection.drop()

    async def __call__(
        self, commands: Sequence[InventoryCommand]
    ) -> Sequence[InventoryAnswer | Defer[InventoryCommand]]:
        async with self._connection.transaction() as tx:
            hall, now = await self._loader.load(tx, commands)
            self._on_clock(now)
            states = [
                await part.load(tx, [c for c in commands if isinstance(c, part.commands)])
                for part in self._participants
            ]
            answers = [self._decide(command, hall, states, now) for command in commands]
            answers = await _reclaim_before_refusing(tx, commands, answers, now)
            await save(tx, hall, now)
            for part, state in zip(self._participants, states, strict=True):
                await part.save(tx, state)
        return [
            _put_off(command, answer) if isinstance(answer, AskAgain) else answer
            for command, answer in zip(commands, answers, strict=True)
        ]

    def _decide(
        self, command: InventoryCommand, hall: Hall, states: Sequence[Any], now: Instant
    ) -> InventoryAnswer | AskAgain:
        sale = hall.sales.get(command.sale)
        if sale is not None and sale.is_stale:
            return AskAgain()
        try:
            if rule := _OWN_RULES.get(type(command)):
                return rule(command, sale, now)
            for part, state in zip(self._participants, states, strict=True):
                if isinstance(command, part.commands):
                    return part.decide(command, sale, state, now)
        except NotLoadedError:
            return AskAgain()
        raise TypeError(f"nobody decides {type(command).__name__}")


async def _reclaim_before_refusing(
    tx: Transaction,
    commands: Sequence[InventoryCommand],
    answers: list[InventoryAnswer | AskAgain],
    now: Instant,
) -> list[InventoryAnswer | AskAgain]:
    """Turn a refusal into another turn where past-due holds are what stands in the way."""
    stocks: dict[tuple[SaleKey, int], None] = {}
    persons: dict[tuple[SaleKey, UUID], None] = {}
    for command, answer in zip(commands, answers, strict=True):
        if isinstance(command, PlaceHold) and isinstance(answer, HoldAnswer):
            if answer.outcome is PlaceHoldOutcome.SOLD_OUT:
                stocks.update(((command.sale, stock), None) for stock in answer.stocks)
            elif answer.outcome is PlaceHoldOutcome.LIMIT_REACHED:
                persons[command.sale, command.person] = None
    if not stocks and not persons:
        return answers

    by_stock = await load.find_past_due_by_stock(tx, stocks, now)
    by_person = await load.find_past_due_by_person(tx, persons, now)
    reconsidered: list[InventoryAnswer | AskAgain] = []
    for command, answer in zip(commands, answers, strict=True):
        past_due: tuple[UUID, ...] = ()
        if isinstance(command, PlaceHold) and isinstance(answer, HoldAnswer):
            if answer.outcome is PlaceHoldOutcome.SOLD_OUT:
                in_stocks = (by_stock.get((command.sale, stock), ()) for stock in answer.stocks)
                past_due = tuple(chain.from_iterable(in_stocks))
            elif answer.outcome is PlaceHoldOutcome.LIMIT_REACHED:
                past_due = by_person.get((command.sale, command.person), ())
        reconsidered.append(AskAgain(reclaim=past_due) if past_due else answer)
    return reconsidered


def _put_off(command: InventoryCommand, ask: AskAgain) -> Defer[InventoryCommand]:
    if isinstance(command, PlaceHold) and ask.reclaim:
        return Defer(msgspec.structs.replace(command, reclaim=ask.reclaim))
    return Defer(command)
