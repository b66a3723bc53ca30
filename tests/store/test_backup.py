"""A database is saved beside its use, and restored into an empty one with the line as it was."""

import asyncio
import os
import stat
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sunseo.backup.archive import Archive
from sunseo.backup.error import BackupError
from sunseo.backup.restore import Restored, Wish, restore_backup
from sunseo.backup.save import save_backup
from sunseo.backup.screen import restored_lines, saved_lines
from sunseo.core.ids import digest_id
from sunseo.invariants.verify import verify
from sunseo.operators.keys import create_key
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.pool import create_cold_engine
from sunseo.room.line.commands import Enter, EnterOutcome, Join, RenewOutcome, pass_id_of
from sunseo.room.setup.settings import RoomSettings
from sunseo.settings import Settings
from tests.postgres_fixture import create_database, dsn_of, execute
from tests.store.lobby import ORGANISATION, Lobby, holder, open_lobby
from tests.store.shop import open_shop

SECRET = "a secret that the test shares with itself"
PASSPHRASE = "correct horse battery"


def settings_of(dsn: str, **more: Any) -> Settings:
    return Settings(database_url=dsn, secret=SECRET, **more)


@pytest.fixture
def empty(postgres_server: EmbeddedServer) -> Iterator[str]:
    """An empty database beside the test's own."""
    create_database(postgres_server, "restored")
    yield dsn_of(postgres_server, "restored")
    execute(postgres_server, "DROP DATABASE restored WITH (FORCE)")


@pytest.fixture
async def lobby(database_dsn: str) -> AsyncIterator[Lobby]:
    """A sale, a key, and a room: five have joined, two were called and have entered."""
    async with open_shop(database_dsn) as shop:
        await shop.open_sale()
    engine = create_cold_engine(database_dsn, size=1)
    await create_key(engine, ORGANISATION, "box office")
    await engine.dispose()
    async with open_lobby(database_dsn) as lobby:
        room = await lobby.open_room(RoomSettings(capacity=50))
        await lobby.join(room, "ann", "bob", "cat", "dan", "eve")
        await lobby.call_up_to(room, 2)
        await lobby.do(entering("ann", 1), entering("bob", 2))
        yield lobby


def entering(who: str, number: int) -> Enter:
    return Enter((1, 1), 1, number, holder(who), pass_id_of(number, 7))


async def saved(lobby: Lobby, tmp_path: Path, passphrase: str | None = None) -> Path:
    file = tmp_path / "it.backup"
    await save_backup(settings_of(lobby.dsn), lobby.dsn, file, passphrase, force=True)
    return file


async def restored(file: Path, into: str, **wish: Any) -> Restored:
    archive = Archive(file, lambda: PASSPHRASE)
    return await restore_backup(settings_of(into), archive, "the new one", Wish(**wish))


async def is_clean(dsn: str) -> bool:
    engine = create_cold_engine(dsn, size=1)
    try:
        report = await verify(engine, ORGANISATION)
        assert report.violations == []
        return report.clean
    finally:
        await engine.dispose()


