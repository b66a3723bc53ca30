"""A mistyped data folder is told, and never becomes a database that all is well in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from sunseo.cli.main import app, main
from sunseo.invariants.command import run_verify
from sunseo.postgres.embedded import EmbeddedServer
from tests.postgres_fixture import create_database, dsn_of, execute, query

MAKES_ONE = {
    "serve",
    "demo",
    "rehearse run",
    "rehearse capacity",
    "rehearse stage",
    "restore",
}
"""They start a server of their own, or bring a database back."""

NEEDS_ONE: dict[str, list[str]] = {
    "migrate": [],
    "keys create": ["box office"],
    "keys list": [],
    "keys revoke": ["box office"],
    "verify": [],
    "backup": ["it.backup"],
}
"""With what else has to be said."""

ASKS_NONE = {
    "version",
    "gate",
    "draw verify",
    "draw commit",
    "draw seal",
    "draw reveal",
    "draw withhold",
    "draw secret",
    "draw run",
    "sale apply",
    "sale check",
    "sale clone",
    "sale export",
    "sale init",
    "sale list",
    "sale pause",
    "sale resume",
    "sale show",
    "room simulate",
    "room create",
    "room show",
    "room set",
    "room pause",
    "room resume",
    "room close",
    "room reset",
    "rehearse export",
    "rehearse judge",
    "rehearse list",
    "rehearse show",
}
"""They work on files, or talk to a running server."""


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command below a group, by its full name. (Typer brings a click of its own.)"""
    if not hasattr(group, "commands"):
        yield " ".join(path), group
        return
    for name, command in group.commands.items():
        yield from commands(command, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


def test_every_command_is_known_here() -> None:
    """Each command makes a database, needs one, or has nothing to do with any: no fourth kind."""
    assert sorted(ALL) == sorted([*MAKES_ONE, *NEEDS_ONE, *ASKS_NONE])
    with_data = {
        name for name, command in ALL.items() if any(one.name == "data" for one in command.params)
    }
    assert with_data == MAKES_ONE | NEEDS_ONE.keys()


def refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    code: int = 2,
) -> str:
    """The one line with which a command ends, as for wrong use."""
    monkeypatch.setattr("sys.argv", ["sunseo", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()

    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (code, "")
    (line,) = told.err.splitlines()
    return line


@pytest.mark.parametrize("command", NEEDS_ONE)
def test_a_mistyped_folder_is_told_and_not_made(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whether the folder is missing or empty: one line names it, code 2, and nothing is there."""
    monkeypatch.delenv("SUNSEO_DATABASE_URL", raising=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    for data in (tmp_path / "mistyped", empty):
        words = [*command.split(), *NEEDS_ONE[command], "--data", str(data)]

        line = refused(monkeypatch, capsys, *words)

        assert line.startswith(f"sunseo: there is no database in {data}; ")
    assert sorted(tmp_path.rglob("*")) == [empty]


@pytest.mark.parametrize("command", sorted(NEEDS_ONE.keys() - {"migrate"}))
def test_an_empty_database_is_told_and_stays_empty(
    command: str,
    postgres_server: EmbeddedServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A URL of a database without our tables: one line, code 2, and no table is made."""
    create_database(postgres_server, "nobodys")
    try:
        dsn = dsn_of(postgres_server, "nobodys").replace("sunseo@", "sunseo:s3cret@")
        monkeypatch.setenv("SUNSEO_DATABASE_URL", dsn)
        monkeypatch.setenv("SUNSEO_SECRET", "x" * 32)

        line = refused(monkeypatch, capsys, *command.split(), *NEEDS_ONE[command])

        assert "holds no Sunseo data; is it the right one?" in line
        assert "nobodys" in line
        assert "s3cret" not in line
        assert query(dsn, "SELECT FROM pg_tables WHERE schemaname = 'public'") == []
    finally:
        execute(postgres_server, "DROP DATABASE nobodys")


@pytest.mark.parametrize("command", ["keys create", "verify"])
def test_a_database_of_another_version_is_not_changed(
    command: str,
    database_dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No command but `serve` and `migrate` brings a schema up to date behind one's back."""
    monkeypatch.setenv("SUNSEO_DATABASE_URL", database_dsn)
    monkeypatch.setenv("SUNSEO_SECRET", "x" * 32)
    query(database_dsn, "UPDATE alembic_version SET version_num = '0001'")

    line = refused(monkeypatch, capsys, *command.split(), *NEEDS_ONE[command])

    assert "has the schema 0001" in line
    assert "sunseo migrate" in line
    assert query(database_dsn, "SELECT version_num FROM alembic_version") == [("0001",)]


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("migrate", ("sunseo@", "nobody@")),
        ("verify", ("/postgres", "/none_such")),
        *((command, None) for command in NEEDS_ONE),
    ],
)
def test_a_database_that_does_not_answer_is_named(
    command: str,
    wrong: tuple[str, str] | None,
    postgres_server: EmbeddedServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line tells which it is, without the password, and what to do; exit code 3."""
    dsn = dsn_of(postgres_server, "postgres")
    url = "postgresql://u:s3cret@127.0.0.1:1/db" if wrong is None else dsn.replace(*wrong)
    monkeypatch.setenv("SUNSEO_DATABASE_URL", url)
    monkeypatch.setenv("SUNSEO_SECRET", "x" * 32)

    line = refused(monkeypatch, capsys, *command.split(), *NEEDS_ONE[command], code=3)

    assert line.startswith("sunseo: the database postgresql://")
    assert ("is PostgreSQL running there" if wrong is None else "look at role") in line
    assert "s3cret" not in line


async def test_zero_sales_are_said_loudly(
    database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A database without a sale may be the wrong one: `verify` says so, also beside JSON."""
    for as_json in (True, False):
        code = await run_verify(database_dsn, 1, None, as_json, place="the database in /srv/x")

        assert code == 0
        assert capsys.readouterr().err == (
            "NO SALES: the database in /srv/x holds no sale of organisation 1, so that nothing"
            " could be found wrong with any. Is it the right one?\n"
        )
