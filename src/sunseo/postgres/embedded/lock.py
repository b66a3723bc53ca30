"""One supervisor per data folder.

Guarantee   While a process holds the lock, no other can take it, and the kernel gives it back
            however that process ends. Forked children do not inherit it.
On failure  Whoever comes second is told the number of the process that came first.
"""

import fcntl
import os
import weakref
from pathlib import Path

from sunseo.postgres.embedded.error import EmbeddedServerError, explain_os_error


class FolderLock:
    """An exclusive lock on a file, which holds the number of the process that has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        # A worker forked later would otherwise keep the lock alive after our death.
        forget = weakref.WeakMethod(self._close)
        os.register_at_fork(after_in_child=lambda: (close := forget()) and close())

    def acquire(self) -> None:
        """Take the lock or raise at once.

        Raises:
            EmbeddedServerError: Another process has it, or the file cannot be written.
        """
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise explain_os_error("taking the lock", self.path.parent, error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise EmbeddedServerError(
                f"the data folder {self.path.parent} is in use by process {holder};"
                " stop that one first, or name another folder"
            ) from None
        self._file = file
        self._sign(file)

    def _sign(self, file: int) -> None:
        try:
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            self.release()
            raise explain_os_error("taking the lock", self.path.parent, error) from error

    def release(self) -> None:
        """Give the lock back; the file stays, since removing it would let two in."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
