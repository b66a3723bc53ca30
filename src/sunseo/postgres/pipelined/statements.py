"""What is sent to PostgreSQL and what comes back: the port between the engine and a driver.

A statement is data, so that several can be sent in one trip. Its arguments are text, cast by the
statement itself (`$1::text::integer[]`, see `arrays`), so that no driver has to know their types.
Answers come as columns: a lane asks for hundreds of rows of few columns.
"""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol


class Row(Protocol):
    """A row by column names, whichever driver read it."""

    def __getitem__(self, column: str, /) -> Any: ...


class Statement(NamedTuple):
    query: str
    arguments: tuple[str | None, ...] = ()


class Columns(Protocol):
    """What one statement answered."""

    @property
    def tag(self) -> str:
        """The server's word for what was done; asked for after COMMIT, empty after what reads."""
        ...

    def __len__(self) -> int:
        """How many rows there are."""
        ...

    def __getitem__(self, name: str, /) -> Sequence[Any]:
        """One column, from the first row to the last."""
        ...

    def rows(self) -> Sequence[Row]:
        """All of it by rows, for what is rare or wide."""
        ...


class Session(Protocol):
    """One session on the server, from connecting to the end of the connection.

    Segments are run in the order of the calls, whether or not an earlier one has been answered. A
    statement that fails takes the rest of its own segment along, and no other segment. What is
    sent to a session that has ended fails: a transaction is never gone on with in another one,
    where each of its statements would stand for itself.
    """

    @property
    def is_alive(self) -> bool: ...

    def send(self, statements: Sequence[Statement]) -> Awaitable[Sequence[Columns]]:
        """Run statements one after the other; one answer each, in order.

        Raises:
            Exception: the first error of the segment; `errors.fault_of` says whose fault it is.
        """
        ...


class Sessions(Protocol):
    """A connection that is made anew when it has failed."""

    async def session(self) -> Session:
        """The session that there is, or a new one."""
        ...

    def drop(self) -> None:
        """Close at once, without a word to the server: whatever runs on it fails."""
        ...


BEGIN = Statement("BEGIN")
COMMIT = Statement("COMMIT")
ROLLBACK = Statement("ROLLBACK")


def take(columns: Columns, *names: str) -> Iterable[tuple[Any, ...]]:
    """Some columns side by side, a tuple a row."""
    return zip(*[columns[name] for name in names], strict=True)