async def test_everything_is_there_again(
    lobby: Lobby, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also encrypted: the same rows, numbers passed over in the line, and nothing violated."""
    monkeypatch.setattr("sunseo.backup.sealed.SCRYPT_N", 2)
    file = await saved(lobby, tmp_path, PASSPHRASE)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not tarfile.is_tarfile(file)
    told = await restored(file, empty)

    async with open_lobby(empty) as again:
        assert await again.rows("SELECT * FROM seats ORDER BY seat") == await lobby.rows(
            "SELECT * FROM seats ORDER BY seat"
        )
        assert await again.rows("SELECT * FROM room_passes ORDER BY number") == await lobby.rows(
            "SELECT * FROM room_passes ORDER BY number"
        )
        line = await again.line((1, 1))
        assert (line["issued"], line["serving"], line["unlisted"]) == (1005, 2, 1000)
        assert await again.rows("SELECT after, upto FROM room_gaps") == [(5, 1005)]
        ((action,),) = await again.rows("SELECT action FROM audit_log ORDER BY entry DESC LIMIT 1")
        assert action == "restore_backup"
    assert [(room.numbers, room.why) for room in told.rooms] == [
        (1000, "a guess: 1 min as busy as its busiest, 30 a minute")
    ]
    assert await is_clean(empty)


async def test_a_place_from_after_the_backup_enters(
    lobby: Lobby, empty: str, tmp_path: Path
) -> None:
    """She has a genuine place and no row; her number is hers, whoever joins now is behind her."""
    file = await saved(lobby, tmp_path)
    *_, fay = await lobby.join((1, 1), "fay")
    assert fay.place is not None
    assert fay.place.number == 6
    await restored(file, empty, numbers=10)

    async with open_lobby(empty) as again:
        (gil,) = await again.join((1, 1), "gil")
        assert gil.place is not None
        assert gil.place.number == 16
        (early,) = await again.do(entering("fay", 6))
        await again.call_up_to((1, 1), 16)
        answers = await again.do(
            entering("fay", 6), entering("fay", 6), entering("cat", 3), entering("gil", 16)
        )
    assert early.outcome is EnterOutcome.NOT_SERVED
    assert [answer.outcome for answer in answers] == [
        EnterOutcome.ENTERED,
        EnterOutcome.REPLAYED,
        EnterOutcome.ENTERED,
        EnterOutcome.ENTERED,
    ]
    assert await is_clean(empty)


async def test_a_number_given_twice_is_only_of_who_has_it_now(
    lobby: Lobby, empty: str, tmp_path: Path
) -> None:
    """Too few were passed over: the lost one joins again, and takes nobody's pass."""
    file = await saved(lobby, tmp_path)
    await lobby.join((1, 1), "fay", "gil")  # 6 and 7
    await restored(file, empty, numbers=1)

    async with open_lobby(empty) as again:
        await again.join((1, 1), "hal", "ida")  # 7 and 8
        await again.call_up_to((1, 1), 8)
        first, *others = await again.do(
            entering("fay", 6), entering("gil", 7), entering("hal", 7), entering("jon", 9)
        )
        before = await again.snapshot((1, 1))
        (late,) = await again.do(entering("gil", 7))
        assert await again.snapshot((1, 1)) == before
    assert first.outcome is EnterOutcome.ENTERED
    assert [answer.outcome for answer in others] == [
        EnterOutcome.OTHER_EPOCH,
        EnterOutcome.ENTERED,
        EnterOutcome.OTHER_EPOCH,
    ]
    assert late.outcome is EnterOutcome.OTHER_EPOCH
    assert late.held is None
    assert await is_clean(empty)


async def test_a_pass_renewed_after_the_backup_goes_on(
    lobby: Lobby, empty: str, tmp_path: Path
) -> None:
    """Its token knows of more renewals than the row: it is genuine, and renewed from there."""
    file = await saved(lobby, tmp_path)
    (answer,) = await lobby.do(entering("ann", 1))
    assert answer.held is not None
    await lobby.renew((1, 1), answer.held)
    unrestored = await lobby.renew((1, 1), answer.held, renewal=9)
    await restored(file, empty)

    async with open_lobby(empty) as again:
        renewed = await again.renew((1, 1), answer.held, renewal=1)
        assert await again.rows("SELECT renewal FROM room_passes WHERE number = 1") == [(2,)]
    assert unrestored.outcome is RenewOutcome.UNKNOWN_PASS
    assert renewed.outcome is RenewOutcome.RENEWED


async def test_a_line_begun_anew_forgets_what_was_passed_over(
    lobby: Lobby, empty: str, tmp_path: Path
) -> None:
    """A reset ends the old places, those without a row too, and numbers begin at 1."""
    await restored(await saved(lobby, tmp_path), empty, numbers=10)
    engine = create_cold_engine(empty, size=1)
    reset = "UPDATE room_lines SET epoch = 2, issued = 0, serving = 0, live = 0, unlisted = 0"
    async with engine.begin() as connection:
        await connection.execute(text(reset))
    await engine.dispose()

    async with open_lobby(empty) as again:
        (joined,) = await again.join((1, 1), "kim")
        assert joined.place is not None
        assert joined.place.number == 1
        (old,) = await again.do(entering("fay", 6))
    assert old.outcome is EnterOutcome.OTHER_EPOCH
    assert await is_clean(empty)


async def test_what_came_after_is_told_beside_a_later_state(
    lobby: Lobby, empty: str, tmp_path: Path
) -> None:
    """Keys and passes that had been revoked, orders and entries that are lost, exact numbers."""
    file = await saved(lobby, tmp_path)
    (answer,) = await lobby.do(entering("ann", 1))
    assert answer.held is not None
    await lobby.revoke((1, 1), answer.held)
    await lobby.join((1, 1), "fay", "gil")
    await lobby.call_up_to((1, 1), 6)
    order = digest_id(b"order", "1")
    await lobby.rows("UPDATE operator_keys SET revoked_at = clock_timestamp()")
    await lobby.rows(
        "WITH moved AS (UPDATE sales SET version = version + 3 WHERE sale = 1)"
        " INSERT INTO orders (organisation, sale, order_id, hold, person, amount, state,"
        " request_digest, confirmed_at)"
        " VALUES (1, 1, $1, $1, $1, 0, 'confirmed', $1, clock_timestamp())",
        order,
    )
    told = await restored(file, empty, compare=lobby.dsn)

    assert told.gap is not None
    assert [key.name for key in told.gap.keys_alive_again] == ["box office"]
    assert [one.number for one in told.gap.passes_alive_again] == [1]
    assert [lost.order_id for lost in told.gap.orders_lost] == [str(order)]
    assert told.gap.journal_entries_lost == {"1/1": 3}
    assert [(room.numbers, room.serving) for room in told.rooms] == [(2, 6)]
    said = "\n".join(restored_lines(told))
    assert "had been revoked and is VALID AGAIN" in said
    assert f"Lost order {order} of sale 1" in said
    async with open_lobby(empty) as again:
        line = await again.line((1, 1))
        assert (line["issued"], line["serving"]) == (7, 6)


async def test_without_a_later_state_nobody_knows(lobby: Lobby, empty: str, tmp_path: Path) -> None:
    """It says so, and names the keys that are valid now."""
    told = await restored(await saved(lobby, tmp_path), empty)

    assert told.gap is None
    said = "\n".join(restored_lines(told))
    assert "nobody can tell what. Operator keys that are valid now: “box office”" in said
    assert "Orders confirmed later are lost" in said


async def test_only_an_empty_database_is_filled(
    lobby: Lobby, database_dsn: str, tmp_path: Path
) -> None:
    """One with tables is refused and stays as it is."""
    file = await saved(lobby, tmp_path)
    before = await lobby.snapshot((1, 1))

    with pytest.raises(BackupError, match="the new one is not empty"):
        await restored(file, database_dsn)
    assert await lobby.snapshot((1, 1)) == before


async def test_a_restore_that_fails_leaves_an_empty_database(
    lobby: Lobby, empty: str, tmp_path: Path
) -> None:
    """What pg_restore does is one transaction; and until the last one no server would take it."""
    file = await saved(lobby, tmp_path)
    async with open_lobby(empty) as again:
        await again.rows("CREATE TYPE sales AS ENUM ()")
        with pytest.raises(BackupError, match=r"pg_restore failed: .*already exists"):
            await restored(file, empty)
        assert await again.rows("SELECT FROM pg_tables WHERE schemaname = 'public'") == []


async def test_what_cannot_be_set_right_is_taken_back(
    lobby: Lobby, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that was empty is empty again when the last step fails."""

    async def fail(*_: object) -> None:
        raise BackupError("the last step failed")

    monkeypatch.setattr("sunseo.backup.restore._raise", fail)
    with pytest.raises(BackupError, match="the last step failed"):
        await restored(await saved(lobby, tmp_path), empty)
    async with open_lobby(empty) as again:
        assert await again.rows("SELECT FROM pg_class WHERE relnamespace = 2200") == []


async def test_harm_is_found_before_anything_is_restored(
    lobby: Lobby, empty: str, tmp_path: Path
) -> None:
    """A byte changed, an end cut off, another file altogether: refused, and nothing was touched."""
    whole = (await saved(lobby, tmp_path)).read_bytes()
    changed = bytearray(whole)
    changed[whole.index(b"PGDMP") + 5000] ^= 1
    for harmed in (bytes(changed), whole[:30_000], whole[: len(whole) // 2], b"", b"text" * 999):
        (tmp_path / "harmed").write_bytes(harmed)
        with pytest.raises(BackupError, match=r"damaged|no backup"):
            await restored(tmp_path / "harmed", empty)
    async with open_lobby(empty) as again:
        assert await again.rows("SELECT FROM pg_tables WHERE schemaname = 'public'") == []


async def test_another_secret_is_refused_in_time(lobby: Lobby, empty: str, tmp_path: Path) -> None:
    """With it every place would be refused; nothing is restored until that is settled."""
    archive = Archive(await saved(lobby, tmp_path), lambda: PASSPHRASE)
    other = Settings(database_url=empty, secret="x" * 32)

    with pytest.raises(BackupError, match="the settings lack the backup's secret 0"):
        await restore_backup(other, archive, "it", Wish())
    told = await restore_backup(other, archive, "it", Wish(secrets_to=tmp_path / "kept.toml"))
    assert SECRET in (tmp_path / "kept.toml").read_text()
    assert told.place == "it"


async def test_a_file_is_never_overwritten_by_accident(lobby: Lobby, tmp_path: Path) -> None:
    """Nor is half a file ever left behind, under any name."""
    file = tmp_path / "it.backup"
    file.write_text("yesterday's")
    for target, words in (
        (file, "is there already"),
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "it", "there is no folder"),
    ):
        with pytest.raises(BackupError, match=words):
            await save_backup(settings_of(lobby.dsn), lobby.dsn, target, None, force=False)
    assert os.listdir(tmp_path) == ["it.backup"]  # noqa: PTH208 - in an async test
    assert file.read_text() == "yesterday's"

    manifest = await save_backup(settings_of(lobby.dsn), lobby.dsn, file, None, force=True)
    assert os.listdir(tmp_path) == ["it.backup"]  # noqa: PTH208 - in an async test
    assert any("1 sale, 1 room" in line for line in saved_lines(file, manifest, encrypted=False))


async def test_a_backup_is_of_one_moment(lobby: Lobby, empty: str, tmp_path: Path) -> None:
    """While people join, what the manifest tells and what the dump has are the same."""

    async def join_all() -> None:
        for number in range(200):
            await lobby.do(Join((1, 1), digest_id(b"many", str(number)), holder("x"), None))

    joining = asyncio.ensure_future(join_all())
    file = await saved(lobby, tmp_path)
    await joining
    told = await restored(file, empty, numbers=300)

    (room,) = told.manifest.facts.rooms
    async with open_lobby(empty) as again:
        assert await again.rows("SELECT max(number), count(*) FROM room_places") == [
            (room.issued, room.issued)
        ]
    assert await is_clean(empty)
