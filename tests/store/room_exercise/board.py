"""The board: told of what has changed, and of nothing else; rooms are of one moment."""

import asyncio
from uuid import UUID

from sunseo.room.line.commands import Complete, Leave, Revoke, pass_id_of
from sunseo.room.setup.changes import RoomAction
from sunseo.room.store import (
    BoardMark,
    BoardNews,
    MarkedRoom,
    PassLists,
    ShownRoom,
)
from tests.effects import result_of
from tests.store.room_exercise.leader import leading, step
from tests.store.room_exercise.premises import (
    ORGANISATION,
    Premises,
    ask,
    enter,
    join,
    made,
    order,
)

TURNS = 10**9  # nobody's turn, as rooms are numbered
LISTS = PassLists(listed_s=65, revoked_max=2, void_max=2)
PATIENCE_S = 120


async def look(premises: Premises, since: BoardMark | None, worker: int = 1) -> BoardNews:
    return await premises.stores[worker].board.news(since, turns=TURNS, turn=0)


async def shown(premises: Premises, room: int, known: ShownRoom | None = None) -> list[ShownRoom]:
    """The room as a board reads it, unless it is as it is known."""
    given = [] if known is None else [MarkedRoom(room, known.version, known.mark)]
    found = await premises.stores[1].board.read([room], given, LISTS)
    return [one for one in found if isinstance(one, ShownRoom)]


