"""Operators' changes to a sale: cold, rare, audited, and journalled like every other change.

Guarantee   A change locks the sale's row before anything else, so that it and the lanes' batches
            take turns; it raises the catalogue's version where lanes must read anew.
On failure  The transaction rolls back whole; sent again with its key it takes effect once.
"""

from collections.abc import Iterable
from enum import unique
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.booking.setup_bodies import NewSale, NewSeats, NewStocks
from sunseo.core.ids import Person, effect_id, request_digest
from sunseo.core.outcome import Kind, Outcome
from sunseo.journal.store import Entry, Event, append_cold
from sunseo.operators import audit
from sunseo.operators.effects import EffectAnswer, EffectOutcome, Refused, Work, once
from sunseo.postgres.clock import read_clock
from sunseo.postgres.queries import load_cold_queries

QUERIES = load_cold_queries("sunseo.booking")

OPERATOR_ISSUER = "sunseo:operator"


@unique
class SetupOutcome(Outcome):
    """What set-up can be answered besides `EffectOutcome`."""

    UNKNOWN_SALE = Kind.ABSENT, "There is no such sale."
    UNKNOWN_OCCASION = Kind.ABSENT, "The sale has no such occasion."
    UNKNOWN_PRICE_CLASS = Kind.ABSENT, "The sale has no such price class."
    UNKNOWN_STOCK = Kind.ABSENT, "The sale has no such stock."


SETUP_OUTCOMES: tuple[Outcome, ...] = (
    *EffectOutcome,
    *SetupOutcome,
)


