"""The list of sales, for whoever runs them."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.booking.setup.setup import QUERIES
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Reply

SALES_MAX = 1000  # that one answer lists


class SaleEntry(msgspec.Struct, frozen=True):
    sale: int
    version: int
    slug: str
    name: str
    opens_at: datetime
    closes_at: datetime | None
    is_on: bool  # it has opened, or somebody has held something of it
    is_open: bool
    paused: bool


class SaleList(msgspec.Struct, frozen=True):
    """The newest sales; `more` says that there are older ones."""

    sales: list[SaleEntry]
    more: bool


class SaleListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    slug: Annotated[str, Meta(min_length=1, max_length=64)] | None = None  # only the one called so


def sale_list_endpoint(engine: AsyncEngine, organisation: int) -> Endpoint:
    async def list_sales(call: Call) -> Answer:
        slug: str | None = call.query.slug
        where = {"organisation": organisation, "rows_max": SALES_MAX + 1, "slug": slug}
        async with engine.connect() as connection:
            rows = (await connection.execute(QUERIES["list_sales"], where)).all()
        sales = [SaleEntry(*row) for row in rows[:SALES_MAX]]
        return Reply(200, SaleList(sales, more=len(rows) > SALES_MAX))

    return Endpoint(
        name="list_sales",
        method="GET",
        path="/v1/sales",
        summary="List all sales with their times, the newest first",
        handler=list_sales,
        query=SaleListQuery,
        response=SaleList,
        auth=Auth.OPERATOR,
    )
