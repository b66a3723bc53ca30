"""Lock the part of the inventory that a batch may touch, in order, and read it into a hall.

Discover by plain reads, lock, re-read. What a hold claims never changes, so what was discovered
of it stays true; what is not locked after all makes its command ask again with the next batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from sunseo.booking.catalogue import Catalogue, CatalogueShelf, Persons, Product
from sunseo.booking.commands import InventoryCommand, PlaceHold, SaleKey
from sunseo.booking.hall import (
    WHOLE_SALE,
    Hall,
    Hold,
    HoldState,
    SaleState,
    Seat,
    Stock,
    Terms,
    Use,
)
from sunseo.core.clock import Instant
from sunseo.postgres.arrays import array_of
from sunseo.postgres.connection import Row, Transaction
from sunseo.postgres.locks import Lockable
from sunseo.postgres.queries import load_queries

QUERIES = load_queries("sunseo.booking")

RECLAIM_MAX = 100  # past-due holds to reclaim for one stock or person in one turn, oldest first

K = TypeVar("K", int, UUID)


class HallLoader:
    """Serves one lane; keeps nothing between batches but the catalogues."""

    def __init__(self) -> None:
        self._shelf = CatalogueShelf()

    async def load(
        self, tx: Transaction, commands: Sequence[InventoryCommand]
    ) -> tuple[Hall, Instant]:
        """Lock all that the commands may touch, then read the time to decide at.

        A sale that does not exist is not in the hall.
        """
        hall = await self._open_hall(tx, {command.sale for command in commands})
        placing = [c for c in commands if isinstance(c, PlaceHold) and c.sale in hall.sales]
        named = await _find_holds(tx, [(c.sale, h) for c in commands for h in c.named_holds])

        await _lock_seats(tx, hall, placing, named)
        await _lock_holds(tx, hall, named)
        await _lock_person_uses(tx, hall, placing, named)
        await _lock_stocks(tx, hall, placing, named)
        await self._lock_sales(tx, hall)
        return hall, await _read_clock_and_holds(tx, hall, placing)

    async def _open_hall(self, tx: Transaction, keys: Iterable[SaleKey]) -> Hall:
        if missing := self._shelf.missing(keys):
            for key, catalogue in (await _read_catalogues(tx, missing)).items():
                self._shelf.put(key, catalogue)
        found = ((key, self._shelf.get(key)) for key in keys)
        return Hall({key: SaleState(key, shelved) for key, shelved in found if shelved})

    async def _lock_sales(self, tx: Transaction, hall: Hall) -> None:
        rows = await tx.lock(Lockable.SALE, QUERIES["lock_sales"], *_sale_columns(hall.sales))
        for row in rows:
            sale = hall.sales[row["organisation"], row["sale"]]
            if row["catalogue_version"] != sale.catalogue.version:
                sale.is_stale = True
                self._shelf.forget(sale.key)
            sale.terms = Terms(
                opens_at=row["opens_at"],
                closes_at=row["closes_at"],
                paused=row["paused"],
                hold_ttl_s=row["hold_ttl_s"],
                renewals_max=row["renewals_max"],
                order_limit=row["order_limit"],
                version=row["version"],
            )


async def find_past_due_by_stock(
    tx: Transaction, stocks: Iterable[tuple[SaleKey, int]], now: Instant
) -> Mapping[tuple[SaleKey, int], tuple[UUID, ...]]:
    """Find past-due holds that still count in a stock, oldest first."""
    return await _find_past_due(tx, "stock", list(stocks), now)


async def find_past_due_by_person(
    tx: Transaction, persons: Iterable[tuple[SaleKey, UUID]], now: Instant
) -> Mapping[tuple[SaleKey, UUID], tuple[UUID, ...]]:
    """Find past-due holds that still count for a person, oldest first."""
    return await _find_past_due(tx, "person", list(persons), now)


async def _find_past_due(
    tx: Transaction, by: str, asked: list[tuple[SaleKey, K]], now: Instant
) -> Mapping[tuple[SaleKey, K], tuple[UUID, ...]]:
    if not asked:
        return {}
    rows = await tx.fetch(
        QUERIES[f"find_past_due_by_{by}"],
        *_sale_columns(key for key, _ in asked),
        array_of(name for _, name in asked),
        now,
        RECLAIM_MAX,
    )
    found: dict[tuple[SaleKey, K], tuple[UUID, ...]] = {}
    for row in rows:
        place: tuple[SaleKey, K] = (row["organisation"], row["sale"]), row[by]
        found[place] = (*found.get(place, ()), row["hold"])
    return found


async def _find_holds(tx: Transaction, asked: list[tuple[SaleKey, UUID]]) -> list[Hold]:
    if not asked:
        return []
    rows = await tx.fetch(
        QUERIES["find_holds"],
        *_sale_columns(key for key, _ in asked),
        array_of(hold for _, hold in asked),
    )
    return [hold_of(row) for row in rows]


async def _read_clock_and_holds(
    tx: Transaction, hall: Hall, placing: Sequence[PlaceHold]
) -> Instant:
    """Read the time, and only now what earlier tries of the same commands have left behind."""
    rows = await tx.fetch_with_clock(
        QUERIES["read_clock_and_holds"],
        *_sale_columns(command.sale for command in placing),
        array_of(command.effect for command in placing),
    )
    for row in rows:
        if row["hold"] is not None:
            hold = hold_of(row)
            hall.sales[hold.sale].holds.setdefault(hold.hold, hold)
    now: Instant = rows[0]["decided_at"]
    return now


async def _lock_seats(
    tx: Transaction, hall: Hall, placing: Sequence[PlaceHold], named: Sequence[Hold]
) -> None:
    asked = {(c.sale, seat) for c in placing for seat in c.seats}
    asked.update((hold.sale, seat) for hold in named for seat in hold.seats)
    if not asked:
        return
    rows = await tx.lock(
        Lockable.SEAT,
        QUERIES["lock_seats"],
        *_sale_columns(key for key, _ in asked),
        array_of(seat for _, seat in asked),
    )
    for row in rows:
        hall.sales[row["organisation"], row["sale"]].seats[row["seat"]] = Seat(
            row["occasion"], row["price_class"], row["hold"], row["expires_at"]
        )


async def _lock_holds(tx: Transaction, hall: Hall, named: Sequence[Hold]) -> None:
    if not named:
        return
    rows = await tx.lock(
        Lockable.HOLD,
        QUERIES["lock_holds"],
        *_sale_columns(hold.sale for hold in named),
        array_of(hold.hold for hold in named),
    )
    for row in rows:
        hold = hold_of(row)
        hall.sales[hold.sale].holds[hold.hold] = hold


async def _lock_person_uses(
    tx: Transaction, hall: Hall, placing: Sequence[PlaceHold], named: Sequence[Hold]
) -> None:
    ending = {hold.hold for hold in named}
    limits: dict[tuple[SaleKey, UUID, int], int] = {}
    for command in placing:
        sale = hall.sales[command.sale]
        if _is_contested(command, sale, ending):
            continue  # it will be refused, and refusals shall not write counters
        if sale.catalogue.turns_away(is_guest=command.is_guest):
            continue  # the same, for as many guests as somebody likes to be
        for occasion, units_max in _limits_of(command, sale):
            limits[command.sale, command.person, occasion] = units_max
    for hold in named:
        for occasion, _ in hold.uses:
            # There since the hold was placed, so that the limit written here is never inserted.
            limits.setdefault((hold.sale, hold.person, occasion), 0)
    if not limits:
        return
    rows = await tx.lock(
        Lockable.PERSON,
        QUERIES["take_person_uses"],
        *_sale_columns(key for key, _, _ in limits),
        array_of(person for _, person, _ in limits),
        array_of(occasion for _, _, occasion in limits),
        array_of(limits.values()),
    )
    for row in rows:
        sale = hall.sales[row["organisation"], row["sale"]]
        sale.uses[row["person"], row["occasion"]] = Use(row["units"], row["units_max"])


def _is_contested(command: PlaceHold, sale: SaleState, ending: set[UUID]) -> bool:
    """Whether a seat has another owner whose hold this batch is not asked to end."""
    for number in command.seats:
        seat = sale.seats.get(number)
        if seat is None or (seat.hold is not None and seat.hold not in ending):
            return True
    return False


def _limits_of(command: PlaceHold, sale: SaleState) -> Iterable[tuple[int, int]]:
    """The occasions under which a claim will be counted, each with the limit there."""
    catalogue = sale.catalogue
    if catalogue.person_limit is not None:
        yield WHOLE_SALE, catalogue.person_limit
    if catalogue.occasion_limit is not None:
        occasions = {sale.seats[seat].occasion for seat in command.seats}
        for product, _ in command.products:
            if offered := catalogue.products.get(product):
                occasions.update(offered.occasions)
        for occasion in occasions:
            yield occasion, catalogue.occasion_limit


async def _lock_stocks(
    tx: Transaction, hall: Hall, placing: Sequence[PlaceHold], named: Sequence[Hold]
) -> None:
    asked = {(hold.sale, stock) for hold in named for stock, _ in hold.draws}
    for command in placing:
        products = hall.sales[command.sale].catalogue.products
        for product, _ in command.products:
            if offered := products.get(product):
                asked.update((command.sale, stock) for stock, _ in offered.draws)
    if not asked:
        return
    rows = await tx.lock(
        Lockable.STOCK,
        QUERIES["lock_stocks"],
        *_sale_columns(key for key, _ in asked),
        array_of(stock for _, stock in asked),
    )
    for row in rows:
        hall.sales[row["organisation"], row["sale"]].stocks[row["stock"]] = Stock(
            row["capacity"], row["held"], row["sold"]
        )


async def _read_catalogues(tx: Transaction, keys: list[SaleKey]) -> dict[SaleKey, Catalogue]:
    columns = _sale_columns(keys)
    prices: dict[SaleKey, dict[int, int]] = {key: {} for key in keys}
    products: dict[SaleKey, dict[int, Product]] = {key: {} for key in keys}
    starts: dict[SaleKey, dict[int, Instant]] = {key: {} for key in keys}
    sales = await tx.fetch(QUERIES["read_catalogue_sales"], *columns)
    for row in await tx.fetch(QUERIES["read_catalogue_occasions"], *columns):
        starts[row["organisation"], row["sale"]][row["occasion"]] = row["starts_at"]
    for row in await tx.fetch(QUERIES["read_catalogue_prices"], *columns):
        prices[row["organisation"], row["sale"]][row["price_class"]] = row["price"]
    for row in await tx.fetch(QUERIES["read_catalogue_products"], *columns):
        key = row["organisation"], row["sale"]
        known = products[key].get(row["product"], Product(row["price"], (), ()))
        # An appointment begins when it does; other stock when its occasion does.
        begins = row["starts_at"] or starts[key].get(row["occasion"])
        products[key][row["product"]] = Product(
            row["price"],
            (*known.draws, (row["stock"], row["units"])),
            tuple(sorted({*known.occasions, row["occasion"]})),
            min(filter(None, (known.starts_at, begins)), default=None),
        )
    catalogues: dict[SaleKey, Catalogue] = {}
    for row in sales:
        key = row["organisation"], row["sale"]
        catalogues[key] = Catalogue(
            version=row["catalogue_version"],
            currency=row["currency"],
            occasion_limit=row["occasion_limit"],
            person_limit=row["person_limit"],
            prices=prices[key],
            products=products[key],
            starts=starts[key],
            persons=Persons(row["persons"]) if row["persons"] else None,
        )
    return catalogues


def hold_of(row: Row) -> Hold:
    return Hold(
        sale=(row["organisation"], row["sale"]),
        hold=row["hold"],
        person=row["person"],
        state=HoldState(row["state"]),
        seats=tuple(row["seats"]),
        products=tuple(zip(row["products"], row["product_quantities"], strict=True)),
        draws=tuple(zip(row["stocks"], row["stock_units"], strict=True)),
        uses=tuple(zip(row["use_occasions"], row["use_units"], strict=True)),
        units=row["units"],
        amount=row["amount"],
        request_digest=row["request_digest"],
        renewals=tuple(row["renewals"]),
        placed_at=row["placed_at"],
        expires_at=row["expires_at"],
        ended_at=row["ended_at"],
    )


def _sale_columns(keys: Iterable[SaleKey]) -> tuple[str, str]:
    pairs = list(keys)
    return array_of(organisation for organisation, _ in pairs), array_of(sale for _, sale in pairs)
