"""Crashes: a wire that breaks anywhere, a worker that dies; what was asked for happens once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, get_args

import pytest

from sunseo.operators.command import By, Effect, EffectOutcome
from sunseo.room.draw.bodies import Reveal
from sunseo.room.line.commands import Leave, RoomKey, pass_id_of
from sunseo.room.setup.changes import SettingsChange
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.store import RoomStore
from tests.effects import result_of
from tests.store.room_exercise.leader import leading, remembered, step
from tests.store.room_exercise.premises import (
    ORGANISATION,
    Counts,
    Premises,
    Way,
    ask,
    creation,
    enter,
    join,
    made,
    numbers_of,
    order,
    read,
)

BEFORE_THE_END = (1, 12, 60, 300, 1500)
"""Bytes that are left to pass when the wire breaks: the last of them are about the commit."""

PATIENCE_S = 120


class Try(NamedTuple):
    """A command that can be repeated on any worker.

    Attributes:
        state: what is stored, of which a command moves all or nothing.
    """

    ask: Callable[[RoomStore], Awaitable[Any]]
    state: Callable[[], Awaitable[Any]]


async def try_joining(premises: Premises, room: RoomKey, turn: int) -> Try:
    """One batch that joins, enters and leaves."""
    first = 3 * turn
    await ask(premises.stores[0].lines, enter(room, first + 1))
    commands = [
        join(room, 100 + first),
        join(room, 101 + first),
        enter(room, first + 2),
        Leave(room, 1, pass_id_of(first + 1, 5)),
    ]

    async def asking(store: RoomStore) -> list[str]:
        answers = await asyncio.gather(*map(store.lines.submit, commands))
        return [answer.result.outcome.name for answer in answers]

    return Try(asking, lambda: premises.counts(room))


async def try_creating(premises: Premises, _room: RoomKey, turn: int) -> Try:
    async def rooms() -> list[int]:
        return [one.room for one in await premises.stores[0].setup.read(None, rooms_max=1000)]

    by = order(f"create {turn}")
    return Try(lambda store: store.setup.create(by, creation()), rooms)


async def try_changing(premises: Premises, room: RoomKey, turn: int) -> Try:
    by, change = order(f"change {turn}"), SettingsChange(None, {"capacity": 200 + turn})

    async def stored() -> tuple[Any, ...]:
        found = await read(premises, room[1])
        audited = await premises.audited()
        return found.version, found.settings, found.capacity, len(audited)

    return Try(lambda store: store.setup.change(by, room[1], change), stored)


async def try_resetting(premises: Premises, room: RoomKey, turn: int) -> Try:
    by, epoch = order(f"reset {turn}"), (await premises.counts(room)).epoch

    async def stored() -> tuple[Any, ...]:
        return await premises.counts(room), len(await premises.audited())

    return Try(lambda store: store.setup.reset(by, room[1], epoch), stored)


async def try_advancing(premises: Premises, room: RoomKey, turn: int) -> Try:
    await ask(premises.stores[0].lines, join(room, turn + 1))
    served = (await premises.counts(room)).serving
    fence = await leading(premises, 0.0)
    moving = step(room, served + 1, memory=served + 1)

    async def stored() -> tuple[Any, ...]:
        return await premises.counts(room), await remembered(premises, room)

    return Try(lambda store: store.leader.advance(fence, [moving]), stored)


async def try_sealing(premises: Premises, _room: RoomKey, turn: int) -> Try:
    room = await made(premises, mode="random")
    await ask(premises.stores[0].lines, *(join((ORGANISATION, room), one) for one in (1, 2)))
    return Try(
        lambda store: store.draws.seal(By("op", f"seal {turn}"), room),
        lambda: premises.stores[0].draws.status(room),
    )


async def try_revealing(premises: Premises, room: RoomKey, turn: int) -> Try:
    sealing = await try_sealing(premises, room, turn)
    drawn = result_of(await sealing.ask(premises.stores[0]))["room"]

    async def stored() -> tuple[Any, ...]:
        again = [join((ORGANISATION, drawn), one) for one in (1, 2)]
        places = numbers_of(await ask(premises.stores[0].lines, *again))
        return await premises.stores[0].draws.status(drawn), places

    return Try(
        lambda store: store.draws.reveal(By("op", f"reveal {turn}"), drawn, Reveal()), stored
    )


Prepare = Callable[[Premises, RoomKey, int], Awaitable[Try]]

TRIES: list[Prepare] = [
    try_joining, try_creating, try_changing, try_resetting, try_advancing, try_sealing,
    try_revealing,
]  # fmt: skip


async def tried(premises: Premises, one: Try, way: Way, after: int = 2**31) -> tuple[Any, int]:
    """What a fresh worker was answered, if at all, and how many bytes went that way."""
    async with premises.behind_wire() as (store, wire):
        wire.arm(way, after)
        try:
            answer = await asyncio.wait_for(one.ask(store), PATIENCE_S)
        except Exception as error:  # noqa: BLE001 - whatever a broken wire is called
            answer = error
        return answer, len(wire.passed[way])


def is_replay(answer: Any) -> bool | None:
    """Whether a command says that it was done before; none where it cannot tell."""
    if isinstance(answer, Effect):
        return answer.outcome is EffectOutcome.REPLAYED
    return set(answer) == {"REPLAYED"} if isinstance(answer, list) else None


class CrashExercise:
    """Of every role that writes."""

    @pytest.mark.parametrize("way", get_args(Way))
    @pytest.mark.parametrize("prepare", TRIES)
    async def test_a_wire_that_breaks_anywhere_leaves_nothing_half_done(
        self, premises: Premises, prepare: Prepare, way: Way
    ) -> None:
        """Whatever was lost on the way, all or nothing was done, and repeating it does the rest."""
        room = await premises.open_room(RoomSettings(), serving=99)
        whole = await prepare(premises, room, 0)
        answer, total = await tried(premises, whole, way)
        assert not isinstance(answer, Exception), answer

        for turn, left in enumerate(BEFORE_THE_END, 1):
            one = await prepare(premises, room, turn)
            before = await one.state()
            await tried(premises, one, way, total - left)
            after_cut = await one.state()
            answer = await one.ask(premises.stores[1])
            end = await one.state()
            assert end != before, left
            assert after_cut in (before, end), left
            assert is_replay(answer) in (None, after_cut == end), (left, answer)
            await one.ask(premises.stores[0])
            assert await one.state() == end

    async def test_a_worker_killed_before_it_writes_has_done_nothing(
        self, premises: Premises
    ) -> None:
        """Numbers and slots that were decided but not written are given again, once."""
        room = await premises.open_room(RoomSettings(capacity=1), serving=2)
        commands = [join(room, 1), join(room, 2), enter(room, 1), enter(room, 2)]
        async with premises.dying_once() as lines:
            answers = await asyncio.wait_for(ask(lines, *commands), PATIENCE_S)

        assert [answer.outcome.name for answer in answers] == [
            "JOINED", "JOINED", "ENTERED", "ROOM_FULL",
        ]  # fmt: skip
        assert [a.place.number for a in answers if a.place is not None] == [3, 4]
        assert await premises.counts(room) == Counts(epoch=1, issued=4, serving=2, live=1)

    async def test_numbers_go_on_behind_a_worker_that_died(self, premises: Premises) -> None:
        """Another worker joins meanwhile: no number is left out, and none is given twice."""
        room = await premises.open_room(RoomSettings())
        async with premises.dying_once() as lines:
            answers = await asyncio.wait_for(
                asyncio.gather(
                    ask(lines, *(join(room, person) for person in range(1, 51))),
                    ask(premises.stores[0].lines, *(join(room, p) for p in range(51, 101))),
                ),
                PATIENCE_S,
            )

        numbers = [a.place.number for some in answers for a in some if a.place is not None]
        assert sorted(numbers) == list(range(1, 101))
        assert (await premises.counts(room)).issued == 100
