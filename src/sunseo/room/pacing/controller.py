"""Calls the next in line: one leader an organisation, a step a second for all rooms at once.

State       A process FOLLOWS until it gets the lease, then LEADS until it loses it. The leader
            remembers each room's pacing; what matters of it is stored with every step.
Guarantee   Only the holder of the newest fence moves a line: each step proves, under a lock on the
            lease, that nobody has followed it, and no line takes a fence below the one it has. A
            leader that was stopped and wakes up late changes nothing. `serving` never falls. A room
            where nobody is and nothing is new rests, and is stepped once a minute (resting.py).
Clock       The store's, for the lease and for pacing. When it goes back, the lease is anybody's,
            what was remembered of a time that is yet to come counts as of now, and passes last
            from now on.
On failure  A step rolls back whole, and the next one counts anew from what is stored. When the
            leader dies, another process leads within the lease and one step. A room for which no
            step can be decided stays as it is, and the step of all others is taken.
"""

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import msgspec
from msgspec.structs import replace

from sunseo.postgres.errors import outage_of
from sunseo.room.board.board import RoomBoard, RoomView
from sunseo.room.board.state import Shown
from sunseo.room.pacing.memory import Memory, is_busy, memory_of
from sunseo.room.pacing.pacing import Census, PacingState, tick
from sunseo.room.pacing.resting import (
    Footing,
    caught_up,
    footing_of,
    is_idle,
    limits_of,
    may_call,
    rests,
)
from sunseo.room.pacing.setback import Setback
from sunseo.room.pacing.shown import read_shown, shown_of
from sunseo.room.pacing.stock import RemainingStock, StockOf, no_stock, share_of_buyers
from sunseo.room.store import LeaderStore, LineAdvance, LineMemory, LineSince
from sunseo.telemetry.aside import SetAside

ENTERED_MAX = 50_000  # entries of one room that one step reads
OVERLAP_S = 2.0  # an entry may be committed so long after it was decided
FORGET_EVERY = 300  # steps
RELEASES_KEPT_S = 3600.0
RECALLED_MAX = 300  # rooms where nobody is: thousands at once would outlast a new leader's lease


class _Kept(msgspec.Struct, frozen=True):
    """A memory with what nobody but this leader knows."""

    epoch: int
    memory: Memory
    shown: Shown | None = None  # as it is stored; none: nothing that could be read
    is_ours: bool = False  # whether this leader has stepped the room
    recent: dict[int, float] = {}  # entries counted in the overlap: number and moment
    footing: Footing | None = None  # what was decided on; none: not by this leader, or in vain


class _Step(msgspec.Struct, frozen=True):
    """What a step decided about one room."""

    view: RoomView
    kept: _Kept
    advance: LineAdvance
    is_news: bool  # else nothing of it needs to be stored


class StepReport(msgspec.Struct, frozen=True):
    """For metrics: whether this process leads, what it called, and whose wait is why."""

    leads: bool
    called: int = 0
    lag_s: float = 0.0  # between the readings of this step and of the one before


HealthOf = Callable[[RoomView], float]
OnStep = Callable[[StepReport], None]


