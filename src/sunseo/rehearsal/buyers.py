"""How buyers behave: pure and seeded, so that the same crowd can come again."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, unique
from itertools import count
from random import Random

import msgspec

PERSON_LIMIT = 4
"""Units that one person may have; the crowd knows it, and some try their luck all the same."""

_PARTY_SIZES, _PARTY_WEIGHTS = (1, 2, 3, 4), (20, 45, 10, 25)
_FAVOURITES = 60
"""So many of the best free seats are what a buyer chooses from at first; collisions follow."""


@unique
class Ending(Enum):
    """What a buyer does once something is held for her."""

    BUYS = "buys"
    RELEASES = "releases"  # changes her mind and says so
    VANISHES = "vanishes"  # closes the page; the hold runs out by itself


@unique
class Taste(Enum):
    """What a buyer came for."""

    SEATS = "seats"
    BOTH_DATES = "both_dates"
    STANDING = "standing"
    MIXED = "mixed"


class Buyer(msgspec.Struct, frozen=True):
    """One person and her habits.

    `oversteps` asks for more than one order may have; `returns` comes back for more than one
    person may have; `loses_hold` and `loses_order` never get the first answer to that request.
    """

    number: int
    is_guest: bool
    party: int
    taste: Taste
    occasion: int
    ending: Ending
    oversteps: bool
    returns: bool
    loses_hold: bool
    loses_order: bool
    dice: Random


class Basket(msgspec.Struct, frozen=True):
    """What a buyer asks to hold; products are pairs of product and quantity."""

    seats: tuple[int, ...] = ()
    products: tuple[tuple[int, int], ...] = ()

    @property
    def units(self) -> int:
        return len(self.seats) + sum(quantity for _, quantity in self.products)


class View(msgspec.Struct, frozen=True):
    """What is free, as a buyer sees it: seats by occasion, the best first; quantities by product.

    `held` and `sold` count units over the whole sale.
    """

    seats: Mapping[int, Sequence[int]]
    products: Mapping[int, int]
    held: int
    sold: int

    @property
    def free(self) -> int:
        return sum(map(len, self.seats.values())) + sum(self.products.values())


def buyers(seed: int, occasions: Sequence[int]) -> Iterator[Buyer]:
    """Everybody who comes, without end; the same for the same seed."""
    for number in count(1):
        dice = Random(f"{seed}/{number}")  # noqa: S311 - a crowd is no secret
        yield Buyer(
            number=number,
            is_guest=dice.random() < 0.3,
            party=dice.choices(_PARTY_SIZES, _PARTY_WEIGHTS)[0],
            taste=dice.choices(tuple(Taste), (68, 9, 15, 8))[0],
            occasion=dice.choice(occasions),
            ending=dice.choices(tuple(Ending), (91, 5, 4))[0],
            oversteps=dice.random() < 0.01,
            returns=dice.random() < 0.03,
            loses_hold=dice.random() < 0.03,
            loses_order=dice.random() < 0.03,
            dice=dice,
        )


def choose(buyer: Buyer, view: View, units: int, attempt: int) -> Basket | None:
    """Fill a basket: what she came for, else whatever is free, else nothing.

    Who was refused looks further from the best seats at each attempt; they count from 0.
    """
    wanted = _wanted_seats(buyer, units)
    seats = tuple(
        seat
        for occasion, party in wanted.items()
        for seat in _side_by_side(view.seats[occasion], party, attempt, buyer.dice)
    )
    basket = Basket(seats, _standing(buyer, view, units - sum(wanted.values())))
    if basket.units:
        return basket
    return _anything(buyer, view, units, attempt)


def _wanted_seats(buyer: Buyer, units: int) -> dict[int, int]:
    if buyer.taste is Taste.STANDING:
        return {}
    if buyer.taste is Taste.MIXED and units > 1:
        return {buyer.occasion: units // 2}
    if buyer.taste is Taste.BOTH_DATES and units > 1:
        other = 3 - buyer.occasion
        return {buyer.occasion: units - units // 2, other: units // 2}
    return {buyer.occasion: units}


def _side_by_side(seats: Sequence[int], party: int, attempt: int, dice: Random) -> Sequence[int]:
    """Neighbours in popularity, somewhere among the best that are left."""
    width = min(max(1, len(seats) - party + 1), _FAVOURITES << min(attempt, 10))
    first = dice.randrange(width)
    return seats[first : first + party]


def _standing(buyer: Buyer, view: View, units: int) -> tuple[tuple[int, int], ...]:
    on_offer = [product for product, free in view.products.items() if free > 0]
    if units <= 0 or not on_offer:
        return ()
    product = buyer.dice.choice(on_offer)
    return ((product, min(units, view.products[product])),)


def _anything(buyer: Buyer, view: View, units: int, attempt: int) -> Basket | None:
    for seats in view.seats.values():
        if seats:
            return Basket(tuple(_side_by_side(seats, units, attempt, buyer.dice)))
    products = _standing(buyer, view, units)
    return Basket(products=products) if products else None
