"""What is to be done so that a sale becomes as its file says: pure, from two specs to requests.

A difference is added, changed or refused. Refused by its name is what the server would refuse, so
that nothing of a plan is begun that cannot be ended: what is on stays as it is but for what
`change_rules` lets change, and nothing that was ever added is taken away.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sunseo.booking.setup.change_rules import may_change, rule_of
from sunseo.salefile.money import written_amount
from sunseo.salefile.spec import KnownSale, SaleSpec, SeatKey, StockKey

NOUNS = {"order_limit": "limits.order", "occasion_limit": "limits.occasion"}
NOUNS |= {"person_limit": "limits.person", "persons": "limits.persons"}


class SalePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done, and what cannot be.

    Attributes:
        sale: its number; none where it is to be made.
        target: the file's sale, its occasions and price classes in the places that they have.
        added: a line each; it cannot be taken away again.
        changed: a line each.
        refused: a line each; where there is one, nothing may be done.
        touches: whom it touches.
        notes: what the file's author should know all the same.
        change: the body of the request that changes the sale itself, if any.
        new_seats, new_stocks, new_products: what is to be added.
    """

    sale: int | None
    version: int
    target: SaleSpec
    added: list[str]
    changed: list[str]
    refused: list[str]
    touches: str
    notes: list[str]
    change: dict[str, Any]
    new_seats: list[SeatKey]
    new_stocks: list[StockKey]
    new_products: list[str]

    @property
    def is_empty(self) -> bool:
        return not self.added and not self.changed and not self.refused


def plan_sale(wanted: SaleSpec, known: KnownSale | None) -> SalePlan:
    """Compare a file with what is stored of its sale."""
    if known is None:
        return SalePlan(
            sale=None,
            version=0,
            target=wanted,
            added=[f"sale {wanted.own['name']!r} ({wanted.slug})", *_parts_added(wanted)],
            changed=[],
            refused=[],
            touches="The sale is new: nobody has anything of it.",
            notes=_notes(wanted),
            change={},
            new_seats=list(wanted.seats),
            new_stocks=list(wanted.stocks),
            new_products=list(wanted.products),
        )
    return _Comparison(_in_places_of(wanted, known.spec), known).plan()


