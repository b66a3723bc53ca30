"""All rooms as they stand, in the memory of every worker: looked at once a tick, whoever asks.

State       A room is on the board from the first tick after it was made. Before the first tick
            nobody knows which rooms there are.
Guarantee   One look a tick tells which rooms have changed, and another one reads those,
            however many there are and however many poll; a poll reads nothing. A document is signed
            when it is asked for, once a tick. Settings are decoded again only when their version
            has changed. `serving` and `issued` of an epoch never go back on one worker. Which of
            two readings is the newer is told by them and by which was begun later, never by the
            clock.
Clock       The store's, as of the tick; documents tell it, and `on_clock` hears it. A room whose
            phase time alone changes is read with the first tick after that. It may go back.
On failure  The board stays as it was, and its documents say by their `now` how old they are. Who
            asks before it was ever read is told that, and not that there is no such room. A room
            that cannot be read is set aside with its document, so that gates fall back on their
            `fail_mode`; whoever asks for it is told, and all other rooms go on.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec.structs import replace

from sunseo.core.clock import Instant
from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import RefusedError
from sunseo.room.board.document import state_of
from sunseo.room.board.reader import RoomReader
from sunseo.room.board.state import (
    BoardReading,
    Shown,
    ShownDraw,
    StateDocument,
    content_of,
    moment_of,
)
from sunseo.room.draw.rules import keeper_of
from sunseo.room.setup.schedule import Situation, phase_at
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.setup.stored import read_settings
from sunseo.room.store import BoardNews, BoardStore, LostRoom, MarkedRoom, ShownRoom, StoredRoom
from sunseo.telemetry.aside import SetAside

NEVER = datetime.max.replace(tzinfo=UTC)
DRAWING_MODES = ("random", "closed")  # a room that is closed keeps its draw, to go on with it

decode_shown = msgspec.json.Decoder(Shown).decode


class BoardNotReadError(ConnectionError):
    """The store has not told the rooms since this worker began; ask again."""


class RoomUnreadableError(RefusedError):
    """The room exists, and is set aside; whoever asks is answered by this."""

    def __init__(self, room: int) -> None:
        super().__init__(LaterOutcome.UNREADABLE, extra={"room": room})
        self.room = room


class RoomView(msgspec.Struct, frozen=True):
    """One room as it was read, and as it has been since: what has changed is another view.

    Attributes:
        content: the state document without its time, to see whether anything has changed.
        now: by the store's clock, when it was read or, as `look` has it, up to when it counts.
        void: passes that have not expired, and yet are over: revoked ones, and in the room of a
            sale also those given back, whose slots others may have by now.
        reading: which of this board's it is, in the order in which they were begun.
        mark: what tells whether anything has changed that the room is shown by.
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
    void: frozenset[UUID] = frozenset()
    reading: int = 0
    mark: str = ""

    @property
    def is_active(self) -> bool:
        """Whether its line can move or its passes can lapse."""
        return self.live > 0 or self.issued > self.serving or self.situation.phase != "closed"

    @property
    def awaits_draw(self) -> bool:
        """Whether the first numbers are still to be drawn, so that nobody can be called."""
        return self.draw is not None and self.draw.is_awaited


OnChange = Callable[[RoomView], None]


class Ready(Protocol):
    """Whoever has the rooms' documents ready to be sent."""

    def show(self, view: RoomView, last: BoardReading) -> None:
        """Have a room shown as it was read; `last` tells the time, now and later."""

    def drop(self, room: int) -> None:
        """Show nothing of a room any more."""


