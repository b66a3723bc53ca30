"""Which rooms rest: pure. A step of a room where nobody is, and nothing is new, changes nothing.

    awake ──► resting       its last step was taken on the same footing, and it left nothing to do
    resting ──► awake       anything of that changed: with the next step, as if it had never rested

State       None: what a room was last stepped on is the leader's to remember.
Guarantee   A room rests only where a step could neither call anybody nor change what is shown, but
            for what fades with time; for that it takes a step every `STEPS_RESTED_MAX`, each room
            in its turn. The first step after a rest counts the time of one step, so that it calls
            no more than it would have.
Clock       None. A footing names the phase, so that an opening wakes a room with the next step.
On failure  Without a footing, as after a step that failed or another leader, nobody rests.
"""

from math import ceil

import msgspec

from sunseo.room.board.board import RoomView
from sunseo.room.pacing.capacity import Governor
from sunseo.room.pacing.pacing import Census, PacingLimits, PacingState, tick
from sunseo.room.pacing.speed import WINDOW_S
from sunseo.room.pacing.stock import Stock

STEPS_RESTED_MAX = 60
STRIDES_MAX = 4


class Footing(msgspec.Struct, frozen=True):
    """What a step is decided on, but for the time and the health."""

    view: RoomView
    stock: Stock | None


def rests(
    before: Footing | None,
    now: Footing,
    *,
    pacing: PacingState,
    health: float,
    turn: int,
) -> bool:
    """Whether a room may be passed over.

    Args:
        before: what its last step was decided on; none where there was none that counts.
        now: what this one would be decided on.
        pacing: what that step left behind.
        health: target over measured; from 1 on an idle room is neither cut nor raised.
        turn: the number of this step, among which each room has its turn.
    """
    view = now.view
    return (
        before is not None
        and (view.room + turn) % STEPS_RESTED_MAX != 0
        and _is_same(before.view, view)
        and before.stock == now.stock
        and view.live == 0
        and (view.issued <= view.serving or not may_call(view))
        and not pacing.cohorts
        and health >= 1.0
        and _is_well(pacing.governor)
    )


def may_call(view: RoomView) -> bool:
    """Whether those who wait may be called: not before the opening, in a pause or before a draw."""
    return view.situation.phase in ("open", "draining") and not view.awaits_draw


def caught_up(pacing: PacingState, limits: PacingLimits, until_s: float) -> PacingState:
    """What is remembered of a room that rested, as if it had been stepped up to then.

    In strides that what fades does not tell from single steps, unless it was for hours.
    """
    if pacing.at_s is None or until_s <= pacing.at_s:
        return pacing
    began_s, rest_s = pacing.at_s, until_s - pacing.at_s
    strides = min(STRIDES_MAX, ceil(rest_s / WINDOW_S))
    at = pacing.serving
    for stride in range(1, strides + 1):
        now_s = began_s + rest_s * stride / strides
        idle = Census(now_s=now_s, issued=at, serving=at, live=0, open=False)
        pacing, _ = tick(pacing, limits, idle)
    return pacing


def _is_same(before: RoomView, now: RoomView) -> bool:
    """Whether nothing of a room has changed; a mark is of its rows, the phase also of the time."""
    return before is now or _named(before) == _named(now)


def _named(view: RoomView) -> tuple[object, ...]:
    return (
        view.mark,
        view.version,
        view.epoch,
        view.situation.phase,
        view.awaits_draw,
        view.issued,
        view.serving,
        view.departed,
        view.capacity,
    )


def _is_well(governor: Governor) -> bool:
    """Whether no window is under way that could cut the room, whatever comes at health 1."""
    return governor.unhealthy_windows == 0 and governor.window_load <= governor.window_s
