"""What a rehearsal ended with: figures, and whether they agree with the data."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.invariants.report import Report
from sunseo.postgres.queries import load_cold_queries
from sunseo.rehearsal.buyers import Basket
from sunseo.rehearsal.figures import Figures, Latency, Operation

QUERIES = load_cold_queries("sunseo.rehearsal")


class Stored(msgspec.Struct, frozen=True):
    """What the database says of the sale."""

    orders: dict[str, Basket]
    units_sold: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds, latencies in milliseconds as the clients saw them."""

    seed: int
    visitors: int
    workers: int
    capacity: int
    sold: int
    sold_out: bool
    nine_tenths_s: float | None
    sell_out_s: float | None
    buyers: int
    requests: int
    requests_per_s: float
    looks: int
    hold_requests: int
    holds_placed: int
    hold_requests_per_s_busiest: int  # answered in the busiest second
    seat_taken: int
    stock_sold_out: int
    limit_reached: int
    answers_lost: int
    replays: int
    told_to_come_later: int
    released: int
    hold_latency: Latency
    order_latency: Latency
    orders_told: int
    orders_stored: int
    orders_missing: int  # told to a buyer, but not in the database as told
    database_connections_max: int
    verify: Report

    @property
    def is_good(self) -> bool:
        return self.sold_out and self.verify.clean and not self.orders_missing


async def read_stored(engine: AsyncEngine, organisation: int, sale: int) -> Stored:
    where = {"organisation": organisation, "sale": sale}
    async with engine.connect() as connection:
        rows = await connection.execute(QUERIES["read_orders"], where)
        orders = {
            str(row.order_id): Basket(
                tuple(row.seats), tuple(zip(row.products, row.product_quantities, strict=True))
            )
            for row in rows
        }
        sold = (await connection.execute(QUERIES["count_sold"], where)).one()
    return Stored(orders, int(sold.seats + sold.stock))


async def count_connections(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(QUERIES["count_connections"]) or 0)


def missing_orders(told: dict[str, Basket], stored: dict[str, Basket]) -> list[str]:
    """Orders that buyers were told of and that are not in the database just so."""
    return [order for order, basket in told.items() if not _is_same(basket, stored.get(order))]


def _is_same(told: Basket, stored: Basket | None) -> bool:
    return (
        stored is not None
        and sorted(told.seats) == sorted(stored.seats)
        and sorted(told.products) == sorted(stored.products)
    )


def conclude(
    figures: Figures,
    stored: Stored,
    report: Report,
    *,
    seed: int,
    visitors: int,
    workers: int,
    capacity: int,
    seconds: float,
    connections_max: int,
) -> Result:
    told = {str(order): basket for order, basket in figures.orders.items()}
    hold = Operation.HOLD
    return Result(
        seed=seed,
        visitors=visitors,
        workers=workers,
        capacity=capacity,
        sold=stored.units_sold,
        sold_out=stored.units_sold == capacity,
        nine_tenths_s=figures.ordered_after_s(capacity * 9 // 10),
        sell_out_s=figures.ordered_after_s(capacity),
        buyers=figures.buyers,
        requests=figures.requests,
        requests_per_s=round(figures.requests / seconds, 1),
        looks=figures.count(Operation.LOOK),
        hold_requests=figures.count(hold),
        holds_placed=figures.count(hold, "done", "replayed"),
        hold_requests_per_s_busiest=max(figures.holds_by_second.values(), default=0),
        seat_taken=figures.count(hold, "seat_taken"),
        stock_sold_out=figures.count(hold, "sold_out"),
        limit_reached=figures.count(hold, "limit_reached", "order_limit_reached"),
        answers_lost=figures.lost_answers,
        replays=figures.replays,
        told_to_come_later=figures.told_later,
        released=figures.count(Operation.RELEASE),
        hold_latency=figures.latency(hold),
        order_latency=figures.latency(Operation.ORDER),
        orders_told=len(told),
        orders_stored=len(stored.orders),
        orders_missing=len(missing_orders(told, stored.orders)),
        database_connections_max=connections_max,
        verify=report,
    )
