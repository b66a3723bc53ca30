"""A room that cannot be read is set aside, and stands in nobody's way."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

import msgspec
import pytest

from sunseo.checkout.room_access import RoomAccess
from sunseo.core.fields import FieldError
from sunseo.core.ids import Person
from sunseo.core.later import LaterOutcome
from sunseo.operators.command import By
from sunseo.room.board.board import RoomUnreadableError
from sunseo.room.line.commands import Join
from sunseo.room.pacing.controller import Controller
from sunseo.room.setup import changes
from sunseo.room.setup.changes import RoomSetupOutcome
from sunseo.room.setup.setup_bodies import NewRoom, ResetRoom, RoomChange, RoomList
from sunseo.room.setup.setup_routes import RoomReads
from sunseo.room.setup.stored import UnreadableSettingsError, read_settings
from sunseo.telemetry.aside import SetAside
from sunseo.web.input.bodies import BodyReader
from sunseo.web.problems import INVALID_FIELD, ProblemError
from tests.asgi import ask
from tests.effects import refusal_of
from tests.store.room_house import KEYS, ORGANISATION, House

FULL_WIDTH = '[{"time": "0９:0０", "minutes": 60}]'  # noqa: RUF001 - as an input method writes them


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    opened = House(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()


async def spoil(house: House, room: int, name: str = "schedule", value: str = FULL_WIDTH) -> None:
    """Store what no endpoint would take, as hands in the database do."""
    await house.rows(
        "UPDATE rooms SET settings = jsonb_set(settings, ARRAY[$2], $3::text::jsonb),"
        " version = version + 1 WHERE room = $1",
        room,
        name,
        value,
    )


async def everything(house: House) -> list[Any]:
    tables = ("rooms", "room_lines", "audit_log", "operator_effects")
    return [await house.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]  # noqa: S608 - constants


def reads(house: House) -> RoomReads:
    return RoomReads(house.store.setup, KEYS)


async def test_digits_of_other_scripts_are_refused_with_the_field() -> None:
    """What an input method writes instead of digits is no time of day."""
    body = f'{{"name": "Room", "settings": {{"schedule": {FULL_WIDTH}}}}}'

    with pytest.raises(ProblemError) as refused:
        BodyReader(NewRoom).read(body.encode())

    assert refused.value.problem is INVALID_FIELD
    assert refused.value.members["field"] == "settings.schedule[0].time"


@pytest.mark.parametrize("action", ["create", "change", "pause"])
async def test_what_cannot_be_read_back_is_not_stored(
    house: House, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """Settings are read out of the row before they are committed; a fault undoes all of it."""
    room = await house.room()
    before = await everything(house)
    read, asked = read_settings, 0

    def failing(stored: str, now: datetime) -> Any:
        nonlocal asked
        asked += 1
        if action == "create" or asked == 2:  # the first reading is of the row as it was
            raise UnreadableSettingsError("settings", "no such thing")
        return read(stored, now)

    monkeypatch.setattr(changes, "read_settings", failing)
    body = msgspec.convert({"name": "B", "settings": {"tau_s": 3.0}}, NewRoom)
    change = msgspec.convert({"settings": {"tau_s": 3.0}}, RoomChange)
    work = {
        "create": lambda: house.setup.create(By("op", "key"), body),
        "change": lambda: house.setup.change(By("op", "key"), room, change),
        "pause": lambda: house.setup.pause(By("op", "key"), room),
    }
    with pytest.raises(FieldError) as refused:
        await work[action]()

    named = "settings" if action == "pause" else "settings.tau_s"
    assert refused.value.field == named
    assert await everything(house) == before


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("schedule", FULL_WIDTH, "settings.schedule[0].time"),
        ("time_zone", '"Mars/Olympus"', "time_zone must be a name like Asia/Seoul"),
        ("capacity", "0", "settings.capacity"),
        ("mode", '"lottery"', "settings.mode"),
    ],
)
async def test_one_unreadable_room_is_set_aside_on_the_board(
    house: House, name: str, value: str, fault: str
) -> None:
    """Its document is gone, whoever asks is told, and the documents of all others are renewed."""
    good, bad = await house.room(), await house.room()
    lines: list[dict[str, Any]] = []
    aside = SetAside(lambda _event, **about: lines.append(about))
    house.board._aside = aside
    await house.looked(bad)
    await spoil(house, bad, name, value)
    await house.rows("UPDATE room_lines SET issued = 5")

    for _ in range(3):
        await house.board.run_once()
    other = await ask(house.app(), "GET", f"/v1/rooms/{good}/state")
    told = await ask(house.app(), "GET", f"/v1/rooms/{bad}/state")

    assert (other.status, other.json["issued"]) == (200, 5)
    assert (told.status, told.json["outcome"], told.json["room"]) == (503, "unreadable", bad)
    assert "retry-after" in told.headers
    assert aside.parts() == [f"room {bad}"]
    assert len(lines) == 1
    assert fault in lines[0]["error"]


async def test_a_board_that_begins_with_an_unreadable_room_is_read(house: House) -> None:
    """After a restart all other rooms are there; only holds of the bad one's sale are put off."""
    good, bad = await house.room(sale=1), await house.room(sale=2)
    await spoil(house, bad)
    board = house.another_board()
    await board.run_once()
    doors = RoomAccess(board, cast("Any", None))
    buyer = Person.named(ORGANISATION, "issuer", "kim")

    mine, other, none = (doors.admission_of(buyer, sale, None) for sale in (2, 1, 3))

    assert board.is_read
    assert mine is not None
    assert (mine.room, mine.is_known) == (bad, False)
    assert other is not None
    assert (other.room, other.is_known) == (good, True)
    assert none is None
    doors.release(buyer, 2, "a pass that nobody can judge")
    with pytest.raises(RoomUnreadableError):
        board.look(bad)


