"""Draws that hold themselves: promised with the room, sealed and revealed at its opening."""

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from sunseo.drawcheck.verifier import DrawVerdict, verify
from sunseo.operators.command import By, EffectOutcome, OperatorCommands
from sunseo.room.draw.bodies import DrawStatus, NewCommitment, Reveal, Withholding
from sunseo.room.draw.drawer import ACTOR, Drawer, DrawOverdueError
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.draw.rules import commitment_of
from sunseo.room.line.commands import Join
from sunseo.room.pacing.controller import Controller
from sunseo.room.postgres.draws import PostgresDraws
from sunseo.room.setup.setup_bodies import ResetRoom
from tests.store.room_house import ORGANISATION, House, done

SECRET = bytes(range(32))
NOTARY = NewCommitment(commitment_of(SECRET).hex(), "A notary", independent=True)
OWN = NewCommitment(commitment_of(SECRET).hex(), "The box office", independent=False)
OPEN = {"opens_at": datetime(2026, 1, 1, tzinfo=UTC)}


def later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


class Draws:
    """A house whose rooms draw, and what leads them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.store = PostgresDraws(house.engine, OperatorCommands(house.engine, ORGANISATION))
        self.leader = Controller(house.store.leader, house.board, leader=uuid4(), lease_s=3600.0)

    async def room(self, **settings: Any) -> int:
        """A room that draws, before its opening unless it says otherwise."""
        given: dict[str, Any] = {"mode": "random", "opens_at": later(), "join_early_s": 86_400}
        return await self.house.room(**given | settings)

    async def register(self, room: int, people: int) -> list[UUID]:
        holders = [uuid4() for _ in range(people)]
        answers = await self.join(room, *holders)
        assert {answer.outcome.name for answer in answers} == {"REGISTERED"}
        return holders

    async def join(self, room: int, *holders: UUID) -> list[Any]:
        return await self.house.ask(*(Join((ORGANISATION, room), who, uuid4()) for who in holders))

    async def numbers(self, room: int, *holders: UUID) -> list[int | None]:
        answers = await self.join(room, *holders)
        return [None if answer.place is None else answer.place.number for answer in answers]

    async def turn(self, *, wanted: bool = True) -> None:
        """What the leader's process does within a second."""
        await self.house.board.run_once()
        await Drawer(self.store, self.house.board.views, lambda: wanted).run_once()
        await self.leader.run_once()

    async def halted(self, room: int) -> str | None:
        return (await self.house.looked(room)).state.halted

    async def secret(self, room: int) -> bytes | None:
        rows = await self.house.rows("SELECT secret FROM room_draw_secrets WHERE room = $1", room)
        return rows[0][0] if rows else None

    async def status(self, room: int) -> DrawStatus:
        found = await self.store.status(room)
        assert isinstance(found, DrawStatus)
        return found

    async def check(self, room: int) -> DrawVerdict:
        chunks = await self.store.publish(room)
        assert not isinstance(chunks, DrawOutcome)
        return verify(io.BytesIO(b"".join([chunk async for chunk in chunks])))

    async def everything(self, room: int) -> list[Any]:
        kept: list[Any] = []
        for table in ("room_lines", "room_places", "room_entrants", "room_draws"):
            query = f"SELECT * FROM {table} WHERE room = $1 ORDER BY {table}"  # noqa: S608 - from above
            kept += await self.house.rows(query, room)
        return kept


@pytest.fixture
async def draws(database_dsn: str) -> AsyncIterator[Draws]:
    house = House(database_dsn)
    yield Draws(house)
    await house.close()


async def called(draws: Draws, room: int, last: int) -> None:
    """Step until a number is called: by how many a step calls, the time since the last one says."""
    for _ in range(100):
        if (await draws.house.line(room))["serving"] >= last:
            break
        await draws.turn()
    assert (await draws.house.line(room))["serving"] == last


async def test_a_room_that_draws_is_made_with_its_commitment(draws: Draws) -> None:
    """Before anybody can register, a secret is promised, and it is labelled as the weaker kind."""
    room = await draws.room()
    view = await draws.house.looked(room)
    status = await draws.status(room)
    secret = await draws.secret(room)

    assert secret is not None
    assert status.commitment == commitment_of(secret).hex()
    assert (status.state, status.keeper, status.independent) == ("committed", "server", False)
    assert view.state.draw is not None
    assert (view.state.draw.keeper, view.state.draw.commitment) == ("server", status.commitment)
    assert [entry["registered"] for entry in status.log] == [0]


async def test_a_secret_of_the_servers_own_stands_nowhere_else(draws: Draws) -> None:
    """State document, draw, audit log, kept results and what a gate reads know its hash only."""
    room = await draws.room()
    await draws.register(room, 2)
    secret = await draws.secret(room)
    view = await draws.house.looked(room)
    assert secret is not None

    tables = await draws.house.rows(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"
    )
    kept = [
        str(await draws.house.rows(f"SELECT {table}::text FROM {table}"))  # noqa: S608 - the catalogue's own names
        for (table,) in tables
        if table != "room_draw_secrets"
    ]
    told = [*kept, draws.house.ready.document_of(view.room).decode(), str(await draws.status(room))]
    assert len(kept) > 20
    assert not [text for text in told if secret.hex() in text or repr(secret)[2:-1] in text]


