"""What a batch locks: streams, all of them before anything else, in one order.

Whoever writes rows that belong to a stream holds the stream's own row first, and raises its
version. So absence is safe under the lock, nothing else needs one, and two batches can wait for
each other in one direction only.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from sunseo.journal.events import Event
from sunseo.postgres.locks import Lockable, LockOrderError
from sunseo.postgres.pipelined.arrays import array_of
from sunseo.postgres.pipelined.statements import Columns, Statement, take

_WAITING = "FOR NO KEY UPDATE"
_SKIPPING = f"{_WAITING} SKIP LOCKED"


class Stream(NamedTuple):
    """One row to lock: the name of its kind, and its key."""

    kind: str
    organisation: int
    number: int


class StreamKind(msgspec.Struct, frozen=True):
    """Rows that batches lock.

    Attributes:
        name: as the journal calls it.
        rung: its place in the lock order.
        lock: the statement that locks FOR NO KEY UPDATE SKIP LOCKED; takes organisations and
            numbers, answers with a row for each of them and the columns `organisation`, `number`,
            `version`, `is_locked` and whatever `terms_of` makes use of. `version` is null where
            the row was not had, and `is_locked` tells a row that somebody else has locked from
            one that does not exist.
        raise_versions: the statement that notes new versions; takes organisations, numbers and
            versions.
        terms_of: what the locked rows say besides, one thing a row.

    Raises:
        LockOrderError: `lock` does not skip.
    """

    name: str
    rung: Lockable
    lock: str
    raise_versions: str
    terms_of: Callable[[Columns], Sequence[Any]]

    def __post_init__(self) -> None:
        if self.lock.count(_SKIPPING) != 1:
            raise LockOrderError(f"what locks a {self.name} has to say {_SKIPPING!r} once")

    @property
    def waiting_lock(self) -> str:
        """The same statement, waiting for whoever has the rows."""
        return self.lock.replace(_SKIPPING, _WAITING)


class HeldStream(msgspec.Struct):
    """A stream that the batch has locked."""

    stream: Stream
    version: int
    terms: Any
    events: list[Event] = []


class StreamOrder:
    """The one order, over all kinds that a process knows."""

    def __init__(self, kinds: Iterable[StreamKind]) -> None:
        self._kinds = sorted(kinds, key=lambda kind: kind.rung)
        if len({kind.rung for kind in self._kinds}) < len(self._kinds):
            raise LockOrderError("two kinds of streams stand on one rung of the lock order")

    def locks(
        self, streams: Iterable[Stream], *, waits: bool = False
    ) -> list[tuple[StreamKind, Statement]]:
        """What locks these streams: one statement a kind, keys ascending.

        Raises:
            LockOrderError: a stream is of no kind that has a place in the order.
        """
        wanted: dict[str, list[Stream]] = {}
        for stream in sorted(set(streams)):
            wanted.setdefault(stream.kind, []).append(stream)
        locks = []
        for kind in self._kinds:
            if kind.name in wanted:
                lock = kind.waiting_lock if waits else kind.lock
                locks.append((kind, Statement(lock, _keys(wanted.pop(kind.name)))))
        if wanted:
            raise LockOrderError(f"streams without a place in the lock order: {sorted(wanted)}")
        return locks

    def raises(self, held: Sequence[HeldStream]) -> list[Statement]:
        """What raises the versions of these streams by one; one statement a kind."""
        raises = []
        for kind in self._kinds:
            if mine := [one for one in held if one.stream.kind == kind.name]:
                keys = _keys([one.stream for one in mine])
                versions = array_of(one.version + 1 for one in mine)
                raises.append(Statement(kind.raise_versions, (*keys, versions)))
        return raises


def held_by(kind: StreamKind, columns: Columns) -> Iterable[HeldStream | Stream]:
    """Read what a kind's locking statement has answered; what others have locked is bare."""
    rows = take(columns, "organisation", "number", "version", "is_locked")
    for (organisation, number, version, is_locked), terms in zip(
        rows, kind.terms_of(columns), strict=True
    ):
        stream = Stream(kind.name, organisation, number)
        if version is not None:
            yield HeldStream(stream, version, terms, [])
        elif is_locked:
            yield stream


def _keys(streams: Sequence[Stream]) -> tuple[str, str]:
    return (
        array_of(stream.organisation for stream in streams),
        array_of(stream.number for stream in streams),
    )
