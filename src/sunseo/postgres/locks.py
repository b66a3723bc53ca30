"""The lock order, written once.

What a batch of the engine locks is streams and nothing else: first the accounts that have a floor,
then the sales, which are the hottest. All other rows of an inventory are written under the row of
their sale. One statement locks a kind, keys ascending. Two transactions that follow this order can
wait for each other in one direction only, so they never deadlock.

An operator's command locks the row of its effect, then a stream, then the audit log.
"""

from enum import IntEnum, unique


@unique
class Lockable(IntEnum):
    """Kinds of rows in the order in which they may be locked."""

    LEDGER_ACCOUNT = 1
    SALE = 2
    # Never in one transaction with the streams above.
    ROOM = 3
    ROOM_LEASE = 4
    ROOM_LINE = 5


class LockOrderError(RuntimeError):
    """A programmer's error: locks were asked for against the order."""


class LockLadder:
    """Watches one transaction climb: downward steps are refused, and so is any after `close`."""

    __slots__ = ("_closed", "_last")

    def __init__(self) -> None:
        self._last: Lockable | None = None
        self._closed = False

    def step(self, kind: Lockable) -> None:
        """Note that rows of a kind are about to be locked.

        Raises:
            LockOrderError: rows that come later in the order, or the time, were taken before.
        """
        if self._closed:
            raise LockOrderError(f"{kind.name} cannot be locked after the decision time was read")
        if self._last is not None and kind < self._last:
            raise LockOrderError(f"{kind.name} cannot be locked after {self._last.name}")
        self._last = kind

    def close(self) -> None:
        """Allow no further lock: what is decided from here on is decided at a known time."""
        self._closed = True