async def test_a_draw_holds_itself_at_the_opening(draws: Draws) -> None:
    """Everybody who registered has a number that a stranger confirms; who comes later, the next."""
    room = await draws.room()
    people = await draws.register(room, 30)
    await draws.turn()
    early = (await draws.halted(room), (await draws.status(room)).state)
    await draws.house.change(room, **OPEN)
    due = await draws.halted(room)
    await draws.turn()
    verdict = await draws.check(room)
    (late,) = await draws.numbers(room, uuid4())
    await draws.turn()

    assert early == ("before", "committed")
    assert due == "draw_due"
    assert sorted(n for n in await draws.numbers(room, *people) if n) == list(range(1, 31))
    assert late == 31
    assert (verdict.exit_code, verdict.entrants) == (0, 30)
    assert "The operator kept the secret" in verdict.warnings[0]
    assert await draws.secret(room) is None
    assert await draws.halted(room) is None
    await called(draws, room, 31)


@pytest.mark.parametrize("killed_after", ["ending registration", "sealing"])
async def test_a_draw_that_was_cut_off_goes_on(draws: Draws, killed_after: str) -> None:
    """A process that dies between two steps leaves a draw that the next leader finishes."""
    room = await draws.room()
    people = await draws.register(room, 5)
    await draws.house.change(room, **OPEN)
    if killed_after == "sealing":
        sealed = await draws.store.seal(By(ACTOR, "draw 1"), room)
        assert sealed.outcome is EffectOutcome.DONE
    else:
        await draws.house.rows("UPDATE room_lines SET sealed = true, issued = 5")
    (late,) = await draws.numbers(room, uuid4())
    await draws.turn()

    assert late == 6
    assert sorted(n for n in await draws.numbers(room, *people) if n) == [1, 2, 3, 4, 5]
    assert (await draws.check(room)).exit_code == 0


async def test_a_draw_is_held_once_however_often_it_is_due(draws: Draws) -> None:
    """Two that both believe to lead, and any number of turns, change nothing more."""
    room = await draws.room()
    await draws.register(room, 5)
    await draws.house.change(room, **OPEN)
    stale = draws.house.another_board()
    await stale.run_once()
    await draws.turn()
    before = await draws.everything(room)

    await Drawer(draws.store, stale.views, lambda: True).run_once()
    await Drawer(draws.store, draws.house.board.views, lambda: True).run_once()

    assert await draws.everything(room) == before


async def test_only_the_leader_draws(draws: Draws) -> None:
    """A process that follows leaves a due draw alone."""
    room = await draws.room(**OPEN)
    await draws.register(room, 2)
    before = await draws.everything(room)
    await draws.house.board.run_once()
    await Drawer(draws.store, draws.house.board.views, lambda: False).run_once()

    assert await draws.everything(room) == before


async def test_a_second_partys_secret_is_waited_for(draws: Draws) -> None:
    """The list is sealed at the opening, and the room says for what it waits until it comes."""
    room = await draws.room()
    done(await draws.store.commit(By("ann", "a"), room, NOTARY))
    kept = await draws.secret(room)
    people = await draws.register(room, 4)
    await draws.house.change(room, **OPEN)
    for _ in range(3):
        await draws.turn()
    waiting = await draws.house.looked(room)
    (late,) = await draws.numbers(room, uuid4())
    unsent = await draws.store.reveal(By("ann", "b"), room, Reveal())
    done(await draws.store.reveal(By("ann", "c"), room, Reveal(SECRET.hex())))
    await draws.turn()

    assert kept is None
    assert waiting.state.halted == "draw_secret"
    assert waiting.state.draw is not None
    assert (waiting.state.draw.state, waiting.state.draw.keeper) == ("sealed", "second_party")
    assert (waiting.serving, late) == (0, 5)
    assert unsent.outcome is DrawOutcome.SECRET_ELSEWHERE
    assert sorted(n for n in await draws.numbers(room, *people) if n) == [1, 2, 3, 4]
    assert (await draws.check(room)).warnings == []
    assert await draws.halted(room) is None


async def test_an_operators_own_secret_is_waited_for_too(draws: Draws) -> None:
    """Who keeps the secret in a file reveals it; it is labelled as the operator's."""
    room = await draws.room()
    done(await draws.store.commit(By("ann", "a"), room, OWN))
    await draws.register(room, 1)
    await draws.house.change(room, **OPEN)
    await draws.turn()

    assert (await draws.status(room)).keeper == "operator"
    assert await draws.halted(room) == "draw_secret"


