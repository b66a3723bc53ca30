"""Porcupine, by the small Go program beside this file: built once, asked about one history."""

import shutil
import subprocess
from pathlib import Path

import msgspec

from chaos.linearizability.history import History

SOURCE = Path(__file__).with_name("porcupine")
BUILD_S = 300.0
PATIENCE_S = 60.0  # of porcupine, for each part of a history; they take milliseconds
SECONDS_MAX = 1_800.0


class CannotBeRunError(Exception):
    """Something is missing here; the sentence says what."""


class Verdict(msgspec.Struct, frozen=True):
    """What porcupine says of one history."""

    result: str
    """ok, illegal, or undecided where time ran out."""

    operations: int
    open: int
    """Those that nobody knows whether they were ever done."""

    parts: int
    offending: int
    seconds: float
    sale: int
    """The first sale that no order of operations explains; so with all that follows."""

    last: str
    """The answer with which that was so for the first time."""

    shown: int
    picture: str


def build(into: Path) -> Path:
    """Build the checker.

    Raises:
        CannotBeRunError: there is no Go, or it could not build.
    """
    go = shutil.which("go")
    if go is None:
        raise CannotBeRunError("Go is needed and is not installed: https://go.dev/doc/install")
    into.mkdir(parents=True, exist_ok=True)
    program = into.resolve() / "porcupine-check"
    try:
        built = subprocess.run(  # noqa: S603 - the Go that is installed here
            [go, "build", "-o", str(program), "."],
            cwd=SOURCE,
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBeRunError(f"Go could not build the checker: {error}") from error
    if built.returncode:
        said = " ".join(built.stderr.split()) or f"go build ended with {built.returncode}"
        raise CannotBeRunError(f"Go could not build the checker: {said}")
    return program


def check(program: Path, history: History, file: Path) -> Verdict:
    """Write a history down and have it checked; if it is at fault, a picture stands beside it.

    Raises:
        CannotBeRunError: the checker says that this is no history.
    """
    file.write_bytes(msgspec.json.encode(history))
    picture = file.with_suffix(".html")
    picture.unlink(missing_ok=True)
    patience = f"{PATIENCE_S:.0f}s"
    checked = subprocess.run(  # noqa: S603 - built just now
        [program, "-patience", patience, "-picture", str(picture), str(file)],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    if checked.returncode:
        raise CannotBeRunError(checked.stderr.strip() or f"it ended with {checked.returncode}")
    return msgspec.json.decode(checked.stdout, type=Verdict)
