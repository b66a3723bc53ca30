"""The leader of a house's rooms: it calls, is followed, and is refused when it comes back late."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from sunseo.room.pacing.controller import Controller
from sunseo.room.pacing.stock import RemainingStock
from tests.store.room_house import House

LONG_S = 3600.0


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    opened = House(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()


def controller(house: House, **options: Any) -> Controller:
    """A process that could lead; its lease never ends by itself unless a test says so."""
    given: dict[str, Any] = {"leader": uuid4(), "lease_s": LONG_S} | options
    return Controller(house.store.leader, house.another_board(), **given)


async def let_time_pass(house: House, seconds: float = 1.0) -> None:
    """Put what has happened further into the past: time passes without anybody sleeping."""
    await house.rows(
        "UPDATE room_pacings SET state = jsonb_set(state, '{memory,pacing,at_s}',"
        " to_jsonb((state #>> '{memory,pacing,at_s}')::float8 - $1))",
        seconds,
    )


async def stepped(house: House, steps: int = 3, **options: Any) -> Controller:
    """Steps a second apart, each by a leader that recalls what the one before stored."""
    leader = controller(house, **options)
    for _ in range(steps):
        leader = controller(house, **options)
        await leader.run_once()
        await leader.stop()
        await let_time_pass(house)
    return leader


async def test_an_empty_room_calls_whoever_comes(house: House) -> None:
    """A line shorter than the free slots is called at once, and can enter."""
    room = await house.room(capacity=1000)
    holders = await house.join(room, 5)

    await stepped(house)

    assert (await house.line(room))["serving"] == 5
    assert [await house.enter(room, number, holders[number - 1]) for number in (1, 5)] == [
        "ENTERED",
        "ENTERED",
    ]
    upto = await house.rows("SELECT DISTINCT max(upto) OVER () FROM room_releases")
    assert upto == [(5,)]


async def test_the_first_in_an_empty_small_room_is_called_with_the_next_step(house: House) -> None:
    """One step calls one, though a third of a person is due; three slots call three, not more."""
    room = await house.room(capacity=3)
    leader = controller(house)
    await leader.run_once()
    await house.join(room, 5)
    served = []
    for _ in range(5):
        await leader.run_once()
        served.append((await house.line(room))["serving"])

    assert served == [1, 2, 3, 3, 3]


async def test_serving_stays_within_the_line_and_about_the_capacity(house: House) -> None:
    """Ten slots call about ten of a hundred, never the whole line."""
    room = await house.room(capacity=10)
    await house.join(room, 100)

    await stepped(house, 12)

    assert 1 <= (await house.line(room))["serving"] <= 20


async def test_two_leaders_never_lead_at_once(house: House) -> None:
    """While one has the lease, the other one follows and changes nothing."""
    room = await house.room()
    await house.join(room, 3)
    first, second = controller(house), controller(house)

    await first.run_once()
    before = await house.line(room)
    await second.run_once()

    assert (first.leads, second.leads) == (True, False)
    assert await house.line(room) == before


async def test_another_one_leads_when_the_lease_is_over(house: House) -> None:
    """A leader that says nothing is followed, with a higher fence, by the next that looks."""
    first, second = controller(house, lease_s=0.0), controller(house)

    await first.run_once()
    await second.run_once()

    assert second.leads
    assert await house.rows("SELECT role, fence FROM room_leases") == [("pacing", 2)]


async def test_a_leader_that_wakes_up_late_writes_nothing(house: House) -> None:
    """Stopped between its decision and its writing, and followed meanwhile, it is refused."""
    # The test takes the leader's step apart, to stop it where a process could be stopped.
    room = await house.room()
    late, successor = controller(house, lease_s=0.0), controller(house)
    await house.join(room, 50)
    await late.run_once()
    await let_time_pass(house, 5.0)
    fence = late._fence
    await late._board.run_once()
    steps = await late._decide(list(late._board.views()))
    assert fence is not None

    await successor.run_once()
    before = await house.line(room)
    called = await late._write(fence, steps)

    assert called == 0
    assert not late.leads
    assert await house.line(room) == before


async def test_a_line_takes_no_fence_below_its_own(house: House) -> None:
    """Even a writer that got past the lease could not move a line that a later leader moved."""
    room = await house.room()
    await house.join(room, 50)
    leader = controller(house)
    await house.rows("UPDATE room_lines SET fence = 9")

    await leader.run_once()
    await let_time_pass(house, 5.0)
    await leader.stop()
    again = controller(house)
    await again.run_once()

    assert (await house.line(room))["serving"] == 0
    assert (await house.line(room))["fence"] == 9


async def test_rooms_that_did_not_change_are_not_written(house: House) -> None:
    """A quiet room costs reads only, also when another leads: no row of line or memory is made."""
    room = await house.room()
    leader = controller(house)
    for _ in range(3):
        await leader.run_once()
    query = "SELECT l.xmin::text, p.xmin::text FROM room_lines l JOIN room_pacings p USING (room)"
    before = await house.rows(query)
    for _ in range(3):
        await leader.run_once()
    await leader.stop()
    await controller(house).run_once()

    assert before
    assert await house.rows(query) == before
    assert room == 1


async def test_a_paused_room_calls_nobody(house: House) -> None:
    """The line grows, but does not move, and the state says why."""
    room = await house.room(paused=True)
    await house.join(room, 5)

    await stepped(house)

    view = await house.looked(room)
    assert (view.serving, view.issued, view.state.phase, view.state.slowed) == (
        0,
        5,
        "paused",
        "paused",
    )


async def test_a_room_that_awaits_its_draw_calls_nobody(house: House) -> None:
    """Numbers that are still to be drawn belong to nobody yet: calling them would waste them."""
    room = await house.room(mode="random")
    await house.rows("UPDATE room_lines SET sealed = true")
    await house.rows("UPDATE room_draws SET state = 'sealed'")
    await house.join(room, 5)

    await stepped(house)
    waiting = (await house.line(room))["serving"]
    await house.rows("UPDATE room_draws SET state = 'revealed'")
    await stepped(house)

    assert waiting == 0
    assert (await house.line(room))["serving"] == 5


async def test_a_reset_begins_anew(house: House) -> None:
    """Memory of an epoch that is over is not applied to the next one."""
    room = await house.room()
    await house.join(room, 5)
    leader = controller(house)
    await leader.run_once()
    await house.rows("UPDATE room_lines SET epoch = 2, issued = 0, serving = 0, live = 0")
    await leader.run_once()

    line = await house.line(room)
    assert (line["epoch"], line["serving"]) == (2, 0)
    assert await house.rows("SELECT epoch FROM room_pacings") == [(2,)]


async def test_entries_and_departures_are_counted_once(house: House) -> None:
    """What has entered is taken out of those awaited, once, by one leader or by its successor."""
    room = await house.room()
    holders = await house.join(room, 4)
    leader = await stepped(house)
    for number in (1, 2, 3):
        assert await house.enter(room, number, holders[number - 1]) == "ENTERED"
    assert await house.leave(room, 3) == "LEFT"

    for _ in range(3):
        await leader.run_once()
    await leader.stop()
    await controller(house).run_once()

    missing = await house.value(
        "SELECT sum((c ->> 2)::int) FROM room_pacings,"
        " jsonb_array_elements(state #> '{memory,pacing,cohorts}') AS c"
    )
    assert missing == 1
    assert await house.value("SELECT state #> '{memory,departed}' FROM room_pacings") == "1"


async def test_what_a_sale_has_left_is_shown_and_holds_the_line(house: House) -> None:
    """A sold-out sale says so to the whole line, and calls nobody."""

    async def stock_of(sale: int) -> RemainingStock:
        assert sale == 7
        return RemainingStock(units_left=0, sold=100)

    room = await house.room(sale=7)
    await house.join(room, 5)

    await stepped(house, stock_of=stock_of)

    view = await house.looked(room)
    assert (view.serving, view.state.units_left, view.state.sold_out) == (0, 0, True)


async def test_a_sick_site_gets_fewer(house: House) -> None:
    """At half of the target health the capacity falls, and what it was is never exceeded."""
    room = await house.room(capacity=100)
    await house.join(room, 10)

    await stepped(house, 15, health_of=lambda _view: 0.5)

    assert 10 <= (await house.line(room))["capacity"] <= 60
