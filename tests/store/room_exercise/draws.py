"""Draws: each step once, whoever takes it, up to the file that a stranger checks."""

import asyncio
import io
from contextlib import aclosing

from sunseo.drawcheck.verifier import verify
from sunseo.operators.command import By, EffectOutcome
from sunseo.room.draw.bodies import DrawStatus, Reveal
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.line.commands import JoinOutcome
from sunseo.room.store import RoomStore
from tests.store.room_exercise.premises import (
    ORGANISATION,
    Premises,
    ask,
    join,
    made,
    numbers_of,
    read,
)

PEOPLE = range(1, 11)


async def file_of(store: RoomStore, room: int) -> bytes:
    chunks = await store.draws.publish(room)
    assert not isinstance(chunks, DrawOutcome), chunks
    async with aclosing(chunks):
        return b"".join([chunk async for chunk in chunks])


class DrawExercise:
    """Of `DrawStore`."""

    async def test_a_draw_is_held_once_on_two_workers(self, premises: Premises) -> None:
        """Everybody has one number of the list, latecomers stand behind, and the file is right."""
        room = await made(premises, mode="random")
        key, (one, two) = (ORGANISATION, room), premises.stores
        await ask(one.lines, *(join(key, person) for person in PEOPLE))

        sealed = await asyncio.gather(
            one.draws.seal(By("op", "1"), room), two.draws.seal(By("op", "2"), room)
        )
        (late,) = await ask(two.lines, join(key, 99))
        drawn = await asyncio.gather(
            one.draws.reveal(By("op", "3"), room, Reveal()),
            two.draws.reveal(By("op", "4"), room, Reveal()),
        )

        assert {answer.outcome for answer in sealed} == {
            EffectOutcome.DONE,
            DrawOutcome.ALREADY_SEALED,
        }
        assert {answer.outcome for answer in drawn} == {
            EffectOutcome.DONE,
            DrawOutcome.ALREADY_REVEALED,
        }
        again = await ask(two.lines, *(join(key, person) for person in PEOPLE))
        assert {answer.outcome for answer in again} == {JoinOutcome.REPLAYED}
        assert sorted(numbers_of(again)) == list(PEOPLE)
        assert numbers_of([late]) == [len(PEOPLE) + 1]
        files = [await file_of(store, room) for store in premises.stores]
        assert files[0] == files[1]
        verdict = verify(io.BytesIO(files[0]))
        assert (verdict.exit_code, verdict.entrants) == (0, len(PEOPLE))

    async def test_a_step_out_of_its_order_moves_nothing(self, premises: Premises) -> None:
        """Without a seal nothing is revealed or published, and without a draw nothing is sealed."""
        room, other = await made(premises, mode="random"), await made(premises)
        draws, before = premises.stores[0].draws, await read(premises, room)

        answers = [
            await draws.reveal(By("op", "1"), room, Reveal()),
            await draws.seal(By("op", "2"), other),
            await draws.seal(By("op", "3"), max(room, other) + 1),
        ]
        assert [answer.outcome for answer in answers] == [
            DrawOutcome.NOT_SEALED,
            DrawOutcome.NOT_COMMITTED,
            DrawOutcome.UNKNOWN_ROOM,
        ]
        assert await draws.publish(room) is DrawOutcome.NOT_SEALED
        assert await draws.publish(other) is DrawOutcome.NO_DRAW
        status = await draws.status(room)
        assert isinstance(status, DrawStatus)
        assert (status.state, status.registered) == ("committed", 0)
        after = await read(premises, room)
        assert (after.draw, after.sealed) == (before.draw, False)
