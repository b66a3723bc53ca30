"""Everything that rooms ask of whatever stores them: the port. `room/postgres` is behind it.

State       Of each room: its name and settings with a version, its line (epoch, numbers, slots),
            its places, registrations and passes, its draw, what its leader remembers and shows,
            and what sources say of the site behind it. Settings, memories and what is shown are
            texts to a store (JSON): whoever reads them decides whether they can be read.
Guarantee   What was answered is durable, but for an answer of `Later`. Everything that is written
            is written whole or not at all, and may be asked for again: a command of a line finds
            what it did by its holder, number or pass; an operator's by her key; a step of the
            leader's by its fence and epoch; a signal replaces the last word of its source. Whatever
            is decided by a rule (`line.rules`, `setup.changes`, `draw.steps`) is decided where
            nothing that the rule reads can change before its result is stored; how, is the
            store's matter: here nothing speaks of locks, rows or transactions.
Clock       The store's own. Values carry moments that it has read, and lengths in seconds; nobody
            tells it what time it is. It may go back: then a moment that is yet to come is taken
            for one of before.
On failure  An exception says that nobody knows whether anything was done; ask again. Nothing is
            half done. Nobody is refused by an exception but `RefusedError` and `FieldError`, which
            say that nothing was.

Keys begin with the organisation: commands of lines name it, since lanes serve all; every other role
belongs to one organisation, and is made for it. `tests/store/room_exercise` has what each store
must keep, as a suite that is run on each.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from enum import unique
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import msgspec

from sunseo.core.clock import Instant
from sunseo.core.outcome import Kind, Outcome
from sunseo.engine.entry import Answer
from sunseo.operators.command import By, EffectAnswer, SentCommand
from sunseo.room.board.state import DrawState
from sunseo.room.draw.bodies import DrawStatus, NewCommitment, Reveal, Withholding
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.line.commands import RoomCommand
from sunseo.room.line.lanes import StoreAnswer
from sunseo.room.setup.changes import Creation, RoomAction, SettingsChange


class LineStore(Protocol):
    """Decides what changes a line: joining, entering, renewing, leaving, revoking, expiring.

    It gathers what is submitted at once and decides that in batches, by `line.rules`, in the order
    in which it was submitted. Numbers of an epoch follow each other without a gap.
    """

    async def submit(self, command: RoomCommand) -> Answer[StoreAnswer]: ...


class SourceSignal(msgspec.Struct, frozen=True):
    """How a source finds what it watches; both values in the same unit, whichever that is.

    Attributes:
        room: of which it speaks; 0 is the server itself, of whose workers it is.
        source: its name, of which a room keeps the last word.
    """

    room: int
    source: str
    measured: float
    target: float


@unique
class SignalOutcome(Outcome):
    """What a source can be answered."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    TOO_MANY_SOURCES = Kind.CONFLICT, "The room hears as many sources as it can."
    SIGNAL_TAKEN = Kind.DONE, "The signal counts from now on, for a while."


class SignalStore(Protocol):
    """Keeps the last word of each source on the health of rooms and workers."""

    async def take(
        self, signal: SourceSignal, *, sources_max: int, silent_s: float
    ) -> SignalOutcome:
        """Keep what a source of a room says, if the room has place for one more source.

        It has place for `sources_max`, however many speak at once. Who was silent for `silent_s`
        is forgotten, and the name free again.
        """

    async def tell(self, signals: Sequence[SourceSignal]) -> None:
        """Keep what a worker says of itself, under room 0; its sources are not bounded."""

    async def heard(self, fresh_s: float) -> list[SourceSignal]:
        """What was said less than so many seconds ago, of all rooms and of workers."""

    async def reach(self) -> None:
        """Wait as long as an operator's command would wait before it can begin."""


class LineSince(msgspec.Struct, frozen=True):
    """From when on entries are asked for, in seconds since 1970."""

    room: int
    epoch: int
    since: float


class PassLengths(msgspec.Struct, frozen=True):
    """How long passes of a room last, in seconds: themselves, their slots, their sessions."""

    room: int
    epoch: int
    ttl_s: int
    slot_s: int
    session_s: int


