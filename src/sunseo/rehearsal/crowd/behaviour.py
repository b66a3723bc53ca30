"""How visitors behave: pure and seeded. What one does never depends on when the server answers."""

from collections.abc import Sequence
from enum import Enum, unique
from random import Random
from typing import Annotated

import msgspec
from msgspec import Meta

from sunseo.rehearsal.crowd.arrivals import Share
from sunseo.rehearsal.http.connection import Pace

PATIENT_S = 3600.0  # longer than any rehearsal
DAWDLING = 4.0  # times as long as others
SLOW_LINE = Pace(piece_bytes=64, pause_s=0.05)  # a phone at the edge of its cell

Weights = Annotated[tuple[Annotated[float, Meta(ge=0)], ...], Meta(min_length=1, max_length=10)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=86_400)]


class People(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who the visitors are: shares of the crowd, each drawn for each visitor by herself.

    Attributes:
        guest_share: have no account.
        party_weights: how many want one unit, two, three …, in proportion.
        dawdler_share: take four times as long inside.
        impatient_share: would leave at some time; half of them by `patience_median_s`.
        tab_weights: how many have one tab open, two, three …, in proportion.
        refresher_share: press "reload" at intervals drawn from `refresh_s`, whatever the page asks.
        absent_share: close the page within `absent_within_s`, and never come in.
        lost_share: of the answers to each kind of request that changes something: the connection
            breaks, and the very same request is sent again.
        overstepper_share: try to take more than one person may have.
        releaser_share: change their mind once something is held, and say so.
        vanisher_share: close the page then; hold and pass run out by themselves.
        dying_share: lose their phone with the order on its way.
        forger_share: write a better number into their place.
        jumper_share: enter before they are called.
        lender_share: let somebody else book with their pass.
        bot_share: programs that send bursts of holds, each with a key of its own, without looking
            and without a pass, from just before the opening on.
        slow_share: have a line that carries what they send piece by piece.
        storm_share: ask again at once when told to come later, and do so for a while.
        look_s: between two looks at what is free, while waiting for an opening without a room.
    """

    guest_share: Share = 0.4
    party_weights: Weights = (22, 48, 12, 18)
    dawdler_share: Share = 0.06
    impatient_share: Share = 0.33
    patience_median_s: PositiveSeconds = 240.0
    tab_weights: Weights = (93, 5, 2)
    refresher_share: Share = 0.015
    refresh_s: tuple[PositiveSeconds, PositiveSeconds] = (0.4, 1.0)
    absent_share: Share = 0.08
    absent_within_s: PositiveSeconds = 30.0
    lost_share: Share = 0.02
    overstepper_share: Share = 0.01
    releaser_share: Share = 0.04
    vanisher_share: Share = 0.03
    dying_share: Share = 0.01
    forger_share: Share = 0.007
    jumper_share: Share = 0.007
    lender_share: Share = 0.006
    bot_share: Share = 0.0
    slow_share: Share = 0.0
    storm_share: Share = 0.0
    look_s: tuple[PositiveSeconds, PositiveSeconds] = (2.0, 6.0)

    def __post_init__(self) -> None:
        for weights, name in (
            (self.party_weights, "party_weights"),
            (self.tab_weights, "tab_weights"),
        ):
            if not sum(weights):
                raise ValueError(f"{name} must not all be 0")
        for low, high in (self.refresh_s, self.look_s):
            if low > high:
                raise ValueError("refresh_s and look_s: from the shorter time to the longer one")
        if self.releaser_share + self.vanisher_share + self.dying_share > 1:
            raise ValueError("releaser_share, vanisher_share and dying_share: at most 1 together")
        if self.forger_share + self.jumper_share + self.lender_share > 1:
            raise ValueError("forger_share, jumper_share and lender_share: at most 1 together")


@unique
class Ending(Enum):
    """What a visitor does once something is held for her."""

    BUYS = "buys"
    RELEASES = "releases"  # changes her mind and says so
    VANISHES = "vanishes"  # closes the page; hold and pass run out by themselves
    DIES = "dies"  # her phone does, with the order on its way


@unique
class Cheat(Enum):
    """What a cheater tries."""

    FORGE = "forge"  # writes a better number into her place
    JUMP = "jump"  # enters before she is called
    SHARE = "share"  # books with somebody else's pass
    HAMMER = "hammer"  # sends bursts of holds, with as many keys, to get more than others may


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """One person's. Seconds; `loses` names the requests whose first answer never reaches her.

    `pace` is her line's, where that is a slow one; `look_s` lies between two looks at what is free.
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
    cheat: Cheat | None
    looks_s: float
    decides_s: float
    dice: Random
    pace: Pace | None
    is_bot: bool
    storms: bool
    look_s: float


LOSABLE = ("join", "enter", "renew", "hold", "order")


def behaviour_of(number: int, seed: int, people: People, session_s: float) -> Behaviour:
    """The behaviour of visitor `number`, who spends about `session_s` inside; always the same."""
    dice = Random(f"{seed}/{number}")  # noqa: S311 - a crowd is no secret
    pace_s = session_s * (DAWDLING if dice.random() < people.dawdler_share else 1.0)
    return Behaviour(
        number=number,
        is_guest=dice.random() < people.guest_share,
        party=_weighed(people.party_weights, dice),
        patience_s=_patience_s(people, dice),
        tabs=_weighed(people.tab_weights, dice),
        refresh_s=(
            dice.uniform(*people.refresh_s) if dice.random() < people.refresher_share else None
        ),
        stays_away_after_s=(
            dice.uniform(0.0, people.absent_within_s)
            if dice.random() < people.absent_share
            else None
        ),
        loses=frozenset(what for what in LOSABLE if dice.random() < people.lost_share),
        oversteps=dice.random() < people.overstepper_share,
        ending=_ending(people, dice),
        cheat=_cheat(people, dice),
        looks_s=pace_s * dice.lognormvariate(-1.2, 0.5),
        decides_s=pace_s * dice.lognormvariate(-0.5, 0.5),
        pace=SLOW_LINE if dice.random() < people.slow_share else None,
        is_bot=dice.random() < people.bot_share,
        storms=dice.random() < people.storm_share,
        look_s=dice.uniform(*people.look_s),
        dice=dice,
    )


def _weighed(weights: Sequence[float], dice: Random) -> int:
    """One, two, three …, each with its weight."""
    return dice.choices(range(1, len(weights) + 1), weights)[0]


def _patience_s(people: People, dice: Random) -> float:
    if dice.random() >= people.impatient_share:
        return PATIENT_S
    return people.patience_median_s * dice.lognormvariate(0.0, 0.8)


def _ending(people: People, dice: Random) -> Ending:
    others = (people.releaser_share, people.vanisher_share, people.dying_share)
    return dice.choices(tuple(Ending), (1 - sum(others), *others))[0]


def _cheat(people: People, dice: Random) -> Cheat | None:
    shares = (people.forger_share, people.jumper_share, people.lender_share)
    cheats = (None, Cheat.FORGE, Cheat.JUMP, Cheat.SHARE)
    return dice.choices(cheats, (1 - sum(shares), *shares))[0]
