"""Operators' changes to a sale: cold, rare, audited, and journalled like every other change.

Guarantee   A change locks the sale's row before anything else, so that it and the lanes' batches
            take turns; it raises the catalogue's version where lanes must read anew.
On failure  The transaction rolls back whole; sent again with its key it takes effect once.
"""

from collections.abc import Iterable
from enum import unique
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.booking.locked import SALES
from sunseo.booking.setup import changes, imports
from sunseo.booking.setup.change_bodies import SaleChange
from sunseo.booking.setup.changes import ChangeOutcome
from sunseo.booking.setup.imports import ImportOutcome
from sunseo.booking.setup.setup_bodies import NewSale, NewSeats, NewStocks
from sunseo.core.outcome import Kind, Outcome, RefusedError
from sunseo.journal.events import (
    Event,
    SaleChanged,
    SaleCreated,
    SalePaused,
    SaleResumed,
    SeatsAdded,
    StocksAdded,
)
from sunseo.journal.store import JournalEntry, append_cold
from sunseo.operators.command import By, EffectAnswer, EffectOutcome, OperatorCommands
from sunseo.postgres.clock import read_clock
from sunseo.postgres.queries import load_cold_queries

QUERIES = load_cold_queries("sunseo.booking")


@unique
class SetupOutcome(Outcome):
    """What set-up can be answered besides `EffectOutcome`."""

    UNKNOWN_SALE = Kind.ABSENT, "There is no such sale."
    OCCASION_REQUIRED = Kind.REFUSED, "Say which occasion: the sale has seats on more than one."
    UNKNOWN_OCCASION = Kind.ABSENT, "The sale has no such occasion."
    UNKNOWN_PRICE_CLASS = Kind.ABSENT, "The sale has no such price class."
    UNKNOWN_STOCK = Kind.ABSENT, "The sale has no such stock."
    UNKNOWN_PRODUCT = Kind.ABSENT, "The sale has no such product."
    SLUG_TAKEN = Kind.CONFLICT, "There is a sale of that slug already."


SETUP_OUTCOMES: tuple[Outcome, ...] = (
    *EffectOutcome,
    *SetupOutcome,
    *ImportOutcome,
    *ChangeOutcome,
)


