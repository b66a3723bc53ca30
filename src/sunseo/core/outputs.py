"""Files that a command is to write: found fit before it begins, and none lost to another's fault.

Guarantee   A path that cannot be written, or whose name promises another format, is refused before
            any work is done; nothing is left behind by looking. Afterwards each file is tried,
            whatever became of the others.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from sunseo.core.errors import OneLineError

PAGE_SUFFIXES = (".html", ".htm")
ANY = ()
FOREIGN_TO_JSON = (".html", ".htm", ".pdf", ".md", ".png", ".svg", ".csv", ".txt")


class OutputError(OneLineError, ValueError):
    """One line: which file cannot be written, and why."""


class Output(NamedTuple):
    """A file to be written, and the option that asks for it."""

    option: str
    file: Path
    suffixes: tuple[str, ...] = ANY
    """What its name may end in; anything, where none is named."""


def page(option: str, file: Path | None) -> list[Output]:
    """The HTML page that an option asks for, if it does."""
    return [] if file is None else [Output(option, file, PAGE_SUFFIXES)]


def figures(option: str, file: Path | None) -> list[Output]:
    """The JSON file that an option asks for, if it does.

    Raises:
        OutputError: its name promises something else.
    """
    if file is not None and file.suffix.lower() in FOREIGN_TO_JSON:
        raise OutputError(f"{option} writes JSON, which {file} is not named for")
    return [] if file is None else [Output(option, file)]


def check_outputs(*outputs: Output) -> None:
    """See to it that every file can be written, without changing any.

    Raises:
        OutputError: the first that cannot, or that two options want.
    """
    wanted: dict[Path, str] = {}
    for output in outputs:
        option, file, suffixes = output
        if suffixes and file.suffix.lower() not in suffixes:
            raise OutputError(f"{option} writes {_or(suffixes)}, not {file.name!r}")
        real = file.absolute().resolve()
        if real in wanted:
            raise OutputError(f"{option} and {wanted[real]} name the same file, {file}")
        try:
            _open(file)
        except OSError as error:
            raise OutputError(f"{option}: {_why(file, error)}") from None
        if not real.exists() or S_ISREG(real.stat().st_mode):
            wanted[real] = option  # a terminal or a pipe may take more than one


def write_outputs(*writers: Callable[[], object]) -> list[str]:
    """Write what can be written; returns a line for each that could not be."""
    failed = []
    for write in writers:
        try:
            write()
        except OSError as error:
            failed.append(_why(error.filename, error))
    return failed


def _open(file: Path) -> None:
    """Open it as for writing, and let go of it; a file that was not there is not there after."""
    with suppress(FileNotFoundError):
        if not S_ISREG(file.stat().st_mode) and not file.is_dir():
            if not os.access(file, os.W_OK):  # opening a pipe would wait for its reader
                raise PermissionError("Permission denied")
            return
    there = os.path.lexists(file)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666))
    if not there:
        file.unlink()


def _why(file: object, error: OSError) -> str:
    if isinstance(file, Path) and not file.absolute().parent.exists():
        return f"cannot write {file}: there is no folder {file.parent}"
    where = "the file" if file is None else file
    return f"cannot write {where}: {error.strerror or error}"


def _or(suffixes: tuple[str, ...]) -> str:
    return " or ".join((", ".join(suffixes[:-1]), suffixes[-1]) if suffixes[1:] else suffixes)
