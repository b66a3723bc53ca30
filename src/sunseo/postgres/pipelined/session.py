"""One session in libpq's pipeline mode: segments go out, and it is told what became of each.

State       ALIVE, then ENDED for ever. CLEARING, while alive: a transaction that its owner takes
            for ended may be left in the session; what is sent waits until everything in flight is
            answered and, if need be, a ROLLBACK is on its way.
Guarantee   Segments run in the order of the calls, several of them in flight. Each future is told
            what surely became of its segment: its answers, the server's error, that nothing was
            done, or that nobody knows (`lost`); "nobody knows" only where COMMIT, or statements
            outside of a transaction, may have gone out. A COMMIT counts only by its tag.
            Statements of a transaction that has failed or never began are not sent: they would be
            durable one by one.
Clock       None; the server bounds statements, waits for locks and idle transactions by itself.
On failure  A failed statement fails its segment. Was a COMMIT in it, the session is cleared here;
            otherwise the transaction is its owner's to roll back. A session whose connection is
            lost, or that is of no more use (plans of another schema), fails what is in flight.

Nothing here waits: the event loop says when the socket can be read or written. It can be both, so
that neither side ever stops reading because it waits to write.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import asyncpg
import psycopg
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from sunseo.postgres.pipelined.answers import (
    NothingToDo,
    decoder,
    error_of,
    is_done,
    is_last_word,
    sqlstate_of,
)
from sunseo.postgres.pipelined.lost import NothingDoneError
from sunseo.postgres.pipelined.segments import (
    ROLLBACK,
    Columns,
    Outcome,
    PipelinedTransaction,
    Segment,
    Statement,
    caused,
    last_word_in,
)


class Preparation:
    """Statements that are parsed ahead of the segment which is the first to need them.

    They are a segment of their own, so that what the other one fails of does not undo them.
    """

    __slots__ = ("queries", "results", "segment")

    def __init__(self, queries: Sequence[str], segment: Segment) -> None:
        self.queries = queries
        self.segment = segment
        self.results: list[PGresult] = []

    def warned(self, _warning: PGresult) -> None:
        """Parsing commits nothing: there is no doubt to note."""


class PipelineSession:
    """See the module.

    Args:
        link: a fresh connection, whose session is set up; it belongs to this one from now on.
        keeps_statements: whether statements are prepared by name, once each.
    """

    def __init__(self, link: psycopg.AsyncConnection, *, keeps_statements: bool) -> None:
        self._link = link  # closes the connection when it is forgotten
        self._conn: PGconn | None = link.pgconn
        self._socket = link.pgconn.socket
        self._keeps_statements = keeps_statements
        self._decoder = decoder()
        self._names: dict[str, bytes] = {}  # of statements that were prepared, or are about to be
        self._prepared = 0
        self._waiting: deque[Segment] = deque()  # not sent yet
        self._in_flight: deque[Segment | Preparation] = deque()  # in the order they were sent
        self._transaction: PipelinedTransaction | None = None  # of what is sent next
        self._begun: PipelinedTransaction | None = None  # the last one that the server has begun
        self._is_clearing = False
        self._is_stale = False
        link.pgconn.enter_pipeline_mode()
        link.pgconn.notice_handler = self._on_notice
        asyncio.get_running_loop().add_reader(self._socket, self._on_readable)

    @property
    def is_alive(self) -> bool:
        return self._conn is not None

    def send(self, statements: Sequence[Statement]) -> "asyncio.Future[list[Columns]]":
        """Run statements in one trip; the future gives one answer each, in order.

        Args:
            statements: all of one transaction or of none. A plain BEGIN may be the first, COMMIT or
                ROLLBACK the last; the transaction stays open over segments until then.

        Raises:
            ValueError: BEGIN, COMMIT or ROLLBACK stand elsewhere.
            RuntimeError: BEGIN inside of a transaction, or COMMIT outside of one.

        The future raises:
            asyncpg.PostgresError: the first statement that failed; nothing of a COMMIT's segment is
                in effect then.
            NothingDoneError, CommitUnknownError: the answer did not come, see `lost`.
            ValueError: an argument that PostgreSQL cannot store; nothing was sent.
        """
        future = _future()
        segment = Segment([query for query, _ in statements], future)
        if not statements:
            future.set_result([])
            return future
        if self._conn is None:
            self._refuse(segment, NothingDoneError("the session has ended"))
            return future
        self._enter(segment)
        try:
            segment.encode(statements)
        except ValueError as error:
            self._refuse(segment, error)
        else:
            self._waiting.append(segment)
        self._go_on()
        return future

    def end(self, reason: Exception) -> None:
        """Close at once: whatever runs on it fails, and what waits is not sent."""
        conn, self._conn = self._conn, None
        if conn is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.remove_writer(self._socket)
        conn.finish()
        for segment, outcome in self._outcomes_when_lost(reason):
            segment.settle(outcome)
        for segment in self._waiting:
            self._refuse(segment, caused(NothingDoneError(f"connection lost: {reason}"), reason))
        self._in_flight.clear()
        self._waiting.clear()

    # Transactions, as their owner sees them.

    def _enter(self, segment: Segment) -> None:
        """Give a segment its place in a transaction, or outside of one."""
        current = self._transaction
        if segment.opens:
            if current is not None and current.is_alive:
                raise RuntimeError("BEGIN inside of a transaction")
            if current is not None:
                self._is_clearing = True  # it has failed, and its owner has not rolled it back
            current = PipelinedTransaction()
        elif current is None and segment.ending and not segment.is_rollback:
            raise RuntimeError(f"{segment.ending} outside of a transaction")
        segment.transaction = current
        self._transaction = None if segment.ending else current

    def _refuse(self, segment: Segment, reason: Exception) -> None:
        """Fail a segment that is not sent, and its transaction with it."""
        if segment.transaction is not None:
            segment.transaction.is_alive = False
            self._is_clearing = self._is_clearing or bool(segment.ending)
        segment.settle([NothingToDo(ROLLBACK)] if segment.is_rollback else reason)

    # Sending.

    def _go_on(self) -> None:
        """Send what waits, if it may go out by now."""
        if not self._in_flight:
            self._tidy()
        try:
            while self._waiting and self._conn and not self._is_clearing and not self._is_stale:
                self._hand_over(self._waiting.popleft(), self._conn)
            self._flush()
        except psycopg.Error as error:
            self._receive(error)

    def _hand_over(self, segment: Segment, conn: PGconn) -> None:
        transaction = segment.transaction
        if transaction is None and segment.is_rollback:
            segment.settle([NothingToDo(ROLLBACK)])
            return
        if transaction is not None and not transaction.is_alive and segment.ending != ROLLBACK:
            self._refuse(segment, NothingDoneError("its transaction has failed"))
            return
        if self._keeps_statements:
            self._prepare(segment, conn)
        # Before it is sent: what fails in the midst of sending has been sent in part.
        self._in_flight.append(segment)
        for query, (values, formats) in zip(segment.queries, segment.parameters, strict=True):
            if (name := self._names.get(query)) is None:
                conn.send_query_params(query.encode(), values, None, formats, Format.BINARY)
            else:
                conn.send_query_prepared(name, values, formats, Format.BINARY)
        conn.pipeline_sync()

    def _prepare(self, segment: Segment, conn: PGconn) -> None:
        """Have the server parse what it has not seen on this connection."""
        unseen = [query for query in dict.fromkeys(segment.queries) if query not in self._names]
        if not unseen:
            return
        self._in_flight.append(Preparation(unseen, segment))
        for query in unseen:
            self._prepared += 1
            self._names[query] = name = b"s%d" % self._prepared
            conn.send_prepare(name, query.encode())
        conn.pipeline_sync()

    def _flush(self) -> None:
        if self._conn is not None and self._conn.flush():
            asyncio.get_running_loop().add_writer(self._socket, self._on_writable)

    def _on_writable(self) -> None:
        asyncio.get_running_loop().remove_writer(self._socket)
        self._go_on()

    # Receiving.

    def _on_readable(self) -> None:
        ending: Exception | None = None
        try:
            if self._conn is not None:
                self._conn.consume_input()
        except psycopg.Error as error:
            ending = error
        self._receive(ending)
        self._go_on()

    def _receive(self, ending: Exception | None) -> None:
        """Take what has come; with the connection at its end, what came before that."""
        ending = self._take_results() or ending
        if ending is not None:
            self.end(ending)

    def _take_results(self) -> Exception | None:
        conn = self._conn
        while conn is not None and not conn.is_busy() and self._in_flight:
            result = conn.get_result()
            if result is None:
                if conn.status == ConnStatus.BAD:
                    return ConnectionError(conn.get_error_message())
            elif result.status == ExecStatus.PIPELINE_SYNC:
                self._land(self._in_flight.popleft())
            elif is_last_word(result):
                return ConnectionError(result.get_error_message())
            else:
                self._in_flight[0].results.append(result)
        return None

    def _land(self, landed: Segment | Preparation) -> None:
        """All of a segment has been answered."""
        if isinstance(landed, Preparation):
            self._note_prepared(landed)
            return
        outcome = landed.outcome(self._decoder)
        transaction, has_failed = landed.transaction, isinstance(outcome, Exception)
        if has_failed:
            self._is_stale = self._is_stale or landed.spoils_session(outcome)
            self._is_clearing = self._is_clearing or bool(landed.ending)
        elif landed.opens:
            self._begun = transaction
        if transaction is not None and (has_failed or landed.ending):
            transaction.is_alive = False
        landed.settle(outcome)

    def _note_prepared(self, preparation: Preparation) -> None:
        for query, result in zip(preparation.queries, preparation.results, strict=False):
            if not is_done(result):
                self._names.pop(query, None)
                if sqlstate_of(result) and preparation.segment.unprepared is None:
                    preparation.segment.unprepared = error_of(result)

    def _on_notice(self, notice: PGresult) -> None:
        if self._in_flight and sqlstate_of(notice):
            self._in_flight[0].warned(notice)

    # The session.

    def _tidy(self) -> None:
        """Leave no transaction behind that its owner takes for ended; nothing is in flight."""
        if self._is_stale:
            self.end(ConnectionAbortedError("the session was of no more use"))
        if self._conn is None or not self._is_clearing:
            return
        self._is_clearing = False
        status = self._conn.transaction_status
        is_ours = self._begun is not None and self._begun.is_alive
        if status == TransactionStatus.INERROR or (
            status == TransactionStatus.INTRANS and not is_ours
        ):
            rollback = Segment([ROLLBACK], _future())
            rollback.transaction = PipelinedTransaction()
            rollback.encode([(ROLLBACK, ())])
            self._waiting.appendleft(rollback)

    def _outcomes_when_lost(self, reason: Exception) -> list[tuple[Segment, Outcome]]:
        outcomes: list[tuple[Segment, Outcome]] = []
        last_word: asyncpg.PostgresError | None = None
        for lost in self._in_flight:
            if isinstance(lost, Preparation):
                self._note_prepared(lost)
            elif last_word is not None:
                error = NothingDoneError("the session had ended before it was reached")
                outcomes.append((lost, caused(error, last_word)))
            else:
                outcomes.append((lost, lost.outcome_when_lost(self._decoder, reason)))
            last_word = last_word or last_word_in(lost.results)
        return outcomes


def _future() -> "asyncio.Future[list[Columns]]":
    future: asyncio.Future[list[Columns]] = asyncio.get_running_loop().create_future()
    future.add_done_callback(_retrieve)
    return future


def _retrieve(future: "asyncio.Future[list[Columns]]") -> None:
    """Take note of an error, so that asyncio does not report it where nobody waits for it."""
    if not future.cancelled():
        future.exception()
