"""What operators send to change a sale: absent fields stay as they are."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sunseo.booking.setup.setup_bodies import (
    PARTS_MAX,
    Capacity,
    Currency,
    HoldTtl,
    NewOccasion,
    NewPriceClass,
    Renewals,
    Zone,
)
from sunseo.core.fields import Moment, Name, Number32, Price


class OccasionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    occasion: Number32
    name: Name | UnsetType = UNSET
    starts_at: Moment | UnsetType = UNSET


class PriceClassChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    price_class: Number32
    name: Name | UnsetType = UNSET
    price: Price | UnsetType = UNSET


class StockChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    stock: Number32
    capacity: Capacity


class ProductChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    product: Number32
    price: Price


Occasions = Annotated[tuple[OccasionChange, ...], Meta(max_length=PARTS_MAX)]
PriceClasses = Annotated[tuple[PriceClassChange, ...], Meta(max_length=PARTS_MAX)]


class SaleChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change, all of it or nothing; parts are named by number.

    New occasions and price classes are numbered on in the order given.
    """

    name: Name | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    time_zone: Zone | UnsetType = UNSET
    opens_at: Moment | UnsetType = UNSET
    closes_at: Moment | UnsetType | None = UNSET
    hold_ttl_s: HoldTtl | UnsetType = UNSET
    renewals_max: Renewals | UnsetType = UNSET
    order_limit: Number32 | UnsetType | None = UNSET
    occasion_limit: Number32 | UnsetType | None = UNSET
    person_limit: Number32 | UnsetType | None = UNSET
    persons: Literal["accounts", "guests"] | UnsetType | None = UNSET
    occasions: Occasions = ()
    price_classes: PriceClasses = ()
    stocks: Annotated[tuple[StockChange, ...], Meta(max_length=PARTS_MAX)] = ()
    products: Annotated[tuple[ProductChange, ...], Meta(max_length=PARTS_MAX)] = ()
    new_occasions: Annotated[tuple[NewOccasion, ...], Meta(max_length=PARTS_MAX)] = ()
    new_price_classes: Annotated[tuple[NewPriceClass, ...], Meta(max_length=PARTS_MAX)] = ()
