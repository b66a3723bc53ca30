"""What operators send to set up a sale, with every bound that can be checked without a database."""

import re
from collections.abc import Iterator, Sequence
from itertools import count, repeat
from typing import Annotated, Any, Literal
from unicodedata import is_normalized

import msgspec
from msgspec import Meta

from sunseo.core.currencies import is_currency
from sunseo.core.fields import Label, Moment, Name, Number32, Price
from sunseo.core.zones import is_zone

Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
Template = Literal["concert", "clinic", "coupon", "quota"]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3)]
Zone = Annotated[str, Meta(min_length=1, max_length=64)]
HoldTtl = Annotated[int, Meta(ge=1, le=86_400)]
Renewals = Annotated[int, Meta(ge=0, le=100)]
Capacity = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Slug = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)")]

IMPORT_SEATS_MAX = 50_000  # in one request: the sale's row is locked while they are written
PARTS_MAX = 1_000  # occasions, price classes, stocks or products in one request

_BY_NUMBER = re.compile(r"sale-[0-9]+")


class NewOccasion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dated part of the sale, for instance one performance."""

    name: Name
    starts_at: Moment

    def __post_init__(self) -> None:
        _refuse_untidy(name=self.name)


class NewPriceClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price that seats share, in minor units of the sale's currency."""

    name: Name
    price: Price

    def __post_init__(self) -> None:
        _refuse_untidy(name=self.name)


