"""One batch of a lane: lock the streams, read, decide, write, commit.

State       None between batches but the lane's connection and what its parts keep.
Guarantee   Either all changes of a batch are committed, with one journal row a stream, or none.
            All streams are locked before anything else is read, kind by kind, keys ascending; what
            never changes may be read before. Commands are decided in order of arrival. A commit
            counts only if the server said COMMIT (which its session sees to).
Clock       PostgreSQL's, read in a statement of its own after the last lock (the clock of a
            statement that waited for a lock is that of the start of the wait); `on_clock` hears
            every reading.
On failure  The transaction rolls back whole and the error goes to the lane. A batch that is cut
            short by its lane loses its connection, and with it the transaction.

Trips: begin, locks, clock and reads are one segment; writes, journal and commit another. A share
that names what exists already, or that looks twice, adds one of its own.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import asyncpg

from sunseo.core.clock import Instant
from sunseo.engine.entry import Defer, FlushTurn, Missed
from sunseo.engine.part import (
    AskAgain,
    Batch,
    Command,
    NotReadError,
    Part,
    PartAnswer,
    Read,
    Share,
)
from sunseo.engine.streams import HeldStream, Stream, StreamKind, StreamOrder, held_by
from sunseo.journal import store as journal
from sunseo.postgres.locks import LockOrderError
from sunseo.postgres.pipelined.statements import (
    BEGIN,
    COMMIT,
    ROLLBACK,
    Columns,
    Session,
    Sessions,
    Statement,
)
from sunseo.postgres.queries import load_queries

QUERIES = load_queries("sunseo.engine")

_CLOCK = Statement(QUERIES["read_clock"])
_LOCKS_OR_CHANGES = re.compile(
    r"\b(?:FOR\s+(?:NO\s+KEY\s+UPDATE|UPDATE|SHARE|KEY\s+SHARE)|INSERT\s+INTO|UPDATE|DELETE\s+FROM"
    r"|MERGE\s+INTO|LOCK\s+TABLE|pg_(?:try_)?advisory_[a-z_]+)\b",
    re.IGNORECASE,
)

_Answer = PartAnswer | AskAgain | Missed[Command]
_Answers = Sequence[_Answer]
_Results = Sequence[PartAnswer | Defer[Command]]
_ALONE = FlushTurn()


class BatchFlush:
    """The `Flush` of a lane of the engine.

    Args:
        connection: the lane's own.
        kinds: of all streams that parts may name.
        parts: in the order in which they join a batch, and in which their writes are sent.
        on_clock: hears the time of every batch.
        waits: for rows that somebody else has locked, as long as the session lets it; otherwise
            commands that need them are put off.

    Attributes:
        waits: as given; it may be changed between batches.
        had_to_wait: whether the last batch found rows locked, or never came so far as to see.
    """

    def __init__(
        self,
        connection: Sessions,
        kinds: Iterable[StreamKind],
        parts: Sequence[Part[Share]],
        on_clock: Callable[[Instant], None] = lambda _now: None,
        *,
        waits: bool = False,
    ) -> None:
        self._connection = connection
        self._order = StreamOrder(kinds)
        self._parts = parts
        self._on_clock = on_clock
        self.waits = waits
        self.had_to_wait = True
        self._decides = {command: part for part in parts for command in part.commands}
        self._harmless: set[str] = set()  # statements that were seen to lock and change nothing

    def abandon(self) -> None:
        self._connection.drop()

    async def __call__(self, commands: Sequence[Command], turn: FlushTurn = _ALONE) -> _Results:
        deciding = [self._decider_of(command) for command in commands]
        batch = Batch(commands, self._parts)
        session = await self._connection.session()
        if known := self._checked(read for share in batch.shares for read in share.known()):
            await _read(session, [], known)
        self.had_to_wait = True
        try:
            answers, now = await self._decide(session, batch, deciding)
            await turn.come_up()
            committing = self._write_and_commit(session, batch, now)
        except asyncio.CancelledError:
            self._connection.drop()
            raise
        except asyncpg.LockNotAvailableError:
            await self._roll_back(session)
            if not self.waits:
                raise
            return [Missed(command) for command in commands]
        except BaseException:
            await self._roll_back(session)
            raise
        results = [_put_off(answer) for answer in answers]
        turn.sent(results)
        try:
            await committing  # a failed one is cleared away by its session
        except asyncio.CancelledError:
            self._connection.drop()
            raise
        return results

    async def _decide(
        self, session: Session, batch: Batch, deciding: Sequence[Part[Share]]
    ) -> tuple[_Answers, Instant]:
        both = list(zip(deciding, batch.commands, strict=True))
        streams = [tuple(part.streams(command)) for part, command in both]
        now = await self._lock_and_read(session, batch, set(chain.from_iterable(streams)))
        answers = [
            _decide(batch.share(part), command, now)
            if batch.missed.isdisjoint(needed)
            else Missed(command)
            for (part, command), needed in zip(both, streams, strict=True)
        ]
        return await self._look_again(session, batch, deciding, answers, now), now

    def _decider_of(self, command: Command) -> Part[Share]:
        part = self._decides.get(type(command))
        if part is None:
            raise TypeError(f"nobody decides {type(command).__name__}")
        return part

    async def _lock_and_read(
        self, session: Session, batch: Batch, streams: Iterable[Stream]
    ) -> Instant:
        streams = list(streams)
        probe = self._probe(session, streams) if self.waits else None
        locks = self._order.locks(streams, waits=self.waits)
        reads = self._checked(read for share in batch.shares for read in share.reads())
        head = [BEGIN, *(statement for _, statement in locks), _CLOCK]

        def hold(answers: Sequence[Columns]) -> None:
            for (kind, _), columns in zip(locks, answers[1:-1], strict=True):
                for stream in held_by(kind, columns):
                    if isinstance(stream, HeldStream):
                        batch.held[stream.stream] = stream
                    else:
                        batch.missed.add(stream)

        answers = await _read(session, head, reads, hold)
        self.had_to_wait = probe is not None and any(
            any(columns["is_locked"]) for columns in (await probe)[1:-1]
        )
        now: Instant = answers[-1]["now"][0]
        self._on_clock(now)
        for share in batch.shares:
            share.opened()
        return now

    def _probe(self, session: Session, streams: Sequence[Stream]) -> Awaitable[Sequence[Columns]]:
        """Find out whether locks will have to be waited for.

        It lets go of those that it got: they were not got in order.
        """
        locks = self._order.locks(streams)
        return session.send([BEGIN, *(statement for _, statement in locks), ROLLBACK])

    async def _look_again(
        self,
        session: Session,
        batch: Batch,
        deciding: Sequence[Part[Share]],
        answers: _Answers,
        now: Instant,
    ) -> _Answers:
        decided = [
            (command, answer)
            for command, answer in zip(batch.commands, answers, strict=True)
            if not isinstance(answer, Missed)
        ]
        looks = self._checked(
            read for share in batch.shares for read in share.second_look(decided, now)
        )
        if not looks:
            return answers
        await _read(session, [], looks)
        return [
            answer if isinstance(answer, Missed) else batch.share(part).reconsider(command, answer)
            for part, command, answer in zip(deciding, batch.commands, answers, strict=True)
        ]

    def _write_and_commit(
        self, session: Session, batch: Batch, now: Instant
    ) -> Awaitable[Sequence[Columns]]:
        writes = [write for share in batch.shares for write in share.writes()]
        changed = [held for held in batch.held.values() if held.events]
        if writes and not changed:
            raise RuntimeError("rows were changed, and no event says so")
        entries = [
            journal.JournalEntry(*held.stream, held.version + 1, held.events) for held in changed
        ]
        appends = [journal.append(entries, now)] if entries else []
        return session.send([*writes, *self._order.raises(changed), *appends, COMMIT])

    async def _roll_back(self, session: Session) -> None:
        if not session.is_alive:
            return
        try:
            await session.send([ROLLBACK])
        except Exception:  # noqa: BLE001 - the error that led here is the one to tell
            self._connection.drop()

    def _checked(self, reads: Iterable[Read]) -> list[Read]:
        """See, once for each statement, that what is said to read does no more than that."""
        found = list(reads)
        for read in found:
            query = read.statement.query
            if query not in self._harmless:
                if offending := _LOCKS_OR_CHANGES.search(query):
                    raise LockOrderError(f"a part may not send {offending[0]!r} as a read: {query}")
                self._harmless.add(query)
        return found


async def _read(
    session: Session,
    head: Sequence[Statement],
    reads: Sequence[Read],
    on_head: Callable[[Sequence[Columns]], None] = lambda _head: None,
) -> Sequence[Columns]:
    """Send a segment, hand each read's answer to who asked, and return those of its head."""
    answers = await session.send([*head, *(read.statement for read in reads)])
    on_head(answers[: len(head)])
    for read, columns in zip(reads, answers[len(head) :], strict=True):
        read.take(columns)
    return answers[: len(head)]


def _decide(share: Share, command: Any, now: Instant) -> PartAnswer | AskAgain:
    try:
        return share.decide(command, now)
    except NotReadError:
        return AskAgain(command)


def _put_off(answer: _Answer) -> PartAnswer | Defer[Command]:
    return Defer(answer.command) if isinstance(answer, AskAgain) else answer
