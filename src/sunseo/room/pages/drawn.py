"""The draw on the waiting page: who takes part, what was promised, and how to check it. Pure."""

from uuid import UUID

import msgspec

from sunseo.room.board.board import RoomView
from sunseo.room.board.state import ShownDraw
from sunseo.room.pages.texts import Texts

SEALED = ("sealed", "withheld", "revealed")
UNSEALED = ("none", "committed")


class DrawSection(msgspec.Struct, frozen=True):
    """What the template shows.

    Attributes:
        receipt: sealed; empty for somebody who does not take part.
        entrant: her id in the list, likewise.
        file: where the list is, once there is one.
        command: what checks it.
    """

    entrants: str
    keeper: str
    commitment: str
    receipt: str
    entrant: str
    file: str
    has_file: bool
    command: str


def section_of(
    view: RoomView, receipt: str, entrant: UUID | None, texts: Texts
) -> DrawSection | None:
    """The draw of a room, as one visitor is shown it; none where nothing is drawn."""
    draw = view.draw
    if draw is None or draw.commitment is None:
        return None
    name = f"draw-{view.room}.gz"
    command = f"sunseo draw verify {name} --commitment {draw.commitment}"
    if entrant is not None:
        command += f" --receipt {entrant.hex}"
    return DrawSection(
        entrants=f"{draw.entrants:,}",
        keeper=keeper_text(draw, texts),
        commitment=draw.commitment,
        receipt="" if entrant is None else receipt,
        entrant="" if entrant is None else entrant.hex,
        file=f"/v1/rooms/{view.room}/draw/file",
        has_file=draw.state in SEALED,
        command=command,
    )


def keeper_text(draw: ShownDraw, texts: Texts) -> str:
    """Who keeps the secret, and what that is worth."""
    said: str = getattr(texts, f"keeper_{draw.keeper}")
    return said.format(committer=draw.committer)
