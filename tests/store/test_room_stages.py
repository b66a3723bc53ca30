"""A line at every stage, under every change of its mode: refused, or good to its end."""

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from typing import Any, get_args
from uuid import uuid4

import msgspec
import pytest

from sunseo.invariants.verify import verify
from sunseo.operators.command import By, EffectAnswer
from sunseo.room.draw.bodies import NewCommitment, Reveal
from sunseo.room.draw.rules import commitment_of
from sunseo.room.line.commands import Join
from sunseo.room.setup.changes import RoomSetupOutcome
from sunseo.room.setup.fixed import MODES, Stage
from sunseo.room.setup.settings import Mode
from sunseo.room.setup.setup_bodies import ResetRoom, RoomChange
from tests.effects import refusal_of
from tests.store.room_house import ORGANISATION, House, done

SECRET = bytes(range(32))
WITH_DRAW = (Stage.COMMITTED, Stage.REGISTERING, Stage.SEALED, Stage.DRAWN)
STEPS = {"commit": Stage.COMMITTED, "seal": Stage.SEALED, "reveal": Stage.DRAWN}


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    opened = House(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()


class Draws:
    """The steps of draws, each under a key of its own."""

    def __init__(self, house: House) -> None:
        self._store = house.store.draws

    async def take(self, step: str, room: int) -> EffectAnswer:
        key = uuid4().hex
        match step:
            case "commit":
                body = NewCommitment(commitment_of(SECRET).hex(), "A notary", True)
                return await self._store.commit(By("op", key), room, body)
            case "seal":
                return await self._store.seal(By("op", key), room)
            case "reveal own":
                return await self._store.reveal(By("op", key), room, Reveal())
        return await self._store.reveal(By("op", key), room, Reveal(SECRET.hex()))


async def come(house: House, room: int, people: int = 2) -> list[Join]:
    joins = [Join((ORGANISATION, room), uuid4(), uuid4()) for _ in range(people)]
    await house.ask(*joins)
    return joins


async def brought_to(house: House, draws: Draws, stage: Stage) -> tuple[int, list[Join]]:
    """A room whose line is at a stage, and who is in it."""
    room = await house.room(mode="random" if stage in WITH_DRAW else "fifo")
    if stage in WITH_DRAW:
        done(await draws.take("commit", room))
    joins = [] if stage in (Stage.EMPTY, Stage.COMMITTED) else await come(house, room)
    for step in ("seal", "reveal"):
        order = list(Stage)
        if stage in WITH_DRAW and order.index(stage) >= order.index(STEPS[step]):
            done(await draws.take(step, room))
    return room, joins


async def change_mode(house: House, room: int, mode: str) -> EffectAnswer:
    body = msgspec.convert({"settings": {"mode": mode}}, RoomChange)
    return await house.setup.change(By("op", uuid4().hex), room, body)


async def stored(house: House, room: int) -> list[Any]:
    tables = ("rooms", "room_lines", "room_places", "room_entrants", "room_draws")
    query = "SELECT * FROM {} AS t WHERE room = $1 ORDER BY t::text"
    return [await house.rows(query.format(table), room) for table in tables]


@pytest.mark.parametrize("stage", Stage)
async def test_what_a_line_bears_it_bears_to_the_end(house: House, stage: Stage) -> None:
    """After each change that is allowed, the draw can be held and everybody has her own number."""
    draws = Draws(house)
    for mode in get_args(Mode):
        room, joins = await brought_to(house, draws, stage)
        before = await stored(house, room)
        changed = await change_mode(house, room, mode)
        was = "random" if stage in WITH_DRAW else "fifo"
        if mode not in MODES[stage] and mode != was:
            assert changed.outcome is RoomSetupOutcome.SETTING_FIXED, (stage, mode)
            assert stage.value in (changed.detail or "")
            assert await stored(house, room) == before
            continue

        done(changed)
        joins += await come(house, room) if mode != "closed" else []
        await finish(house, draws, room)
        again = await house.ask(*joins)
        numbers = [answer.place.number for answer in again]
        assert sorted(numbers) == list(range(1, len(joins) + 1)), (stage, mode)

    report = await verify(house.engine, ORGANISATION)
    assert report.violations == []


async def finish(house: House, draws: Draws, room: int) -> None:
    """Hold what is to be held of the draw."""
    draw = (await house.looked(room)).draw
    if draw is not None and draw.state == "committed":
        done(await draws.take("seal", room))
    draw = (await house.looked(room)).draw
    if draw is not None and draw.state == "sealed":
        done(await draws.take("reveal own" if draw.keeper == "server" else "reveal", room))


@pytest.mark.parametrize(
    ("stage", "mode"),
    [
        (stage, mode)
        for stage, mode in product(Stage, get_args(Mode))
        if mode not in MODES[stage] and mode != "closed"
    ],
)
async def test_a_reset_is_the_way_it_says(house: House, stage: Stage, mode: str) -> None:
    """Whatever is refused of a line is taken of the next epoch, in which nobody has joined yet."""
    room, _ = await brought_to(house, Draws(house), stage)
    refused = await change_mode(house, room, mode)
    assert "eset the line" in (refusal_of(refused).detail or "")

    done(await house.setup.reset(By("op", "reset"), room, ResetRoom(epoch=1)))
    done(await change_mode(house, room, mode))
    assert (await house.looked(room)).settings.mode == mode


async def test_a_join_and_a_change_of_mode_take_turns(house: House) -> None:
    """The stage is read on the locked line: a join and a change take turns."""
    for _ in range(5):
        room = await house.room()
        join = Join((ORGANISATION, room), uuid4(), uuid4())
        answer, changed = await asyncio.gather(house.ask(join), change_mode(house, room, "random"))
        line = await house.line(room)
        registered = answer[0].outcome.name == "REGISTERED"
        assert registered == changed.outcome.kind.is_success
        assert (line["issued"], line["entrants"]) == ((0, 1) if registered else (1, 0))