class _Comparison:
    def __init__(self, wanted: SaleSpec, known: KnownSale) -> None:
        self._wanted = wanted
        self._known = known
        self._stored = known.spec
        self._zone = ZoneInfo(wanted.own["time_zone"])
        self._added: list[str] = []
        self._changed: list[str] = []
        self._refused: list[str] = []
        self._change: dict[str, Any] = {}

    def plan(self) -> SalePlan:
        wanted, stored = self._wanted, self._stored
        if wanted.template != stored.template:
            self._refused.append(f"kind stays {stored.template}: make another sale for that")
        for name, before in stored.own.items():
            self._compare(NOUNS.get(name, name), name, before, wanted.own[name], self._change)
        self._compare_numbered("occasions", "occasion", ("name", "starts_at"))
        self._compare_numbered("price_classes", "price_class", ("name", "price"))
        new_seats = self._compare_seats()
        new_stocks = self._compare_stocks()
        new_products = self._compare_products()
        return SalePlan(
            sale=self._known.number,
            version=self._known.version,
            target=wanted,
            added=self._added,
            changed=self._changed,
            refused=self._refused,
            touches=_touches(self._known),
            notes=_notes(wanted),
            change=self._change,
            new_seats=new_seats,
            new_stocks=new_stocks,
            new_products=new_products,
        )

    def _compare(
        self, shown: str, name: str, before: Any, after: Any, body: dict[str, Any]
    ) -> bool:
        if before == after:
            return False
        told = f"{shown}: {self._told(name, before)} → {self._told(name, after)}"
        if self._known.is_on and not may_change(name, before, after):
            self._refused.append(f"{told}: it {rule_of(name)} while the sale is on")
            return False
        self._changed.append(told)
        body[name] = _sent(after)
        return True

    def _compare_numbered(self, what: str, one: str, fields: tuple[str, str]) -> None:
        """Occasions and price classes, which both sides have in the same places."""
        stored, wanted = getattr(self._stored, what), getattr(self._wanted, what)
        bodies = []
        for number, (before, after) in enumerate(zip(stored, wanted, strict=False), 1):
            body: dict[str, Any] = {}
            for name, old, new in zip(fields, before, after, strict=True):
                shown = f"{one.replace('_', ' ')} {before[0]!r}, {name}"
                self._compare(shown, name, old, new, body)
            if body:
                bodies.append({one: number, **body})
        if bodies:
            self._change[what] = bodies
        for lost in stored[len(wanted) :]:
            self._cannot_go(f"{one.replace('_', ' ')} {lost[0]!r}")
        new = [dict(zip(fields, map(_sent, part), strict=True)) for part in wanted[len(stored) :]]
        if new:
            self._change[f"new_{what}"] = new
            self._added += [f"{one.replace('_', ' ')} {part['name']!r}" for part in new]

    def _compare_seats(self) -> list[SeatKey]:
        stored, wanted = self._stored.seats, self._wanted.seats
        new = [key for key in wanted if key not in stored]
        lost = [key for key in stored if key not in wanted]
        moved = [key for key, facts in stored.items() if wanted.get(key, facts) != facts]
        self._added += list(_told_seats(self._wanted, new))
        for told in _told_seats(self._stored, lost):
            self._cannot_go(told)
        for told in _told_seats(self._stored, moved):
            self._refused.append(f"{told}: price class and place on the plan stay as they are")
        return new

    def _compare_stocks(self) -> list[StockKey]:
        stored, wanted = self._stored.stocks, self._wanted.stocks
        bodies = []
        for key, before in stored.items():
            shown = f"stock {self._told_stock(key)}"
            after = wanted.get(key)
            if after is None:
                self._cannot_go(shown)
                continue
            if after.ends_at != before.ends_at:
                self._refused.append(f"{shown}: its end stays as it is")
            taken, body = self._known.stock_taken[key], dict[str, Any]()
            if after.capacity < taken:
                self._refused.append(f"{shown}, capacity: {taken} are held or sold")
            elif self._compare(
                f"{shown}, capacity", "capacity", before.capacity, after.capacity, body
            ):
                bodies.append({"stock": self._known.stock_numbers[key], **body})
        if bodies:
            self._change["stocks"] = bodies
        new = [key for key in wanted if key not in stored]
        self._added += list(_told_stocks(self._wanted, new))
        return new

    def _compare_products(self) -> list[str]:
        stored, wanted = self._stored.products, self._wanted.products
        bodies = []
        for name, before in stored.items():
            after = wanted.get(name)
            if after is None:
                self._cannot_go(f"product {name!r}")
                continue
            if after.draws != before.draws:
                self._refused.append(f"product {name!r}: what it draws on stays as it is")
            body: dict[str, Any] = {}
            if self._compare(f"product {name!r}, price", "price", before.price, after.price, body):
                bodies.append({"product": self._known.product_numbers[name], **body})
        if bodies:
            self._change["products"] = bodies
        new = [name for name in wanted if name not in stored]
        self._added += list(_told_products(new))
        return new

    def _cannot_go(self, shown: str) -> None:
        self._refused.append(
            f"{shown} is in the sale and not in the file: nothing can be taken away"
        )

    def _told(self, name: str, value: Any) -> str:
        if value is None:
            return "none"
        if name == "price":
            currency = self._wanted.own["currency"]
            return f"{written_amount(value, currency)} {currency}"
        if isinstance(value, datetime):
            return f"{value.astimezone(self._zone):%Y-%m-%d %H:%M:%S%z}"
        return repr(value) if isinstance(value, str) else str(value)

    def _told_stock(self, key: StockKey) -> str:
        return _told_stock(self._stored, key)


def _in_places_of(wanted: SaleSpec, stored: SaleSpec) -> SaleSpec:
    """The same sale with its occasions and price classes in the places that they have already.

    What has its name is the same one; of the others the first takes the first place that is left:
    it is called otherwise now.
    """
    occasions = _places([o[0] for o in wanted.occasions], [o[0] for o in stored.occasions])
    if len(set(wanted.occasions)) == len(wanted.occasions) and len(
        {name for name, _ in wanted.occasions}
    ) < len(wanted.occasions):
        occasions = _places(wanted.occasions, stored.occasions)
    classes = _places([c[0] for c in wanted.price_classes], [c[0] for c in stored.price_classes])

    def moved(key: StockKey) -> StockKey:
        return key._replace(occasion=occasions[key.occasion])

    return msgspec.structs.replace(
        wanted,
        occasions=_placed(wanted.occasions, occasions),
        price_classes=_placed(wanted.price_classes, classes),
        seats={
            key._replace(occasion=occasions[key.occasion]): facts._replace(
                price_class=classes[facts.price_class]
            )
            for key, facts in wanted.seats.items()
        },
        stocks={moved(key): facts for key, facts in wanted.stocks.items()},
        products={
            name: facts._replace(
                draws=tuple(sorted(((moved(k), n) for k, n in facts.draws), key=repr))
            )
            for name, facts in wanted.products.items()
        },
    )


