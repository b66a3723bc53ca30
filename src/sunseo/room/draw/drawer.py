"""Hold the draws of rooms that open: promise, seal, reveal, each when its time has come.

State       None: what is to be done follows from how each draw stands. A draw that was sealed by a
            process that then died is revealed by the next one that leads.
Guarantee   Each step is taken once, however many try: the store takes it on the locked room, under
            a key of its epoch. A secret that the server does not keep is waited for. A room whose
            draw cannot be held stops no other one.
Clock       The board's, which is PostgreSQL's: a draw is due when its room has opened. A pause
            holds it, since a draw cannot be taken back.
On failure  The step rolls back whole and is due again with the next turn.
"""

from collections.abc import Callable, Iterable

from sunseo.core.outcome import Refusal
from sunseo.operators.command import By, EffectAnswer
from sunseo.room.board.board import RoomView
from sunseo.room.board.halted import has_list
from sunseo.room.draw.bodies import Reveal
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.store import DrawStore

ACTOR = "sunseo"  # in the audit log, in place of an operator
DRAWING_PHASES = ("open", "draining")

# Somebody took the step, or another one, since the board was read.
OVERTAKEN = frozenset(
    {
        DrawOutcome.ALREADY_SEALED,
        DrawOutcome.ALREADY_REVEALED,
        DrawOutcome.NOT_SEALED,
        DrawOutcome.SECRET_ELSEWHERE,
    }
)

Views = Callable[[], Iterable[RoomView]]


class DrawOverdueError(RuntimeError):
    """A draw that is due cannot be held; the text says of which room and why."""


class Drawer:
    """One organisation's, in one process; only the leader's has anything to do.

    Args:
        views: all rooms as they stand.
        is_wanted: whether this process leads.
    """

    def __init__(self, store: DrawStore, views: Views, is_wanted: Callable[[], bool]) -> None:
        self._store = store
        self._views = views
        self._is_wanted = is_wanted

    async def run_once(self) -> bool:
        """Take the steps that are due, room by room.

        Raises:
            Exception: what went wrong with the first room at fault, once all had their turn.
        """
        if not self._is_wanted():
            return False
        faults: list[Exception] = []
        for view in [view for view in self._views() if view.draw is not None]:
            try:
                await self._advance(view)
            except Exception as error:  # noqa: BLE001 - raised below; the other rooms' draws are due, too
                faults.append(error)
        if faults:
            raise faults[0]
        return False

    async def _advance(self, view: RoomView) -> None:
        """Whatever is due now in one room; a draw that was sealed here is revealed here."""
        draw = view.draw
        if draw is None:
            return
        if draw.state == "none":
            await self._store.promise(view.room, ACTOR)
        if not is_due(view):
            return
        key = f"draw {view.epoch}"
        if draw.state in ("none", "committed"):
            self._note_answer(view, await self._store.seal(By(ACTOR, key), view.room))
        if draw.keeper == "server":
            self._note_answer(view, await self._store.reveal(By(ACTOR, key), view.room, Reveal()))

    def _note_answer(self, view: RoomView, answer: EffectAnswer) -> None:
        if isinstance(answer, Refusal) and answer.outcome not in OVERTAKEN:
            detail = answer.detail or answer.outcome.sentence
            raise DrawOverdueError(f"the draw of room {view.room}: {detail}")


def is_due(view: RoomView) -> bool:
    """Whether the opening has come, and there is something left to do by itself."""
    draw = view.draw
    if draw is None or view.situation.phase not in DRAWING_PHASES:
        return False
    if draw.state in ("none", "committed"):
        return has_list(view.settings, draw)
    return draw.state == "sealed" and draw.keeper == "server"
