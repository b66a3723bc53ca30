"""Run unit tests with other Pythons than the one in use, wherever they are on this machine.

    python -m tests.pythons all      the whole unit part, with each that is found
    python -m tests.pythons second FILE   loops, cancelling and HTTP, with the distribution's own;
                                          what is skipped is written into a file

Each has an environment of its own in `.pythons/`. Exit code 0 says that all that ran was green.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".pythons"
UV = ROOT / ".uv/bin/uv"
DISTRIBUTIONS_OWN = Path("/usr/bin/python3")
OLDEST = (3, 11)
NAME = re.compile(r"python3(?:\.(\d+))?")
ASKED_S = 30.0

EVERYTHING = ("tests/unit",)
# What leans on how asyncio cancels and how sockets end: where versions of Python differ in fact.
SECOND = (
    "tests/unit/web_http/test_edges.py",
    "tests/unit/web_http/test_ways.py",
    "tests/unit/test_faults_proxy.py",
    "tests/unit/test_lane.py",
    "tests/unit/test_lane_cancellation.py",
    "tests/unit/test_loops.py",
    "tests/unit/test_rehearsal_wire.py",
    "tests/unit/test_room_streams.py",
)

ASK = """
import json, sys
print(json.dumps([sys.implementation.name, sys.version_info.releaselevel, sys.version_info[:3]]))
"""


class Python(NamedTuple):
    path: Path
    version: tuple[int, int, int]

    @property
    def name(self) -> str:
        return ".".join(map(str, self.version))


class Found(NamedTuple):
    """What is on a machine: one Python of each version, and a word on each that is of no use."""

    pythons: list[Python]
    skipped: list[str]


def look(folders: Iterable[Path]) -> Found:
    """Ask every `python3` and `python3.x` in these folders; the first of a version stands."""
    found: dict[tuple[int, int, int], Python] = {}
    skipped: dict[str, None] = {}
    for path in (path for folder in folders for path in _named_python(folder)):
        python = ask(path)
        if isinstance(python, str):
            skipped[python] = None
        elif python.version[:2] >= OLDEST:
            found.setdefault(python.version, python)
    return Found([found[version] for version in sorted(found)], list(skipped))


def ask(path: Path) -> Python | str:
    """The Python at this path, or a word on why it cannot be used."""
    try:
        asked = subprocess.run(
            [path, "-I", "-c", ASK], capture_output=True, text=True, timeout=ASKED_S, check=False
        )
        implementation, level, version = json.loads(asked.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return f"{path} does not run"
    if implementation != "cpython" or level != "final":
        return f"{path} is {implementation} {'.'.join(map(str, version))} ({level})"
    return Python(path, tuple(version))


def _named_python(folder: Path) -> list[Path]:
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []
    matches = [(name, NAME.fullmatch(name)) for name in names]
    return [
        folder / name
        for name, match in matches
        if match and (match[1] is None or int(match[1]) >= OLDEST[1])
    ]


def usual_folders() -> list[Path]:
    """PATH, the distribution's, and what pyenv keeps behind its shims."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    kept = sorted((pyenv / "versions").glob("*/bin"))
    on_path = [Path(folder) for folder in os.get_exec_path() if folder]
    return list(dict.fromkeys([*on_path, DISTRIBUTIONS_OWN.parent, *kept]))


def set_up(python: Python) -> Path | str:
    """Make or renew the environment of one; its interpreter, or what uv said."""
    home = HOME / python.name
    unfinished = HOME / f"{python.name}.unfinished"
    if unfinished.exists():  # what was cut off may have left a package half copied
        shutil.rmtree(home, ignore_errors=True)
    HOME.mkdir(exist_ok=True)
    unfinished.touch()
    environment = os.environ | {
        "UV_PROJECT_ENVIRONMENT": str(home),
        "UV_PYTHON": str(python.path),
        "UV_COMPILE_BYTECODE": "0",  # few of its modules are ever imported
    }
    said = ""
    for network in (["--offline"], []):
        synced = subprocess.run(
            [UV, "sync", "--quiet", "--locked", "--all-groups", *network],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if synced.returncode == 0:
            unfinished.unlink()
            return home / "bin/python"
        said = synced.stderr.strip()
    return said


def run(python: Python, interpreter: Path, tests: Sequence[str]) -> bool:
    processes = os.environ.get("PYTEST_PROCESSES", "3")
    print(f"Python {python.name} ({python.path}): {' '.join(tests)}", flush=True)
    options = ("-q", "-n", processes, "--dist", "loadfile")
    command = [str(interpreter), "-m", "pytest", *options, *tests]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def all_of_them() -> int:
    pythons, skipped = look(usual_folders())
    for word in skipped:
        print(f"Skipped: {word}.")
    red = []
    for python in pythons:
        interpreter = set_up(python)
        if isinstance(interpreter, str):
            print(f"Python {python.name} ({python.path}) could not be set up:\n{interpreter}")
            red.append(python.name)
        elif not run(python, interpreter, EVERYTHING):
            red.append(python.name)
    green = [python.name for python in pythons if python.name not in red]
    print(f"Green: {', '.join(green) or 'none'}. Red: {', '.join(red) or 'none'}.")
    return bool(red)


def second(skipped: Path) -> int:
    """Run with the distribution's own, unless that is in use already or there is none."""
    skipped.parent.mkdir(exist_ok=True)
    skipped.write_text("")
    python = ask(DISTRIBUTIONS_OWN)
    in_use = Python(Path(sys.executable), sys.version_info[:3])
    word = unfit(python, in_use)
    if word is None and isinstance(python, Python):
        interpreter = set_up(python)
        if not isinstance(interpreter, str):
            return not run(python, interpreter, SECOND)
        word = f"{python.path} could not be set up:\n{interpreter}"
    print(f"No second Python: {word}. All runs on {in_use.name} alone.")
    if not (isinstance(python, Python) and python.version == in_use.version):
        skipped.write_text(f"what is run with a second Python: {word}\n")
    return 0


def unfit(python: Python | str, in_use: Python) -> str | None:
    """Why a Python is not fit to be a second one; none where it is."""
    if isinstance(python, str):
        return python
    if python.version[:2] < OLDEST:
        return f"{python.path} is {python.name}, and {'.'.join(map(str, OLDEST))} is needed"
    if python.version == in_use.version:
        return f"{python.path} is {python.name}, the one in use"
    return None


if __name__ == "__main__":
    sys.exit(all_of_them() if sys.argv[1] == "all" else second(Path(sys.argv[2])))
