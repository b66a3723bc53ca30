"""What stands in a file of a sale, in the words of whoever writes it.

Occasions are named, not numbered; times without an offset are the sale's own; prices are written
as people write them, in the currency's own unit with all of its digits.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from sunseo.booking.setup.setup_bodies import Capacity, Coordinate, HoldTtl, Renewals, Slug
from sunseo.core.fields import Label, Name, Number32

Money: TypeAlias = int | Decimal
OccasionName: TypeAlias = Name | Number32  # by its place in the file, where two have one name

KINDS = ("concert", "clinic", "coupon", "quota")


class SaleLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many units one may have; `persons` says who counts as one."""

    order: Number32 | None = None
    occasion: Number32 | None = None
    person: Number32 | None = None
    persons: Literal["accounts", "guests"] | None = None


class OccasionEntry(msgspec.Struct, frozen=True, kw_only=True):
    name: Name
    starts_at: datetime


class PriceClassEntry(msgspec.Struct, frozen=True, kw_only=True):
    name: Name
    price: Money


class RowEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of seats: `"1-20"`, or their labels one by one; else on a grid, at `x` and `y`."""

    row: Label
    seats: str | tuple[Label, ...]
    x: tuple[Coordinate, ...] | None = None
    y: tuple[Coordinate, ...] | None = None


class SectionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Seats of one price class, on all occasions or on those named."""

    name: Label
    price_class: Name
    occasions: tuple[OccasionName, ...] | None = None
    rows: Annotated[int, Meta(ge=1, le=50_000)] | tuple[RowEntry, ...]
    seats_per_row: Annotated[int, Meta(ge=1, le=50_000)] | None = None


class StockEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted; with a price, it is also what people buy of it, one by one."""

    name: Name
    occasion: OccasionName | None = None
    capacity: Capacity
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    price: Money | None = None


class SlotsEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Appointments of so many minutes, one after the other, from a time to another."""

    name: Name
    occasion: OccasionName | None = None
    starts_at: datetime
    ends_at: datetime
    minutes: Annotated[int, Meta(ge=1, le=1440)]
    capacity: Capacity = 1
    price: Money = 0


class DrawEntry(msgspec.Struct, frozen=True, kw_only=True):
    stock: Name
    occasion: OccasionName | None = None
    starts_at: datetime | None = None
    units: Annotated[int, Meta(ge=1, le=10_000)] = 1


class ProductEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What people buy, where it is not simply one of a stock."""

    name: Name
    price: Money
    draws: tuple[DrawEntry, ...]


class SaleFile(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes: `slug` is how the file finds its sale again; `sale-12` is sale 12."""

    kind: Literal["concert", "clinic", "coupon", "quota"]
    slug: Slug
    name: Name
    currency: str
    time_zone: str
    opens_at: datetime
    closes_at: datetime | None = None
    hold_ttl_s: HoldTtl = 300
    renewals_max: Renewals = 3
    limits: SaleLimits = SaleLimits()
    occasions: tuple[OccasionEntry, ...]
    price_classes: tuple[PriceClassEntry, ...] = ()
    sections: tuple[SectionEntry, ...] = ()
    stocks: tuple[StockEntry, ...] = ()
    slots: tuple[SlotsEntry, ...] = ()
    products: tuple[ProductEntry, ...] = ()
