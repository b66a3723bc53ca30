"""The one error of the embedded server, and the sentences it speaks.

PostgreSQL says what went wrong in its log; an operator wants one line that says what, where and
what to do. `explain` turns the first into the second.
"""

import errno
from pathlib import Path

from sunseo.core.errors import OneLineError

LOG_BYTES_MAX = 64 * 1024
"""How much of a log's end is read for its last complaint; a start writes far less."""

_LEVELS = ("PANIC:", "FATAL:", "ERROR:", "initdb: error:", "could not ", "Error:", "error:")

_STILL_OCCUPIED = ("pre-existing shared memory block", "already exists", "still in use")


class EmbeddedServerError(OneLineError, RuntimeError):
    """The embedded PostgreSQL cannot do what was asked. Its text is one line for the operator."""


def read_tail(log: Path, since: int = 0) -> str:
    """The text of a log from byte `since` on, at most its last 64 KiB; empty if unreadable."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(since if since <= size else 0, size - LOG_BYTES_MAX))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def last_error_line(text: str) -> str:
    """The line of a log that most likely says why the program gave up."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for level in _LEVELS:
        for line in reversed(lines):
            if level in line:
                return line[line.index(level) :]
    return lines[-1] if lines else "it said nothing"


def is_still_occupied(text: str) -> bool:
    """Whether the remains of a killed server were in the way, which passes within seconds."""
    return any(phrase in text for phrase in _STILL_OCCUPIED)


def is_disk_full(text: str) -> bool:
    return "No space left on device" in text or "Disk quota exceeded" in text


def explain(what: str, folder: Path, text: str, log: Path | None = None) -> EmbeddedServerError:
    """One helpful line for a program that failed in `folder` and wrote `text`."""
    if is_disk_full(text):
        return disk_full(what, folder)
    where = f"; the whole story is in {log}" if log else ""
    hint = ""
    if "Permission denied" in text:
        hint = "; every folder on the way to it must be open to the user that PostgreSQL runs as"
    return EmbeddedServerError(f"{what} failed in {folder}: {last_error_line(text)}{hint}{where}")


def disk_full(what: str, folder: Path) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"{what} failed in {folder}: the disk is full; free some space there and start again"
    )


def explain_os_error(what: str, folder: Path, error: OSError) -> EmbeddedServerError:
    """One helpful line for a system call that failed in `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(what, folder)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return EmbeddedServerError(
            f"{what} failed: {folder} is not writable for this user ({error.strerror}); "
            "correct its owner and rights, or name another folder"
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return EmbeddedServerError(
            f"{what} failed: {folder} is not a folder; name a folder for the data"
        )
    return EmbeddedServerError(f"{what} failed in {folder}: {error.strerror or error}")
