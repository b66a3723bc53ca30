"""What a backup decides without a database: margins, secrets, programs, folders."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from sunseo.backup.error import BackupError
from sunseo.backup.folder import building_folder, check_empty_folder
from sunseo.backup.kept_secrets import keeping
from sunseo.backup.manifest import RoomFacts, Secrets
from sunseo.backup.margins import raise_of
from sunseo.backup.tools import find_tool, target_of
from sunseo.postgres.embedded.error import EmbeddedServerError
from sunseo.room.setup.settings import RoomSettings, encode_settings
from sunseo.settings import Settings, load_settings

MOMENT = datetime(2026, 12, 1, 12, 5, tzinfo=UTC)
NOW = MOMENT + timedelta(minutes=7)
ONE, TWO = "1" * 32, "2" * 32


def facts(issued: int = 3000, busiest: int = 900, epoch: int = 1, **settings: object) -> RoomFacts:
    room = msgspec.convert(settings, RoomSettings)
    return RoomFacts(
        organisation=1,
        room=1,
        name="Room",
        epoch=epoch,
        issued=issued,
        serving=issued // 2,
        live=0,
        capacity=room.capacity,
        entrants=0,
        sealed=False,
        busiest_minute=busiest,
        settings=encode_settings(room),
    )


@pytest.mark.parametrize(
    ("room", "later", "told", "numbers"),
    [
        (facts(), None, None, 6300),  # seven minutes as busy as the busiest
        (facts(busiest=6), None, None, 1000),  # the least
        (facts(), None, 50, 50),
        (facts(), facts(issued=3210), None, 210),
        (facts(), facts(issued=3210), 50, 50),
        (facts(), facts(issued=10, epoch=2), None, 0),
        (facts(issued=0, capacity=400), None, None, 4000),
        (facts(issued=0, mode="closed"), None, None, 0),
        (facts(issued=0, mode="closed"), None, 50, 0),
        (facts(issued=0, opens_at=NOW + timedelta(hours=9)), None, None, 0),
        (
            facts(issued=0, opens_at=MOMENT + timedelta(minutes=1), closes_at=NOW),
            None,
            None,
            10_000,
        ),
        (facts(issued=0, mode="random"), None, None, 0),
    ],
)
def test_margin_follows_from_what_the_room_did(
    room: RoomFacts, later: RoomFacts | None, told: int | None, numbers: int
) -> None:
    """Exact beside a later state, as told, or a guess; nought where nobody can have joined."""
    assert raise_of(room, later, MOMENT, NOW, told).numbers == numbers


def test_serving_comes_from_a_later_state_of_the_same_epoch() -> None:
    """Whoever had been called stays called, if anybody knows that."""
    assert raise_of(facts(), facts(issued=4000), MOMENT, NOW, None).serving == 2000
    assert raise_of(facts(), facts(epoch=2), MOMENT, NOW, None).serving is None
    assert raise_of(facts(), None, MOMENT, NOW, None).serving is None


def secrets(**told: object) -> bytes:
    return msgspec.json.encode(msgspec.convert({"secret_id": 0, "secret": ONE} | told, Secrets))


def test_the_servers_own_secret_goes_back_into_its_folder() -> None:
    """So that the server that is started there next signs with it."""
    assert keeping(Settings(), secrets(), None).in_folder == ONE


def test_a_secret_in_the_settings_stays_there() -> None:
    """Nothing is written beside it, and also one that has been retired will do."""
    same = Settings(secret=ONE)
    rotated = Settings(secret=TWO, secret_id=1, retired_secrets={0: ONE})

    assert keeping(same, secrets(), None).in_folder is None
    assert keeping(rotated, secrets(), None).in_folder is None


@pytest.mark.parametrize(
    ("settings", "saved", "missing"),
    [
        (Settings(secret=TWO), secrets(), "0"),
        (Settings(), secrets(retired_secrets={7: TWO}), "7"),
        (Settings(), secrets(secret_id=3), "3"),
    ],
)
def test_a_missing_secret_is_told_before_anything_is_restored(
    settings: Settings, saved: bytes, missing: str
) -> None:
    """By its id and never by itself, with what to do."""
    with pytest.raises(BackupError, match=f"secret {missing}: every place") as told:
        keeping(settings, saved, None)

    assert "--secrets-to" in str(told.value)
    assert ONE not in str(told.value)
    assert TWO not in str(told.value)


def test_secrets_are_written_as_settings(tmp_path: Path) -> None:
    """Into a new file that only its owner reads, and that `--config` takes."""
    file = tmp_path / "secrets.toml"
    kept = keeping(Settings(), secrets(secret_id=3, retired_secrets={7: TWO}), file)
    assert not file.exists()
    kept.write_settings()

    read = load_settings({}, file)
    assert (read.secret_id, read.secret, read.retired_secrets) == (3, ONE, {7: TWO})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(BackupError, match="is there already"):
        keeping(Settings(), secrets(), file)


def test_a_password_never_stands_on_a_command_line() -> None:
    """Others can see what a program is told, but not its environment."""
    target = target_of("postgresql://o'hara:s3cret@db.example:5433/box?sslmode=require")

    assert dict(part.split("=") for part in target.conninfo.split()) == {
        "host": "'db.example'",
        "port": "'5433'",
        "user": "'o\\'hara'",
        "dbname": "'box'",
        "sslmode": "'require'",
        "gssencmode": "'disable'",
        "connect_timeout": "'10'",
    }
    assert target.environment["PGPASSWORD"] == "s3cret"
    assert not target.is_local
    assert target_of("postgresql://sunseo@/sunseo?host=/tmp/x&port=5432").is_local


def program(folder: Path, name: str, version: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
    path.chmod(0o755)


def test_the_nearest_program_is_taken(tmp_path: Path) -> None:
    """One that is old enough for what comes after, new enough for the server, and speaks TLS."""
    program(tmp_path / "usr/lib/postgresql/15/bin", "pg_dump", "15.4")
    program(tmp_path / "usr/lib/postgresql/19/bin", "pg_dump", "19.1")

    def found(least: int, most: int | None = None, *, is_local: bool) -> str:
        nowhere = {"PATH": str(tmp_path)}
        return find_tool(
            "pg_dump", least, most, is_local=is_local, environment=nowhere, root=tmp_path
        ).version

    assert found(14, is_local=True) == "15.4"
    assert found(16, is_local=True).startswith("18.")  # the wheel's
    assert found(16, is_local=False) == "19.1"
    assert found(16, 18, is_local=False).startswith("18.")
    with pytest.raises(BackupError, match="postgresql-client-20"):
        found(20, is_local=True)


def test_pg_bin_is_the_only_place_where_it_is_set(tmp_path: Path) -> None:
    """Whoever sets it means it."""
    program(tmp_path, "pg_dump", "15.4")
    chosen = {"PG_BIN": str(tmp_path), "PATH": ""}

    assert find_tool("pg_dump", 15, is_local=True, environment=chosen).path == tmp_path / "pg_dump"
    with pytest.raises(BackupError, match="PG_BIN"):
        find_tool("pg_dump", 18, is_local=True, environment=chosen)


def test_only_an_empty_folder_is_built_in(tmp_path: Path) -> None:
    """What lies there is named, and what a restore left that was cut off counts for nothing."""
    data = tmp_path / "data"
    check_empty_folder(data)
    data.mkdir()
    (data / "lost+found").mkdir()
    (data / "restoring-x").mkdir()
    (data / "secret").touch()
    check_empty_folder(data)

    (data / "postgresql").mkdir()
    with pytest.raises(BackupError, match=r"is not empty \(postgresql\)"):
        check_empty_folder(data)


def test_a_folder_that_failed_is_as_it_was(tmp_path: Path) -> None:
    """A new one is gone, an empty one has no more than the lock; and two do not build at once."""

    def build(data: Path) -> None:
        with building_folder(data) as building:
            (building.folder / "postgresql").mkdir()
            with (
                pytest.raises(EmbeddedServerError, match="in use by process"),
                building_folder(data),
            ):
                pass
            raise RuntimeError("cut off")

    for data in (tmp_path / "new", tmp_path):
        with pytest.raises(RuntimeError, match="cut off"):
            build(data)

    assert [entry.name for entry in tmp_path.iterdir()] == ["postgresql.lock"]
