"""The leader: one at a time, fenced, and told what happened since its last step."""

import asyncio
from typing import Any
from uuid import uuid4

import msgspec

from sunseo.room.line.commands import ExpirePasses, Leave, RoomKey, pass_id_of
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.store import LineAdvance, LineSince, PassLengths
from tests.store.room_exercise.premises import (
    Counts,
    Premises,
    ask,
    ask_one,
    enter,
    join,
    read,
)

LONG_S = 3600.0


def step(room: RoomKey, serving: int, *, epoch: int = 1, **given: Any) -> LineAdvance:
    """A step of one line; `memory` is remembered, and `capacity` counts."""
    return LineAdvance(
        room=room[1],
        epoch=epoch,
        serving=serving,
        capacity=given.get("capacity", 100),
        moves=given.get("moves", True),
        memory=given.get("memory", {}),
        shown=given.get("shown", {}),
    )


async def remembered(premises: Premises, room: RoomKey) -> list[tuple[int, Any]]:
    found = await premises.stores[1].leader.recall([room[1]])
    return [(one.epoch, msgspec.json.decode(one.memory or "null")) for one in found]


async def leading(premises: Premises, lease_s: float = LONG_S) -> int:
    fence = await premises.stores[0].leader.hold_lease(uuid4(), lease_s)
    assert fence is not None
    return fence


