"""The lock order, written once.

Every transaction that locks rows takes them by kind in this order, ids ascending within a kind,
and the hottest last. Two transactions that follow it can wait for each other in one direction
only, so they never deadlock.
"""

from enum import IntEnum, unique


@unique
class Lockable(IntEnum):
    """Kinds of rows in the order in which they may be locked."""

    SEAT = 1
    HOLD = 2
    PERSON = 3
    COUPON = 4
    STOCK = 5
    LEDGER_ACCOUNT = 6
    SALE = 7
    # Never in one transaction with the inventory above.
    ROOM = 8
    ROOM_LEASE = 9
    ROOM_LINE = 10


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
