"""Watch the free space of the data folder's disk, so that selling pauses before it is full.

A full disk ends PostgreSQL in the middle of a sale. Below one mark we stop taking new work, above
a second, higher one we go on: with a single mark, each freed or written megabyte would flip it.
"""

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path

MEGABYTE = 1024 * 1024

PAUSE_BELOW_BYTES = 1024 * MEGABYTE
"""Twice `max_wal_size`: what is under way can be finished, and a checkpoint can be written."""

RESUME_ABOVE_BYTES = 1536 * MEGABYTE


class DiskState(Enum):
    OK = "ok"
    LOW = "low"
    UNREADABLE = "unreadable"


def judge(state: DiskState, free: int, pause_below: int, resume_above: int) -> DiskState:
    """The state that follows `state` when `free` bytes are left; between the marks it stays.

    After a disk that could not be asked nothing is known, so that only the upper mark helps.
    """
    if free < pause_below:
        return DiskState.LOW
    if free > resume_above or state is DiskState.OK:
        return DiskState.OK
    return DiskState.LOW


def free_bytes(path: Path) -> int:
    """Bytes that an ordinary user may still write on the disk of `path` (`os.statvfs`)."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


class DiskWatch:
    """Remembers the state from one check to the next.

    Args:
        path: A folder on the disk to watch.
        pause_below_bytes: LOW when less than this is free.
        resume_above_bytes: OK again when more than this is free; not below the first mark.
        read: Reads the free bytes of a path; replaced in tests.
    """

    def __init__(
        self,
        path: Path,
        pause_below_bytes: int = PAUSE_BELOW_BYTES,
        resume_above_bytes: int = RESUME_ABOVE_BYTES,
        read: Callable[[Path], int] = free_bytes,
    ) -> None:
        if not 0 <= pause_below_bytes <= resume_above_bytes:
            raise ValueError(
                f"resume_above_bytes ({resume_above_bytes}) must not be below"
                f" pause_below_bytes ({pause_below_bytes}), which must not be negative"
            )
        self.path = path
        self.state = DiskState.OK
        self.free: int | None = None
        self._pause_below = pause_below_bytes
        self._resume_above = resume_above_bytes
        self._read = read

    def check(self) -> DiskState:
        """Read the free space and say how things stand. One system call; does not raise.

        Fails closed: a disk that cannot be asked is not one to sell on.
        """
        try:
            self.free = self._read(self.path)
        except OSError:
            self.free = None
            self.state = DiskState.UNREADABLE
        else:
            self.state = judge(self.state, self.free, self._pause_below, self._resume_above)
        return self.state
