"""Why a room admits nobody: pure, and the same for state document, page, operators and metrics."""

from typing import get_args

from sunseo.room.board.state import Halted, Shown, ShownDraw
from sunseo.room.setup.schedule import Phase
from sunseo.room.setup.settings import RoomSettings

HALTED: tuple[Halted, ...] = get_args(Halted)


def halted_of(
    settings: RoomSettings, phase: Phase, draw: ShownDraw | None, shown: Shown
) -> Halted | None:
    """The first reason that applies, the most lasting ones first; None while the line can move.

    Args:
        settings: of the room.
        phase: as of now.
        draw: how the draw stands; None in a room that draws nothing.
        shown: what the controller last said.
    """
    if phase == "closed":
        return "closed"
    if shown.sold_out:
        return "sold_out"
    if settings.paused:
        return "paused"
    if phase == "before":
        return "before"
    if draw is not None and draw.is_awaited:
        return _awaited(settings, draw)
    return "stock" if shown.stock_holds and settings.mode != "passthrough" else None


def has_list(settings: RoomSettings, draw: ShownDraw) -> bool:
    """Whether an opening ends the registration for a draw, or somebody waits for one.

    A room that was never closed draws as soon as somebody has registered: up to then nobody waits,
    and its operator may still set an opening.
    """
    return draw.entrants > 0 or bool(settings.opens_at or settings.schedule)


def _awaited(settings: RoomSettings, draw: ShownDraw) -> Halted | None:
    if draw.state == "withheld":
        return "draw_withheld"
    if draw.state == "sealed":
        return "draw_due" if draw.keeper == "server" else "draw_secret"
    return "draw_due" if has_list(settings, draw) else None