class Controller:
    """One organisation's, in one process.

    Args:
        leader: names this process among all that could lead.
        lease_s: how long a leader that says nothing is waited for.
        stock_of: what a sale has left.
        health_of: target over measured, the worst of all; below 1 a room slows down.
    """

    def __init__(
        self,
        store: LeaderStore,
        board: RoomBoard,
        *,
        leader: UUID,
        lease_s: float,
        stock_of: StockOf = no_stock,
        health_of: HealthOf = lambda _view: float("inf"),
        on_step: OnStep = lambda _report: None,
        aside: SetAside | None = None,
    ) -> None:
        self._store = store
        self._board = board
        self._leader = leader
        self._lease_s = lease_s
        self._stock_of = stock_of
        self._health_of = health_of
        self._on_step = on_step
        self._aside = aside or SetAside()
        self._fence: int | None = None
        self._kept: dict[int, _Kept] = {}
        self._resting: set[int] = set()  # rooms that the last step passed over
        self._steps = 0
        self._read_at_s: float | None = None
        self._setback = Setback(store)

    @property
    def leads(self) -> bool:
        return self._fence is not None

    async def run_once(self) -> bool:
        """Take or keep the lead, and step all rooms."""
        fence = await self._store.hold_lease(self._leader, self._lease_s)
        if fence != self._fence:
            self._forget()
        self._fence = fence
        if fence is None:
            self._on_step(StepReport(leads=False))
            return False

        await self._board.run_once()
        await self._setback.make_good(list(self._board.views()), self._board.now)
        awake, resting = await self._roused()
        steps = await self._decide(awake)
        called = await self._write(fence, steps)
        self._resting = resting
        self._on_step(StepReport(leads=True, called=called, lag_s=self._lag_s()))
        return False

    async def stop(self) -> None:
        """Give the lead away, so that the next one need not wait for the lease to end."""
        if self._fence is not None:
            self._fence = None
            await self._store.drop_lease(self._leader)

    async def _roused(self) -> tuple[list[RoomView], set[int]]:
        """The rooms that are to be stepped, and which of the others rest.

        A new leader takes up rooms where nobody is in shares, and all others at once.
        """
        awake, resting, recalled = [], set(), 0
        for view in list(self._board.views()):
            kept = self._kept.get(view.room)
            if kept is not None and (
                self._rests(kept.footing, view, None)
                if view.sale is None
                else await self._sale_rests(kept.footing, view)
            ):
                resting.add(view.room)
            elif view.is_active:
                if kept is None and is_idle(view):
                    recalled += 1
                    if recalled > RECALLED_MAX:
                        continue
                awake.append(self._board.present(view))
        return awake, resting

    def _rests(self, footing: Footing | None, view: RoomView, stock: RemainingStock | None) -> bool:
        return rests(footing, view, stock, health=self._health_of(view), turn=self._steps)

    async def _sale_rests(self, footing: Footing | None, view: RoomView) -> bool:
        try:
            return self._rests(footing, view, await self._stock(view))
        except Exception:  # noqa: BLE001 - the step meets it, and says of which room
            return False

    async def _stock(self, view: RoomView) -> RemainingStock | None:
        return await self._stock_of(view.sale) if view.sale is not None else None

    async def _decide(self, views: Sequence[RoomView]) -> list[_Step]:
        await self._recall(views)
        entered = await self._entered(views)
        steps = []
        for view in views:
            try:
                steps.append(await self._step(view, entered.get(view.room, [])))
            except Exception as error:
                if outage_of(error) is not None:
                    raise
                self._aside.put("room_step", view.room, error)
                self._kept[view.room] = replace(self._kept[view.room], footing=None)
            else:
                self._aside.take_back("room_step", view.room)
        return steps

    async def _recall(self, views: Iterable[RoomView]) -> None:
        """Read what the last leader remembered of rooms that this one does not know yet."""
        unknown = [v for v in views if (k := self._kept.get(v.room)) is None or k.epoch != v.epoch]
        if not unknown:
            return
        found = await self._store.recall([view.room for view in unknown])
        stored = {(one.room, one.epoch): one for one in found}
        for view in unknown:
            self._kept[view.room] = self._recalled(stored.get((view.room, view.epoch)), view)

    def _recalled(self, stored: LineMemory | None, view: RoomView) -> _Kept:
        """What is stored of a room's pacing; where that cannot be read, it is learnt anew."""
        if stored is not None and stored.memory is not None:
            try:
                return _Kept(view.epoch, memory_of(stored.memory), read_shown(stored.shown))
            except msgspec.DecodeError as error:
                self._aside.put("room_memory", view.room, error)
        at_s = view.now.timestamp() - OVERLAP_S
        return _Kept(view.epoch, Memory(PacingState.fresh(), view.departed, at_s))

    async def _entered(self, views: Iterable[RoomView]) -> dict[int, list[tuple[int, float]]]:
        """Who entered since the last step, each number once."""
        since = [
            LineSince(
                view.room,
                view.epoch,
                min(self._kept[view.room].memory.entered_until_s, view.now.timestamp())
                - (OVERLAP_S if self._kept[view.room].is_ours else 0.0),
            )
            for view in views
        ]
        found = await self._store.entered(since, entries_max=ENTERED_MAX)
        return {
            room: [one for one in entered if one[0] not in self._kept[room].recent]
            for room, entered in found.items()
        }

    async def _step(self, view: RoomView, entered: list[tuple[int, float]]) -> _Step:
        kept = self._kept[view.room]
        memory, limits = self._remembered(view), limits_of(view.settings)
        stock = await self._stock(view)
        sold_before = memory.sold_before
        if sold_before is None and stock is not None:
            sold_before = stock.sold
        census = Census(
            now_s=view.now.timestamp(),
            issued=view.issued,
            serving=view.serving,
            live=view.live,
            entered=entered,
            departed=max(0, view.departed - memory.departed),
            health=self._health_of(view),
            units_left=None if stock is None else stock.units_left,
            buys_of_entered=share_of_buyers(view, stock, sold_before),
            open=may_call(view),
        )
        pacing, advance = tick(memory.pacing, limits, census)
        before_s = min(memory.entered_until_s, census.now_s)  # the clock may have gone back
        until_s = max((before_s, *(at_s for _, at_s in entered)))
        after = Memory(pacing, view.departed, until_s, sold_before)
        shown = shown_of(advance, census)
        recent = {
            number: at_s
            for number, at_s in (*kept.recent.items(), *entered)
            if at_s > after.entered_until_s - 2 * OVERLAP_S
        }
        moves = advance.serving != view.serving or advance.capacity != view.capacity
        footing = footing_of(view, stock, pacing)
        return _Step(
            view=view,
            kept=_Kept(view.epoch, after, shown, True, recent, footing),
            advance=LineAdvance(
                room=view.room,
                epoch=view.epoch,
                serving=advance.serving,
                capacity=advance.capacity,
                moves=moves,
                memory=after,
                shown=shown,
            ),
            is_news=moves or shown != kept.shown or is_busy(view, memory, after),
        )

    def _remembered(self, view: RoomView) -> Memory:
        """What is remembered of a room; where it rested, as if steps had been taken meanwhile."""
        kept = self._kept[view.room]
        if view.room not in self._resting or kept.footing is None or self._read_at_s is None:
            return kept.memory
        is_quiet = is_idle(view) and view.departed == kept.memory.departed
        if is_quiet and self._health_of(view) >= 1.0:
            return kept.memory  # its step may be as long as the rest: there is nobody to call
        limits = limits_of(view.settings)
        return replace(kept.memory, pacing=caught_up(kept.memory.pacing, limits, self._read_at_s))

    async def _write(self, fence: int, steps: Sequence[_Step]) -> int:
        """Write the rooms that changed; returns how many numbers were called."""
        self._steps += 1
        news = [step for step in steps if step.is_news]
        forgets = self._steps % FORGET_EVERY == 0
        called = 0
        if news or forgets:
            advances = [step.advance for step in news]
            forget_s = RELEASES_KEPT_S if forgets else None
            served = await self._store.advance(fence, advances, forget_s=forget_s)
            if served is None:
                self._forget()
                self._fence = None
                return 0
            before = {step.view.room: step.view.serving for step in news}
            called = sum(max(0, serving - before[room]) for room, serving in served.items())
        # Remembered only now: a step that was not stored has not been taken.
        self._kept |= {step.view.room: step.kept for step in steps}
        for step in steps:
            self._aside.take_back("room_memory", step.view.room)
        return called

    def _forget(self) -> None:
        self._kept.clear()
        self._resting = set()
        self._setback.begin()
        self._read_at_s = None

    def _lag_s(self) -> float:
        """Seconds between this step's reading of the rooms and the last one's."""
        now_s = self._board.now.timestamp() if self._board.now is not None else None
        before_s, self._read_at_s = self._read_at_s, now_s
        return 0.0 if now_s is None or before_s is None else max(0.0, now_s - before_s)
