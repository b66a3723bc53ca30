"""Invented parts on invented streams: tills, which have a floor, and stalls.

A transfer moves coins from a till to a stall; an errand is told only when it is read to which
other stall it goes on. Whatever happens is noted by the stream, in the order of the versions.
"""

from collections.abc import Iterable, Sequence
from enum import unique
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from sunseo.core.clock import Instant
from sunseo.core.outcome import Kind, Outcome
from sunseo.engine.batch import BatchFlush
from sunseo.engine.part import AskAgain, Batch, Command, PartAnswer, Read, Share, Write
from sunseo.engine.streams import Stream, StreamKind
from sunseo.postgres.locks import Lockable
from sunseo.postgres.pipelined.arrays import array_of
from sunseo.postgres.pipelined.statements import Columns, Sessions, Statement, take

SCHEMA = """
    CREATE TABLE tills (number bigint PRIMARY KEY, version bigint NOT NULL DEFAULT 0,
        coins bigint NOT NULL CONSTRAINT tills_floor CHECK (coins >= 0));
    CREATE TABLE stalls (number bigint PRIMARY KEY, version bigint NOT NULL DEFAULT 0,
        coins bigint NOT NULL DEFAULT 0, leads_to bigint);
    CREATE TABLE notes (effect uuid PRIMARY KEY, stall bigint NOT NULL, place bigint NOT NULL,
        UNIQUE (stall, place));
"""


def _lock(table: str) -> str:
    return f"""/* lock_{table} */
        SELECT asked.organisation, asked.number, r.version, r.coins, r.version IS NULL
            AND EXISTS (SELECT FROM {table} AS t WHERE t.number = asked.number) AS is_locked
        FROM (SELECT keys.* FROM unnest($1::text::integer[], $2::text::bigint[])
            AS keys (organisation, number) ORDER BY keys.number) AS asked
        LEFT JOIN LATERAL (SELECT t.* FROM {table} AS t WHERE t.number = asked.number
            FOR NO KEY UPDATE SKIP LOCKED) AS r ON true"""  # noqa: S608 - two names from here


def _raise(table: str) -> str:
    return f"""/* raise_{table} */
        UPDATE {table} AS t SET version = given.version
        FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::bigint[])
            AS given (organisation, number, version)
        WHERE t.number = given.number"""  # noqa: S608 - two names from here


def _coins(columns: Columns) -> Sequence[Any]:
    return columns["coins"]


TILLS = StreamKind("account", Lockable.LEDGER_ACCOUNT, _lock("tills"), _raise("tills"), _coins)
STALLS = StreamKind("sale", Lockable.SALE, _lock("stalls"), _raise("stalls"), _coins)

FIND_NOTES = """/* find_notes */ SELECT n.effect FROM notes AS n
    WHERE n.effect = ANY ($1::text::uuid[])"""
FIND_NEXT = """/* find_next */ SELECT s.number, s.leads_to FROM stalls AS s
    WHERE s.number = ANY ($1::text::bigint[])"""
WRITE_COINS = {
    "account": "/* count_tills */ UPDATE tills AS t SET coins = given.coins"
    " FROM unnest($1::text::bigint[], $2::text::bigint[]) AS given (number, coins)"
    " WHERE t.number = given.number",
    "sale": "/* count_stalls */ UPDATE stalls AS t SET coins = given.coins"
    " FROM unnest($1::text::bigint[], $2::text::bigint[]) AS given (number, coins)"
    " WHERE t.number = given.number",
}
WRITE_NOTES = """/* write_notes */ INSERT INTO notes (effect, stall, place)
    SELECT given.* FROM unnest($1::text::uuid[], $2::text::bigint[], $3::text::bigint[])
        AS given (effect, stall, place)"""


def till(number: int) -> Stream:
    return Stream("account", 1, number)


def stall(number: int) -> Stream:
    return Stream("sale", 1, number)


class Noted(msgspec.Struct, frozen=True, tag_field="type", tag="Noted"):
    effect: UUID
    coins: int
    v: int = 1


class Transfer(Command, frozen=True, gc=False):
    """Pay coins out of a till at some stalls, the same at each."""

    effect: UUID
    till: int
    stalls: tuple[int, ...]
    coins: int = 1

    @property
    def home(self) -> tuple[int, int]:
        return 1, self.stalls[0]


class Errand(Command, frozen=True, gc=False):
    """Put a coin at a stall and, as that one says, at the one it leads to."""

    effect: UUID
    stall: int
    then: int | None = None  # learned on the way

    @property
    def home(self) -> tuple[int, int]:
        return 1, self.stall


@unique
class BazaarOutcome(Outcome):
    UNKNOWN = Kind.ABSENT, "There is no such place."
    REPLAYED = Kind.REPLAYED, "This was done before."
    TOO_POOR = Kind.REFUSED, "The till has not so much in it."
    PAID = Kind.DONE, "Paid."


class BazaarAnswer(msgspec.Struct, frozen=True):
    outcome: BazaarOutcome
    at: Instant | None = None


