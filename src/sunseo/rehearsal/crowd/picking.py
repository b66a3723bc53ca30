"""Which seats, or what of a stock, a visitor asks for: pure."""

from collections.abc import Sequence
from random import Random

import msgspec

FAVOURITE_PRODUCTS = 6
FAVOURITES_PART = 20
"""In a large hall everybody chooses from the best twentieth of what is free at first."""

FAVOURITES = 60
"""So many of the best free seats are what everybody chooses from at first; collisions follow."""


class RankedSeats(msgspec.Struct, frozen=True):
    """The seats of an occasion, the best first: place in `states`, and number."""

    seats: tuple[tuple[int, int], ...]


class ListedStock(msgspec.Struct, frozen=True):
    """Of one stock; its product has the same number."""

    stock: int
    free: int
    held: int
    sold: int


class FreeItems(msgspec.Struct, frozen=True):
    """Seats or products that are free, the best first; and how many units are held and sold."""

    free: tuple[int, ...]
    held: int
    sold: int


class OccasionStates(msgspec.Struct):
    """One character a seat: free, held, sold."""

    states: str


class AvailabilityBody(msgspec.Struct):
    """What is free in a sale, as the server says it."""

    occasions: list[OccasionStates]
    stocks: list[ListedStock]


Claim = dict[str, object]
"""What a hold is to have: seats by number, or so many of a product."""


class Goods:
    """What is on sale, as visitors see and claim it. Of these there is nothing."""

    def __init__(self, person_limit: int = 0) -> None:
        self.person_limit = person_limit

    def read(self, document: AvailabilityBody) -> FreeItems:  # noqa: ARG002 - others look into it
        return FreeItems((), 0, 0)

    def pick(self, view: FreeItems, wanted: int, attempt: int, dice: Random) -> Claim:
        """What a visitor asks for who was refused so many times."""
        raise NotImplementedError

    def claim_one(self, item: int) -> Claim:
        """One unit of something that is free."""
        raise NotImplementedError


NOTHING = Goods()


def seat_map_of(listed: Sequence[dict[str, float]]) -> RankedSeats:
    """Rank seats from the middle of the first row, sideways counted half."""
    middle = sum(seat["x"] for seat in listed) / max(1, len(listed))

    def distance(place: int) -> float:
        return listed[place]["y"] + abs(listed[place]["x"] - middle) / 2

    ranked = sorted(range(len(listed)), key=distance)
    return RankedSeats(tuple((place, int(listed[place]["seat"])) for place in ranked))


def availability_of(seat_map: RankedSeats, states: str) -> FreeItems:
    free = tuple(seat for place, seat in seat_map.seats if states[place] == "0")
    return FreeItems(free, states.count("1"), states.count("2"))


def availability_of_stocks(levels: Sequence[ListedStock]) -> FreeItems:
    free = tuple(level.stock for level in levels if level.free > 0)
    return FreeItems(free, sum(level.held for level in levels), sum(level.sold for level in levels))


def pick_product(view: FreeItems, attempt: int, dice: Random) -> int:
    """One of the first; who was refused looks further."""
    width = min(len(view.free), FAVOURITE_PRODUCTS << min(attempt, 10))
    return view.free[dice.randrange(width)]


def pick(view: FreeItems, party: int, attempt: int, dice: Random) -> tuple[int, ...]:
    """Neighbours in popularity; who was refused looks further from the best at each attempt."""
    favourites = max(FAVOURITES, len(view.free) // FAVOURITES_PART)
    width = min(max(1, len(view.free) - party + 1), favourites << min(attempt, 10))
    first = dice.randrange(width)
    return view.free[first : first + party]
