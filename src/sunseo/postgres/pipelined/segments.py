"""One segment: statements that are sent in one trip, and what became of them.

A segment is closed by a Sync of its own. The statement that fails takes all later ones of its
segment along. A transaction is begun at the head of a segment and ended at the end of that one or
of a later one: a BEGIN behind a COMMIT would be skipped together with it, and what follows in the
next segment would be durable statement by statement.
"""

import re
from asyncio import Future
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import asyncpg
from psycopg.abc import Buffer
from psycopg.pq import Format
from psycopg.pq.abc import PGresult

from sunseo.postgres.errors import trouble_of
from sunseo.postgres.pipelined.answers import (
    ColumnResult,
    Decoder,
    NothingToDo,
    error_of,
    is_done,
    is_skipped,
)
from sunseo.postgres.pipelined.lost import CommitUnknownError, NothingDoneError

Statement: TypeAlias = tuple[str, Sequence[str | bytes | None]]
"""A query and its arguments: text that the query casts, or bytes in PostgreSQL's binary form."""

Columns: TypeAlias = ColumnResult | NothingToDo

Outcome: TypeAlias = list[Columns] | Exception

BEGIN, COMMIT, ROLLBACK = "BEGIN", "COMMIT", "ROLLBACK"

_CONTROL = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
    r"(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE)\b",
    re.IGNORECASE | re.DOTALL,
)

TRANSACTION_FAILED = "25P02"
ALREADY_IN_TRANSACTION = "25001"
NOT_PREPARED = "26000"
SESSION_IDLED = ("25P03", "25P04", "57P05")
"""A session that was ended for idling, or for its transaction's age: before a COMMIT was begun."""

NO_TRANSACTION = "25P01"
PLAIN_WARNING = "01000"
WAITS_FOR_STANDBY = "SyncRepWaitForLSN"  # the server's function; its sentence may be translated


class PipelinedTransaction:
    """A transaction, as far as it has been sent.

    Attributes:
        is_alive: nothing of it has failed, and it has not ended.
    """

    __slots__ = ("is_alive",)

    def __init__(self) -> None:
        self.is_alive = True


