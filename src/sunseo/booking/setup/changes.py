"""What may be changed of a sale: anything until it is on, then what takes nothing away.

State       None. All of it runs in the transaction that has locked the sale's row, so that nobody
            holds anything between the look and the change.
Guarantee   Once a sale is on, texts and the end may change, limits and capacities only rise, and
            dates and price classes are only added. Capacity never falls below what is taken.
On failure  Nothing is changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import unique
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.booking.setup import imports
from sunseo.booking.setup.change_bodies import SaleChange
from sunseo.booking.setup.change_rules import OWN, PARTS, may_change, rule_of
from sunseo.booking.setup.setup_bodies import NewOccasion, NewPriceClass, NewSale
from sunseo.core.clock import Instant
from sunseo.core.fields import FieldError
from sunseo.core.outcome import Kind, Outcome
from sunseo.postgres.queries import load_cold_queries

_QUERIES = load_cold_queries("sunseo.booking")


@unique
class ChangeOutcome(Outcome):
    """What a change can be answered besides what all of set-up can."""

    SALE_IS_ON = Kind.REFUSED, "It would touch what people may have, and the sale is on."
    UNITS_TAKEN = Kind.REFUSED, "More than that is held or sold already."


class StoredSale(NamedTuple):
    """A sale under its lock; parts by their numbers."""

    own: Mapping[str, Any]
    parts: Mapping[str, Mapping[int, Mapping[str, Any]]]  # `stocks` and those of `PARTS`
    is_on: bool
    now: Instant


class ChangedValue(NamedTuple):
    """One value that differs."""

    path: str
    name: str
    before: Any
    after: Any
    taken: int = 0  # of a capacity


class SaleChanges(NamedTuple):
    """What differs, and how the sale is to be."""

    values: Sequence[ChangedValue]
    sale: NewSale
    body: SaleChange
    parts: Mapping[str, Mapping[int, Mapping[str, Any]]]

    @property
    def fields(self) -> list[str]:
        added = (
            f"{what}[{len(self.parts[what]) + place}]"
            for what, new in (
                ("occasions", self.body.new_occasions),
                ("price_classes", self.body.new_price_classes),
            )
            for place, _ in enumerate(new, 1)
        )
        return [*(change.path for change in self.values), *added]

    @property
    def new_times(self) -> dict[str, Instant | None]:
        """When what is new or moved begins, by its field."""
        times: dict[str, Instant | None] = {
            change.path: change.after for change in self.values if change.name == "starts_at"
        }
        new = self.body.new_occasions
        return times | {f"new_occasions[{n}].starts_at": o.starts_at for n, o in enumerate(new)}


async def read_sale(connection: AsyncConnection, where: dict[str, int]) -> StoredSale:
    """Read all that a change may be about; the sale's row is locked."""
    row = dict((await connection.execute(_QUERIES["read_sale"], where)).mappings().one())
    stocks = (await connection.execute(_QUERIES["read_availability_stocks"], where)).mappings()
    has_holds = (await connection.execute(_QUERIES["has_holds"], where)).scalar_one()
    for occasion in row["occasions"]:
        occasion["starts_at"] = datetime.fromisoformat(occasion["starts_at"])
    parts = {what: {part[one]: part for part in row[what]} for what, one in PARTS.items()}
    parts["stocks"] = {stock["stock"]: dict(stock) for stock in stocks}
    own = {name: row[name] for name in OWN}
    return StoredSale(own, parts, has_holds or row["opens_at"] <= row["now"], row["now"])


