"""All rooms as they stand, in the memory of every worker: read once a tick, whoever asks.

State       A room is on the board from the first tick after it was made. Before the first tick
            nobody knows which rooms there are.
Guarantee   One statement a tick reads the rooms that have changed, however many poll; a poll reads
            nothing. A document is signed when it is asked for, once a tick. Settings are decoded
            again only when their version has changed. `serving` and `issued` of an
            epoch never go back on one worker. Which of two readings is the newer is told by them
            and by which was begun later, never by the clock.
Clock       PostgreSQL's, as of the tick; documents tell it, and `on_clock` hears it.
            It may go back.
On failure  The board stays as it was, and its documents say by their `now` how old they are. Who
            asks before it was ever read is told that, and not that there is no such room. A room
            that cannot be read is set aside with its document, so that gates fall back on their
            `fail_mode`; whoever asks for it is told, and all other rooms go on.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.core.clock import Instant
from sunseo.core.later import LaterOutcome
from sunseo.passes.keys import KeyRing
from sunseo.room.board.halted import halted_of
from sunseo.room.board.state import (
    BoardReading,
    Halted,
    Shown,
    ShownDraw,
    Slowed,
    StateAnswer,
    StateDocument,
    content_of,
    moment_of,
    pass_terms_of,
    poll_of,
)
from sunseo.room.draw.rules import keeper_of
from sunseo.room.postgres.cold import QUERIES
from sunseo.room.postgres.stored import read_settings
from sunseo.room.setup.schedule import Phase, Situation, phase_at
from sunseo.room.setup.settings import RoomSettings
from sunseo.telemetry.aside import SetAside
from sunseo.web.problems import ProblemError, type_of
from sunseo.web.raw import RawAnswer

SOON = timedelta(seconds=10)  # many ticks: a room that is about to change is read with each
WHOLE_EVERY = 120  # readings, about a minute: then every room is read, changed or not
REVOKED_MAX = 1000  # passes that one document lists, those that last longest first
VOID_MAX = 20_000  # of a sale's room: more than end in a minute behind any room of ours
REVOKED_LISTED_S = 60 + 5  # after expiry: a gate's clock may be late by the largest skew

DRAWING_MODES = ("random", "closed")  # a room that is closed keeps its draw, to go on with it

decode_shown = msgspec.json.Decoder(Shown).decode
_encode = msgspec.json.Encoder().encode


class BoardNotReadError(ConnectionError):
    """PostgreSQL has not told the rooms since this worker began; ask again."""


class RoomUnreadableError(ProblemError):
    """The room exists, and is set aside; whoever asks over HTTP is answered by this."""

    def __init__(self, room: int) -> None:
        super().__init__(type_of(LaterOutcome.UNREADABLE), room=room)
        self.room = room


class RoomView(msgspec.Struct, frozen=True):
    """One room as of the last tick.

    Attributes:
        content: the state document without its time, to see whether anything has changed.
        answer: the state document as it goes out.
        now: when it was read, by the database's clock.
        void: passes that have not expired, and yet are over: revoked ones, and in the room of a
            sale also those given back, whose slots others may have by now.
        reading: which of this board's it is, in the order in which they were begun.
        mark: what tells whether any of the rows has changed that the room is shown by.
    """

    room: int
    version: int
    name: str
    sale: int | None
    settings: RoomSettings
    epoch: int
    issued: int
    serving: int
    live: int
    departed: int
    capacity: int
    draw: ShownDraw | None
    shown: Shown
    situation: Situation
    revoked: tuple[UUID, ...]
    now: Instant
    state: StateDocument
    content: bytes
    answer: StateAnswer
    void: frozenset[UUID] = frozenset()
    reading: int = 0
    mark: str = ""

    @property
    def is_active(self) -> bool:
        """Whether its line can move or its passes can lapse."""
        return self.live > 0 or self.issued > self.serving or self.situation.phase != "closed"

    @property
    def is_settled(self) -> bool:
        """Whether it stays as it is shown until one of its rows changes.

        Time alone opens and closes rooms, and takes passes off the lists.
        """
        change = self.situation.next_change
        is_soon = change is not None and change - self.now < SOON
        return not is_soon and not self.revoked and not self.void

    @property
    def awaits_draw(self) -> bool:
        """Whether the first numbers are still to be drawn, so that nobody can be called."""
        return self.draw is not None and self.draw.is_awaited


OnChange = Callable[[RoomView], None]


class RoomBoard:
    """One organisation's, in one process.

    Args:
        answers: where the state documents are put by their path, for the app to serve.
        on_change: told of every room whose document changed by more than its time.
        aside: where rooms that cannot be read are named and counted.
        on_clock: hears the database's time with every reading that counts.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        organisation: int,
        keys: KeyRing,
        answers: dict[str, RawAnswer],
        on_change: OnChange = lambda _view: None,
        *,
        aside: SetAside | None = None,
        on_clock: Callable[[Instant], None] = lambda _now: None,
    ) -> None:
        self._on_clock = on_clock
        self._readings = 0
        self._last = BoardReading()
        self._looks_again = False
        self._engine = engine
        self._organisation = organisation
        self._keys = keys
        self._answers = answers
        self._on_change = on_change
        self._aside = aside or SetAside()
        self._views: dict[int, RoomView] = {}
        self._unreadable: set[int] = set()
        self._served_before = 0  # polls of rooms that were set aside since
        self._rooms_of_sales: dict[int, int] = {}
        self._is_read = False

    @property
    def is_read(self) -> bool:
        """Whether the rooms have been read at all: before, a sale without one may yet have one."""
        return self._is_read

    def look(self, room: int) -> RoomView | None:
        """A room as of the last tick; none where there is no such room.

        Raises:
            BoardNotReadError: it is not known yet which rooms there are.
            RoomUnreadableError: it cannot be read.
        """
        if not self._is_read:
            raise BoardNotReadError("the rooms have not been read yet")
        if room in self._unreadable:
            raise RoomUnreadableError(room)
        return self._views.get(room)

    def of_sale(self, sale: int) -> RoomView | None:
        """The room of a sale, if it has one; before the first tick (`is_read`) none has.

        Raises:
            RoomUnreadableError: it has one, which cannot be read.
        """
        room = self._rooms_of_sales.get(sale)
        if room in self._unreadable:
            raise RoomUnreadableError(room)
        return None if room is None else self._views[room]

    def views(self) -> Iterable[RoomView]:
        return self._views.values()

    @property
    def served(self) -> int:
        """How many polls have been answered, ever; counted without a call to anybody."""
        return self._served_before + sum(view.answer.served for view in self._views.values())

    async def run_once(self) -> bool:
        """Read all rooms and renew their documents."""
        self._readings += 1
        reading = self._readings
        known = list(self._views.values())
        rows = await self._read(known)
        now = rows[0].now
        if reading > self._last.number:
            now_ms = moment_of(now) or 0
            self._looks_again = now_ms < self._last.now_ms
            self._last.number, self._last.now_ms = reading, now_ms
            self._on_clock(now)
        changed = {row.room for row in rows}
        for view in known:
            if view.room not in changed and self._views.get(view.room) is view:
                self._views[view.room] = replace(view, now=now, reading=reading)
        for row in rows:
            if row.room is None:
                break  # nothing has changed
            if row.sale is not None:
                self._rooms_of_sales[row.sale] = row.room
            try:
                self._take(row, reading)
            except Exception as error:  # noqa: BLE001 - one room's fault stops nobody else's
                self._set_aside(row.room, error)
        self._is_read = True
        return False

    def _take(self, row: Any, reading: int) -> None:
        """Renew one room's view and document."""
        if row.epoch is None:
            raise LookupError("the room has no line")
        before = self._views.get(row.room)
        view = self._view(row, before, reading)
        if view is None:
            return
        self._views[row.room] = view
        self._answers[state_path(row.room)] = view.answer
        self._unreadable.discard(row.room)
        self._aside.take_back("room", row.room)
        if before is None or before.content != view.content:
            self._on_change(view)

    def _set_aside(self, room: int, error: Exception) -> None:
        """Show nothing of a room rather than what was true of it once."""
        self._unreadable.add(room)
        self._aside.put("room", room, error)
        self._answers.pop(state_path(room), None)
        if (view := self._views.pop(room, None)) is not None:
            self._served_before += view.answer.served

    async def _read(self, known: Sequence[RoomView]) -> list[Any]:
        # The clock has gone back, so that what was open may not be; and now and then, since another
        # server, after a loss, may mark other rows alike.
        whole = self._looks_again or self._readings % WHOLE_EVERY == 0
        async with self._engine.connect() as raw:
            connection = await raw.execution_options(isolation_level="AUTOCOMMIT")
            found = await connection.execute(
                QUERIES["read_board"],
                {
                    "organisation": self._organisation,
                    "rooms": [view.room for view in known],
                    "versions": [view.version for view in known],
                    "marks": ["" if whole or not one.is_settled else one.mark for one in known],
                    "listed_s": REVOKED_LISTED_S,
                    "revoked_max": REVOKED_MAX,
                    "void_max": VOID_MAX,
                },
            )
            return list(found.all())

    def _shown(self, row: Any) -> Shown:
        """What the leader last said; where that cannot be read, nothing, until it says more."""
        if row.shown is None:
            return Shown()
        try:
            shown = decode_shown(row.shown)
        except msgspec.DecodeError as error:
            self._aside.put("room_pacing", row.room, error)
            return Shown()
        self._aside.take_back("room_pacing", row.room)
        return shown

    def _view(self, row: Any, before: RoomView | None, reading: int) -> RoomView | None:
        """A room as it was read, or none where a fresher reading is there already."""
        if before is not None and (*_age_of(row), reading) < (*_age_of(before), before.reading):
            return None
        settings = before.settings if before is not None else RoomSettings()
        if row.settings is not None:
            settings = read_settings(row.settings, row.now)
        shown = self._shown(row)
        situation = phase_at(settings, row.now, line_is_empty=row.issued == row.serving)
        draw = shown_draw(row, settings)
        state = _state(row, settings, draw, shown, situation)
        ed25519 = settings.pass_signature == "ed25519"  # noqa: S105 - an algorithm's name
        served = before.answer.served if before is not None else 0
        return RoomView(
            room=row.room,
            version=row.version,
            name=row.name,
            sale=row.sale,
            settings=settings,
            epoch=row.epoch,
            issued=row.issued,
            serving=row.serving,
            live=row.live,
            departed=row.departed,
            capacity=row.capacity,
            draw=draw,
            shown=shown,
            situation=situation,
            revoked=tuple(row.revoked or ()),
            now=row.now,
            state=state,
            content=content_of(state),
            answer=StateAnswer(state, self._keys, self._last, ed25519=ed25519, served=served),
            void=frozenset(row.void or row.revoked or ()),
            reading=reading,
            mark=row.mark,
        )


