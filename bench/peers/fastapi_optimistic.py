"""Peer (b): the same as (a) with a version column and no lock before the write.

Rows are read plainly with their `row_version`; each write names the version it saw and touches
nothing if it moved on, whereupon the whole transaction rolls back and is tried again, a bounded
number of times with a growing, jittered pause. A request that never gets through is answered
503 `later`. Counters that do not exist yet are inserted first, outside any doubt about absence.
"""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bench.peers import statements as sql
from bench.peers.fastapi_app import create_app
from bench.peers.fastapi_sqlalchemy import (
    WORTH_ANOTHER_TRY,
    load_draws,
    load_sale_and_hold,
    view_of,
)
from bench.peers.rules import (
    Ask,
    Claim,
    Refusal,
    RefusedError,
    Row,
    claim_of,
    exceeds_limit,
    hold_view,
    is_any_taken,
    refuse_if_closed,
)

TRIES_MAX = 10  # more only heat the machine: on one hot row most tries are wasted already
PAUSE_S = 0.002  # doubles each time up to the cap, with full jitter
PAUSE_S_MAX = 0.1


class MovedOnError(Exception):
    """A row changed between reading and writing."""


async def place_hold(engine: AsyncEngine, ask: Ask) -> tuple[bool, dict[str, Any]]:
    for attempt in range(TRIES_MAX):
        try:
            async with engine.begin() as conn:
                return await place_in_transaction(conn, ask)
        except MovedOnError:
            pass
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in WORTH_ANOTHER_TRY:
                raise
        await asyncio.sleep(random.uniform(0, min(PAUSE_S_MAX, PAUSE_S * 2**attempt)))
    raise RefusedError(Refusal.LATER)


async def place_in_transaction(conn: AsyncConnection, ask: Ask) -> tuple[bool, dict[str, Any]]:
    seats = await load_seats(conn, ask)
    sale = await load_sale_and_hold(conn, ask)
    if sale is not None and sale.hold is not None:
        if sale.request_digest != ask.digest:
            raise RefusedError(Refusal.KEY_REUSED)
        return False, hold_view(ask, sale, sale.currency, sale.renewals_max)

    now = datetime.now(UTC)
    refuse_if_closed(sale, now)
    draws = await load_draws(conn, ask)
    claim = claim_of(ask, seats, draws)
    if sale.order_limit is not None and claim.units > sale.order_limit:
        raise RefusedError(Refusal.ORDER_LIMIT_REACHED)
    if is_any_taken(seats, now):
        raise RefusedError(Refusal.SEAT_TAKEN)
    uses = await load_uses(conn, ask, claim.uses(sale))
    stocks = await load_stocks(conn, ask, claim)
    seen = {
        "seats": {row.seat: row.row_version for row in seats},
        "uses": {row.occasion: row.row_version for row in uses},
        "stocks": {row.stock: row.row_version for row in stocks},
    }
    return True, await write_hold(conn, ask, claim, sale, seen)


async def load_seats(conn: AsyncConnection, ask: Ask) -> list[Row]:
    if not ask.seats:
        return []
    found = await conn.execute(
        sql.seats_with_version, {**sql.key_of(ask), "seat_numbers": list(ask.seats)}
    )
    return list(found)


async def load_uses(conn: AsyncConnection, ask: Ask, uses: dict[int, tuple[int, int]]) -> list[Row]:
    if not uses:
        return []
    where = {**sql.key_of(ask), "person_id": ask.person, "occasion_numbers": list(uses)}
    rows = list(await conn.execute(sql.uses_with_version, where))
    if len(rows) < len(uses):
        await conn.execute(sql.insert_uses, sql.use_rows(ask, uses))
        rows = list(await conn.execute(sql.uses_with_version, where))

    if exceeds_limit(uses, {row.occasion: row.units for row in rows}):
        past_due = {**sql.key_of(ask), "person_id": ask.person, "stock_numbers": []}
        if not await conn.scalar(sql.reclaim, past_due):
            raise RefusedError(Refusal.LIMIT_REACHED)
        rows = list(await conn.execute(sql.uses_with_version, where))
        if exceeds_limit(uses, {row.occasion: row.units for row in rows}):
            raise RefusedError(Refusal.LIMIT_REACHED)
    return rows


async def load_stocks(conn: AsyncConnection, ask: Ask, claim: Claim) -> list[Row]:
    if not claim.stocks:
        return []
    where = {**sql.key_of(ask), "stock_numbers": list(claim.stocks)}
    for is_last_try in (False, True):
        rows = list(await conn.execute(sql.stocks_with_version, where))
        if all(row.held + row.sold + claim.stocks[row.stock] <= row.capacity for row in rows):
            return rows
        if is_last_try or not await conn.scalar(sql.reclaim, {**where, "person_id": None}):
            break
    raise RefusedError(Refusal.SOLD_OUT)


async def write_hold(
    conn: AsyncConnection, ask: Ask, claim: Claim, sale: Row, seen: dict[str, dict[int, int]]
) -> dict[str, Any]:
    now = datetime.now(UTC)
    times = {"placed_at": now, "expires_at": now + timedelta(seconds=sale.hold_ttl_s)}
    uses = claim.uses(sale)
    key = sql.key_of(ask)
    row = sql.hold_row(ask, claim, uses, times)

    for seat in ask.seats:
        await write_unchanged(
            conn,
            sql.take_seat_unchanged,
            {
                **key,
                "seat_number": seat,
                "hold_id": ask.hold,
                "until": times["expires_at"],
                "seen": seen["seats"][seat],
            },
        )
    for occasion, (units, _) in uses.items():
        counted = {"person_id": ask.person, "occasion_number": occasion, "more": units}
        version = {"seen": seen["uses"][occasion]}
        await write_unchanged(conn, sql.count_use_unchanged, key | counted | version)
    for stock, units in claim.stocks.items():
        drawn = {"stock_number": stock, "more": units, "seen": seen["stocks"][stock]}
        await write_unchanged(conn, sql.draw_stock_unchanged, key | drawn)
    await conn.execute(sql.place_hold, row)
    await conn.execute(sql.record_event, sql.event_row(ask, claim))
    return view_of(ask, row, sale)


async def write_unchanged(conn: AsyncConnection, statement: Any, values: dict[str, Any]) -> None:
    written = await conn.execute(statement, values)
    if written.rowcount != 1:
        raise MovedOnError


app = create_app(place_hold)
