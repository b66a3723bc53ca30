"""What the leader sets right when the store's clock has gone back.

State       DUE when a leader begins, and after each step back that it sees; then DONE.
Guarantee   Passes that were renewed at a time that is yet to come last from now on, once; no other
            pass changes.
Clock       The store's, as the board read it.
On failure  It stays due, and the leader's next step repeats it.
"""

from collections.abc import Sequence
from datetime import timedelta

from sunseo.core.clock import ClockGuard, Instant
from sunseo.room.board.board import RoomView
from sunseo.room.store import LeaderStore, PassLengths


class Setback:
    """One organisation's, in one process that leads."""

    def __init__(self, store: LeaderStore) -> None:
        self._store = store
        self._clock = ClockGuard(self._note_step_back)
        self._is_due = True

    def begin(self) -> None:
        """Look at what was written before we led."""
        self._is_due = True

    def observe(self, now: Instant) -> None:
        self._clock.observe(now)

    async def make_good(self, views: Sequence[RoomView], now: Instant | None) -> None:
        """Let nobody keep a slot for as long as the clock went back."""
        if now is not None:
            self.observe(now)
        if not self._is_due:
            return
        await self._store.shorten_passes([_lengths_of(view) for view in views])
        self._is_due = False

    def _note_step_back(self, _step: timedelta) -> None:
        self._is_due = True


def _lengths_of(view: RoomView) -> PassLengths:
    settings = view.settings
    return PassLengths(
        room=view.room,
        epoch=view.epoch,
        ttl_s=settings.pass_ttl_s,
        slot_s=settings.slot_ttl_s,
        session_s=settings.session_max_s,
    )
