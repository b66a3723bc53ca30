"""Finding other Pythons: which are taken, which are skipped, and what is said of them."""

import json
from pathlib import Path

from tests.pythons import Python, ask, look, unfit


def pretend(folder: Path, name: str, version: tuple[int, ...], **other: str) -> Path:
    """A program that answers as a Python of this version would."""
    answer = [other.get("implementation", "cpython"), other.get("level", "final"), version]
    return program(folder, name, f"echo '{json.dumps(answer)}'")


def program(folder: Path, name: str, does: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


def test_each_version_is_found_once(tmp_path: Path) -> None:
    """Of two with one version the first folder's stands; too old and otherwise named are left."""
    first, other = tmp_path / "first", tmp_path / "other"
    twelve = pretend(first, "python3.12", (3, 12, 1))
    debian = pretend(first, "python3", (3, 11, 2))
    pretend(first, "python3-config", (3, 12, 9))
    pretend(first, "python3.10", (3, 10, 13))
    pretend(other, "python3", (3, 12, 1))
    newer = pretend(other, "python3.12", (3, 12, 4))

    found = look([first, tmp_path / "absent", other])

    assert found.pythons == [
        Python(debian, (3, 11, 2)),
        Python(twelve, (3, 12, 1)),
        Python(newer, (3, 12, 4)),
    ]
    assert found.skipped == []


def test_what_does_not_run_is_skipped_with_a_word(tmp_path: Path) -> None:
    """A shim without a version behind it, another Python and one before its release are named."""
    shim = program(tmp_path, "python3.13", "echo 'command not found' >&2; exit 127")
    silent = program(tmp_path, "python3", "exit 0")
    other = pretend(tmp_path, "python3.11", (3, 11, 9), implementation="pypy")
    early = pretend(tmp_path, "python3.15", (3, 15, 0), level="beta")

    assert look([tmp_path]).pythons == []
    assert set(look([tmp_path]).skipped) == {
        f"{shim} does not run",
        f"{silent} does not run",
        f"{other} is pypy 3.11.9 (final)",
        f"{early} is cpython 3.15.0 (beta)",
    }


def test_second_python_is_another_one_new_enough(tmp_path: Path) -> None:
    """Absent, too old and the one in use are refused, each with its reason."""
    path = tmp_path / "python3"
    in_use = Python(tmp_path / "used", (3, 11, 7))

    assert unfit(Python(path, (3, 11, 2)), in_use) is None
    assert unfit(Python(path, (3, 9, 2)), in_use) == f"{path} is 3.9.2, and 3.11 is needed"
    assert unfit(Python(path, (3, 11, 7)), in_use) == f"{path} is 3.11.7, the one in use"
    assert unfit(ask(path), in_use) == f"{path} does not run"
