"""What a visitor in line is shown, worked out from the room and her number. Pure.

The same rules run in the page's script, with `sunseo.js`: position, wait and when to look again.
"""

from collections.abc import Mapping
from datetime import datetime
from math import ceil, floor
from random import Random
from zoneinfo import ZoneInfo

import msgspec

from sunseo.core.clock import to_millis
from sunseo.core.languages import Language
from sunseo.passes.polling import next_poll_s
from sunseo.room.board.board import RoomView
from sunseo.room.board.state import ShownSpeed
from sunseo.room.pages.sentences import Has, Words, facts_of, words_of
from sunseo.room.pages.texts import Texts

SPREAD = 0.3  # polls come up to 30 % later, so that those who came together spread out
HOURS_FROM_MIN = 120  # what lasts longer is told in hours
STEPS_FROM_MIN = 20  # what lasts longer is told in steps of five minutes
MS = 1000

WEEKDAYS: Mapping[Language, str] = {"ko": "월화수목금토일", "en": "MonTueWedThuFriSatSun"}

_SCRIPTED = (  # the texts that the script fills in, besides those of the table of sentences
    "ahead",
    "ahead_unit",
    "countdown",
    "countdown_days",
    "entering",
    "hours",
    "hours_range",
    "less_than_a_minute",
    "minutes",
    "minutes_range",
    "next",
    "offline",
    "turn",
    "turn_more",
    "turn_title",
    "updated",
    "wait_unknown",
)


class Standing(msgspec.Struct, frozen=True):
    """A visitor's own part: her number if she has one, and what she has been shown.

    Attributes:
        began: how many were to be called when she joined, herself included.
        served: the highest number that she has seen called.
        held_s: she was told to ask again after so long, though it is her turn; 0 if not.
        is_registered: she takes part in a draw, whose result is not known yet.
        enters_alone: whether the script may enter for her; not where that would go in circles.
    """

    number: int = 0
    began: int = 0
    served: int = 0
    held_s: int = 0
    is_registered: bool = False
    enters_alone: bool = True

    @property
    def has(self) -> Has:
        if self.number:
            return "number"
        return "registered" if self.is_registered else "nothing"


class PageFacts(msgspec.Struct, frozen=True):
    """The facts of the page, as its template and its script read them."""

    room: int
    state: str
    epoch: int
    number: int
    serving: int
    began: int
    has: Has
    now: int
    opens_at_ms: int | None = msgspec.field(name="opens_at")
    joins_at: int | None
    floor: int
    ceiling: int
    turn: bool
    again_s: int
    enters_alone: bool
    texts: dict[str, str]


def serving_shown(view: RoomView, standing: Standing) -> int:
    """The number being called, as she is shown it: never less than before."""
    return max(view.serving, min(standing.served, view.issued))


def position_of(view: RoomView, standing: Standing) -> int:
    """How many are to be called until it is her turn, herself included; 0 when it is."""
    return max(0, standing.number - serving_shown(view, standing))


def is_turn(view: RoomView, standing: Standing) -> bool:
    if standing.number == 0 or view.situation.phase not in ("open", "draining"):
        return False
    return view.settings.mode == "passthrough" or position_of(view, standing) == 0


def words_in_line(view: RoomView, standing: Standing) -> Words:
    """What the page of the line says: by the table, and at the front by how far she has come."""
    words = words_of(facts_of(view.state, standing.has))
    if words.heading != "in_line":
        return words
    if is_turn(view, standing):
        return Words("full", "full_more", "") if standing.held_s else Words("turn", "turn_more", "")
    return words._replace(heading="next") if position_of(view, standing) == 1 else words


def line_of(view: RoomView, standing: Standing, texts: Texts) -> PageFacts:
    settings = view.settings
    serving = serving_shown(view, standing)
    return PageFacts(
        room=view.room,
        state=f"/v1/rooms/{view.room}/state",
        epoch=view.epoch,
        number=standing.number,
        serving=serving,
        began=max(standing.began, position_of(view, standing)),
        has=standing.has,
        now=to_millis(view.now),
        opens_at_ms=view.state.opens_at if view.situation.phase == "before" else None,
        joins_at=_joins_at(view, standing),
        floor=settings.poll_floor_s,
        ceiling=settings.poll_ceiling_s,
        turn=is_turn(view, standing),
        again_s=standing.held_s,
        enters_alone=standing.enters_alone,
        texts={name: getattr(texts, name) for name in _SCRIPTED},
    )


def _joins_at(view: RoomView, standing: Standing) -> int | None:
    """When she who came too early may have a number, in ms."""
    opens_at = view.state.opens_at
    if standing.number or standing.is_registered or opens_at is None:
        return None
    return opens_at - view.settings.join_early_s * MS


def percent_of(view: RoomView, standing: Standing) -> int:
    """How much of her wait is over, by people."""
    position = position_of(view, standing)
    began = max(standing.began, position)
    return round(100 * (1 - position / began)) if began else 100


def refresh_after_s(view: RoomView, standing: Standing, dice: Random) -> int:
    """When a page without scripts loads itself anew: by the rule of the state document."""
    ahead = position_of(view, standing) if standing.number else None
    after_s = next_poll_s(view.state, ahead, to_millis(view.now))
    return ceil(after_s * (1 + SPREAD * dice.random()))


def wait_text(speed: ShownSpeed | None, position: int, texts: Texts) -> str:
    """The expected wait as a range, from the fast case to the slow one."""
    if speed is None or speed.v10 <= 0 or speed.v90 <= 0:
        return texts.wait_unknown
    low, high = _minutes(position / speed.v90), _minutes(position / speed.v10)
    if high <= 1:
        return texts.less_than_a_minute
    if high >= HOURS_FROM_MIN:
        few, many = max(1, floor(low / 60)), ceil(high / 60)
        words = texts.hours if few == many else texts.hours_range
        return words.format_map({"from": few, "to": many})
    words = texts.minutes if low >= high else texts.minutes_range
    return words.format_map({"from": max(1, low), "to": high})


def time_text(moment: datetime, time_zone: str, language: Language) -> str:
    """A moment on the room's own clock, with its zone, since visitors may be elsewhere."""
    local = moment.astimezone(ZoneInfo(time_zone))
    zone = _zone_text(time_zone)
    days = WEEKDAYS[language]
    if language == "ko":
        day = f"{local.month}월 {local.day}일({days[local.weekday()]})"
        return f"{day} {local:%H:%M} ({zone})"
    day_name = days[3 * local.weekday() : 3 * local.weekday() + 3]
    return f"{day_name} {local.day} {local:%b %Y, %H:%M} ({zone})"


def clock_text(moment: datetime, time_zone: str) -> str:
    """The same for a moment that is now: without its day."""
    return f"{moment.astimezone(ZoneInfo(time_zone)):%H:%M:%S} ({_zone_text(time_zone)})"


def _zone_text(time_zone: str) -> str:
    return time_zone.replace("_", " ")


def _minutes(seconds: float) -> int:
    """Whole minutes; above twenty in steps of five, since nobody knows better."""
    whole = ceil(seconds / 60)
    return ceil(whole / 5) * 5 if whole > STEPS_FROM_MIN else whole
