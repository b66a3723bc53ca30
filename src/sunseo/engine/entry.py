"""A command in a lane: who waits for it, and what it is answered."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sunseo.core.later import Reason

C = TypeVar("C")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Defer(Generic[C]):
    """A flush's answer for a command that has to be decided in the next batch instead."""

    __slots__ = ("command",)

    def __init__(self, command: C) -> None:
        self.command = command


class Missed(Defer[C]):
    """The same for a command whose rows somebody else has locked."""

    __slots__ = ()


class Answer(NamedTuple, Generic[R]):
    """What a caller gets: the result, and how long it took."""

    result: R
    waited_s: float  # from arrival until its flush began
    flush_s: float  # of the flush that settled it


class AheadFailedError(Exception):
    """The batch in front has not been committed: what was decided behind it may be wrong."""


class FlushTurn:
    """A flush's place behind the one in front of it; whoever takes no notice of it runs alone.

    Args:
        ahead: tells whether the flush in front has committed; none where there is none.
        on_sent: hears what the commands are answered once the commit is on its way.
    """

    def __init__(
        self,
        ahead: "asyncio.Future[bool] | None" = None,
        on_sent: Callable[[Sequence[Any]], None] = lambda _results: None,
    ) -> None:
        self._ahead = ahead
        self._on_sent = on_sent

    async def come_up(self) -> None:
        """Wait until the flush in front has committed: nothing may be committed before.

        Raises:
            AheadFailedError: it has not, and this one must not either.
        """
        if self._ahead is not None and not await asyncio.shield(self._ahead):
            raise AheadFailedError

    def sent(self, results: Sequence[Any]) -> None:
        """The commit is on its way: the next flush may be sent behind it, with what is put off."""
        self._on_sent(results)


class Flush(Protocol[C, R_co]):
    """Applies batches. One object serves one lane and owns its connection."""

    def __call__(
        self, commands: Sequence[C], turn: FlushTurn, /
    ) -> Awaitable[Sequence[R_co | Defer[C]]]:
        """Apply a batch as one transaction and return one result a command, in order."""
        ...

    def abandon(self) -> None:
        """Drop the connection, so that a flush that hangs fails."""
        ...


class LaneMeter(Protocol):
    """Where a lane reports to. `SilentMeter` is one that forgets."""

    def flushed(self, batch: int, flush_s: float) -> None: ...
    def waited(self, longest_s: float) -> None: ...
    def refused(self, reason: Reason) -> None: ...
    def retried(self) -> None: ...
    def bisected(self) -> None: ...
    def deferred(self, commands: int) -> None: ...
    def depth(self, waiting: int) -> None: ...


class SilentMeter:
    def flushed(self, batch: int, flush_s: float) -> None: ...
    def waited(self, longest_s: float) -> None: ...
    def refused(self, reason: Reason) -> None: ...
    def retried(self) -> None: ...
    def bisected(self) -> None: ...
    def deferred(self, commands: int) -> None: ...
    def depth(self, waiting: int) -> None: ...


class Entry(Generic[C, R]):
    """A command, and the future that its caller waits for."""

    __slots__ = ("arrived", "command", "defers", "flushed_at", "future", "misses")

    def __init__(self, command: C, future: asyncio.Future[Answer[R]], arrived: float) -> None:
        self.command = command
        self.future = future
        self.arrived = arrived
        self.flushed_at = arrived
        self.defers = 0  # but for those because of a lock
        self.misses = 0  # of a lock, in a row

    def settle(self, result: R, flush_s: float) -> None:
        """Tell the caller; a no-op when it has gone away, so that its neighbours never notice."""
        if not self.future.done():
            self.future.set_result(Answer(result, self.flushed_at - self.arrived, flush_s))

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def put_off(self, by: Defer[C]) -> None:
        self.command = by.command
        if isinstance(by, Missed):
            self.misses += 1
        else:
            self.defers += 1
            self.misses = 0
