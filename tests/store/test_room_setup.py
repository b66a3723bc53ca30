"""What operators do to rooms: once a key, audited, or refused with nothing moved."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sunseo.core.fields import FieldError
from sunseo.operators.command import By, EffectOutcome
from sunseo.room.line.commands import EndPassOutcome, pass_id_of
from sunseo.room.setup.changes import RoomSetupOutcome
from sunseo.room.setup.revoking import RevokePass, Revoking
from sunseo.room.setup.setup_bodies import NewRoom, ResetRoom, RoomChange
from tests.effects import result_of
from tests.store.room_house import ORGANISATION, House, done

SETTINGS = "SELECT settings ->> $1 FROM rooms"


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    opened = House(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()


def new(name: str = "Room", sale: int | None = None, **settings: Any) -> NewRoom:
    return msgspec.convert({"name": name, "sale": sale, "settings": settings}, NewRoom)


def change(**settings: Any) -> RoomChange:
    return msgspec.convert({"settings": settings}, RoomChange)


async def everything(house: House) -> list[Any]:
    """All that set-up can move."""
    tables = ("rooms", "room_lines", "audit_log", "operator_effects")
    return [await house.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]  # noqa: S608 - constants


async def test_a_room_is_created_once_a_key(house: House) -> None:
    """A retry gets the first result; another body under the key is refused and changes nothing."""
    first = await house.setup.create(By("op", "key"), new(capacity=5))
    before = await everything(house)
    again = await house.setup.create(By("op", "key"), new(capacity=5))
    other = await house.setup.create(By("op", "key"), new(capacity=6))

    assert (first.outcome, result_of(first)) == (EffectOutcome.DONE, {"room": 1, "version": 1})
    assert (again.outcome, result_of(again)) == (EffectOutcome.REPLAYED, result_of(first))
    assert other.outcome is EffectOutcome.KEY_REUSED
    assert await everything(house) == before
    assert (await house.line(1))["capacity"] == 5


async def test_a_sale_has_one_room_and_its_holders_are_persons(house: House) -> None:
    """A second room for the sale is refused, as is one for a sale that does not exist."""
    room = await house.room(sale=7)
    before = await everything(house)
    second = await house.setup.create(By("op", "second"), new(sale=7))
    unknown = await house.setup.create(By("op", "unknown"), new(sale=8))

    assert second.outcome is RoomSetupOutcome.SALE_HAS_ROOM
    assert unknown.outcome is RoomSetupOutcome.UNKNOWN_ROOM_SALE
    assert await everything(house) == before
    assert await house.value(SETTINGS, "holders") == "persons"
    assert room == 1


async def test_changes_merge_and_null_brings_the_default_back(house: House) -> None:
    """Absent settings stay, given ones change, null ones are as in a new room."""
    room = await house.room(capacity=5, tau_s=5.0)

    await house.change(room, capacity=7)
    await house.change(room, tau_s=None, message={"ko": "곧"})

    assert [await house.value(SETTINGS, name) for name in ("capacity", "tau_s", "message")] == [
        "7",
        "8.0",
        '{"en": "", "ko": "곧"}',
    ]
    assert await house.value("SELECT version FROM rooms") == 3


async def test_a_contradiction_is_refused_and_nothing_moves(house: House) -> None:
    """A value that is right by itself is refused where it contradicts one that stands."""
    room = await house.room(capacity=5)
    before = await everything(house)

    with pytest.raises(FieldError) as refused:
        await house.setup.change(By("op", "key"), room, change(capacity_min=6))

    assert refused.value.field == "settings.capacity_min"
    assert str(refused.value) == "Of the settings, capacity_min must not be above capacity."
    assert await everything(house) == before


async def test_pause_resume_and_close_are_settings(house: House) -> None:
    """They change what they name, and a room that is closed before its opening never opens."""
    opens = datetime.now(UTC) + timedelta(hours=1)
    room = await house.room(opens_at=opens.isoformat())

    done(await house.setup.pause(By("op", "1"), room))
    paused = await house.value(SETTINGS, "paused")
    done(await house.setup.resume(By("op", "2"), room))
    resumed = await house.value(SETTINGS, "paused")
    done(await house.setup.close(By("op", "3"), room))

    assert (paused, resumed) == ("true", "false")
    assert (await house.looked(room)).situation.phase == "closed"


async def test_a_reset_needs_the_epoch_it_ends(house: House) -> None:
    """A dry run tells what would be void; another epoch is refused; the right one begins anew."""
    room = await house.room(capacity=10)
    await house.join(room, 3)
    await house.rows("UPDATE room_lines SET serving = 2, live = 1, capacity = 4")
    before = await everything(house)

    dry = await house.setup.reset(By("op", "1"), room, ResetRoom(epoch=1, dry_run=True))
    late = await house.setup.reset(By("op", "2"), room, ResetRoom(epoch=2))
    assert await everything(house) == before
    reset = await house.setup.reset(By("op", "3"), room, ResetRoom(epoch=1))
    again = await house.setup.reset(By("op", "3"), room, ResetRoom(epoch=1))

    void = {"room": room, "places": 3, "passes": 1}
    assert result_of(dry) == void | {"epoch": 1, "done": False}
    assert late.outcome is RoomSetupOutcome.EPOCH_OVER
    assert result_of(reset) == void | {"epoch": 2, "done": True}
    assert (again.outcome, result_of(again)) == (EffectOutcome.REPLAYED, result_of(reset))
    line = await house.line(room)
    assert [line[name] for name in ("epoch", "issued", "serving", "live", "capacity")] == [
        2,
        0,
        0,
        0,
        10,
    ]


async def test_a_revoked_pass_is_listed_and_audited_once(house: House) -> None:
    """The slot is free, gates read the pass in the state, and a retry adds no second entry."""
    room = await house.room(capacity=1)
    (holder,) = await house.join(room)
    await house.rows("UPDATE room_lines SET serving = 1")
    assert await house.enter(room, 1, holder) == "ENTERED"
    await house.board.run_once()
    revoking = Revoking(house, house.board, house.store.setup, ORGANISATION)
    body = RevokePass(pass_id=pass_id_of(1, 1))

    outcomes = [await revoking.revoke(By("op", "key"), room, body) for _ in range(2)]
    unknown = await revoking.revoke(By("op", "other"), room, RevokePass(pass_id=pass_id_of(1, 2)))

    assert outcomes == [EndPassOutcome.REVOKED, EndPassOutcome.PASS_REVOKED]
    assert unknown is EndPassOutcome.UNKNOWN_PASS
    assert (await house.line(room))["live"] == 0
    assert (await house.looked(room)).state.revoked == [body.pass_id]
    entries = "SELECT count(*) FROM audit_log WHERE action = 'revoke_pass'"
    assert await house.value(entries) == 1
