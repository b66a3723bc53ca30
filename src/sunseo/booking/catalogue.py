"""What a sale offers and how it is counted: the part of it that hardly ever changes.

A worker keeps catalogues in memory. The sale's locked row tells whether one is still current
(`catalogue_version`); if not, the command is put off and the catalogue is read again.
"""

from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum, unique

import msgspec

from sunseo.booking.commands import SaleKey
from sunseo.core.clock import Instant

SHELF_ROOM = 20_000  # catalogues kept by a worker, at a few hundred bytes each


@unique
class PersonScope(Enum):
    """Who counts as a person where a sale limits what one may have."""

    ACCOUNTS = "accounts"  # whom the host's own issuer vouches for; guests hold nothing
    GUESTS = "guests"  # whoever has a session, of which anybody may open many


class Product(msgspec.Struct, frozen=True):
    """Attributes: `starts_at` is when the first begins of what it draws on, if anything does."""

    price: int  # minor units of the sale's currency
    draws: tuple[tuple[int, int], ...]  # stock, units for one of the product
    occasions: tuple[int, ...]  # that its stock belongs to
    starts_at: Instant | None = None


class Catalogue(msgspec.Struct, frozen=True):
    version: int
    currency: str
    occasion_limit: int | None
    person_limit: int | None
    prices: dict[int, int]  # price class: minor units
    products: dict[int, Product]
    starts: dict[int, Instant] = {}  # occasion: when it begins
    persons: PersonScope | None = None

    def turns_away(self, *, is_guest: bool) -> bool:
        return is_guest and self.persons is PersonScope.ACCOUNTS

    @property
    def has_limits(self) -> bool:
        """Whether persons' units are counted."""
        return self.person_limit is not None or self.occasion_limit is not None


class CatalogueShelf:
    """The catalogues that one lane has at hand; the least recently used one makes room."""

    def __init__(self, room: int = SHELF_ROOM) -> None:
        self._room = room
        self._catalogues: OrderedDict[SaleKey, Catalogue] = OrderedDict()

    def get(self, sale: SaleKey) -> Catalogue | None:
        catalogue = self._catalogues.get(sale)
        if catalogue is not None:
            self._catalogues.move_to_end(sale)
        return catalogue

    def missing(self, sales: Iterable[SaleKey]) -> list[SaleKey]:
        return [sale for sale in sales if sale not in self._catalogues]

    def put(self, sale: SaleKey, catalogue: Catalogue) -> None:
        self._catalogues[sale] = catalogue
        while len(self._catalogues) > self._room:
            self._catalogues.popitem(last=False)

    def forget(self, sale: SaleKey) -> None:
        self._catalogues.pop(sale, None)
