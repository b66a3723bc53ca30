"""Peer (c), our own web stack with one raw asyncpg statement a request: batching alone differs.

The statement calls one plpgsql function (`raw_place_hold.sql`) that does everything in one round
trip and commits by itself. Nobody who writes holds one by one gets much faster than this.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from bench.peers.identity import PeerSettings
from bench.peers.rules import Ask
from bench.peers.sunseo_app import HoldView, LazyApp, Place, ProductAsk

PLACE_HOLD = "SELECT * FROM place_hold($1, $2, $3, $4, $5, $6, $7, $8)"
TRIES_MAX = 4


@asynccontextmanager
async def opening(settings: PeerSettings) -> AsyncIterator[Place]:
    async with asyncpg.create_pool(
        settings.database_url,
        min_size=settings.pool,
        max_size=settings.pool,
        max_inactive_connection_lifetime=0,
        reset=keep_as_it_is,
    ) as pool:

        async def place(ask: Ask) -> tuple[str, HoldView | None]:
            return await place_hold(pool, ask)

        yield place


async def keep_as_it_is(_conn: object) -> None:
    """Skip the pool's reset on release, a round trip of its own: no statement leaves a trace."""


async def place_hold(pool: "asyncpg.Pool[asyncpg.Record]", ask: Ask) -> tuple[str, HoldView | None]:
    for _ in range(TRIES_MAX):
        try:
            row = await pool.fetchrow(
                PLACE_HOLD,
                ask.organisation,
                ask.sale,
                ask.hold,
                ask.person,
                ask.digest,
                ask.seats,
                list(ask.quantities),
                list(ask.quantities.values()),
            )
        except (asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError):
            continue  # the same key twice at once: the second try finds the hold
        if row is None:
            break
        return row["outcome"], view_of(ask, row)
    return "later", None


def view_of(ask: Ask, row: asyncpg.Record) -> HoldView | None:
    if row["state"] is None:
        return None
    return HoldView(
        hold=ask.hold,
        state=row["state"],
        seats=row["seats"],
        products=[
            ProductAsk(product, quantity)
            for product, quantity in zip(row["products"], row["product_quantities"], strict=True)
        ],
        units=row["units"],
        amount=row["amount"],
        currency=row["currency"],
        expires_at=row["expires_at"],
        renewals_left=row["renewals_left"],
    )


app = LazyApp(opening)
