"""What runs beside a room: slots that come back by themselves, and what is counted."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from sunseo.room.board.streams import Streams
from sunseo.room.counts import CountingLines, RoomReporter
from sunseo.room.line.expirer import PassExpirer
from sunseo.room.pacing.controller import StepReport
from sunseo.room.pacing.health import SiteHealth
from sunseo.telemetry.metrics import Metrics
from tests.asgi import ask
from tests.store.room_house import ORGANISATION, House


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    opened = House(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()


async def with_a_lapsed_pass(house: House) -> int:
    """A room of two inside, of whom one has let her pass run out."""
    room = await house.room(capacity=2)
    holders = await house.join(room, 2)
    await house.rows("UPDATE room_lines SET serving = 2")
    for number in (1, 2):
        assert await house.enter(room, number, holders[number - 1]) == "ENTERED"
    await house.rows(
        "UPDATE room_passes SET expires_at = now() - interval '1 s',"
        " slot_until = now() - interval '1 s' WHERE number = 1"
    )
    return room


async def test_the_leader_gives_back_what_has_lapsed(house: House) -> None:
    """Nobody is at the door, and the slot of the lapsed pass is free all the same, once."""
    room = await with_a_lapsed_pass(house)
    expirer = PassExpirer(ORGANISATION, house.store.leader, house, is_wanted=lambda: True)

    again = [await expirer.run_once() for _ in range(2)]

    line = await house.line(room)
    assert again == [True, False]
    assert (line["live"], line["departed"]) == (1, 1)
    assert await house.value("SELECT state FROM room_passes WHERE number = 1") == "expired"


async def test_who_does_not_lead_leaves_them_alone(house: House) -> None:
    """A follower's expirer does nothing."""
    room = await with_a_lapsed_pass(house)
    follower = PassExpirer(ORGANISATION, house.store.leader, house, is_wanted=lambda: False)

    assert await follower.run_once() is False
    assert (await house.line(room))["live"] == 2


async def test_rooms_are_counted_and_shown(house: House) -> None:
    """Answers by command and outcome, polls, the line, and who leads."""
    room = await with_a_lapsed_pass(house)
    await house.room(opens_at=datetime.now(UTC) + timedelta(hours=1))
    await house.board.run_once()
    metrics, lines = Metrics(), CountingLines(house)
    reporter = RoomReporter(
        metrics,
        house.board,
        lines=lines,
        ready=house.ready,
        streams=Streams({}, 10),
        health=SiteHealth(house.store.signals),
    )
    for _ in range(3):
        await ask(house.app(), "GET", f"/v1/rooms/{room}/state")
    await PassExpirer(ORGANISATION, house.store.leader, lines, is_wanted=lambda: True).run_once()
    reporter.note_step(StepReport(leads=True, called=2, lag_s=1.0))
    await reporter.run_once()
    await reporter.run_once()

    text = metrics.render().decode()
    for line in (
        'sunseo_room_commands_total{command="expire_passes",outcome="expired"} 1.0',
        "sunseo_room_polls_total 3.0",
        "sunseo_room_called_total 2.0",
        "sunseo_room_leads 1.0",
        'sunseo_room_halted{reason="paused",room="1"} 0.0',
        'sunseo_room_halted{reason="before",room="2"} 1.0',
        'sunseo_room_halted{reason="draw_due",room="2"} 0.0',
        "sunseo_room_step_lag_seconds 1.0",
        'sunseo_room_issued{room="1"} 2.0',
        'sunseo_room_waiting{room="1"} 0.0',
        'sunseo_room_live{room="1"} 2.0',
        'sunseo_room_capacity{room="1"} 2.0',
        'sunseo_room_health{room="1"} 10.0',
    ):
        assert line in text