class Segment:
    """Statements in one trip, the results that have come so far, and who waits for them.

    Attributes:
        opens: whether a transaction begins with it.
        ending: COMMIT or ROLLBACK, where it ends one; else empty.
        parameters: of each statement, with their formats, once they are encoded.
        unprepared: why one of its statements could not be prepared.

    Raises:
        ValueError: a transaction would begin or end in its midst.
    """

    __slots__ = (
        "ending", "future", "opens", "parameters", "queries", "results", "transaction",
        "unprepared", "warnings",
    )  # fmt: skip

    def __init__(self, queries: Sequence[str], future: "Future[list[Columns]]") -> None:
        words = [_control(query) for query in queries]
        self.queries = queries
        self.future = future
        self.opens = bool(words) and words[0] == BEGIN
        self.ending = words[-1] if words and words[-1] != BEGIN else ""
        if any(words[int(self.opens) : len(words) - bool(self.ending)]):
            raise ValueError("BEGIN is the first statement of a segment, COMMIT the last")
        self.parameters: list[tuple[Sequence[Buffer | None], Sequence[int] | None]] = []
        self.transaction: PipelinedTransaction | None = None
        self.results: list[PGresult] = []
        self.warnings: list[tuple[int, asyncpg.PostgresError]] = []
        self.unprepared: asyncpg.PostgresError | None = None

    @property
    def commits(self) -> bool:
        return self.ending == COMMIT

    @property
    def is_rollback(self) -> bool:
        """Whether it does nothing but end a transaction."""
        return len(self.queries) == 1 and self.ending == ROLLBACK

    def encode(self, statements: Sequence[Statement]) -> None:
        """Put the arguments as they are sent.

        Raises:
            ValueError: PostgreSQL could not store one of them.
        """
        self.parameters = [_encoded(arguments) for _, arguments in statements]

    def warned(self, warning: PGresult) -> None:
        """Note a warning of the statement that is being answered."""
        self.warnings.append((len(self.results), error_of(warning)))

    def settle(self, outcome: Outcome) -> None:
        """Tell who waits; a no-op for one who has gone away."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)

    def outcome(self, decoder: Decoder) -> Outcome:
        """What became of it, once its Sync was answered."""
        failed = self._failed()
        error = self.unprepared or (None if failed is None else error_of(failed))
        if error is not None:
            return _put(error)
        if self._met_another:
            return NothingDoneError("its BEGIN met a transaction that somebody has left open")
        answers: list[Columns] = [ColumnResult(result, decoder) for result in self.results]
        if self.commits and answers[-1].tag != COMMIT:
            return NothingDoneError(f"COMMIT was answered {answers[-1].tag}")
        if self.commits and (doubt := self._doubt()):
            return caused(CommitUnknownError("COMMIT was answered with a warning"), doubt)
        return answers

    def outcome_when_lost(self, decoder: Decoder, reason: Exception) -> Outcome:
        """What became of it, its connection being lost before its Sync was answered."""
        failed = self._failed()
        error = self.unprepared or (None if failed is None else error_of(failed))
        if error is not None and is_verdict(error):
            return _put(error)
        if self.transaction is not None and self._is_harmless(error):
            return caused(NothingDoneError(f"connection lost before a commit: {reason}"), error)
        if self.commits and error is None and len(self.results) == len(self.queries):
            return self.outcome(decoder)  # only the Sync's answer is missing
        return caused(CommitUnknownError(f"connection lost while committing: {reason}"), error)

    def spoils_session(self, outcome: Outcome) -> bool:
        """Whether what failed will fail again for as long as the session lasts."""
        if not isinstance(outcome, Exception):
            return False
        error = outcome.__cause__ or outcome
        if not isinstance(error, asyncpg.PostgresError):
            return self._met_another
        if error.sqlstate in (TRANSACTION_FAILED, NOT_PREPARED):
            return error.sqlstate == NOT_PREPARED
        trouble = trouble_of(error)
        return trouble is not None and trouble.goes_with_connection

    @property
    def _met_another(self) -> bool:
        return self.opens and any(
            number == 0 and warning.sqlstate == ALREADY_IN_TRANSACTION
            for number, warning in self.warnings
        )

    def _is_harmless(self, error: asyncpg.PostgresError | None) -> bool:
        """Whether, lost as it is, its transaction surely comes to nothing."""
        if not self.commits:
            return True
        if self.transaction is not None and not self.transaction.is_alive:
            return True
        if error is None:
            return False
        return not self._has_failed_at_end() or error.sqlstate in SESSION_IDLED

    def _failed(self) -> PGresult | None:
        return next((r for r in self.results if not is_done(r) and not is_skipped(r)), None)

    def _has_failed_at_end(self) -> bool:
        return sum(map(is_done, self.results)) >= len(self.queries) - 1

    def _doubt(self) -> asyncpg.PostgresError | None:
        """A warning with which its COMMIT is a success in name only.

        Either no standby has confirmed it, or there was no transaction to commit.
        """
        end = len(self.queries) - 1
        return next((w for number, w in self.warnings if number == end and _is_doubtful(w)), None)


def _is_doubtful(warning: asyncpg.PostgresError) -> bool:
    function = warning.server_source_function
    return warning.sqlstate == NO_TRANSACTION or (
        warning.sqlstate == PLAIN_WARNING and function in (None, WAITS_FOR_STANDBY)
    )


@lru_cache(maxsize=1_024)  # the same few statements again and again
def _control(query: str) -> str:
    found = _CONTROL.match(query)
    if found is None:
        return ""
    if query not in (BEGIN, COMMIT, ROLLBACK):
        raise ValueError(f"only a plain BEGIN, COMMIT or ROLLBACK is understood here: {query}")
    return query


def _encoded(
    arguments: Sequence[str | bytes | None],
) -> tuple[list[Buffer | None], Sequence[int] | None]:
    values: list[Buffer | None] = []
    formats: list[int] | None = None
    for number, argument in enumerate(arguments):
        if isinstance(argument, str):
            value = argument.encode()
            if b"\0" in value:  # where libpq would end the text without a word
                raise ValueError("PostgreSQL stores no NUL in a text")
            values.append(value)
            continue
        values.append(argument)
        if argument is not None:
            formats = formats or [Format.TEXT] * len(arguments)
            formats[number] = Format.BINARY
    return values, formats


def is_verdict(error: asyncpg.PostgresError) -> bool:
    """Whether an error means that a statement has failed, and not that the session ends."""
    return error.severity_en == "ERROR"


def last_word_in(results: Sequence[PGresult]) -> asyncpg.PostgresError | None:
    """The error with which the server has ended the session: nothing behind it was run."""
    for result in results:
        if not is_done(result) and not is_skipped(result):
            error = error_of(result)
            return None if is_verdict(error) else error
    return None


def _put(error: asyncpg.PostgresError) -> Exception:
    """The error itself, unless it only tells that nothing was tried."""
    if error.sqlstate == TRANSACTION_FAILED:
        return caused(NothingDoneError("a transaction before it had failed"), error)
    if error.sqlstate == NOT_PREPARED:
        return caused(NothingDoneError("the server has forgotten a statement"), error)
    return error


def caused(error: Exception, cause: Exception | None) -> Exception:
    """Tell an error and what it comes of."""
    error.__cause__ = cause
    return error
