"""What a leader remembers of one room between two steps, as it is stored for the next leader."""

import msgspec

from sunseo.room.board.board import RoomView
from sunseo.room.pacing.pacing import PacingState


class Memory(msgspec.Struct, frozen=True):
    """What the leader remembers of one room between two steps.

    Attributes:
        departed: passes that had ended, as counted in the line.
        entered_until_s: up to when entries have been counted.
        sold_before: units sold when the first step was taken.
    """

    pacing: PacingState
    departed: int
    entered_until_s: float
    sold_before: int | None = None


memory_of = msgspec.json.Decoder(Memory).decode


def is_busy(view: RoomView, before: Memory, after: Memory) -> bool:
    """Whether anything happens that the next leader has to know; else only time goes by."""
    came_or_went = (before.departed, before.entered_until_s) != (
        after.departed,
        after.entered_until_s,
    )
    return view.live > 0 or bool(after.pacing.cohorts) or came_or_went
