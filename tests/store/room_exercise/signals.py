"""Signals: the last word of each source, bounded and fresh."""

import asyncio
from collections import Counter

from sunseo.room.setup.settings import RoomSettings
from sunseo.room.store import SignalOutcome, SourceSignal
from tests.store.room_exercise.premises import Premises

SOURCES_MAX = 3
SILENT_S = 3600.0
FRESH_S = 15.0


async def send(
    premises: Premises, room: int, source: str, measured: float = 1.0, worker: int = 0
) -> SignalOutcome:
    signal = SourceSignal(room, source, measured, 2.0)
    return await premises.stores[worker].signals.take(
        signal, sources_max=SOURCES_MAX, silent_s=SILENT_S
    )


async def heard(premises: Premises) -> dict[tuple[int, str], float]:
    """What is fresh, on a worker that took none of it."""
    found = await premises.stores[1].signals.heard(FRESH_S)
    assert {one.target for one in found} <= {2.0}
    return {(one.room, one.source): one.measured for one in found}


class SignalExercise:
    """Of `SignalStore`."""

    async def test_the_last_word_of_a_source_counts(self, premises: Premises) -> None:
        """For as long as it is fresh; nobody is heard of a room that there is not."""
        _, room = await premises.open_room(RoomSettings())

        assert await send(premises, room, "gate", 1.0) is SignalOutcome.SIGNAL_TAKEN
        assert await send(premises, room, "gate", 3.0) is SignalOutcome.SIGNAL_TAKEN
        assert await send(premises, room + 1, "gate") is SignalOutcome.UNKNOWN_ROOM
        assert await heard(premises) == {(room, "gate"): 3.0}
        await premises.step_clock(FRESH_S)
        assert await heard(premises) == {}

    async def test_a_word_of_a_time_to_come_is_not_fresh(self, premises: Premises) -> None:
        """It was said before the clock went back, and would stay for as long as that."""
        _, room = await premises.open_room(RoomSettings())
        await send(premises, room, "gate")

        await premises.step_clock(-SILENT_S - 1)

        assert await heard(premises) == {}
        others = [await send(premises, room, f"other-{one}") for one in range(SOURCES_MAX)]
        assert set(others) == {SignalOutcome.SIGNAL_TAKEN}  # the first one's name is free

    async def test_sources_of_a_room_are_bounded(self, premises: Premises) -> None:
        """Twenty who speak at once on two workers: as many as may be are heard, of each room."""
        _, room = await premises.open_room(RoomSettings())
        _, other = await premises.open_room(RoomSettings())

        outcomes = await asyncio.gather(
            *(send(premises, room, f"gate-{one}", worker=one % 2) for one in range(20))
        )

        assert Counter(outcomes) == {
            SignalOutcome.SIGNAL_TAKEN: SOURCES_MAX,
            SignalOutcome.TOO_MANY_SOURCES: 20 - SOURCES_MAX,
        }
        known = next(name for _, name in await heard(premises))
        assert await send(premises, room, known, 9.0) is SignalOutcome.SIGNAL_TAKEN
        assert await send(premises, other, "gate") is SignalOutcome.SIGNAL_TAKEN
        assert (await heard(premises))[room, known] == 9.0
        await premises.step_clock(SILENT_S + 1)
        assert await send(premises, room, "one-more") is SignalOutcome.SIGNAL_TAKEN

    async def test_workers_speak_of_themselves(self, premises: Premises) -> None:
        """As many as there are, under no room."""
        store = premises.stores[0].signals
        await store.reach()

        for measured in (1.0, 4.0):
            workers = [SourceSignal(0, f"worker:{one}", measured, 2.0) for one in range(9)]
            await store.tell(workers)

        assert await heard(premises) == {(0, f"worker:{one}"): 4.0 for one in range(9)}
