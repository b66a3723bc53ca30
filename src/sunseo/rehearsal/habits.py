"""How visitors behave: pure and seeded. What one does never depends on when the server answers."""

from enum import Enum, unique
from random import Random

import msgspec

from sunseo.rehearsal.wire import Pace

PERSON_LIMIT = 4
"""Seats that one person may have; the crowd knows it, and some try their luck all the same."""

_PARTY_SIZES, _PARTY_WEIGHTS = (1, 2, 3, 4), (22, 48, 12, 18)
_PATIENT_MEDIAN_S = 240.0  # of those who would leave at some time


@unique
class Ending(Enum):
    """What a visitor does once something is held for her."""

    BUYS = "buys"
    RELEASES = "releases"  # changes her mind and says so
    VANISHES = "vanishes"  # closes the page; hold and pass run out by themselves
    DIES = "dies"  # her phone does, with the order on its way


@unique
class Trick(Enum):
    """What a cheater tries."""

    FORGE = "forge"  # writes a better number into her place
    JUMP = "jump"  # enters before she is called
    SHARE = "share"  # books with somebody else's pass


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """One person's. Seconds; `loses` names the requests whose first answer never reaches her.

    `pace` is her line's, where that is a slow one.
    """

    number: int
    is_guest: bool
    party: int
    patience_s: float
    tabs: int
    refresh_s: float | None
    stays_away_after_s: float | None
    loses: frozenset[str]
    oversteps: bool
    ending: Ending
    trick: Trick | None
    looks_s: float
    decides_s: float
    dice: Random
    pace: Pace | None = None


LOSABLE = ("join", "enter", "renew", "hold", "order")


def habits_of(number: int, seed: int, session_s: float) -> Habits:
    """The habits of visitor `number`, who spends about `session_s` inside; always the same."""
    dice = Random(f"{seed}/{number}")  # noqa: S311 - a crowd is no secret
    dawdles = 4.0 if dice.random() < 0.06 else 1.0
    return Habits(
        number=number,
        is_guest=dice.random() < 0.4,
        party=dice.choices(_PARTY_SIZES, _PARTY_WEIGHTS)[0],
        patience_s=_patience_s(dice),
        tabs=dice.choices((1, 2, 3), (93, 5, 2))[0],
        refresh_s=dice.uniform(0.4, 1.0) if dice.random() < 0.015 else None,
        stays_away_after_s=dice.uniform(0.0, 30.0) if dice.random() < 0.08 else None,
        loses=frozenset(what for what in LOSABLE if dice.random() < 0.02),
        oversteps=dice.random() < 0.01,
        ending=dice.choices(tuple(Ending), (920, 40, 30, 10))[0],
        trick=dice.choice(tuple(Trick)) if dice.random() < 0.02 else None,
        looks_s=session_s * dawdles * dice.lognormvariate(-1.2, 0.5),
        decides_s=session_s * dawdles * dice.lognormvariate(-0.5, 0.5),
        dice=dice,
    )


def _patience_s(dice: Random) -> float:
    """Most wait to the end; a third would leave at some time."""
    if dice.random() < 2 / 3:
        return 3600.0
    return _PATIENT_MEDIAN_S * dice.lognormvariate(0.0, 0.8)
