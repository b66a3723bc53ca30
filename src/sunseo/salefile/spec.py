"""A sale as it is to be, or as it is: what a file and a server's answers both come down to.

Occasions and price classes are known by their place, from nought; seats by what is printed on
their tickets, stocks by occasion, name and start, products by name. Prices are in minor units.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from sunseo.booking.setup.change_rules import OWN


class SeatKey(NamedTuple):
    occasion: int
    section: str
    row: str
    label: str


class SeatFacts(NamedTuple):
    price_class: int
    x: float
    y: float


class StockKey(NamedTuple):
    occasion: int
    name: str
    starts_at: datetime | None = None


class StockFacts(NamedTuple):
    capacity: int
    ends_at: datetime | None = None


class ProductFacts(NamedTuple):
    price: int
    draws: tuple[tuple[StockKey, int], ...]  # sorted


class SaleSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes: `own` are the sale's own fields by the names that the API has for them."""

    template: str
    slug: str
    own: Mapping[str, Any]
    occasions: tuple[tuple[str, datetime], ...]
    price_classes: tuple[tuple[str, int], ...]
    seats: Mapping[SeatKey, SeatFacts]
    stocks: Mapping[StockKey, StockFacts]
    products: Mapping[str, ProductFacts]


class KnownSale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale as the server has it, with the numbers of its parts and what is taken of them."""

    number: int
    version: int
    is_on: bool
    spec: SaleSpec
    stock_numbers: Mapping[StockKey, int]
    stock_taken: Mapping[StockKey, int]
    product_numbers: Mapping[str, int]
    held: int
    sold: int


def known_sale(
    entry: Mapping[str, Any],
    sale: Mapping[str, Any],
    seats: Mapping[int, list[Mapping[str, Any]]],
    availability: Mapping[str, Any],
) -> KnownSale:
    """Put together what the API tells: of list, sale, seats by occasion, and stock."""
    stocks = {
        StockKey(s["occasion"] - 1, s["name"], _moment(s["starts_at"])): s
        for s in availability["stocks"]
    }
    keys = {stock["stock"]: key for key, stock in stocks.items()}
    spec = SaleSpec(
        template=sale["template"],
        slug=entry["slug"],
        own={name: _own(name, sale[name]) for name in OWN},
        occasions=tuple((o["name"], moment(o["starts_at"])) for o in sale["occasions"]),
        price_classes=tuple((c["name"], c["price"]) for c in sale["price_classes"]),
        seats={
            SeatKey(occasion - 1, s["section"], s["row"], s["label"]): SeatFacts(
                s["price_class"] - 1, float(s["x"]), float(s["y"])
            )
            for occasion, those in seats.items()
            for s in those
        },
        stocks={key: StockFacts(s["capacity"], _moment(s["ends_at"])) for key, s in stocks.items()},
        products={
            p["name"]: ProductFacts(
                p["price"],
                tuple(sorted(((keys[d["stock"]], d["units"]) for d in p["draws"]), key=repr)),
            )
            for p in sale["products"]
        },
    )
    counts = [*availability["occasions"], *availability["stocks"]]
    return KnownSale(
        number=sale["sale"],
        version=sale["version"],
        is_on=entry["is_on"],
        spec=spec,
        stock_numbers={key: s["stock"] for key, s in stocks.items()},
        stock_taken={key: s["held"] + s["sold"] for key, s in stocks.items()},
        product_numbers={p["name"]: p["product"] for p in sale["products"]},
        held=sum(c["held"] for c in counts),
        sold=sum(c["sold"] for c in counts),
    )


def moment(told: str) -> datetime:
    """A time as the API tells it, in UTC."""
    return datetime.fromisoformat(told).astimezone(UTC)


def _moment(told: str | None) -> datetime | None:
    return None if told is None else moment(told)


def _own(name: str, value: Any) -> Any:
    return _moment(value) if name.endswith("_at") else value
