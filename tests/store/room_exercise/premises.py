"""Rooms in a store, and what a test does to them besides asking."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID, uuid4

from sunseo.operators.command import SentCommand
from sunseo.room.line.commands import Enter, Join, RoomCommand, RoomKey, pass_id_of
from sunseo.room.line.rules import RoomAnswer
from sunseo.room.setup.changes import Creation
from sunseo.room.setup.settings import RoomSettings, changed_settings
from sunseo.room.store import LineStore, RoomRecord, RoomStore
from tests.effects import result_of

WORKERS = 2
ORGANISATION = 1

Way = Literal["up", "down"]
"""To the store, and from it."""


class Counts(NamedTuple):
    """What a store has stored of a line."""

    epoch: int
    issued: int
    serving: int
    live: int


class Wire(Protocol):
    """What lies between a worker and the store.

    Attributes:
        passed: what went each way since it was last armed.
        cut: how often it has been cut.
    """

    passed: dict[Way, bytearray]
    cut: int

    def arm(self, way: Way, after: int) -> None:
        """Cut it once so many more bytes have gone that way and been passed on."""


class Pause(NamedTuple):
    """Somebody stops at a moment that is told, and goes on when the test says so."""

    reached: asyncio.Event
    go_on: asyncio.Event


class Premises(Protocol):
    """A store that a test can do to what only time and machines do otherwise.

    Attributes:
        stores: as so many processes have them, each on its own connections.
    """

    stores: Sequence[RoomStore]

    async def open_room(self, settings: RoomSettings, *, serving: int = 0) -> RoomKey:
        """Make a room of which so many numbers were given, and called, without anybody there."""

    async def change(self, room: RoomKey, settings: RoomSettings) -> None: ...
    async def call_up_to(self, room: RoomKey, number: int) -> None: ...
    async def begin_epoch(self, room: RoomKey) -> None: ...
    async def counts(self, room: RoomKey) -> Counts: ...

    def let_time_pass(self, seconds: float) -> None:
        """Move the time by which lanes decide, which stands still otherwise."""

    def let_time_run(self) -> None:
        """Have lanes decide by the store's own clock from now on."""

    async def step_clock(self, seconds: float) -> None:
        """Have all that is stored lie so much further back, or ahead if below zero.

        As if so much time had passed, or the store's clock had been put back.
        """

    async def audited(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Who did what, with its details, as the audit log has it."""

    def behind_wire(self) -> AbstractAsyncContextManager[tuple[RoomStore, Wire]]:
        """One more worker, whose wire can be cut."""

    def pausing(self) -> AbstractAsyncContextManager[tuple[LineStore, Pause]]:
        """One more worker, which stops when it is about to write its first batch."""

    def dying_once(self) -> AbstractAsyncContextManager[LineStore]:
        """One more worker, whose connection is killed when it is about to write a batch, once."""


async def ask(store: LineStore, *commands: RoomCommand) -> list[RoomAnswer]:
    """Ask all at once."""
    answers = [answer.result for answer in await asyncio.gather(*map(store.submit, commands))]
    assert all(isinstance(answer, RoomAnswer) for answer in answers), answers
    return answers  # type: ignore[return-value]  # as was just seen


async def ask_one(premises: Premises, command: RoomCommand) -> RoomAnswer:
    (answer,) = await ask(premises.stores[0].lines, command)
    return answer


def join(room: RoomKey, person: int) -> Join:
    return Join(room, UUID(int=person), UUID(int=person + 2**64), UUID(int=7))


def join_by_account(room: RoomKey, person: int) -> Join:
    return Join(room, UUID(int=person), UUID(int=person + 2**64))


def enter(room: RoomKey, number: int, epoch: int = 1, random: int = 5) -> Enter:
    return Enter(room, epoch, number, UUID(int=number), pass_id_of(number, random))


def numbers_of(answers: Sequence[RoomAnswer]) -> list[int]:
    return [answer.place.number for answer in answers if answer.place is not None]


def order(key: str | None = None, sent: int = 0) -> SentCommand:
    """An operator's order; `sent` stands for what she sent, and a key is used once unless given."""
    return SentCommand("op", key or uuid4().hex, UUID(int=sent))


def creation(sale: int | None = None, **settings: Any) -> Creation:
    return Creation("Room", sale, changed_settings(RoomSettings(), settings), settings)


async def made(premises: Premises, sale: int | None = None, **settings: Any) -> int:
    """Make a room as operators do."""
    answer = await premises.stores[0].setup.create(order(), creation(sale, **settings))
    room: int = result_of(answer)["room"]
    return room


async def read(premises: Premises, room: int) -> RoomRecord:
    """The room as stored; every worker reads the same."""
    found = [await store.setup.read(room, rooms_max=1) for store in premises.stores]
    assert {len(records) for records in found} == {1}
    return found[0][0]