async def test_a_secret_that_does_not_come_can_be_replaced(draws: Draws) -> None:
    """A room whose secret is withheld calls nobody and says so, and draws with one of its own."""
    room = await draws.room()
    done(await draws.store.commit(By("ann", "a"), room, NOTARY))
    await draws.register(room, 3)
    await draws.house.change(room, **OPEN)
    await draws.turn()
    done(await draws.store.withhold(By("ann", "b"), room, Withholding("unreachable")))
    await draws.numbers(room, uuid4())
    await draws.turn()
    withheld = await draws.halted(room), (await draws.house.line(room))["serving"]
    done(await draws.store.commit(By("ann", "c"), room, NewCommitment()))
    await draws.turn()
    await draws.turn()

    assert withheld == ("draw_withheld", 0)
    assert (await draws.check(room)).exit_code == 0
    assert await draws.halted(room) is None
    await called(draws, room, 4)


async def test_a_pause_holds_the_draw(draws: Draws) -> None:
    """What cannot be taken back is not done in a room that its operator has stopped."""
    room = await draws.room()
    await draws.register(room, 2)
    await draws.house.change(room, **OPEN, paused=True)
    await draws.turn()
    paused = (await draws.halted(room), (await draws.status(room)).state)
    await draws.house.change(room, paused=False)
    await draws.turn()

    assert paused == ("paused", "committed")
    assert (await draws.status(room)).state == "revealed"


async def test_a_room_without_an_opening_draws_once_somebody_came(draws: Draws) -> None:
    """Its operator may still set an opening; the first to come is not left waiting for ever."""
    room = await draws.room(opens_at=None)
    await draws.turn()
    empty = (await draws.status(room)).state, await draws.halted(room)
    (first,) = await draws.register(room, 1)
    await draws.turn()

    assert empty == ("committed", None)
    assert await draws.numbers(room, first, uuid4()) == [1, 2]


async def test_an_opening_to_which_nobody_came_is_over(draws: Draws) -> None:
    """Who comes to an empty room after its opening is first, at once."""
    room = await draws.room()
    await draws.house.change(room, **OPEN)
    await draws.turn()

    assert await draws.numbers(room, uuid4(), uuid4()) == [1, 2]
    assert (await draws.status(room)).entrants == 0


async def test_every_way_to_a_draw_brings_a_commitment(draws: Draws) -> None:
    """A room that changes to random, a new epoch, and a room from before this was so, have one."""
    house = draws.house
    changed = await house.room(opens_at=later())
    assert await draws.secret(changed) is None
    await house.change(changed, mode="random")
    reset = await draws.room()
    first = await draws.secret(reset)
    done(await house.setup.reset(By("op", "reset"), reset, ResetRoom(epoch=1)))
    older = await draws.room()
    await house.rows("DELETE FROM room_draws WHERE room = $1", older)
    await house.rows("DELETE FROM room_draw_secrets WHERE room = $1", older)
    await draws.register(older, 2)
    await draws.turn()

    assert await draws.secret(changed) is not None
    secrets = await house.rows("SELECT epoch, secret FROM room_draw_secrets WHERE room = $1", reset)
    assert [epoch for epoch, _ in secrets] == [1, 2]
    assert secrets[0][1] == first != secrets[1][1]
    status = await draws.status(older)
    assert (status.keeper, [entry["registered"] for entry in status.log]) == ("server", [2])


async def test_a_promise_of_the_servers_own_binds_nobody_yet(draws: Draws) -> None:
    """Until somebody has registered, a room may change its mind about drawing, and back."""
    house = draws.house
    room = await draws.room()
    commitment = (await draws.status(room)).commitment
    await house.change(room, mode="fifo", **OPEN)
    await draws.turn()
    plain = (await house.looked(room)).state.draw, await draws.halted(room)
    await house.change(room, mode="random", opens_at=later())
    people = await draws.register(room, 2)
    await house.change(room, **OPEN)
    await draws.turn()

    assert plain == (None, None)
    assert sorted(n for n in await draws.numbers(room, *people) if n) == [1, 2]
    assert (await draws.status(room)).commitment == commitment


async def test_a_draw_that_cannot_be_held_stops_no_other(draws: Draws) -> None:
    """A list that was changed after its seal is told of, and the other rooms draw all the same."""
    broken, sound = await draws.room(), await draws.room()
    for room in (broken, sound):
        await draws.register(room, 3)
    done(await draws.store.seal(By("ann", "a"), broken))
    await draws.house.rows("UPDATE room_entrants SET entrant = holder WHERE room = $1", broken)
    for room in (broken, sound):
        await draws.house.change(room, **OPEN)
    with pytest.raises(DrawOverdueError, match=f"room {broken}"):
        await draws.turn()

    assert (await draws.status(broken)).state == "sealed"
    assert (await draws.status(sound)).state == "revealed"


async def test_a_line_is_slow_only_where_there_is_one(draws: Draws) -> None:
    """Before its opening a room is not told to be paused; its reason is that it is not open yet."""
    room = await draws.house.room(opens_at=later(), join_early_s=86_400)
    await draws.house.join(room, 2)
    await draws.turn()
    await draws.turn()
    view = await draws.house.looked(room)

    assert view.shown.slowed == "paused"  # as the controller had it: nobody can enter
    assert (view.state.phase, view.state.slowed, view.state.halted) == ("before", None, "before")
    document = msgspec.json.decode(draws.house.ready.document_of(view.room))
    assert (document["slowed"], document["halted"], document["draw"]) == (None, "before", None)