def _places(wanted: Sequence[Any], stored: Sequence[Any]) -> list[int]:
    """For each that is wanted its place among those stored, or behind them."""
    free = [place for place, name in enumerate(stored) if name not in wanted]
    behind = iter(range(len(stored), len(stored) + len(wanted)))
    at = {name: place for place, name in enumerate(stored)}
    return [at[name] if name in at else free.pop(0) if free else next(behind) for name in wanted]


def _placed(parts: Sequence[Any], places: Sequence[int]) -> tuple[Any, ...]:
    return tuple(part for _, part in sorted(zip(places, parts, strict=True), key=lambda p: p[0]))


def _parts_added(spec: SaleSpec) -> Iterator[str]:
    yield from (f"occasion {name!r}" for name, _ in spec.occasions)
    yield from (f"price class {name!r}" for name, _ in spec.price_classes)
    yield from _told_seats(spec, list(spec.seats))
    yield from _told_stocks(spec, list(spec.stocks))
    yield from _told_products(list(spec.products))


def _told_seats(spec: SaleSpec, keys: Sequence[SeatKey]) -> Iterator[str]:
    """A line for each section of each occasion."""
    for (occasion, section), group in groupby(keys, key=lambda key: (key.occasion, key.section)):
        seats = list(group)
        shown = f"section {section} on {spec.occasions[occasion][0]!r}"
        few = ", ".join(f"row {s.row} seat {s.label}" for s in seats[:3])
        yield f"{len(seats):,} seats of {shown}" if len(seats) > 3 else f"{shown}: {few}"


def _told_stocks(spec: SaleSpec, keys: Sequence[StockKey]) -> Iterator[str]:
    for (occasion, name), group in groupby(keys, key=lambda key: (key.occasion, key.name)):
        stocks = list(group)
        units = sum(spec.stocks[key].capacity for key in stocks)
        shown = f"{name!r} on {spec.occasions[occasion][0]!r}"
        slots = f"{len(stocks):,} slots" if len(stocks) > 1 else "stock"
        yield f"{slots} {shown}, {units:,} units"


def _told_stock(spec: SaleSpec, key: StockKey) -> str:
    start = f" at {key.starts_at:%Y-%m-%d %H:%M} UTC" if key.starts_at else ""
    return f"{key.name!r}{start} on {spec.occasions[key.occasion][0]!r}"


def _told_products(names: Sequence[str]) -> Iterator[str]:
    if len(names) > 5:
        yield f"{len(names):,} products, from {names[0]!r} to {names[-1]!r}"
    else:
        yield from (f"product {name!r}" for name in names)


def _touches(known: KnownSale) -> str:
    if not known.held and not known.sold:
        return "Nobody has anything of the sale now."
    return f"{known.held:,} units are held and {known.sold:,} sold; all of them stay as they are."


def priced_parts(spec: SaleSpec) -> list[str]:
    """What costs something, and so cannot be bought yet."""
    currency = spec.own["currency"]
    priced = [*spec.price_classes, *((n, facts.price) for n, facts in spec.products.items())]
    return [
        f"{name!r} at {written_amount(price, currency)} {currency}"
        for name, price in priced
        if price
    ]


def _notes(spec: SaleSpec) -> list[str]:
    priced = priced_parts(spec)
    if not priced:
        return []
    more = f" and {len(priced) - 3} more" if len(priced) > 3 else ""
    return [
        f"Nobody can pay yet: {', '.join(priced[:3])}{more} will be refused as payment_required."
    ]


def _sent(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def request_of_new(spec: SaleSpec) -> Mapping[str, Any]:
    """The body that makes a sale, without its units."""
    return {
        "template": spec.template,
        "slug": spec.slug,
        **{name: _sent(value) for name, value in spec.own.items()},
        "occasions": [{"name": name, "starts_at": _sent(at)} for name, at in spec.occasions],
        "price_classes": [{"name": name, "price": price} for name, price in spec.price_classes],
    }
