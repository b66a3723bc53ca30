"""A lane's connection that sends statements by the segment (libpq's pipeline mode).

State       DISCONNECTED until something is sent, CONNECTING, CONNECTED, and DISCONNECTED again
            after it was lost or dropped. CLEARING, within CONNECTED: a transaction that its owner
            takes for ended may be left in the session; what is sent waits until everything in
            flight is answered and, if need be, a ROLLBACK is on its way.
Guarantee   Segments run in the order of the calls, several of them in flight. Each future is told
            what surely became of its segment: its answers, the server's error, that nothing was
            done, or that nobody knows (`lost`); "nobody knows" only where COMMIT, or statements
            outside of a transaction, may have gone out. A COMMIT counts only by its tag.
            Statements of a transaction that is lost, has failed or never began are not sent: they
            would be durable one by one.
Clock       None; the server bounds statements, waits for locks and idle transactions by itself.
On failure  A failed statement fails its segment. Was a COMMIT in it, the session is cleared here;
            otherwise the transaction is its owner's to roll back. A connection that is lost, or
            was prepared for another schema, fails what is in flight; the next segment connects
            anew. `drop` is for the watchdog.

Nothing here waits: the event loop says when the socket can be read or written. It can be both, so
that neither side ever stops reading because it waits to write.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

import asyncpg
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from sunseo.postgres.answers import (
    NothingToDo,
    decoder,
    error_of,
    is_done,
    is_last_word,
    sqlstate_of,
)
from sunseo.postgres.connection import ConnectionLimits, session_settings
from sunseo.postgres.lost import NothingDoneError
from sunseo.postgres.segments import (
    ROLLBACK,
    Columns,
    Segment,
    Statement,
    Transaction,
    caused,
    last_word_in,
)

SET = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s (name, value)"


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


class PipelineConnection:
    """See the module. All of it belongs to one event loop."""

    def __init__(self, dsn: str, *, limits: ConnectionLimits | None = None) -> None:
        self._dsn = dsn
        self._limits = limits or ConnectionLimits()
        self._decoder = decoder()
        self._connecting: asyncio.Task[None] | None = None
        self._link: psycopg.AsyncConnection | None = None  # which made the connection
        self._conn: PGconn | None = None
        self._socket = -1
        self._names: dict[str, bytes] = {}  # of statements that were prepared, or are about to be
        self._prepared = 0
        self._waiting: deque[Segment] = deque()  # not sent yet
        self._in_flight: deque[Segment | Preparation] = deque()  # in the order they were sent
        self._transaction: Transaction | None = None  # of what is sent next
        self._begun: Transaction | None = None  # the last one that the server has begun
        self._is_clearing = False
        self._is_stale = False

    @property
    def is_connected(self) -> bool:
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
        self._enter(segment)
        if self._is_needless(segment):
            segment.settle([NothingToDo(ROLLBACK)])
            return future
        try:
            segment.encode(statements)
        except ValueError as error:
            self._refuse(segment, error)
        else:
            self._waiting.append(segment)
        self._go_on()
        return future

    def drop(self) -> None:
        """Close at once: whatever runs on it fails, and what waits is not sent."""
        reason = ConnectionAbortedError("it was dropped")
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        self._lose(reason)
        self._refuse_all(reason)

    async def close(self) -> None:
        self.drop()

    # Transactions, as their owner sees them.

    def _enter(self, segment: Segment) -> None:
        """Give a segment its place in a transaction, or outside of one."""
        current = self._transaction
        if segment.opens:
            if current is not None and current.is_alive:
                raise RuntimeError("BEGIN inside of a transaction")
            if current is not None:
                self._clear()  # it has failed, and its owner has not rolled it back
            current = Transaction()
        elif current is None and segment.ending and not segment.is_rollback:
            raise RuntimeError(f"{segment.ending} outside of a transaction")
        segment.transaction = current
        self._transaction = None if segment.ending else current

    def _is_needless(self, segment: Segment) -> bool:
        """Whether it would roll back what is gone already, or never was."""
        transaction = segment.transaction
        if not segment.is_rollback:
            return False
        return transaction is None or not (
            transaction.is_alive or (transaction.sent_on and transaction.sent_on is self._conn)
        )

    def _refuse(self, segment: Segment, reason: Exception) -> None:
        """Fail a segment that is not sent, and its transaction with it."""
        transaction = segment.transaction
        if transaction is not None:
            transaction.is_alive = False
            if segment.ending and transaction.sent_on is self._conn:
                self._clear()
        segment.settle(reason)

    def _refuse_all(self, reason: Exception) -> None:
        waiting, self._waiting = self._waiting, deque()
        for segment in waiting:
            self._refuse(segment, caused(NothingDoneError(f"not connected: {reason}"), reason))

    # Sending.

    def _go_on(self) -> None:
        """Send what waits, if it may go out by now."""
        if self._conn is not None and not self._in_flight:
            self._tidy()
        if self._waiting and self._conn is None and self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        try:
            while self._waiting and self._conn and not self._is_clearing and not self._is_stale:
                self._hand_over(self._waiting.popleft(), self._conn)
            self._flush()
        except psycopg.Error as error:
            self._receive(error)
            self._go_on()

    def _hand_over(self, segment: Segment, conn: PGconn) -> None:
        transaction = segment.transaction
        if self._is_needless(segment):
            segment.settle([NothingToDo(ROLLBACK)])
            return
        if transaction is not None:
            if segment.opens:
                transaction.sent_on = conn
            elif not transaction.is_alive and segment.ending != ROLLBACK:
                self._refuse(segment, NothingDoneError("its transaction is lost or has failed"))
                return
        if self._limits.statement_cache:
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
            self._lose(ending)

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

    def _clear(self) -> None:
        self._is_clearing = self._conn is not None

    def _tidy(self) -> None:
        """Leave no transaction behind that its owner takes for ended; nothing is in flight."""
        if self._is_stale:
            self._lose(ConnectionAbortedError("the session was of no more use"))
        if self._conn is None or not self._is_clearing:
            return
        self._is_clearing = False
        status = self._conn.transaction_status
        is_ours = self._begun is not None and self._begun.is_alive
        if status == TransactionStatus.INERROR or (
            status == TransactionStatus.INTRANS and not is_ours
        ):
            rollback = Segment([ROLLBACK], _future())
            rollback.transaction = left = Transaction()
            left.sent_on = self._conn
            rollback.encode([(ROLLBACK, ())])
            self._waiting.appendleft(rollback)

    async def _connect(self) -> None:
        try:
            link = await _dial(self._dsn, self._limits)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            self._connecting = None
            self._refuse_all(error)
            return
        self._connecting = None
        self._link, self._conn, self._socket = link, link.pgconn, link.pgconn.socket
        self._names = {}
        self._is_clearing = self._is_stale = False
        self._conn.notice_handler = self._on_notice
        asyncio.get_running_loop().add_reader(self._socket, self._on_readable)
        self._go_on()

    def _lose(self, reason: Exception) -> None:
        """Let go of the connection, and tell everybody in flight what became of it."""
        conn, self._conn = self._conn, None
        if conn is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.remove_writer(self._socket)
        conn.finish()
        self._is_clearing = self._is_stale = False
        in_flight, self._in_flight = self._in_flight, deque()
        outcomes = self._outcomes_when_lost(in_flight, reason)
        lost = [segment.transaction for segment, _ in outcomes]
        for transaction in (*lost, self._transaction, self._begun):
            if transaction is not None and transaction.sent_on is conn:
                transaction.is_alive = False
        for segment, outcome in outcomes:
            segment.settle(outcome)

    def _outcomes_when_lost(
        self, in_flight: Iterable[Segment | Preparation], reason: Exception
    ) -> "list[tuple[Segment, list[Columns] | Exception]]":
        outcomes: list[tuple[Segment, list[Columns] | Exception]] = []
        last_word: asyncpg.PostgresError | None = None
        for lost in in_flight:
            if isinstance(lost, Preparation):
                self._note_prepared(lost)
            elif last_word is not None:
                error = NothingDoneError("the session had ended before it was reached")
                outcomes.append((lost, caused(error, last_word)))
            else:
                outcomes.append((lost, lost.outcome_when_lost(self._decoder, reason)))
            last_word = last_word or last_word_in(lost.results)
        return outcomes


async def _dial(dsn: str, limits: ConnectionLimits) -> psycopg.AsyncConnection:
    """Connect, to the first host that answers, and put the session in order.

    Raises:
        psycopg.Error, OSError, TimeoutError: it could not be done.
    """
    given = conninfo_to_dict(dsn)
    hosts = str(given.get("host") or given.get("hostaddr") or "").count(",") + 1
    settings = session_settings(limits)
    async with asyncio.timeout(limits.connect_timeout_s * hosts):
        link = await psycopg.AsyncConnection.connect(
            dsn,
            autocommit=True,
            application_name=settings["application_name"],
            client_encoding="utf8",
        )
        try:
            await link.execute(SET, [list(settings), list(settings.values())])
        except BaseException:
            link.pgconn.finish()
            raise
    link.pgconn.enter_pipeline_mode()
    return link


def _future() -> "asyncio.Future[list[Columns]]":
    future: asyncio.Future[list[Columns]] = asyncio.get_running_loop().create_future()
    future.add_done_callback(_retrieve)
    return future


def _retrieve(future: "asyncio.Future[list[Columns]]") -> None:
    """Take note of an error, so that asyncio does not report it where nobody waits for it."""
    if not future.cancelled():
        future.exception()