class Setup:
    """What operators can do to sales; one organisation's, by one process.

    Args:
        urgent: of what cannot wait until others are done, which is to stop and to go on.
    """

    def __init__(
        self, engine: AsyncEngine, organisation: int, urgent: AsyncEngine | None = None
    ) -> None:
        self._engine = engine
        self._organisation = organisation
        self._urgent = urgent or engine

    async def create_sale(self, operator: str, key: str, body: NewSale) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            sale = await self._insert_sale(connection, body)
            event = {"type": "SaleCreated", "v": 1, "name": body.name}
            version = await self._record(connection, sale, operator, "create_sale", event)
            return {"sale": sale, "version": version}

        return await self._once((operator, key), 0, "create_sale", body, work)

    async def add_seats(self, operator: str, key: str, sale: int, body: NewSeats) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            numbers = await self._lock(connection, sale)
            seats = body.all_seats()
            _check("occasion", (s.occasion for s in seats), numbers.last_occasion)
            _check("price_class", (s.price_class for s in seats), numbers.last_price_class)
            await connection.execute(
                QUERIES["add_seats"],
                {
                    "organisation": self._organisation,
                    "sale": sale,
                    "last_seat": numbers.last_seat,
                    "occasions": [s.occasion for s in seats],
                    "price_classes": [s.price_class for s in seats],
                    "sections": [s.section for s in seats],
                    "rows": [s.row for s in seats],
                    "labels": [s.label for s in seats],
                    "xs": [s.x for s in seats],
                    "ys": [s.y for s in seats],
                },
            )
            first, last = numbers.last_seat + 1, numbers.last_seat + len(seats)
            event = {"type": "SeatsAdded", "v": 1, "first_seat": first, "last_seat": last}
            version = await self._record(connection, sale, operator, "add_seats", event)
            return {
                "sale": sale,
                "version": version,
                "seats_added": len(seats),
                "first_seat": first,
                "last_seat": last,
            }

        return await self._once((operator, key), sale, "add_seats", body, work)

    async def add_stocks(self, operator: str, key: str, sale: int, body: NewStocks) -> EffectAnswer:
        async def work(connection: AsyncConnection) -> dict[str, Any]:
            numbers = await self._lock(connection, sale)
            await self._insert_stocks(connection, sale, numbers, body)
            stocks = [numbers.last_stock + place for place, _ in enumerate(body.stocks, 1)]
            products = [numbers.last_product + place for place, _ in enumerate(body.products, 1)]
            event = {"type": "StocksAdded", "v": 1, "stocks": stocks, "products": products}
            version = await self._record(connection, sale, operator, "add_stocks", event)
            return {"sale": sale, "version": version, "stocks": stocks, "products": products}

        return await self._once((operator, key), sale, "add_stocks", body, work)

    async def set_paused(self, operator: str, key: str, sale: int, *, paused: bool) -> EffectAnswer:
        action = "pause_sale" if paused else "resume_sale"

        async def work(connection: AsyncConnection) -> dict[str, Any]:
            await self._lock(connection, sale)
            await connection.execute(
                QUERIES["set_paused"],
                {"organisation": self._organisation, "sale": sale, "paused": paused},
            )
            event = {"type": "SalePaused" if paused else "SaleResumed", "v": 1}
            version = await self._record(
                connection, sale, operator, action, event, catalogue_step=0
            )
            return {"sale": sale, "version": version, "paused": paused}

        return await self._once((operator, key), sale, action, None, work, engine=self._urgent)

    async def _once(
        self,
        by: tuple[str, str],
        sale: int,
        action: str,
        body: msgspec.Struct | None,
        work: Work,
        *,
        engine: AsyncEngine | None = None,
    ) -> EffectAnswer:
        operator, key = by
        person = Person.named(self._organisation, OPERATOR_ISSUER, operator)
        effect = effect_id(person, sale, action, key)
        digest = request_digest(body)
        return await once(engine or self._engine, self._organisation, effect, digest, work)

    async def _lock(self, connection: AsyncConnection, sale: int) -> "_Numbers":
        where = {"organisation": self._organisation, "sale": sale}
        if (await connection.execute(QUERIES["lock_sale"], where)).first() is None:
            raise Refused(SetupOutcome.UNKNOWN_SALE)
        row = (await connection.execute(QUERIES["read_numbers"], where)).one()
        return _Numbers(*row)

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
        await append_cold(connection, Entry(self._organisation, sale, version, [event]), now)
        await audit.append(
            connection,
            self._organisation,
            actor=operator,
            action=action,
            sale=sale,
            details=event,
            now=now,
        )
        return version

    async def _insert_sale(self, connection: AsyncConnection, body: NewSale) -> int:
        organisation = {"organisation": self._organisation}
        fields = msgspec.structs.asdict(body)
        occasions, classes = fields.pop("occasions"), fields.pop("price_classes")
        added = await connection.execute(QUERIES["add_sale"], organisation | fields)
        sale: int = added.scalar_one()
        where = organisation | {"sale": sale}
        await connection.execute(
            QUERIES["add_occasions"],
            where
            | {
                "names": [o.name for o in occasions],
                "starts": [o.starts_at for o in occasions],
            },
        )
        await connection.execute(
            QUERIES["add_price_classes"],
            where | {"names": [c.name for c in classes], "prices": [c.price for c in classes]},
        )
        return sale

    async def _insert_stocks(
        self, connection: AsyncConnection, sale: int, numbers: "_Numbers", body: NewStocks
    ) -> None:
        _check("occasion", (s.occasion for s in body.stocks), numbers.last_occasion)
        last_stock = numbers.last_stock + len(body.stocks)
        _check("stock", (d.stock for p in body.products for d in p.draws), last_stock)
        where = {"organisation": self._organisation, "sale": sale}
        await connection.execute(
            QUERIES["add_stocks"],
            where
            | {
                "last_stock": numbers.last_stock,
                "occasions": [s.occasion for s in body.stocks],
                "names": [s.name for s in body.stocks],
                "starts": [s.starts_at for s in body.stocks],
                "ends": [s.ends_at for s in body.stocks],
                "capacities": [s.capacity for s in body.stocks],
            },
        )
        await connection.execute(
            QUERIES["add_products"],
            where
            | {
                "last_product": numbers.last_product,
                "names": [p.name for p in body.products],
                "prices": [p.price for p in body.products],
            },
        )
        draws = [
            (numbers.last_product + place, draw.stock, draw.units)
            for place, product in enumerate(body.products, 1)
            for draw in product.draws
        ]
        await connection.execute(
            QUERIES["add_draws"],
            where
            | {
                "products": [product for product, _, _ in draws],
                "stocks": [stock for _, stock, _ in draws],
                "units": [units for _, _, units in draws],
            },
        )


class _Numbers(msgspec.Struct, frozen=True):
    last_seat: int
    last_stock: int
    last_product: int
    last_occasion: int
    last_price_class: int


_UNKNOWN = {
    "occasion": SetupOutcome.UNKNOWN_OCCASION,
    "price_class": SetupOutcome.UNKNOWN_PRICE_CLASS,
    "stock": SetupOutcome.UNKNOWN_STOCK,
}


def _check(what: str, numbers: Iterable[int], last: int) -> None:
    """Refuse references to parts that the sale does not have; parts are numbered from one."""
    unknown = max(numbers, default=0)
    if unknown > last:
        raise Refused(_UNKNOWN[what], f"The sale has no {what} {unknown}; its last one is {last}.")