class LeaderExercise:
    """Of `LeaderStore`."""

    async def test_one_leads_until_it_lets_go(self, premises: Premises) -> None:
        """Others wait; who keeps the lead keeps its fence, and the next one has a higher one."""
        first, second = (store.leader for store in premises.stores)
        one, two = uuid4(), uuid4()

        assert await first.hold_lease(one, LONG_S) == 1
        assert await second.hold_lease(two, LONG_S) is None
        assert await first.hold_lease(one, LONG_S) == 1
        await second.drop_lease(two)  # which is not its own
        assert await second.hold_lease(two, LONG_S) is None
        await first.drop_lease(one)
        assert await second.hold_lease(two, LONG_S) == 2
        assert await first.hold_lease(one, LONG_S) is None

    async def test_of_many_who_want_to_lead_one_does(self, premises: Premises) -> None:
        """Eight ask at once, on two workers."""
        asking = [
            premises.stores[number % 2].leader.hold_lease(uuid4(), LONG_S) for number in range(8)
        ]
        fences = await asyncio.gather(*asking)

        assert [fence for fence in fences if fence is not None] == [1]

    async def test_a_lease_that_is_over_is_taken_over(self, premises: Premises) -> None:
        """A leader that says nothing is followed; a lease of a time to come is nobody's."""
        first, second = (store.leader for store in premises.stores)

        assert await first.hold_lease(uuid4(), 60.0) == 1
        await premises.step_clock(60.0)
        assert await second.hold_lease(uuid4(), 60.0) == 2
        assert await first.hold_lease(uuid4(), 60.0) is None
        await premises.step_clock(-LONG_S)
        assert await first.hold_lease(uuid4(), 60.0) == 3

    async def test_a_late_leader_moves_nothing(self, premises: Premises) -> None:
        """Followed between its decision and its writing, it is told so; its follower goes on."""
        room = await premises.open_room(RoomSettings())
        await ask(premises.stores[0].lines, *(join(room, person) for person in range(1, 6)))
        fence = await leading(premises, 0.0)
        follower = await leading(premises)
        before = await premises.counts(room)

        late = await premises.stores[0].leader.advance(fence, [step(room, 4, memory=4)])
        assert late is None
        assert await premises.counts(room) == before
        assert await remembered(premises, room) == []

        moved = await premises.stores[1].leader.advance(follower, [step(room, 2, memory=2)])
        assert moved == {room[1]: 2}
        assert await remembered(premises, room) == [(1, 2)]

    async def test_serving_only_grows_and_never_passes_the_line(self, premises: Premises) -> None:
        """Whatever a step says; the capacity is what it says."""
        room = await premises.open_room(RoomSettings())
        await ask(premises.stores[0].lines, *(join(room, person) for person in range(1, 6)))
        leader, fence = premises.stores[0].leader, await leading(premises)

        served = [
            await leader.advance(fence, [step(room, serving, capacity=serving)], forget_s=LONG_S)
            for serving in (3, 1, 99)
        ]

        assert served == [{room[1]: 3}, {room[1]: 3}, {room[1]: 5}]
        assert await premises.counts(room) == Counts(epoch=1, issued=5, serving=5, live=0)
        assert (await read(premises, room[1])).capacity == 99

    async def test_a_step_about_another_epoch_is_not_taken(self, premises: Premises) -> None:
        """The line was begun anew meanwhile; other lines of the step move."""
        room, other = [await premises.open_room(RoomSettings(), serving=0) for _ in range(2)]
        leader, fence = premises.stores[0].leader, await leading(premises)
        await premises.begin_epoch(room)
        for line in (room, other):
            await ask(premises.stores[0].lines, *(join(line, person) for person in range(1, 6)))

        steps = [step(room, 3, memory="old"), step(other, 3, memory="new")]
        assert await leader.advance(fence, steps) == {other[1]: 3}
        assert (await premises.counts(room)).serving == 0
        assert await remembered(premises, room) == []
        assert await remembered(premises, other) == [(1, "new")]

    async def test_what_is_shown_is_of_this_epoch(self, premises: Premises) -> None:
        """A line that rests is remembered without being moved; a reset shows nothing any more."""
        room = await premises.open_room(RoomSettings())
        leader, fence = premises.stores[0].leader, await leading(premises)
        resting = step(room, 7, moves=False, memory=[1], shown={"sold_out": True})

        assert await leader.advance(fence, [resting]) == {}
        shown = (await read(premises, room[1])).shown
        assert shown is not None
        assert msgspec.json.decode(shown) == {"sold_out": True}
        assert (await premises.counts(room)).serving == 0
        (recalled,) = await leader.recall([room[1], room[1] + 1])
        assert (recalled.memory, recalled.shown) == ("[1]", shown)
        await premises.begin_epoch(room)
        assert (await read(premises, room[1])).shown is None

    async def test_entries_are_told_in_order_and_once_they_are_past(
        self, premises: Premises
    ) -> None:
        """Of each room since its moment, the first ones first; none of a time to come."""
        premises.let_time_run()
        room, other = [await premises.open_room(RoomSettings(), serving=9) for _ in range(2)]
        for number in (3, 1, 2):
            await ask_one(premises, enter(room, number))
        await ask_one(premises, enter(other, 4))
        leader = premises.stores[1].leader
        since = [LineSince(line[1], 1, 0.0) for line in (room, other)]

        told = await leader.entered(since, entries_max=10)
        moments = [moment for _, moment in told[room[1]]]
        assert [number for number, _ in told[room[1]]] == [3, 1, 2]
        assert [number for number, _ in told[other[1]]] == [4]
        assert moments == sorted(moments)
        first = await leader.entered(since, entries_max=1)
        assert [number for number, _ in first[room[1]]] == [3]
        later = await leader.entered([LineSince(room[1], 1, moments[0])], entries_max=10)
        assert [number for number, _ in later[room[1]]] == [1, 2]
        assert await leader.entered([LineSince(room[1], 2, 0.0)], entries_max=10) == {}
        await premises.step_clock(-LONG_S)
        assert await leader.entered(since, entries_max=10) == {}

    async def test_rooms_with_lapsed_passes_are_found(self, premises: Premises) -> None:
        """Until their slots are given back, and only where somebody is inside."""
        premises.let_time_run()
        room, other = [await premises.open_room(RoomSettings(), serving=9) for _ in range(2)]
        leader = premises.stores[1].leader
        await ask_one(premises, enter(room, 1))
        await ask_one(premises, enter(other, 1))
        await ask_one(premises, Leave(other, 1, pass_id_of(1, 5)))

        assert await leader.due_rooms() == []
        await premises.step_clock(LONG_S)
        assert await leader.due_rooms() == [room[1]]
        assert (await ask_one(premises, ExpirePasses(room, 10))).expired == 1
        assert await leader.due_rooms() == []

    async def test_passes_do_not_last_as_long_as_the_clock_went_back(
        self, premises: Premises
    ) -> None:
        """They last from now on, and none that is of the past is touched."""
        premises.let_time_run()
        settings = RoomSettings(pass_ttl_s=60, skew_s=5)
        room = await premises.open_room(settings, serving=9)
        leader, lengths = premises.stores[0].leader, PassLengths(room[1], 1, 60, 65, 3600)
        await ask_one(premises, enter(room, 1))
        await premises.step_clock(-LONG_S)
        await premises.step_clock(65)
        assert await leader.due_rooms() == []

        await leader.shorten_passes([lengths])
        await premises.step_clock(64)
        await leader.shorten_passes([lengths])
        assert await leader.due_rooms() == []
        await premises.step_clock(1)
        assert await leader.due_rooms() == [room[1]]
        assert (await premises.counts(room)).live == 1