class LineAdvance(msgspec.Struct, frozen=True):
    """Where a leader's step takes one line, and what is to be remembered of it.

    Attributes:
        serving: the number up to which all are called; it never falls, nor passes `issued`.
        moves: whether the line itself changes; else only what is remembered does.
        memory: what the next step needs; whatever it is, it is kept and told as JSON.
        shown: what everybody may see of it, likewise.
    """

    room: int
    epoch: int
    serving: int
    capacity: int
    moves: bool
    memory: Any
    shown: Any


class LineMemory(msgspec.Struct, frozen=True):
    """What the last leader remembered and showed of a line, as JSON; none where it never did."""

    room: int
    epoch: int
    memory: str | None
    shown: str | None


class LeaderStore(Protocol):
    """What the one process needs that paces all rooms of an organisation."""

    async def hold_lease(self, leader: UUID, lease_s: float) -> int | None:
        """Take the lead where nobody has it, or keep it for so long; returns the fence.

        The fence grows with every change of leader. None: somebody else leads. A lease that ends
        further away than it lasts was given before the clock went back, and is nobody's.
        """

    async def drop_lease(self, leader: UUID) -> None:
        """Let the next leader begin at once, if this one leads; else its lease ends by itself.

        Nothing is raised where the store cannot be reached.
        """

    async def recall(self, rooms: Sequence[int]) -> list[LineMemory]:
        """What is remembered of these rooms, of whichever epoch."""

    async def entered(
        self, lines: Sequence[LineSince], *, entries_max: int
    ) -> dict[int, list[tuple[int, float]]]:
        """Who entered rooms after a moment: numbers and moments, in seconds since 1970.

        Of each room the first ones, in order of time; nobody's whose moment is yet to come.
        """

    async def advance(
        self, fence: int, steps: Sequence[LineAdvance], *, forget_s: float | None = None
    ) -> dict[int, int] | None:
        """Take lines on, all of a step at once, and tell the number that each one now serves.

        A line that is in another epoch, or that a later leader has moved, stays as it is and is not
        told. None: somebody else leads since, and nothing was done. Calls that are older than
        `forget_s` may be forgotten with this step.
        """

    async def shorten_passes(self, rooms: Sequence[PassLengths]) -> None:
        """Have live passes that were renewed at a moment that is yet to come last from now on."""

    async def due_rooms(self) -> list[int]:
        """Rooms with live passes whose slots have run out."""


class DrawPromise(msgspec.Struct, frozen=True):
    """How the draw of an epoch stands.

    Attributes:
        kept: whether the server has the secret itself.
        independent: whether somebody else than the operator has promised it.
        commitment: SHA-256 of the secret, which `committer` has promised.
    """

    state: DrawState
    kept: bool
    independent: bool
    committer: str
    commitment: bytes


class StoredRoom(msgspec.Struct, frozen=True, kw_only=True):
    """A room, its line, its draw, and what its leader last showed, as stored.

    Attributes:
        sale: that it is of, if any.
        capacity: slots that count at the moment; `live` ones are taken.
        departed: passes that have ended in this epoch.
        shown: a JSON text, as of this epoch; none where the leader has shown nothing.
        now: when it was read, by the store's clock.
    """

    room: int
    version: int
    name: str
    sale: int | None
    epoch: int
    issued: int
    serving: int
    live: int
    departed: int
    capacity: int
    entrants: int
    draw: DrawPromise | None
    shown: str | None
    now: Instant


class ShownRoom(StoredRoom, frozen=True, kw_only=True):
    """A room as a board reads it.

    Attributes:
        settings: none where the version is known to whoever asked.
        mark: differs whenever anything differs that the room is shown by, but for time.
        revoked: passes that were revoked, as many as may be listed, those that last longest.
        void: of a sale's room, passes that have not expired, and yet are over.
    """

    settings: str | None
    mark: str
    revoked: tuple[UUID, ...]
    void: tuple[UUID, ...]


class LostRoom(NamedTuple):
    """A room of which the line is missing, so that nothing can be shown."""

    room: int
    sale: int | None


class BoardMark(NamedTuple):
    """Up to where a look saw: only the store can tell what it means.

    Attributes:
        life: of the store: another one has its own positions.
    """

    life: Instant | str
    position: str