def state_path(room: int) -> str:
    return f"/v1/rooms/{room}/state"


def _age_of(read: Any) -> tuple[int, ...]:
    """Never falls from one reading of a room to the next; two loops may read at once."""
    return read.version, read.epoch, read.serving, read.issued


def shown_draw(row: Any, settings: RoomSettings) -> ShownDraw | None:
    """How the draw stands of a room that was read; none where nothing is or has been drawn."""
    if row.draw is None:
        return ShownDraw(entrants=row.entrants) if settings.mode == "random" else None
    if settings.mode not in DRAWING_MODES and row.draw != "revealed":
        return None  # nobody has registered, or the mode could not have been changed
    return ShownDraw(
        state=row.draw,
        keeper=keeper_of(kept=row.kept, independent=row.independent),
        committer=row.committer,
        commitment=row.commitment.hex(),
        entrants=row.entrants,
    )


def slowed_of(phase: Phase, halted: Halted | None, shown: Shown) -> Slowed | None:
    """Why the line moves less than it could: only a line that is there can be slow."""
    if phase == "paused":
        return "paused"
    # What the controller said of a line that stood still is over when the line moves again.
    return None if halted is not None or shown.slowed == "paused" else shown.slowed


def _state(
    row: Any,
    settings: RoomSettings,
    draw: ShownDraw | None,
    shown: Shown,
    situation: Situation,
) -> StateDocument:
    halted = halted_of(settings, situation.phase, draw, shown)
    return StateDocument(
        room=row.room,
        epoch=row.epoch,
        phase=situation.phase,
        mode=settings.mode,
        issued=row.issued,
        serving=row.serving,
        speed=shown.speed,
        slowed=slowed_of(situation.phase, halted, shown),
        halted=halted,
        draw=draw,
        units_left=shown.units_left,
        sold_out=shown.sold_out,
        message=settings.message,
        opens_at=moment_of(situation.opens_at),
        poll=poll_of(settings),
        pass_=pass_terms_of(settings),
        revoked=list(row.revoked or ()),
        fail_mode=settings.fail_mode,
        now=moment_of(row.now) or 0,
    )