def changes_of(stored: StoredSale, body: SaleChange) -> SaleChanges:
    """Tell what a request would change of a sale.

    Raises:
        FieldError: one value contradicts another.
    """
    values = list(_values(stored, body))
    own, parts = dict(stored.own), stored.parts
    moved: dict[tuple[str, int], dict[str, Any]] = {}
    for change in values:
        what, _, rest = change.path.partition("[")
        if rest:
            moved.setdefault((what, int(rest.partition("]")[0])), {})[change.name] = change.after
        else:
            own[change.name] = change.after
    shown = {
        what: {n: {**part, **moved.get((what, n), {})} for n, part in parts[what].items()}
        for what in (*PARTS, "stocks")
    }
    occasions = [NewOccasion(o["name"], o["starts_at"]) for o in shown["occasions"].values()]
    classes = [NewPriceClass(c["name"], c["price"]) for c in shown["price_classes"].values()]
    try:
        sale = NewSale(
            **own,
            occasions=(*occasions, *body.new_occasions),
            price_classes=(*classes, *body.new_price_classes),
        )
    except ValueError as error:
        field, _, rule = str(error).partition(" ")
        raise FieldError(
            f"`{field}` {rule}.", field=field, expected=rule.removeprefix("must be ")
        ) from None
    return SaleChanges(values, sale, body, shown)


def refusal_of(
    stored: StoredSale, changed: SaleChanges
) -> tuple[ChangeOutcome, str, list[str]] | None:
    """Why a change is not possible, and for which fields; none where it is."""
    below = [c for c in changed.values if c.name == "capacity" and c.after < c.taken]
    if below:
        first = below[0]
        detail = f"`{first.path}` cannot be {first.after}: {first.taken} are held or sold."
        return ChangeOutcome.UNITS_TAKEN, detail, [c.path for c in below]
    if not stored.is_on:
        return None
    forbidden = [c for c in changed.values if not may_change(c.name, c.before, c.after)]
    if not forbidden:
        return None
    first = forbidden[0]
    detail = f"`{first.path}` {rule_of(first.name)} while the sale is on."
    return ChangeOutcome.SALE_IS_ON, detail, [c.path for c in forbidden]


async def write(connection: AsyncConnection, where: dict[str, int], changed: SaleChanges) -> None:
    """Write what differs; the sale's row is locked."""
    own = {name: getattr(changed.sale, name) for name in OWN}
    await connection.execute(_QUERIES["change_sale"], where | own)
    await connection.execute(_QUERIES["raise_person_limits"], where)
    columns = {
        "occasions": {"names": "name", "starts": "starts_at"},
        "price_classes": {"names": "name", "prices": "price"},
        "products": {"prices": "price"},
        "stocks": {"capacities": "capacity"},
    }
    touched = {change.path.partition("]")[0] for change in changed.values}
    for what, taken in columns.items():
        rows = {n: part for n, part in changed.parts[what].items() if f"{what}[{n}" in touched}
        if rows:
            arguments = {name: [part[c] for part in rows.values()] for name, c in taken.items()}
            await connection.execute(
                _QUERIES[f"change_{what}"], where | arguments | {"numbers": list(rows)}
            )
    last_occasion, last_class = (len(changed.parts[w]) for w in ("occasions", "price_classes"))
    await imports.add_occasions(connection, where, changed.body.new_occasions, last_occasion)
    await imports.add_price_classes(connection, where, changed.body.new_price_classes, last_class)


def _values(stored: StoredSale, body: SaleChange) -> Iterator[ChangedValue]:
    for name in OWN:
        after = getattr(body, name)
        if after is not UNSET and after != stored.own[name]:
            yield ChangedValue(name, name, stored.own[name], after)
    parts = chain(
        (("occasions", o.occasion, o) for o in body.occasions),
        (("price_classes", c.price_class, c) for c in body.price_classes),
        (("stocks", t.stock, t) for t in body.stocks),
        (("products", p.product, p) for p in body.products),
    )
    for what, number, part in parts:
        before = stored.parts[what][number]
        for name, after in msgspec.structs.asdict(part).items():
            if after is not UNSET and after != before[name]:
                taken = before.get("held", 0) + before.get("sold", 0)
                yield ChangedValue(f"{what}[{number}].{name}", name, before[name], after, taken)