class NewSale(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sale to create. Occasions and price classes are numbered from one in the order given."""

    template: Template = "concert"
    slug: Slug | None = None  # by which a file of the sale finds it again
    name: Name
    currency: Currency
    time_zone: Zone
    opens_at: Moment
    closes_at: Moment | None = None
    hold_ttl_s: HoldTtl = 300
    renewals_max: Renewals = 3
    order_limit: Number32 | None = None
    occasion_limit: Number32 | None = None
    person_limit: Number32 | None = None
    persons: Literal["accounts", "guests"] | None = None
    price_classes: Annotated[tuple[NewPriceClass, ...], Meta(max_length=PARTS_MAX)] = ()
    occasions: Annotated[tuple[NewOccasion, ...], Meta(min_length=1, max_length=PARTS_MAX)]

    def __post_init__(self) -> None:
        if self.slug is not None and _BY_NUMBER.fullmatch(self.slug):
            raise ValueError("slug must not be like sale-1, as sales without one are called")
        if self.closes_at is not None and self.closes_at <= self.opens_at:
            raise ValueError("closes_at must be later than opens_at")
        if self.persons is None and (self.occasion_limit or self.person_limit):
            raise ValueError(
                'persons must say whom the limit counts: "accounts" (guests can hold nothing), or'
                ' "guests" (each guest session counts, and anybody may open many of them)'
            )
        if not is_currency(self.currency):
            raise ValueError("currency must be one of ISO 4217 that people pay with, such as KRW")
        if not is_zone(self.time_zone):
            raise ValueError("time_zone must be a name like Asia/Seoul")
        _refuse_repeats(_each("price_classes"), "name", [c.name for c in self.price_classes])
        starts = [(o.name, o.starts_at) for o in self.occasions]
        _refuse_repeats(_each("occasions"), "name and starts_at", starts)


class NewSeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    occasion: Number32
    price_class: Number32
    section: Label
    row: Label
    label: Label
    x: Coordinate = 0.0
    y: Coordinate = 0.0

    def __post_init__(self) -> None:
        _refuse_untidy(section=self.section, row=self.row, label=self.label)


class SeatBlock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rectangle of seats: rows and seats are labelled from 1 and laid out on a grid."""

    occasion: Number32
    price_class: Number32
    section: Label
    rows: Annotated[int, Meta(ge=1, le=IMPORT_SEATS_MAX)]
    seats_per_row: Annotated[int, Meta(ge=1, le=IMPORT_SEATS_MAX)]

    def __post_init__(self) -> None:
        _refuse_untidy(section=self.section)

    def seats(self) -> list[NewSeat]:
        return [
            NewSeat(
                self.occasion,
                self.price_class,
                self.section,
                str(row),
                str(place),
                float(place),
                float(row),
            )
            for row in range(1, self.rows + 1)
            for place in range(1, self.seats_per_row + 1)
        ]


class NewSeats(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seats to add: one by one, in blocks, or both; single seats are numbered first."""

    seats: Annotated[tuple[NewSeat, ...], Meta(max_length=IMPORT_SEATS_MAX)] = ()
    blocks: Annotated[tuple[SeatBlock, ...], Meta(max_length=PARTS_MAX)] = ()

    def __post_init__(self) -> None:
        total = len(self.seats) + sum(block.rows * block.seats_per_row for block in self.blocks)
        if not 1 <= total <= IMPORT_SEATS_MAX:
            part = "blocks" if self.blocks else "seats"
            raise ValueError(f"{part} must come to 1 to {IMPORT_SEATS_MAX} seats, not {total}")
        places = [(s.occasion, s.section, s.row, s.label) for s in self.all_seats()]
        _refuse_repeats(self._parts(), "occasion, section, row and label", places)

    def all_seats(self) -> list[NewSeat]:
        return [*self.seats, *(seat for block in self.blocks for seat in block.seats())]

    def _parts(self) -> Iterator[str]:
        """Where each of `all_seats` stands in the request."""
        yield from (f"seats[{index}]" for index in range(len(self.seats)))
        for index, block in enumerate(self.blocks):
            yield from repeat(f"blocks[{index}]", block.rows * block.seats_per_row)


class NewStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counted inventory of an occasion; an appointment slot has a start and an end."""

    occasion: Number32
    name: Name
    capacity: Capacity
    starts_at: Moment | None = None
    ends_at: Moment | None = None

    def __post_init__(self) -> None:
        _refuse_untidy(name=self.name)
        if (self.starts_at is None) != (self.ends_at is None):
            missing = "ends_at" if self.starts_at else "starts_at"
            raise ValueError(f"{missing} must be given: a slot has a start and an end")
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValueError("ends_at must be later than starts_at")


class Draw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one unit of a product takes from a stock."""

    stock: Number32
    units: Annotated[int, Meta(ge=1, le=10_000)] = 1


class NewProduct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to buy by quantity. Products that draw on the same stock share its capacity."""

    name: Name
    price: Price
    draws: Annotated[tuple[Draw, ...], Meta(min_length=1, max_length=100)]

    def __post_init__(self) -> None:
        _refuse_untidy(name=self.name)
        _refuse_repeats(_each("draws"), "stock", [draw.stock for draw in self.draws])


class NewStocks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stocks and products to add, numbered on in the order given; draws use final numbers."""

    stocks: Annotated[tuple[NewStock, ...], Meta(max_length=PARTS_MAX)] = ()
    products: Annotated[tuple[NewProduct, ...], Meta(max_length=PARTS_MAX)] = ()

    def __post_init__(self) -> None:
        if not self.stocks and not self.products:
            raise ValueError("stocks must have entries, or else products")
        slots = [(s.occasion, s.name, s.starts_at) for s in self.stocks]
        _refuse_repeats(_each("stocks"), "occasion, name and starts_at", slots)
        _refuse_repeats(_each("products"), "name", [p.name for p in self.products])


def _refuse_untidy(**names: str) -> None:
    """Refuse names that look like another one on paper and are not the same to a computer.

    Raises:
        ValueError: names the field.
    """
    for field, name in names.items():
        if name != name.strip() or not is_normalized("NFC", name):
            raise ValueError(
                f"{field} must have no white space at its ends, and be in Unicode's composed form"
                " (NFC): it would look like another one"
            )


def _each(field: str) -> Iterator[str]:
    """The parts of a list, as they are named to who sent it."""
    return (f"{field}[{index}]" for index in count())


def _refuse_repeats(parts: Iterator[str], known_by: str, names: Sequence[Any]) -> None:
    """Refuse a list in which two parts would be one and the same.

    Raises:
        ValueError: begins with the part that has been there before; says by what parts are told
            apart.
    """
    if len(set(names)) == len(names):
        return
    seen = set()
    for part, name in zip(parts, names, strict=False):
        if name in seen:
            shown = ", ".join(map(str, name)) if isinstance(name, tuple) else name
            raise ValueError(f"{part} must differ in {known_by}: {shown} was there before")
        seen.add(name)
