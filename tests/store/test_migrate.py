"""`sunseo migrate` says what it does, and saves everything before it does it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sunseo.backup.archive import Archive
from sunseo.cli.main import main
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.migrate import head_revision, steps_after
from tests.postgres_fixture import create_database, dsn_of, execute, query
from tests.store.test_migrations import SALES, SCRIPTS
from tests.store.test_migrations import run as apply

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def old(postgres_server: EmbeddedServer) -> Iterator[str]:
    """A database as an earlier version has left it, whatever steps have come since."""
    create_database(postgres_server, "old")
    dsn = dsn_of(postgres_server, "old")
    for name in ("0001_engine", "0002_rooms"):
        apply(dsn, SCRIPTS.joinpath(f"{name}.sql").read_text("utf-8"))
    apply(
        dsn,
        SALES,
        "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL);"
        "INSERT INTO alembic_version VALUES ('0002')",
    )
    yield dsn
    execute(postgres_server, "DROP DATABASE old WITH (FORCE)")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on a database of one's own: its code, and what it said."""
    monkeypatch.setenv("SUNSEO_SECRET", "x" * 32)
    monkeypatch.setenv("BACKUP_PASSPHRASE", "correct horse battery")

    def run_it(dsn: str, *words: str) -> tuple[int, str, str]:
        monkeypatch.setenv("SUNSEO_DATABASE_URL", dsn)
        monkeypatch.setattr("sys.argv", ["sunseo", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return run_it


def revision(dsn: str) -> str:
    ((found,),) = query(dsn, "SELECT version_num FROM alembic_version")
    return str(found)


def test_a_dry_run_only_tells(old: str, run: Run) -> None:
    """Each step by its revision and what it is for; the schema stays as it is."""
    code, said, _ = run(old, "migrate", "--dry-run")

    steps = steps_after("0002")
    assert code == 0
    assert said.splitlines() == [
        "Would be applied:",
        *(f"  {step.revision}  {step.sentence}" for step in steps),
    ]
    assert steps[-1].revision == head_revision()
    assert all(step.sentence.endswith(".") for step in steps)
    assert revision(old) == "0002"


def test_it_saves_first_and_that_can_be_restored(
    old: str, run: Run, postgres_server: EmbeddedServer, tmp_path: Path
) -> None:
    """The backup is of the schema before; restored, it is at the newest step again."""
    file = tmp_path / "before.backup"
    code, said, errors = run(old, "migrate", "--backup", str(file), "--encrypt")
    assert (code, errors) == (0, "")
    assert f"Saved in {file}" in said
    assert said.endswith("The schema is current.\n")
    assert revision(old) == head_revision()
    assert Archive(file, lambda: "correct horse battery").manifest.facts.schema == "0002"

    create_database(postgres_server, "undone")
    try:
        undone = dsn_of(postgres_server, "undone")
        code, said, errors = run(undone, "restore", str(file))
        assert (code, errors) == (0, "")
        assert revision(undone) == head_revision()
        assert "What came after is lost" in said
    finally:
        execute(postgres_server, "DROP DATABASE undone WITH (FORCE)")


def test_a_backup_that_fails_stops_it(old: str, run: Run, tmp_path: Path) -> None:
    """Nothing is applied that could not be undone."""
    (tmp_path / "there").touch()
    code, _, errors = run(old, "migrate", "--backup", str(tmp_path / "there"))

    assert code == 2
    assert errors.splitlines()[-1].endswith("is there already; --force overwrites it")
    assert revision(old) == "0002"


@pytest.mark.parametrize("words", [("--no-backup",), ()])
def test_without_anybody_to_ask_none_is_made(old: str, run: Run, words: tuple[str, ...]) -> None:
    """As in a script: it says so and goes on, also where it was told not to offer one."""
    code, said, _ = run(old, "migrate", *words)

    assert code == 0
    assert said.endswith("No backup is made.\nThe schema is current.\n")
    assert revision(old) == head_revision()


def test_somebody_there_is_asked(
    old: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is offered by a name that tells the step; the answer is taken."""
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []

    def answer(question: str, **_: object) -> object:
        asked.append(question)
        return True if "first" in question else "mine.backup"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", answer)
    monkeypatch.setattr("typer.prompt", answer)
    code, _, _ = run(old, "migrate")

    assert code == 0
    assert asked == ["Save everything in a file first?", "In which file"]
    assert (tmp_path / "mine.backup").stat().st_size > 10_000
    assert revision(old) == head_revision()


def test_a_current_schema_is_left_alone(database_dsn: str, run: Run) -> None:
    """Nothing to do, and so nothing to save."""
    code, said, _ = run(database_dsn, "migrate", "--backup", "/nowhere/at/all")

    assert (code, said) == (0, f"The schema is current ({head_revision()}): nothing to do.\n")


def test_a_newer_schema_is_told(database_dsn: str, run: Run) -> None:
    """What another version has written, this one does not touch."""
    query(database_dsn, "UPDATE alembic_version SET version_num = '9999'")
    code, _, errors = run(database_dsn, "migrate")

    assert code == 2
    assert errors == ("sunseo: the schema 9999 is not known to this version; it is a newer one's\n")
    assert revision(database_dsn) == "9999"
