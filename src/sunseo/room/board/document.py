"""A room's state document, from what was read of it."""

from sunseo.room.board.halted import halted_of
from sunseo.room.board.state import (
    Halted,
    Shown,
    ShownDraw,
    Slowed,
    StateDocument,
    moment_of,
    pass_terms_of,
    poll_of,
)
from sunseo.room.setup.schedule import Phase, Situation
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.store import ShownRoom


def slowed_of(phase: Phase, halted: Halted | None, shown: Shown) -> Slowed | None:
    """Why the line moves less than it could: only a line that is there can be slow."""
    if phase == "paused":
        return "paused"
    # What the controller said of a line that stood still is over when the line moves again.
    return None if halted is not None or shown.slowed == "paused" else shown.slowed


def state_of(
    row: ShownRoom,
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
        revoked=list(row.revoked),
        fail_mode=settings.fail_mode,
        now=moment_of(row.now) or 0,
    )
