"""Set-up: once a key, audited, in turns; or refused with nothing moved."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from sunseo.core.outcome import Outcome
from sunseo.operators.command import EffectAnswer, EffectOutcome, SentCommand
from sunseo.room.setup.changes import RoomAction, RoomSetupOutcome, SettingsChange
from sunseo.room.setup.settings import RoomSettings, decode_settings
from sunseo.room.store import RoomRecord, SetupStore
from tests.effects import result_of
from tests.store.room_exercise.leader import leading, step
from tests.store.room_exercise.premises import (
    ORGANISATION,
    Premises,
    ask,
    creation,
    enter,
    join,
    made,
    order,
    read,
)


def change(**settings: Any) -> SettingsChange:
    return SettingsChange(None, settings)


async def everything(premises: Premises) -> tuple[list[dict[str, Any]], list[Any]]:
    """All that set-up can move, but for the time at which it was read."""
    found = await premises.stores[0].setup.read(None, rooms_max=100)
    rooms = [_fields(room) for room in found]
    return rooms, await premises.audited()


def _fields(room: RoomRecord) -> dict[str, Any]:
    return {name: getattr(room, name) for name in room.__struct_fields__ if name != "now"}


async def settings(premises: Premises, room: int) -> RoomSettings:
    return decode_settings((await read(premises, room)).settings)


def _create(store: SetupStore, by: SentCommand, _room: int) -> Awaitable[EffectAnswer]:
    return store.create(by, creation(capacity=5))


def _change(store: SetupStore, by: SentCommand, room: int) -> Awaitable[EffectAnswer]:
    return store.change(by, room, change(capacity=5))


def _pause(store: SetupStore, by: SentCommand, room: int) -> Awaitable[EffectAnswer]:
    return store.change(by, room, RoomAction.PAUSE)


def _reset(store: SetupStore, by: SentCommand, room: int) -> Awaitable[EffectAnswer]:
    return store.reset(by, room, 1)


Command = Callable[[SetupStore, SentCommand, int], Awaitable[EffectAnswer]]

COMMANDS: list[Command] = [_create, _change, _pause, _reset]


class SetupExercise:
    """Of `SetupStore`."""

    @pytest.mark.parametrize("command", COMMANDS)
    async def test_a_command_is_done_once_a_key(self, premises: Premises, command: Command) -> None:
        """Two at once and one later have one effect; another command under the key has none."""
        room = await made(premises)
        first, second = (store.setup for store in premises.stores)

        at_once = await asyncio.gather(
            *(command(store, order("key"), room) for store in (first, second))
        )
        before = await everything(premises)
        later = await command(second, order("key"), room)
        other = await command(first, order("key", sent=1), room)

        outcomes = {answer.outcome for answer in at_once}
        assert outcomes == {EffectOutcome.DONE, EffectOutcome.REPLAYED}
        results = [result_of(answer) for answer in (*at_once, later)]
        assert results == results[:1] * 3
        assert (later.outcome, other.outcome) == (
            EffectOutcome.REPLAYED,
            EffectOutcome.KEY_REUSED,
        )
        assert await everything(premises) == before

    @pytest.mark.parametrize("command", COMMANDS[1:])
    async def test_a_room_that_is_not_there_is_refused(
        self, premises: Premises, command: Command
    ) -> None:
        """Nothing is written about it, not even who asked; the key is free."""
        room = await made(premises)
        before = await everything(premises)

        refused = await command(premises.stores[0].setup, order("key"), room + 1)

        assert refused.outcome is RoomSetupOutcome.UNKNOWN_ROOM
        assert await everything(premises) == before
        result_of(await command(premises.stores[0].setup, order("key"), room))

    async def test_a_new_room_is_as_it_was_ordered(self, premises: Premises) -> None:
        """In epoch 1, with nobody there; and all rooms are listed by their numbers."""
        room, other = await made(premises, capacity=7), await made(premises)

        found = await read(premises, room)
        assert (found.version, found.epoch, found.issued, found.serving, found.live) == (
            1, 1, 0, 0, 0,
        )  # fmt: skip
        assert (found.capacity, found.sale, found.draw, found.shown) == (7, None, None, None)
        assert await settings(premises, room) == RoomSettings(capacity=7)
        listed = await premises.stores[1].setup.read(None, rooms_max=1)
        assert [one.room for one in listed] == [min(room, other)]
        assert await premises.stores[1].setup.read(max(room, other) + 1, rooms_max=1) == []

    async def test_a_sale_has_one_room(self, premises: Premises) -> None:
        """Of two workers who make one at once, one is refused, and leaves nothing behind."""
        new = creation(7, holders="persons")
        answers = await asyncio.gather(
            *(store.setup.create(order(), new) for store in premises.stores)
        )

        outcomes: set[Outcome] = {answer.outcome for answer in answers}
        assert outcomes == {EffectOutcome.DONE, RoomSetupOutcome.SALE_HAS_ROOM}
        rooms, audited = await everything(premises)
        assert [room["sale"] for room in rooms] == [7]
        assert [action for _, action, _ in audited] == ["create_room"]

    async def test_two_changes_at_once_are_both_kept(self, premises: Premises) -> None:
        """Changes of one room take turns, so that none overwrites what another one changed."""
        room = await made(premises)

        answers = await asyncio.gather(
            *(
                premises.stores[number % 2].setup.change(order(), room, change(**{name: 9}))
                for number, name in enumerate(("capacity", "tau_s", "skew_s", "renewal_grace_s"))
            ),
            premises.stores[0].setup.change(order(), room, RoomAction.PAUSE),
        )

        assert sorted(result_of(answer)["version"] for answer in answers) == [2, 3, 4, 5, 6]
        assert await settings(premises, room) == RoomSettings(
            capacity=9, tau_s=9, skew_s=9, renewal_grace_s=9, paused=True
        )

    async def test_capacity_counts_at_once(self, premises: Premises) -> None:
        """A full room follows the setting up and down; a throttled one is only ever lowered."""
        room = await made(premises, capacity=10)
        setup, capacities = premises.stores[0].setup, []
        for capacity in (20, 15):
            result_of(await setup.change(order(), room, change(capacity=capacity)))
            capacities.append((await read(premises, room)).capacity)
        throttled = step((ORGANISATION, room), 0, capacity=8)
        await premises.stores[0].leader.advance(await leading(premises), [throttled])
        for capacity in (30, 5):
            result_of(await setup.change(order(), room, change(capacity=capacity)))
            capacities.append((await read(premises, room)).capacity)

        assert capacities == [20, 15, 8, 5]

    async def test_actions_change_what_they_name(self, premises: Premises) -> None:
        """A room that is closed before its opening never opens, by the store's own clock."""
        opens = datetime.now(UTC) + timedelta(hours=1)
        room = await made(premises, opens_at=opens)
        setup, paused = premises.stores[0].setup, []
        for action in (RoomAction.PAUSE, RoomAction.RESUME, RoomAction.CLOSE):
            result_of(await setup.change(order(), room, action))
            paused.append((await settings(premises, room)).paused)

        closed = await settings(premises, room)
        assert paused == [True, False, False]
        assert closed.opens_at is not None
        assert closed.closes_at is not None
        assert closed.opens_at < closed.closes_at <= (await read(premises, room)).now

    async def test_a_reset_ends_the_epoch_that_it_names(self, premises: Premises) -> None:
        """Another one is refused; then numbers begin anew, at the full capacity."""
        room = await made(premises, capacity=10)
        key, setup, lines = (ORGANISATION, room), premises.stores[0].setup, premises.stores[0].lines
        await ask(lines, *(join(key, person) for person in (1, 2, 3)))
        fence = await leading(premises)
        await premises.stores[0].leader.advance(fence, [step(key, 2, capacity=4)])
        await ask(lines, enter(key, 1))
        before = await everything(premises)

        late = await setup.reset(order(), room, 2)
        assert late.outcome is RoomSetupOutcome.EPOCH_OVER
        assert await everything(premises) == before
        reset = result_of(await setup.reset(order(), room, 1))

        assert reset == {"room": room, "places": 3, "passes": 1, "epoch": 2, "done": True}
        found = await read(premises, room)
        assert (found.version, found.epoch, found.capacity) == (2, 2, 10)
        assert (found.issued, found.serving, found.live, found.departed) == (0, 0, 0, 0)

    async def test_what_people_rely_on_stays(self, premises: Premises) -> None:
        """Once somebody has a number the line is no draw; a mode that keeps numbers is taken."""
        room = await made(premises)
        await ask(premises.stores[1].lines, join((ORGANISATION, room), 1))
        before = await everything(premises)
        setup = premises.stores[0].setup

        refused = await setup.change(order(), room, change(mode="random", capacity=5))
        assert refused.outcome is RoomSetupOutcome.SETTING_FIXED
        assert await everything(premises) == before
        result_of(await setup.change(order(), room, change(mode="passthrough")))

    async def test_a_room_that_draws_is_promised_a_draw(self, premises: Premises) -> None:
        """The server commits to a secret with the very command, and again with every reset."""
        at_once = await made(premises, mode="random")
        later = await made(premises)
        setup = premises.stores[0].setup
        result_of(await setup.change(order(), later, change(mode="random")))
        promised = [await read(premises, room) for room in (at_once, later)]
        result_of(await setup.reset(order(), later, 1))
        promised.append(await read(premises, later))

        draws = [one.draw for one in promised if one.draw is not None]
        assert [(one.state, one.kept, one.independent) for one in draws] == (
            [("committed", True, False)] * 3
        )
        assert len({one.commitment for one in draws}) == 3

    async def test_every_command_is_audited(self, premises: Premises) -> None:
        """Who changed what of which room, in order; a pass that was revoked once a key."""
        room = await made(premises, capacity=5)
        setup = premises.stores[0].setup
        result_of(await setup.change(order(), room, SettingsChange("Hall", {"capacity": 6})))
        result_of(await setup.change(order(), room, RoomAction.CLOSE))
        for store in (*premises.stores, premises.stores[0]):
            await store.setup.note_revoked(order("once"), room, None, UUID(int=5))

        assert await premises.audited() == [
            ("op", "create_room", {"room": room, "name": "Room", "settings": {"capacity": 5}}),
            ("op", "change_room", {"room": room, "name": "Hall", "settings": {"capacity": 6}}),
            ("op", "close_room", {"room": room}),
            ("op", "revoke_pass", {"room": room, "pass_id": str(UUID(int=5))}),
        ]
