"""What a step says about a room's line, as it is stored for all workers to show."""

from contextlib import suppress

import msgspec

from sunseo.room.board.board import decode_shown
from sunseo.room.board.state import Shown, ShownSpeed, Slowed
from sunseo.room.pacing.pacing import Advance, Census


def shown_of(advance: Advance, census: Census) -> Shown:
    slowed: Slowed | None = None
    if advance.reason in ("paused", "slowed", "unhealthy"):
        slowed = advance.reason
    speed = advance.speed
    return Shown(
        speed=None
        if speed is None
        else ShownSpeed(*(map(_rounded, msgspec.structs.astuple(speed)))),
        slowed=slowed,
        units_left=census.units_left,
        sold_out=advance.sold_out,
        stock_holds=advance.reason == "stock" and not advance.sold_out,
    )


def _rounded(per_s: float) -> float:
    """Three digits: more would be chance, and would make every state differ from the last."""
    return float(f"{per_s:.3g}")


def read_shown(stored: str | None) -> Shown | None:
    """What the last leader said; none where it cannot be read, so that it is written anew."""
    with suppress(msgspec.DecodeError):
        return decode_shown(stored) if stored is not None else None
    return None
