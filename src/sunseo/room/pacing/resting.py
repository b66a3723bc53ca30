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

import msgspec

from sunseo.room.board.board import RoomView
from sunseo.room.pacing.capacity import Governor
from sunseo.room.pacing.pacing import Census, PacingLimits, PacingState, tick
from sunseo.room.pacing.stock import RemainingStock
from sunseo.room.setup.settings import RoomSettings

STEPS_RESTED_MAX = 60


class Footing(msgspec.Struct, frozen=True):
    """What a step was decided on, but for the time, where it left nothing to do."""

    view: RoomView
    stock: RemainingStock | None


def footing_of(view: RoomView, stock: RemainingStock | None, left: PacingState) -> Footing | None:
    """What a room may rest on after a step, or none where the next step may have to do something.

    Args:
        view: what the step was decided on.
        stock: likewise.
        left: what the step left behind.
    """
    if is_idle(view) and not left.cohorts and _is_well(left.governor):
        return Footing(view, stock)
    return None


def rests(
    before: Footing | None, now: RoomView, stock: RemainingStock | None, *, health: float, turn: int
) -> bool:
    """Whether a room may be passed over.

    Args:
        before: what its last step left; none where there was none that counts.
        now: what this step would be decided on.
        stock: likewise.
        health: target over measured; from 1 on an idle room is neither cut nor raised.
        turn: the number of this step, among which each room has its turn.
    """
    return (
        before is not None
        and (now.room + turn) % STEPS_RESTED_MAX != 0
        and (before.view is now or _named(before.view) == _named(now))
        and before.stock == stock
        and health >= 1.0
    )


def is_idle(view: RoomView) -> bool:
    """Whether nobody is inside, and nobody can be called."""
    return view.live == 0 and (view.issued <= view.serving or not may_call(view))


def may_call(view: RoomView) -> bool:
    """Whether those who wait may be called: not before the opening, in a pause or before a draw."""
    return view.situation.phase in ("open", "draining") and not view.awaits_draw


def limits_of(settings: RoomSettings) -> PacingLimits:
    return PacingLimits(
        capacity=settings.capacity,
        capacity_min=settings.capacity_min,
        rate_max=settings.rate_max,
        tau_s=settings.tau_s,
        grace_s=float(settings.grace_s),
        units_per_buyer=settings.units_per_buyer,
        passthrough=settings.mode == "passthrough",
    )


def caught_up(pacing: PacingState, limits: PacingLimits, until_s: float) -> PacingState:
    """What is remembered of a room that rested, as if it had been stepped up to then."""
    if pacing.at_s is None or until_s <= pacing.at_s:
        return pacing
    at = pacing.serving
    idle = Census(now_s=until_s, issued=at, serving=at, live=0, open=False)
    return tick(pacing, limits, idle)[0]


def _named(view: RoomView) -> tuple[object, ...]:
    """What tells whether anything of a room has changed: a mark is of its rows."""
    return (
        view.mark,
        view.version,
        view.epoch,
        view.situation.phase,
        view.awaits_draw,
        view.issued,
        view.serving,
        view.live,
        view.departed,
        view.capacity,
    )


def _is_well(governor: Governor) -> bool:
    """Whether no window is under way that could cut the room, whatever comes at health 1."""
    return governor.unhealthy_windows == 0 and governor.window_load <= governor.window_s
