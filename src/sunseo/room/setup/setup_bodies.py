"""What operators send about rooms, and what they are answered."""

from datetime import datetime
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sunseo.core.fields import Name, Number32, Number64
from sunseo.room.board.state import Halted, ShownDraw
from sunseo.room.setup.schedule import Phase
from sunseo.room.setup.settings import RoomSettings

MEASURED_MAX = 1e6  # a signal's value and target: whatever the unit, more is a mistake


def _changes() -> type[msgspec.Struct]:
    """The settings as one changes them: a field that is absent stays, null is the default."""
    fields = get_type_hints(RoomSettings, include_extras=True)
    return msgspec.defstruct(
        "RoomChanges",
        [(name, kind | None | UnsetType, UNSET) for name, kind in fields.items()],
        namespace={"__doc__": "Settings to change; each is replaced whole, null is its default."},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )


RoomChanges = _changes()


def told(changes: msgspec.Struct | UnsetType) -> dict[str, Any]:
    """The fields that were sent, by name."""
    if isinstance(changes, UnsetType):
        return {}
    fields = ((name, getattr(changes, name)) for name in changes.__struct_fields__)
    return {name: value for name, value in fields if value is not UNSET}


class NewRoom(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A room to create: of a sale, or by itself in front of another site."""

    name: Name
    sale: Number64 | None = None
    settings: RoomChanges | UnsetType = UNSET  # type: ignore[valid-type]  # made from RoomSettings


class RoomChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change: absent fields stay as they are, a setting that is null gets its default."""

    name: Name | UnsetType = UNSET
    settings: RoomChanges | UnsetType = UNSET  # type: ignore[valid-type]  # made from RoomSettings


class ResetRoom(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Confirms a reset by naming the epoch that is to end, as a dry run tells it."""

    epoch: Number32
    dry_run: bool = False


class Signal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an outside source finds the protected site, for instance its p99 in seconds."""

    source: Annotated[
        str, Meta(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9_.-]*$(?!\n)")
    ]
    measured: Annotated[float, Meta(ge=0, le=MEASURED_MAX)]
    target: Annotated[float, Meta(gt=0, le=MEASURED_MAX)]


class RoomCreated(msgspec.Struct, frozen=True):
    room: int
    version: int


class RoomChanged(msgspec.Struct, frozen=True):
    """`version` counts the changes of a room's settings."""

    room: int
    version: int


class RoomReset(msgspec.Struct, frozen=True):
    """What a reset has made void, or would.

    Attributes:
        epoch: the one that counts now; that of a dry run is unchanged.
        places: numbers given in the epoch that ended.
        passes: passes that were live in it.
    """

    room: int
    epoch: int
    done: bool
    places: int
    passes: int


class SignalTaken(msgspec.Struct, frozen=True):
    """`health` is target over measured: below 1 the room slows down; null at 0 measured."""

    source: str
    health: float | None


class LineBody(msgspec.Struct, frozen=True):
    """How a room's line stands.

    Attributes:
        live: passes that occupy a slot.
        departed: passes that have ended.
        capacity: the slots there are at the moment; the controller lowers it when unhealthy.
        entrants: registered for the draw; `sealed` when it takes no more.
    """

    epoch: int
    issued: int
    serving: int
    live: int
    departed: int
    capacity: int
    entrants: int
    sealed: bool


class RoomBody(msgspec.Struct, frozen=True):
    """A room as its operators see it; `halted` is why it admits nobody at the moment."""

    room: int
    version: int
    name: str
    sale: int | None
    created_at: datetime
    phase: Phase
    halted: Halted | None
    opens_at: datetime | None
    next_change: datetime | None
    line: LineBody
    draw: ShownDraw | None
    settings: RoomSettings


class UnreadableRoom(msgspec.Struct, frozen=True):
    """A room that is set aside; `fault` names the setting that cannot be read, and why."""

    room: int
    version: int
    name: str
    sale: int | None
    fault: str


class RoomList(msgspec.Struct, frozen=True):
    """All rooms; those of which the settings cannot be read stand apart."""

    rooms: list[RoomBody]
    unreadable: list[UnreadableRoom] = []
