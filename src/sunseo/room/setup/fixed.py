"""Which settings of a room may change while people are in its line: one table, and its rule.

What people were told when they joined must stay true: a number is a place in a line, and a receipt
is a ticket of a draw. A setting that would break that is fixed for as long as the present epoch
lasts. All others may change at any stage.

    empty ──► lined                                   numbers, first come first served
      └─────► committed ──► registering ──► sealed ──► drawn
"""

from enum import Enum, unique
from typing import Any, NamedTuple

from sunseo.room.setup.settings import Holders, Mode, RoomSettings


@unique
class Stage(Enum):
    """How far the line of the present epoch has come; the text says who is in it."""

    EMPTY = "nobody has joined yet"
    LINED = "people have numbers"
    COMMITTED = "somebody has committed to the secret of a draw"
    REGISTERING = "people have registered for the draw"
    SEALED = "the list of the draw is sealed, and its numbers are not drawn yet"
    DRAWN = "the numbers of the draw are given"


class StageFacts(NamedTuple):
    """Of a line and its draw, what tells the stage.

    Attributes:
        draw: the state of the epoch's draw, if there is one.
    """

    issued: int
    entrants: int
    sealed: bool
    draw: str | None


class FixedSetting(NamedTuple):
    """Why a setting stays, and what to do instead."""

    setting: str
    why: str
    instead: str


MODES: dict[Stage, frozenset[Mode]] = {
    Stage.EMPTY: frozenset({"fifo", "random", "passthrough", "closed"}),
    Stage.LINED: frozenset({"fifo", "passthrough", "closed"}),
    Stage.COMMITTED: frozenset({"random", "closed"}),
    Stage.REGISTERING: frozenset({"random", "closed"}),
    Stage.SEALED: frozenset({"random", "closed"}),
    Stage.DRAWN: frozenset({"fifo", "random", "passthrough", "closed"}),
}
"""The modes that a room may change to."""

STRICTER_HOLDERS: frozenset[Stage] = frozenset({Stage.EMPTY, Stage.LINED, Stage.COMMITTED})
"""Where fewer kinds of holders may be let in than before. Who has registered for a draw asks for
her number by joining again, which those who are shut out could not do."""

STRICTNESS: tuple[Holders, ...] = ("anyone", "persons", "accounts")

INSTEAD: dict[Stage, str] = {
    Stage.EMPTY: "",
    Stage.LINED: "Reset the line, which makes its numbers void, or make a new room.",
    Stage.COMMITTED: "Hold the draw first, or reset the line, or make a new room.",
    Stage.REGISTERING: "Hold the draw first, or reset the line, which makes its registrations "
    "void, or make a new room.",
    Stage.SEALED: "Reveal the draw first, or reset the line, which makes its registrations void, "
    "or make a new room.",
    Stage.DRAWN: "Reset the line, which makes its numbers void, or make a new room.",
}


def stage_of(standing: StageFacts) -> Stage:
    """The stage that binds most, where a line has come into two at once."""
    if standing.draw == "revealed":
        return Stage.DRAWN
    if standing.sealed:
        return Stage.SEALED
    if standing.entrants > 0:
        return Stage.REGISTERING
    if standing.issued > 0:
        return Stage.LINED
    return Stage.EMPTY if standing.draw is None else Stage.COMMITTED


def refuse_change(before: RoomSettings, after: RoomSettings, stage: Stage) -> FixedSetting | None:
    """Say which setting may not become what it is to be, or nothing."""
    if after.mode != before.mode and after.mode not in MODES[stage]:
        return _refusal("mode", after.mode, stage)
    stricter = STRICTNESS.index(after.holders) > STRICTNESS.index(before.holders)
    if stricter and stage not in STRICTER_HOLDERS:
        return _refusal("holders", after.holders, stage)
    return None


def may_be_refused(before: RoomSettings, after: RoomSettings) -> bool:
    """Whether the stage matters: only then is the line locked."""
    return any(refuse_change(before, after, stage) is not None for stage in Stage)


def _refusal(setting: str, value: Any, stage: Stage) -> FixedSetting:
    return FixedSetting(
        setting, f"`{setting}` cannot become {value} now: {stage.value}.", INSTEAD[stage]
    )
