"""Write a sale as a file, which applied to it makes no difference."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sunseo.salefile.model import SaleFile, SaleLimits
from sunseo.salefile.money import written_amount
from sunseo.salefile.read import product_name
from sunseo.salefile.spec import SaleSpec, SeatFacts, SeatKey, StockKey

LIMITS = {"order": "order_limit", "occasion": "occasion_limit", "person": "person_limit"}

Seat = tuple[SeatKey, SeatFacts]


def written(spec: SaleSpec) -> str:
    """The file of a sale, as TOML."""
    return "\n".join(_Writer(spec).lines()) + "\n"


class _Writer:
    def __init__(self, spec: SaleSpec) -> None:
        self._spec = spec
        self._zone = ZoneInfo(spec.own["time_zone"])
        names = [name for name, _ in spec.occasions]
        self._occasions: list[str | int] = [
            name if names.count(name) == 1 else place for place, name in enumerate(names, 1)
        ]

    def lines(self) -> Iterator[str]:
        spec, own = self._spec, self._spec.own
        yield from self._fields(kind=spec.template, slug=spec.slug, name=own["name"])
        yield from self._fields(currency=own["currency"], time_zone=own["time_zone"])
        yield from self._fields(opens_at=own["opens_at"], closes_at=own["closes_at"])
        yield from self._fields(hold_ttl_s=own["hold_ttl_s"], renewals_max=own["renewals_max"])
        limits = {name: own[field] for name, field in LIMITS.items()}
        if SaleLimits(**limits, persons=own["persons"]) != SaleFile.__struct_defaults__[2]:
            yield from ("", "[limits]", *self._fields(**limits, persons=own["persons"]))
        for name, starts_at in spec.occasions:
            yield from ("", "[[occasions]]", *self._fields(name=name, starts_at=starts_at))
        for name, price in spec.price_classes:
            yield from ("", "[[price_classes]]", *self._fields(name=name))
            yield f"price = {self._price(price)}"
        yield from self._sections()
        yield from self._stocks()

    def _sections(self) -> Iterator[str]:
        """Seats in their order, as many together as one entry can say."""
        by_entry = groupby(
            self._spec.seats.items(),
            key=lambda seat: (seat[0].occasion, seat[0].section, seat[1].price_class),
        )
        for (occasion, section, price_class), seats in by_entry:
            name = self._spec.price_classes[price_class][0]
            yield from ("", "[[sections]]", *self._fields(name=section, price_class=name))
            yield f"occasions = [{_value(self._occasions[occasion], self._zone)}]"
            yield from self._rows(list(seats))

    def _rows(self, seats: list[Seat]) -> Iterator[str]:
        if size := _block_of(seats):
            yield from self._fields(rows=size[0], seats_per_row=size[1])
            return
        yield "rows = ["
        for place, (row, group) in enumerate(groupby(seats, key=lambda seat: seat[0].row), 1):
            yield f"  {self._row(row, list(group), place)},"
        yield "]"

    def _row(self, row: str, seats: list[Seat], place: int) -> str:
        labels = [key.label for key, _ in seats]
        xs, ys = [facts.x for _, facts in seats], [facts.y for _, facts in seats]
        is_range = labels == [str(n) for n in range(1, len(labels) + 1)]
        told: dict[str, Any] = {"row": row, "seats": f"1-{len(labels)}" if is_range else labels}
        if xs != [float(n) for n in range(1, len(labels) + 1)]:
            told["x"] = xs
        if ys != [float(place)] * len(labels):
            told["y"] = ys
        return "{" + ", ".join(f"{k} = {_value(v, self._zone)}" for k, v in told.items()) + "}"

    def _stocks(self) -> Iterator[str]:
        """Stocks, with the price of those that are sold one by one under their own name."""
        products = dict(self._spec.products)
        for key, facts in self._spec.stocks.items():
            yield from ("", "[[stocks]]", *self._fields(name=key.name))
            yield f"occasion = {_value(self._occasions[key.occasion], self._zone)}"
            yield from self._fields(
                capacity=facts.capacity, starts_at=key.starts_at, ends_at=facts.ends_at
            )
            name = product_name(key, self._zone)
            product = products.get(name)
            if product is not None and product.draws == ((key, 1),):
                yield f"price = {self._price(product.price)}"
                del products[name]
        for name, product in products.items():
            yield from ("", "[[products]]", *self._fields(name=name))
            yield f"price = {self._price(product.price)}"
            yield "draws = ["
            yield from (f"  {self._draw(key, units)}," for key, units in product.draws)
            yield "]"

    def _draw(self, key: StockKey, units: int) -> str:
        told: dict[str, Any] = {"stock": key.name, "occasion": self._occasions[key.occasion]}
        if key.starts_at is not None:
            told["starts_at"] = key.starts_at
        told["units"] = units
        return "{" + ", ".join(f"{k} = {_value(v, self._zone)}" for k, v in told.items()) + "}"

    def _price(self, price: int) -> str:
        return written_amount(price, self._spec.own["currency"])

    def _fields(self, **fields: Any) -> Iterator[str]:
        for name, value in fields.items():
            if value is not None:
                yield f"{name} = {_value(value, self._zone)}"


def _block_of(seats: Sequence[Seat]) -> tuple[int, int] | None:
    """Rows and seats in a row, where seats are a whole grid."""
    rows = int(seats[-1][1].y)
    per_row = len(seats) // rows if rows > 0 else 0
    if rows < 1 or rows * per_row != len(seats):
        return None
    for place, (key, facts) in enumerate(seats):
        row, seat = place // per_row + 1, place % per_row + 1
        if (key.row, key.label) != (str(row), str(seat)) or facts[1:] != (seat, row):
            return None
    return rows, per_row


def _value(value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    if isinstance(value, str):  # JSON's text is TOML's, but for one character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return "[" + ", ".join(_value(one, zone) for one in value) + "]"
    return repr(value)