class BoardExercise:
    """Of `BoardStore`."""

    async def test_a_look_tells_what_changed_since_another(self, premises: Premises) -> None:
        """All rooms at first, then those that were joined, set or moved; each look goes on."""
        rooms = [await made(premises) for _ in range(4)]
        lines = premises.stores[0].lines
        first = await look(premises, None)
        assert first.anew
        assert sorted(first.changed) == rooms

        await ask(lines, join((ORGANISATION, rooms[0]), 1))
        second = await look(premises, first.mark)
        await premises.stores[0].setup.change(order(), rooms[1], RoomAction.PAUSE)
        third = await look(premises, second.mark)
        moving = step((ORGANISATION, rooms[2]), 0, capacity=5)
        await premises.stores[0].leader.advance(await leading(premises), [moving])
        fourth = await look(premises, third.mark)
        since_first = await look(premises, first.mark)

        assert not any(news.anew for news in (second, third, fourth, since_first))
        # A store may tell more than changed; what it need not tell, `read` sorts out by its mark.
        told = [set(news.changed) for news in (second, third, fourth, since_first)]
        assert [{room} <= some for room, some in zip(rooms[:3], told[:3], strict=True)] == [
            True
        ] * 3
        assert set(rooms[:3]) <= told[3]
        assert first.now <= second.now <= third.now <= fourth.now

    async def test_each_room_has_its_turn(self, premises: Premises) -> None:
        """Changed or not, so that what was missed for whatever reason is seen again."""
        rooms = [await made(premises) for _ in range(6)]
        board = premises.stores[0].board

        in_turn = [(await board.news(None, turns=3, turn=turn)).in_turn for turn in (0, 1, 2)]

        assert sorted(room for some in in_turn for room in some) == rooms

    async def test_what_is_being_written_is_told_once_it_is_stored(
        self, premises: Premises
    ) -> None:
        """Looks that come while a batch is under way, and see other rooms, do not pass it over."""
        room, other = await made(premises), await made(premises)
        mark = (await look(premises, None)).mark
        async with premises.pausing() as (lines, pause):
            joining = asyncio.ensure_future(ask(lines, join((ORGANISATION, room), 1)))
            await asyncio.wait_for(pause.reached.wait(), PATIENCE_S)
            for person in range(3):
                await ask(premises.stores[0].lines, join((ORGANISATION, other), person + 1))
                mark = (await look(premises, mark)).mark
            (before,) = await shown(premises, room)
            pause.go_on.set()
            await asyncio.wait_for(joining, PATIENCE_S)

        assert room in (await look(premises, mark)).changed
        (after,) = await shown(premises, room, before)
        assert (before.issued, after.issued) == (0, 1)

    async def test_a_room_as_it_is_known_is_not_told(self, premises: Premises) -> None:
        """Nor are settings whose version is known; any other mark tells the room again."""
        room = await made(premises, capacity=7)
        key, setup = (ORGANISATION, room), premises.stores[0].setup
        (first,) = await shown(premises, room)
        assert first.settings is not None
        assert (first.version, first.epoch, first.issued, first.capacity) == (1, 1, 0, 7)
        assert await shown(premises, room, first) == []
        assert await premises.stores[0].board.read([room + 1], [], LISTS) == []

        await ask(premises.stores[0].lines, join(key, 1))
        (joined,) = await shown(premises, room, first)
        assert (joined.issued, joined.settings) == (1, None)
        result_of(await setup.change(order(), room, RoomAction.PAUSE))
        (paused,) = await shown(premises, room, joined)
        assert paused.version == 2
        assert paused.settings is not None
        resting = step(key, 0, moves=False, shown={"sold_out": True})
        await premises.stores[0].leader.advance(await leading(premises), [resting])
        (told,) = await shown(premises, room, paused)
        assert told.shown is not None
        assert await shown(premises, room, told) == []
        result_of(await setup.reset(order(), room, 1))
        (reset,) = await shown(premises, room, told)
        assert (reset.epoch, reset.issued, reset.shown) == (2, 0, None)

    async def test_passes_that_are_over_are_listed_until_they_expire(
        self, premises: Premises
    ) -> None:
        """Revoked ones a while longer; given back ones of a sale's room; no more than are asked."""
        premises.let_time_run()
        stand_alone, of_sale = await made(premises), await made(premises, 7, holders="persons")
        lines, fence = premises.stores[0].lines, await leading(premises)
        ids = [pass_id_of(number, 5) for number in range(1, 6)]
        for room in (stand_alone, of_sale):
            key = (ORGANISATION, room)
            await ask(lines, *(join(key, person) for person in range(1, 6)))
            await premises.stores[0].leader.advance(fence, [step(key, 5)])
            for number in range(1, 6):
                await ask(lines, enter(key, number))
            await ask(lines, Leave(key, 1, ids[0]), Revoke(key, 1, ids[1]))

        async def listed(room: int) -> tuple[set[UUID], set[UUID]]:
            (one,) = await shown(premises, room)
            return set(one.revoked), set(one.void)

        assert await listed(stand_alone) == ({ids[1]}, set())
        assert await listed(of_sale) == ({ids[1]}, {ids[0], ids[1]})
        await ask(lines, *(Complete((ORGANISATION, of_sale), 1, one) for one in ids[2:]))
        assert len((await listed(of_sale))[1]) == LISTS.void_max
        await premises.step_clock(60)
        assert await listed(of_sale) == ({ids[1]}, set())
        await premises.step_clock(LISTS.listed_s)
        assert await listed(of_sale) == (set(), set())

    async def test_a_room_is_of_one_moment(self, premises: Premises) -> None:
        """While people enter and leave, as many are inside as have come and not gone."""
        room = await made(premises)
        key, lines = (ORGANISATION, room), premises.stores[0].lines
        await ask(lines, *(join(key, person) for person in range(1, 41)))
        fence = await leading(premises)
        await premises.stores[0].leader.advance(fence, [step(key, 40)])

        async def going_through() -> None:
            for number in range(1, 41):
                await ask(lines, enter(key, number))
                await ask(lines, Revoke(key, 1, pass_id_of(number, 5)))

        task = asyncio.ensure_future(going_through())
        lists = PassLists(listed_s=65, revoked_max=100, void_max=100)
        seen: list[int] = []
        premises.let_time_run()
        while not task.done():
            (one,) = await premises.stores[1].board.read([room], [], lists)
            assert isinstance(one, ShownRoom)
            assert len(one.revoked) == one.departed
            seen.append(one.departed)
        await task

        assert seen == sorted(seen)
