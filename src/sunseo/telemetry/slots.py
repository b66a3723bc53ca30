"""A number for each process that writes metrics, taken over when its owner dies.

State       `slot-<n>.lock` in the metrics directory, locked for as long as its owner lives.
Guarantee   Two living processes never share a slot; the kernel frees a slot when its owner ends,
            however it ends. So there are as many files as workers, not as many as crashes.
Clock       None.
On failure  Losing a race for a slot gives the next number, which is as good.
"""

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

SLOTS_MAX = 1024  # far above any number of workers; reaching it means that locks do not work here


class Slot(NamedTuple):
    """A claimed slot. The lock is held until the process ends or `release` is called."""

    number: int
    fd: int

    def release(self) -> None:
        os.close(self.fd)


def claim_slot(directory: Path) -> Slot:
    """Take the lowest slot without a living owner, and drop its last owner's gauges."""
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(SLOTS_MAX):
        fd = _lock(directory / f"slot-{number}.lock")
        if fd is not None:
            _drop_gauges(directory, number)
            return Slot(number, fd)
    raise RuntimeError(f"all {SLOTS_MAX} metrics slots in {directory} are taken")


def forget_dead_gauges(directory: Path) -> None:
    """Remove the gauges of slots whose owner is gone; its counters stay and still count."""
    for path in directory.glob("slot-*.lock"):
        fd = _lock(path)
        if fd is not None:
            _drop_gauges(directory, int(path.stem.removeprefix("slot-")))
            os.close(fd)


def _lock(path: Path) -> int | None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _drop_gauges(directory: Path, number: int) -> None:
    for leftover in directory.glob(f"gauge_live*_{number}.db"):
        leftover.unlink(missing_ok=True)
