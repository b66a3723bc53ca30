"""Revisions of this repository, each built once in a folder of its own, and driven from here."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contenders import ROOT
from bench.servers import ServerError

FOLDER = ROOT / "build" / "compare"
DRIVER = Path(__file__).with_name("side.py")
STOP_S = 60.0
MAKES_OWN = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV", "PYTHONPATH")
"""What a `make` says to those below it: ours has nothing to say to another checkout's."""

SET_UP = "make --no-print-directory \".venv/.ready-to-work-$(pwd | cksum | cut -d ' ' -f 1)\""


class WrongUseError(Exception):
    """Something was asked for that there is not: one line, and exit code 2."""


def git(*arguments: str) -> str:
    """Ask git about this checkout.

    Raises:
        WrongUseError: git is missing or has refused.
    """
    try:
        ended = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise WrongUseError("git is missing, which knows the revisions") from None
    if ended.returncode != 0:
        said = ended.stderr.strip().splitlines() or ["no such thing"]
        raise WrongUseError(f"git {arguments[0]}: {said[0]}")
    return ended.stdout.strip()


def commit_of(revision: str) -> str:
    """Resolve whatever names a commit.

    Raises:
        WrongUseError: nothing has that name here.
    """
    if not revision:
        raise WrongUseError("BASE names the revision to compare with, as in BASE=main")
    try:
        return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except WrongUseError as refused:
        if "no such thing" not in str(refused):
            raise
        raise WrongUseError(f"no such revision here: {revision}") from None


def build(commit: str) -> Path:
    """Unpack a commit and set it up by its own lock file; what is there already is used again.

    Raises:
        ServerError: it could not be set up.
    """
    folder = FOLDER / commit[:12]
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        packed = folder.with_suffix(".tar")
        git("archive", "--output", str(packed), commit)
        subprocess.run(["tar", "-xf", str(packed), "-C", str(unfinished)], check=True)
        packed.unlink()
        unfinished.rename(folder)
    ended = subprocess.run(
        ["sh", "-c", SET_UP], cwd=folder, env=clean_environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        raise ServerError(f"{commit[:12]} could not be set up:\n{ended.stdout}{ended.stderr}")
    return folder


def clean_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name not in MAKES_OWN and not name.startswith("UV_")
    }


@dataclass(frozen=True, slots=True)
class Side:
    """A revision at work, and the pipe to it."""

    name: str
    process: "subprocess.Popen[str]"

    def ask(self, do: str, **named: Any) -> Any:
        """Have something done there.

        Raises:
            ServerError: it failed there.
        """
        assert self.process.stdin is not None  # noqa: S101 - it was made a pipe
        assert self.process.stdout is not None  # noqa: S101 - it was made a pipe
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"do": do, **named}) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"failed": "it has ended"}
        if "failed" in answer:
            raise ServerError(f"{self.name}, {do}: {answer['failed']}")
        return answer["done"]


@contextmanager
def side(name: str, root: Path) -> Iterator[Side]:
    """Drive the checkout in a folder while the block lasts."""
    python = root / ".venv" / "bin" / "python" if root != ROOT else Path(sys.executable)
    child = subprocess.Popen(
        [str(python), "-P", str(DRIVER)],
        cwd=root,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Side(name, child)
    finally:
        child.communicate(timeout=STOP_S)