async def test_a_room_without_a_line_leaves_its_sale_shut(house: House) -> None:
    """A sale is not thrown open because half of its room is missing."""
    room = await house.room(sale=1)
    await house.rows("DELETE FROM room_lines WHERE room = $1", room)
    await house.board.run_once()

    with pytest.raises(RoomUnreadableError):
        house.board.of_sale(1)


async def test_polls_are_not_counted_backwards(house: House) -> None:
    """What a room has served before it was set aside stays counted."""
    room = await house.room()
    await house.looked(room)
    app = house.app()
    for _ in range(3):
        await ask(app, "GET", f"/v1/rooms/{room}/state")
    await spoil(house, room)
    await house.board.run_once()

    assert house.ready.served == 3


async def test_commands_of_an_unreadable_room_hold_up_no_batch(house: House) -> None:
    """One batch answers both rooms: the readable one as ever, the other with nothing done."""
    good, bad = await house.room(), await house.room()
    await house.join(bad)
    await spoil(house, bad)
    before = await house.line(bad)

    mine, other = await house.ask(
        Join((ORGANISATION, bad), uuid4(), uuid4()), Join((ORGANISATION, good), uuid4(), uuid4())
    )
    again = await house.ask(Join((ORGANISATION, bad), uuid4(), uuid4()))

    assert mine.outcome is again[0].outcome is LaterOutcome.UNREADABLE
    assert other.outcome.name == "JOINED"
    assert await house.line(bad) == before


async def test_the_leader_steps_all_other_rooms(house: House) -> None:
    """A room that cannot be read, one whose step fails and one with odd memory stop nobody."""
    good, bad, odd, forgetful = [await house.room(sale=sale) for sale in (1, 2, 3, 4)]
    for room in (good, bad, odd, forgetful):
        await house.join(room, 3)
    await spoil(house, bad)
    await house.rows(
        "INSERT INTO room_pacings (organisation, room, epoch, state, ticked_at)"
        ' VALUES (1, $1, 1, \'{"memory": {"pacing": 5}, "shown": []}\', now())',
        forgetful,
    )
    aside = SetAside()

    async def stock_of(sale: int) -> None:
        if sale == 3:
            raise ValueError("a sale that cannot be read")

    leader = Controller(
        house.store.leader,
        house.another_board(),
        leader=uuid4(),
        lease_s=60.0,
        stock_of=stock_of,
        aside=aside,
    )
    said: list[str] = []
    aside._say = lambda event, **about: said.append(f"{event} {about['part']}")

    async def serving() -> list[int]:
        return [(await house.line(room))["serving"] for room in (good, bad, odd, forgetful)]

    await leader.run_once()
    steps = 100  # by how many a step calls, the time since the last one says
    while sum(await serving()) < 6:
        steps -= 1
        assert steps
        await leader.run_once()
    assert await serving() == [3, 0, 0, 3]
    assert aside.parts() == [f"room_step {odd}"]
    assert f"set_aside room_memory {forgetful}" in said
    assert f"read_again room_memory {forgetful}" in said


async def test_operators_are_told_and_can_mend(house: House) -> None:
    """The list keeps the others; what is sent anew mends the room, and all else of it is kept."""
    good, bad = await house.room(), await house.room(capacity=7)
    await house.join(bad, 2)
    await spoil(house, bad)
    fault = "settings.schedule[0].time: Expected `str` matching regex"

    listed = cast("Any", await reads(house).rooms(cast("Any", None))).body
    assert isinstance(listed, RoomList)
    assert [room.room for room in listed.rooms] == [good]
    assert [room.room for room in listed.unreadable] == [bad]
    assert listed.unreadable[0].fault.startswith(fault)

    before = await everything(house)
    other = msgspec.convert({"settings": {"tau_s": 3.0}}, RoomChange)
    refused = [
        await house.setup.change(By("op", "1"), bad, other),
        await house.setup.pause(By("op", "2"), bad),
        await house.setup.reset(By("op", "3"), bad, ResetRoom(epoch=1)),
    ]
    assert [answer.outcome for answer in refused] == [RoomSetupOutcome.ROOM_UNREADABLE] * 3
    assert all((refusal_of(answer).detail or "").startswith(fault) for answer in refused)
    assert await everything(house) == before

    await house.change(bad, schedule=None)
    view = await house.looked(bad)
    assert (view.settings.capacity, view.settings.schedule, view.issued) == (7, (), 2)
    joined = await house.ask(Join((ORGANISATION, bad), uuid4(), uuid4()))
    assert joined[0].place.number == 3


async def test_mending_is_no_way_around_what_is_fixed(house: House) -> None:
    """A change of mode that people in line forbid is refused of an unreadable room as well."""
    room = await house.room()
    await house.join(room, 2)
    change = msgspec.convert({"settings": {"mode": "random", "schedule": None}}, RoomChange)
    for name, value in (("schedule", FULL_WIDTH), ("mode", '"lottery"')):
        await spoil(house, room, name, value)
        before = await everything(house)
        answer = await house.setup.change(By("op", name), room, change)
        assert answer.outcome is RoomSetupOutcome.SETTING_FIXED
        assert await everything(house) == before

    await house.change(room, mode="fifo", schedule=None)
    assert (await house.looked(room)).settings.mode == "fifo"