class RoomBoard:
    """One organisation's, in one process.

    Args:
        ready: has the state documents of rooms answered.
        on_change: told of every room whose document changed by more than its time.
        aside: where rooms that cannot be read are named and counted.
        on_clock: hears the store's time with every reading that counts.
    """

    def __init__(
        self,
        store: BoardStore,
        ready: Ready,
        on_change: OnChange = lambda _view: None,
        *,
        aside: SetAside | None = None,
        on_clock: Callable[[Instant], None] = lambda _now: None,
    ) -> None:
        self._on_clock = on_clock
        self._readings = 0
        self._last = BoardReading()
        self._now: Instant | None = None
        self._reader = RoomReader(store)
        self._ready = ready
        self._on_change = on_change
        self._aside = aside or SetAside()
        self._views: dict[int, RoomView] = {}
        self._unreadable: set[int] = set()
        self._listing: set[int] = set()  # rooms whose lists of passes time alone makes shorter
        self._next_change = NEVER  # no room's phase changes by time before that
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
        view = self._views.get(room)
        return None if view is None else self.present(view)

    def of_sale(self, sale: int) -> RoomView | None:
        """The room of a sale, if it has one; before the first tick (`is_read`) none has.

        Raises:
            RoomUnreadableError: it has one, which cannot be read.
        """
        room = self._rooms_of_sales.get(sale)
        if room in self._unreadable:
            raise RoomUnreadableError(room)
        return None if room is None else self.present(self._views[room])

    def views(self) -> Iterable[RoomView]:
        """All rooms that can be read; the same objects for as long as nothing has changed."""
        return self._views.values()

    def present(self, view: RoomView) -> RoomView:
        """The same as of the last tick; it is kept, since who asks once asks again."""
        if self._now is None or view.now == self._now or view.reading > self._last.number:
            return view
        presented = replace(view, now=self._now)
        if self._views.get(view.room) is view:
            self._views[view.room] = presented
        return presented

    @property
    def now(self) -> Instant | None:
        """When the rooms were last looked at; none before the first tick."""
        return self._now

    async def run_once(self) -> bool:
        """Look which rooms have changed, and renew those."""
        self._readings += 1
        look = self._readings
        news = await self._reader.news()
        again = self._due(look, news)
        rows = await self._read({*news.changed, *self._unreadable, *again}, again, news.anew)
        if look > self._last.number:
            self._last.number, self._last.now_ms = look, moment_of(news.now) or 0
            self._now = news.now
            self._on_clock(news.now)
        self._take_all(*rows)
        if news.now >= self._next_change:
            self._next_change = min(map(_change_of, self._views.values()), default=NEVER)
        self._reader.keep(news)
        self._is_read = True
        return False

    async def read_room(self, room: int) -> None:
        """Show a room as it is, ahead of the next tick: it was made just now."""
        self._take_all(*await self._read({room}, {room}))

    def _due(self, look: int, news: BoardNews) -> set[int]:
        """Rooms that are to be read though nothing of them was written."""
        went_back = look > self._last.number and (moment_of(news.now) or 0) < self._last.now_ms
        if news.anew or went_back:  # what was known is another server's, or of a time to come
            return {*self._views}
        due = {*news.in_turn, *self._listing}
        if news.now >= self._next_change:
            due.update(v.room for v in self._views.values() if _change_of(v) <= news.now)
        return due

    async def _read(
        self, rooms: set[int], again: set[int], anew: bool = False
    ) -> tuple[int, Sequence[ShownRoom | LostRoom]]:
        """Read rooms, `again` though they are as they were; which reading it is, and the rows."""
        self._readings += 1
        reading = self._readings
        views = [] if anew else [view for room in rooms if (view := self._views.get(room))]
        known = [
            MarkedRoom(view.room, view.version, "" if view.room in again else view.mark)
            for view in views
        ]
        return reading, await self._reader.read(rooms, known) if rooms else ()

    def _take_all(self, reading: int, rows: Sequence[ShownRoom | LostRoom]) -> None:
        for row in rows:
            if row.sale is not None:
                self._rooms_of_sales[row.sale] = row.room
            if isinstance(row, LostRoom):
                self._set_aside(row.room, LookupError("the room has no line"))
                continue
            try:
                self._take(row, reading)
            except Exception as error:  # noqa: BLE001 - one room's fault stops nobody else's
                self._set_aside(row.room, error)

    def _take(self, row: ShownRoom, reading: int) -> None:
        """Renew one room's view and document."""
        before = self._views.get(row.room)
        view = self._view(row, before, reading)
        if view is None:
            return
        self._views[row.room] = view
        (self._listing.add if view.void or view.revoked else self._listing.discard)(row.room)
        self._next_change = min(self._next_change, _change_of(view))
        self._ready.show(view, self._last)
        self._unreadable.discard(row.room)
        self._aside.take_back("room", row.room)
        if before is None or before.content != view.content:
            self._on_change(view)

    def _set_aside(self, room: int, error: Exception) -> None:
        """Show nothing of a room rather than what was true of it once."""
        self._unreadable.add(room)
        self._listing.discard(room)
        self._aside.put("room", room, error)
        self._ready.drop(room)
        self._views.pop(room, None)

    def _shown(self, row: ShownRoom) -> Shown:
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

    def _view(self, row: ShownRoom, before: RoomView | None, reading: int) -> RoomView | None:
        """A room as it was read, or none where a fresher reading is there already."""
        if before is not None and (*_age_of(row), reading) < (*_age_of(before), before.reading):
            return None
        settings = before.settings if before is not None else RoomSettings()
        if row.settings is not None:
            settings = read_settings(row.settings, row.now)
        shown = self._shown(row)
        situation = phase_at(settings, row.now, line_is_empty=row.issued == row.serving)
        draw = shown_draw(row, settings)
        state = state_of(row, settings, draw, shown, situation)
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
            revoked=row.revoked,
            now=row.now,
            state=state,
            content=content_of(state),
            void=frozenset(row.void or row.revoked),
            reading=reading,
            mark=row.mark,
        )


def _change_of(view: RoomView) -> Instant:
    """When time alone will have changed the phase, if that is known."""
    return view.situation.next_change or NEVER


def _age_of(read: ShownRoom | RoomView) -> tuple[int, ...]:
    """Never falls from one reading of a room to the next; two loops may read at once."""
    return read.version, read.epoch, read.serving, read.issued


def shown_draw(row: StoredRoom, settings: RoomSettings) -> ShownDraw | None:
    """How the draw stands of a room that was read; none where nothing is or has been drawn."""
    draw = row.draw
    if draw is None:
        return ShownDraw(entrants=row.entrants) if settings.mode == "random" else None
    if settings.mode not in DRAWING_MODES and draw.state != "revealed":
        return None  # nobody has registered, or the mode could not have been changed
    return ShownDraw(
        state=draw.state,
        keeper=keeper_of(kept=draw.kept, independent=draw.independent),
        committer=draw.committer,
        commitment=draw.commitment.hex(),
        entrants=row.entrants,
    )