class Ledger:
    """A part: the coins of tills and stalls."""

    commands: tuple[type[Command], ...] = (Transfer,)

    def streams(self, command: Transfer) -> Iterable[Stream]:
        return [*map(stall, command.stalls), till(command.till)]  # the batch puts them in order

    def join(self, batch: Batch) -> "LedgerShare":
        return LedgerShare(batch)


class LedgerShare(Share):
    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._done: set[UUID] = set()
        self._notes: list[tuple[UUID, int, int]] = []
        self._coins: dict[Stream, int] = {}
        self._placed: dict[Stream, int] = {}

    def reads(self) -> Iterable[Read]:
        effects = array_of(c.effect for c in self._batch.commands if hasattr(c, "effect"))
        yield Read(Statement(FIND_NOTES, (effects,)), self._take_notes)

    def opened(self) -> None:
        self._coins = {stream: held.terms for stream, held in self._batch.held.items()}

    def decide(self, command: Any, now: Instant) -> PartAnswer | AskAgain:
        stalls = [stall(number) for number in command.stalls]
        return self.pay(command.effect, till(command.till), stalls, command.coins, now)

    def pay(
        self, effect: UUID, giver: Stream | None, takers: Sequence[Stream], coins: int, now: Instant
    ) -> BazaarAnswer:
        if effect in self._done:
            return BazaarAnswer(BazaarOutcome.REPLAYED)
        if any(stream not in self._coins for stream in (*takers, *([giver] if giver else ()))):
            return BazaarAnswer(BazaarOutcome.UNKNOWN)
        if giver is not None and self._coins[giver] < coins * len(takers):
            return BazaarAnswer(BazaarOutcome.TOO_POOR)

        if giver is not None:
            self._move(giver, effect, -coins * len(takers))
        for taker in takers:
            self._move(taker, effect, coins)
        self._notes.append((effect, takers[0].number, self._next_place(takers[0])))
        self._done.add(effect)
        return BazaarAnswer(BazaarOutcome.PAID, now)

    def writes(self) -> Iterable[Write]:
        for kind, query in WRITE_COINS.items():
            moved = [s for s, held in self._batch.held.items() if held.events and s.kind == kind]
            if moved:
                numbers = array_of(stream.number for stream in moved)
                yield Statement(query, (numbers, array_of(self._coins[s] for s in moved)))
        if self._notes:
            yield Statement(WRITE_NOTES, tuple(map(array_of, zip(*self._notes, strict=True))))

    def _move(self, stream: Stream, effect: UUID, coins: int) -> None:
        self._coins[stream] += coins
        events: list[Any] = self._batch.held[stream].events
        events.append(Noted(effect, coins))

    def _next_place(self, stream: Stream) -> int:
        """Unique and growing: the version that this batch gives, and a place in the batch."""
        self._placed[stream] = self._placed.get(stream, 0) + 1
        return (self._batch.held[stream].version + 1) * 1000 + self._placed[stream]

    def _take_notes(self, columns: Columns) -> None:
        self._done.update(columns["effect"])


class Errands:
    """A part that learns of another stream by what it reads."""

    commands: tuple[type[Command], ...] = (Errand,)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def streams(self, command: Errand) -> Iterable[Stream]:
        return [stall(n) for n in (command.then, command.stall) if n is not None]

    def join(self, batch: Batch) -> "ErrandShare":
        return ErrandShare(batch, batch.share(self._ledger))


class ErrandShare(Share):
    def __init__(self, batch: Batch, ledger: LedgerShare) -> None:
        self._ledger = ledger
        self._errands = [c for c in batch.commands if isinstance(c, Errand)]
        self._leads: dict[int, int | None] = {}

    def reads(self) -> Iterable[Read]:
        if self._errands:
            numbers = array_of(errand.stall for errand in self._errands)
            yield Read(Statement(FIND_NEXT, (numbers,)), self._take_next)

    def decide(self, command: Any, now: Instant) -> PartAnswer | AskAgain:
        then = self._leads.get(command.stall)
        if then != command.then:
            return AskAgain(msgspec.structs.replace(command, then=then))
        takers = dict.fromkeys(stall(n) for n in (command.stall, then) if n is not None)
        return self._ledger.pay(command.effect, None, list(takers), 1, now)

    def _take_next(self, columns: Columns) -> None:
        self._leads.update(take(columns, "number", "leads_to"))


def flush_of_bazaar(connection: Sessions, *, waits: bool = False) -> BatchFlush:
    ledger = Ledger()
    return BatchFlush(connection, [STALLS, TILLS], [ledger, Errands(ledger)], waits=waits)


async def open_bazaar(
    raw: "asyncpg.Connection[asyncpg.Record]", tills: int, stalls: int, coins: int
) -> None:
    """Set up tills with coins, and stalls of which each leads to the one before, the first not."""
    await raw.execute(SCHEMA)
    await raw.execute(
        "INSERT INTO tills (number, coins) SELECT n, $2 FROM generate_series(1, $1) AS n",
        tills,
        coins,
    )
    await raw.execute(
        "INSERT INTO stalls (number, leads_to)"
        " SELECT n, CASE WHEN n > 1 THEN n - 1 END FROM generate_series(1, $1) AS n",
        stalls,
    )