class BoardNews(NamedTuple):
    """One look at all rooms.

    Attributes:
        anew: whether nothing counts that was known of rooms: they are another server's.
        changed: rooms of which anything may have been written since.
        in_turn: rooms that are to be read again, changed or not.
        mark: from which the next look goes on.
    """

    now: Instant
    anew: bool
    changed: list[int]
    in_turn: list[int]
    mark: BoardMark


class MarkedRoom(NamedTuple):
    """The version and the mark that are known of a room; no mark: it is told in any case."""

    room: int
    version: int
    mark: str


class PassLists(NamedTuple):
    """Bounds of the lists of passes.

    Attributes:
        listed_s: how long after they have expired revoked passes are listed.
        revoked_max: of a room.
        void_max: of a room.
    """

    listed_s: float
    revoked_max: int
    void_max: int


class BoardStore(Protocol):
    """Tells every worker of all rooms, twice a second: so what has not changed costs nothing."""

    async def news(self, since: BoardMark | None, *, turns: int, turn: int) -> BoardNews:
        """Which rooms may have changed since a look: all that have, and maybe others.

        What a look did not see yet, the next one tells. Besides, it tells the rooms whose turn it
        is: each once in so many `turns`. None: there was no look before, and all are told.
        """

    async def read(
        self, rooms: Iterable[int], known: Iterable[MarkedRoom], lists: PassLists
    ) -> list[ShownRoom | LostRoom]:
        """Rooms as they are shown, all of one moment, but for those whose mark is as it was."""


class RoomRecord(StoredRoom, frozen=True, kw_only=True):
    """A room as operators read it; `sealed` when its draw takes no more entrants."""

    settings: str
    created_at: Instant
    sealed: bool


class SetupStore(Protocol):
    """Keeps rooms and their settings; what operators do to them is done once a key, and audited.

    Changes of one room take turns. `setup.changes` tells what a change makes of a room, and a
    change that people in its line rely on not being made is refused (`setup.fixed`). Settings are
    read back as they are stored before they count, so that nobody meets what cannot be read. A
    room in mode `random` has a commitment before anybody can register. Lanes decide by a change
    with their next batch, boards show it with their next look.
    """

    async def create(self, by: SentCommand, new: Creation) -> EffectAnswer:
        """Make a room with its line, in epoch 1; the result tells its number and version 1."""

    async def change(
        self, by: SentCommand, room: int, change: SettingsChange | RoomAction
    ) -> EffectAnswer:
        """Change a room; the result tells its version. Actions do not wait behind changes."""

    async def reset(self, by: SentCommand, room: int, epoch: int) -> EffectAnswer:
        """End an epoch and begin the next; the result tells how many places and passes are void."""

    async def note_revoked(
        self, by: SentCommand, room: int, sale: int | None, pass_id: UUID
    ) -> None:
        """Write into the audit log that a pass was revoked, once a key."""

    async def read(self, room: int | None, *, rooms_max: int) -> list[RoomRecord]:
        """A room, or none if there is no such one; or the first of all, by their numbers."""


class DrawStore(Protocol):
    """Takes the steps of draws, each once a key, logged for the public and audited.

    From the seal on nobody is registered, and who joins numbers on behind the entrants; that stays
    so even where the step then fails. Sealing and revealing go on when the caller gives up.
    """

    async def commit(self, by: By, room: int, body: NewCommitment) -> EffectAnswer: ...

    async def seal(self, by: By, room: int) -> EffectAnswer: ...

    async def withhold(self, by: By, room: int, body: Withholding) -> EffectAnswer: ...

    async def reveal(self, by: By, room: int, body: Reveal) -> EffectAnswer: ...

    async def promise(self, room: int, actor: str) -> None:
        """Have the server keep the secret of a draw that nobody has committed to.

        Raises:
            RefusedError: there is no such room.
        """

    async def status(self, room: int, epoch: int | None = None) -> DrawStatus | DrawOutcome:
        """A room's draw, of the epoch that counts now or of a named one."""

    async def publish(
        self, room: int, epoch: int | None = None
    ) -> AsyncGenerator[bytes, None] | DrawOutcome:
        """The published file, in chunks, all of one moment.

        Whoever asks closes the iterator, or reads it to its end.
        """


class RoomStore(NamedTuple):
    """All roles of one store, for one organisation."""

    lines: LineStore
    board: BoardStore
    leader: LeaderStore
    signals: SignalStore
    setup: SetupStore
    draws: DrawStore
