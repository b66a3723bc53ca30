"""Every kind of opening and of entrance: the one place that names them all."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, get_args

import msgspec
from msgspec import Meta

from sunseo.rehearsal.scenes.draw import DrawEntrance
from sunseo.rehearsal.scenes.line import LineEntrance
from sunseo.rehearsal.scenes.open import OpenEntrance
from sunseo.rehearsal.scenes.scene import Entrance, ScenePart
from sunseo.rehearsal.scenes.seats import SeatSale
from sunseo.rehearsal.scenes.site import Site
from sunseo.rehearsal.scenes.slots import SlotSale
from sunseo.rehearsal.scenes.stock import StockSale
from sunseo.rehearsal.verdict.judge import AFTER, BEFORE

Sale = SeatSale | StockSale | SlotSale
"""What may stand in a scenario's `[sale]`."""

SCENES = (*get_args(Sale), Site)
ENTRANCES = (OpenEntrance, LineEntrance, DrawEntrance)


class Room(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The waiting room in front, as a scenario's `[room]` has it.

    Attributes:
        capacity: visitors inside at once; a tenth of the units if not given, 10 at least.
        draws: who comes before T0 registers, and numbers are drawn; later ones stand behind.
    """

    capacity: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    draws: bool = False


def entrance_of(room: Room | None) -> Entrance:
    if room is None:
        return OpenEntrance()
    return (DrawEntrance if room.draws else LineEntrance)(inside=room.capacity)


def check_names() -> list[str]:
    """Every check that a rehearsal of any kind may have."""
    special = chain.from_iterable(kind().checks for kind in _kinds())
    return list(dict.fromkeys([*BEFORE, *special, *AFTER]))


def texts_in(language: str) -> Mapping[str, str]:
    """What all kinds bring to a report."""
    return {
        key: text
        for kind in _kinds()
        for struct in reversed(kind.__mro__)
        for key, text in getattr(struct, "texts", {}).get(language, {}).items()
    }


def _kinds() -> Iterator[type[ScenePart]]:
    yield from SCENES
    yield from ENTRANCES