class SaleSetup:
    """What operators can do to sales; one organisation's, by one process."""

    def __init__(self, commands: OperatorCommands) -> None:
        self._commands = commands
        self._organisation = commands.organisation

    async def create_sale(self, by: By, body: NewSale) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            sale = await self._insert_sale(connection, body)
            event = SaleCreated(name=body.name)
            version = await self._record(connection, sale, by.operator, "create_sale", event)
            return {"sale": sale, "version": version}

        return await self._commands.once(by.sent(body), "create_sale", work)

    async def add_seats(self, by: By, sale: int, body: NewSeats) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            numbers = await self._lock(connection, sale)
            seats = body.all_seats()
            _check("occasion", (s.occasion for s in seats), numbers.last_occasion)
            _check("price_class", (s.price_class for s in seats), numbers.last_price_class)
            last = numbers.last_seat
            numbered = await imports.add_seats(connection, self._of(sale), seats, last)
            added = len(numbered.added)
            answer = {
                "sale": sale,
                "version": numbers.version,
                "seats_added": added,
                "seats_existing": len(numbered.existing),
                "first_seat": last + 1 if added else None,
                "last_seat": last + added if added else None,
            }
            if not added:
                return answer
            event = SeatsAdded(first_seat=last + 1, last_seat=last + added)
            version = await self._record(connection, sale, by.operator, "add_seats", event)
            return answer | {"version": version}

        return await self._commands.once(by.sent(body), "add_seats", work, sale=sale)

    async def add_stocks(self, by: By, sale: int, body: NewStocks) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            numbers = await self._lock(connection, sale)
            where = self._of(sale)
            _check("occasion", (s.occasion for s in body.stocks), numbers.last_occasion)
            last = numbers.last_stock
            stocks = await imports.add_stocks(connection, where, body.stocks, last)
            last_stock = max(last, *stocks.numbers) if stocks.numbers else last
            _check("stock", (d.stock for p in body.products for d in p.draws), last_stock)
            last = numbers.last_product
            products = await imports.add_products(connection, where, body.products, last)
            answer = {
                "sale": sale,
                "version": numbers.version,
                "stocks": stocks.numbers,
                "products": products.numbers,
                "stocks_existing": stocks.existing,
                "products_existing": products.existing,
            }
            if not stocks.added and not products.added:
                return answer
            event = StocksAdded(stocks=tuple(stocks.added), products=tuple(products.added))
            version = await self._record(connection, sale, by.operator, "add_stocks", event)
            return answer | {"version": version}

        return await self._commands.once(by.sent(body), "add_stocks", work, sale=sale)

    async def change_sale(self, by: By, sale: int, body: SaleChange) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            numbers = await self._lock(connection, sale)
            _check("occasion", (o.occasion for o in body.occasions), numbers.last_occasion)
            _check(
                "price_class", (c.price_class for c in body.price_classes), numbers.last_price_class
            )
            _check("stock", (t.stock for t in body.stocks), numbers.last_stock)
            _check("product", (p.product for p in body.products), numbers.last_product)
            where = self._of(sale)
            stored = await changes.read_sale(connection, where)
            changed = changes.changes_of(stored, body)
            answer = {"sale": sale, "version": numbers.version, "changed": changed.fields}
            if not changed.fields:
                return answer
            if forbidden := changes.refusal_of(stored, changed):
                outcome, detail, fields = forbidden
                raise RefusedError(outcome, f"{detail} Nothing was changed.", {"fields": fields})
            imports.refuse_past(changed.new_times, stored.now)
            await changes.write(connection, where, changed)
            event = SaleChanged(changed=tuple(changed.fields))
            version = await self._record(connection, sale, by.operator, "change_sale", event)
            return answer | {"version": version}

        return await self._commands.once(by.sent(body), "change_sale", work, sale=sale)

    async def set_paused(self, by: By, sale: int, *, paused: bool) -> EffectAnswer:
        action = "pause_sale" if paused else "resume_sale"

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            await self._lock(connection, sale)
            await connection.execute(
                QUERIES["set_paused"],
                {"organisation": self._organisation, "sale": sale, "paused": paused},
            )
            event = SalePaused() if paused else SaleResumed()
            version = await self._record(
                connection, sale, by.operator, action, event, catalogue_step=0
            )
            return {"sale": sale, "version": version, "paused": paused}

        return await self._commands.once(by.sent(), action, work, sale=sale, urgent=True)

    async def _lock(self, connection: AsyncConnection, sale: int) -> "_Numbers":
        where = self._of(sale)
        locked = (await connection.execute(QUERIES["lock_sale"], where)).first()
        if locked is None:
            raise RefusedError(SetupOutcome.UNKNOWN_SALE)
        row = (await connection.execute(QUERIES["read_numbers"], where)).one()
        return _Numbers(locked.version, *row)

    async def _record(
        self,
        connection: AsyncConnection,
        sale: int,
        operator: str,
        action: str,
        event: Event,
        *,
        catalogue_step: int = 1,
    ) -> int:
        """Raise the sale's version, journal the change and put it into the audit log."""
        raised = await connection.execute(
            QUERIES["raise_versions"],
            {
                "organisation": self._organisation,
                "sale": sale,
                "catalogue_step": catalogue_step,
            },
        )
        version: int = raised.scalar_one()
        now = await read_clock(connection)
        await append_cold(
            connection, JournalEntry(SALES.name, self._organisation, sale, version, [event]), now
        )
        details = msgspec.to_builtins(event)
        await self._commands.record(connection, operator, action, sale, details, now=now)
        return version

    async def _insert_sale(self, connection: AsyncConnection, body: NewSale) -> int:
        organisation = {"organisation": self._organisation}
        fields = msgspec.structs.asdict(body)
        occasions, classes = fields.pop("occasions"), fields.pop("price_classes")
        starts = {f"occasions[{place}].starts_at": o.starts_at for place, o in enumerate(occasions)}
        imports.refuse_past(starts, await read_clock(connection))
        added = await connection.execute(QUERIES["add_sale"], organisation | fields)
        sale: int | None = added.scalar()
        if sale is None:
            named = organisation | {"slug": body.slug}
            taken = (await connection.execute(QUERIES["find_slug"], named)).scalar_one()
            detail = f"Sale {taken} has the slug {body.slug}. Nothing was created."
            raise RefusedError(SetupOutcome.SLUG_TAKEN, detail, {"sale": taken})
        where = organisation | {"sale": sale}
        await imports.add_occasions(connection, where, occasions, 0)
        await imports.add_price_classes(connection, where, classes, 0)
        return sale

    def _of(self, sale: int) -> dict[str, int]:
        return {"organisation": self._organisation, "sale": sale}


class _Numbers(msgspec.Struct, frozen=True):
    version: int
    last_seat: int
    last_stock: int
    last_product: int
    last_occasion: int
    last_price_class: int


_UNKNOWN = {
    "occasion": SetupOutcome.UNKNOWN_OCCASION,
    "price_class": SetupOutcome.UNKNOWN_PRICE_CLASS,
    "stock": SetupOutcome.UNKNOWN_STOCK,
    "product": SetupOutcome.UNKNOWN_PRODUCT,
}


def _check(what: str, numbers: Iterable[int], last: int) -> None:
    """Refuse references to parts that the sale does not have; parts are numbered from one."""
    unknown = max(numbers, default=0)
    if unknown > last:
        raise RefusedError(
            _UNKNOWN[what], f"The sale has no {what} {unknown}; its last one is {last}."
        )
