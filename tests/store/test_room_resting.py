"""Rooms where nobody is rest: what wakes them, and how a new leader takes them up."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sunseo.operators.command import By
from sunseo.room.pacing.controller import Controller
from sunseo.room.pacing.stock import RemainingStock
from sunseo.room.setup.schedule import phase_at
from tests.store.room_house import House
from tests.store.test_room_controller import controller


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    opened = House(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()


class Stepped:
    """Which rooms a leader steps."""

    def __init__(self, leader: Controller) -> None:
        self._leader = leader
        self._step, leader._step = leader._step, self._listen  # type: ignore[method-assign]  # to listen
        self.rooms: set[int] = set()

    async def _listen(self, view: Any, entered: Any) -> Any:
        self.rooms.add(view.room)
        return await self._step(view, entered)

    async def next(self) -> set[int]:
        """The rooms of one step."""
        self.rooms = set()
        await self._leader.run_once()
        return self.rooms

    async def settle(self, awake: set[int]) -> None:
        """Step until all others rest: what a step stores is new to the next one."""
        for _ in range(6):
            if await self.next() == awake:
                return
        raise AssertionError(f"rooms {self.rooms} are stepped again and again")


async def test_rooms_where_nobody_is_rest_until_something_of_them_changes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of open, paused and shut rooms none is stepped; each cause wakes its own with one step."""
    left, health = {7: 5}, {0: float("inf")}

    async def stock_of(sale: int) -> RemainingStock:
        return RemainingStock(units_left=left[sale], sold=0)

    later = datetime.now(UTC) + timedelta(hours=1)
    joined, changed, paused, opening, sale, sick, drawing, visited, _other = rooms = [
        await house.room(),
        await house.room(),
        await house.room(paused=True),
        await house.room(opens_at=later, join_early_s=7200),
        await house.room(sale=7),
        await house.room(),
        await house.room(mode="random"),
        await house.room(),
        await house.room(),
    ]
    await house.join(paused, 3)
    await house.join(opening, 3)
    leader = controller(
        house, stock_of=stock_of, health_of=lambda view: health.get(view.room, health[0])
    )
    stepped = Stepped(leader)
    assert await stepped.next() == set(rooms)

    async def sell() -> None:
        left[7] = 4

    async def sicken() -> None:
        health[sick] = 0.9

    async def open_by_time() -> None:
        monkeypatch.setattr(
            "sunseo.room.board.board.phase_at",
            lambda settings, now, **told: phase_at(settings, now + timedelta(hours=2), **told),
        )
        leader._board._next_change = datetime.now(UTC) - timedelta(hours=1)
        replaced = leader._board._views[opening]
        due = replaced.situation._replace(next_change=leader._board._next_change)
        leader._board._views[opening] = replace(replaced, situation=due)

    causes: list[tuple[int, Any]] = [
        (changed, lambda: house.change(changed, capacity=7)),
        (sale, sell),
        (drawing, lambda: house.rows("UPDATE room_draws SET state = 'revealed'")),
        # Somebody came and went between two steps.
        (
            visited,
            lambda: house.rows("UPDATE room_lines SET departed = 1 WHERE room = $1", visited),
        ),
        (joined, lambda: house.join(joined)),
        (paused, lambda: house.setup.resume(By("op", "resume"), paused)),
        (opening, open_by_time),
        (sick, sicken),
    ]
    awake: set[int] = set()
    for room, change in causes:
        await stepped.settle(awake)
        await change()
        assert await stepped.next() == awake | {room}
        if room in (joined, paused, opening, sick):  # somebody is awaited there, or it may be cut
            awake.add(room)

    called = [(await house.line(room))["serving"] for room in (joined, paused, opening)]
    assert min(called) > 0
    await leader.stop()
    assert await Stepped(controller(house, stock_of=stock_of)).next() == set(rooms)


async def test_a_room_whose_step_failed_does_not_rest(house: House) -> None:
    """It is tried with every step until one is taken, though nothing of it changes meanwhile."""
    room = await house.room(sale=7)
    answers: list[RemainingStock | None] = []

    async def stock_of(_sale: int) -> RemainingStock | None:
        if not answers:
            raise LookupError("the stock cannot be told")
        return answers[-1]

    stepped = Stepped(controller(house, stock_of=stock_of))
    assert [await stepped.next() for _ in range(3)] == [{room}] * 3
    answers.append(RemainingStock(5, 0))
    await stepped.settle(set())
    answers.clear()
    assert [await stepped.next() for _ in range(3)] == [{room}] * 3


async def test_a_new_leader_takes_up_rooms_where_nobody_is_in_shares(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two a step, however many there are; where somebody waits, the first step calls."""
    monkeypatch.setattr("sunseo.room.pacing.controller.RECALLED_MAX", 2)
    rooms = [await house.room() for _ in range(5)]
    await house.join(rooms[4], 2)
    stepped = Stepped(controller(house))

    taken = [await stepped.next() for _ in range(3)]

    assert taken[0] == {rooms[0], rooms[1], rooms[4]}
    assert {rooms[2], rooms[3]} <= taken[1]
    assert set(rooms) == set().union(*taken)
    assert (await house.line(rooms[4]))["serving"] == 2
