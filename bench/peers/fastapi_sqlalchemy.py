"""Peer (a), what people write today: one transaction a request, rows locked by FOR UPDATE.

FastAPI, Pydantic v2 and SQLAlchemy 2 (asyncpg). Core statements, not the ORM's unit of work, which
would only add Python to every request. Counters are inserted first, then locked; locks are taken
in the order seat, person, stock; a deadlock or a doubly placed hold is tried again.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bench.peers import statements as sql
from bench.peers.fastapi_app import create_app
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

TRIES_MAX = 4
WORTH_ANOTHER_TRY = {
    "40P01",  # deadlock
    "23505",  # the same key arrived twice at once: the second try finds the hold
}


async def place_hold(engine: AsyncEngine, ask: Ask) -> tuple[bool, dict[str, Any]]:
    for _ in range(TRIES_MAX):
        try:
            async with engine.begin() as conn:
                return await place_in_transaction(conn, ask)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in WORTH_ANOTHER_TRY:
                raise
    raise RefusedError(Refusal.LATER)


async def place_in_transaction(conn: AsyncConnection, ask: Ask) -> tuple[bool, dict[str, Any]]:
    seats = await lock_seats(conn, ask)
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
    await lock_uses(conn, ask, claim.uses(sale))
    await lock_stocks(conn, ask, claim)

    # From here the hold must succeed.
    return True, await write_hold(conn, ask, claim, sale)


async def lock_seats(conn: AsyncConnection, ask: Ask) -> list[Row]:
    if not ask.seats:
        return []
    found = await conn.execute(
        sql.seats_for_update, {**sql.key_of(ask), "seat_numbers": list(ask.seats)}
    )
    return list(found)


async def load_sale_and_hold(conn: AsyncConnection, ask: Ask) -> Row:
    found = await conn.execute(sql.sale_and_hold, {**sql.key_of(ask), "hold_id": ask.hold})
    return found.one_or_none()


async def load_draws(conn: AsyncConnection, ask: Ask) -> list[Row]:
    if not ask.quantities:
        return []
    found = await conn.execute(
        sql.draws, {**sql.key_of(ask), "product_numbers": list(ask.quantities)}
    )
    return list(found)


async def lock_uses(conn: AsyncConnection, ask: Ask, uses: dict[int, tuple[int, int]]) -> None:
    """Hold the person's counters still, and refuse what goes over a limit."""
    if not uses:
        return
    await conn.execute(sql.insert_uses, sql.use_rows(ask, uses))
    where = {**sql.key_of(ask), "person_id": ask.person, "occasion_numbers": list(uses)}
    past_due = {**sql.key_of(ask), "person_id": ask.person, "stock_numbers": []}
    for is_last_try in (False, True):
        found = await conn.execute(sql.uses_for_update, where)
        if not exceeds_limit(uses, {row.occasion: row.units for row in found}):
            return
        if is_last_try or not await conn.scalar(sql.reclaim, past_due):
            raise RefusedError(Refusal.LIMIT_REACHED)


async def lock_stocks(conn: AsyncConnection, ask: Ask, claim: Claim) -> None:
    if not claim.stocks:
        return
    where = {**sql.key_of(ask), "stock_numbers": list(claim.stocks)}
    for is_last_try in (False, True):
        found = await conn.execute(sql.stocks_for_update, where)
        if all(row.held + row.sold + claim.stocks[row.stock] <= row.capacity for row in found):
            return
        if is_last_try or not await conn.scalar(sql.reclaim, {**where, "person_id": None}):
            raise RefusedError(Refusal.SOLD_OUT)


async def write_hold(conn: AsyncConnection, ask: Ask, claim: Claim, sale: Row) -> dict[str, Any]:
    now = datetime.now(UTC)
    times = {"placed_at": now, "expires_at": now + timedelta(seconds=sale.hold_ttl_s)}
    uses = claim.uses(sale)
    key = sql.key_of(ask)
    row = sql.hold_row(ask, claim, uses, times)

    await conn.execute(sql.place_hold, row)
    if ask.seats:
        await conn.execute(
            sql.take_seats,
            {
                **key,
                "seat_numbers": list(ask.seats),
                "hold_id": ask.hold,
                "until": times["expires_at"],
            },
        )
    if uses:
        await conn.execute(
            sql.count_use,
            sql.one_or_many(
                {**key, "person_id": ask.person, "occasion_number": occasion, "more": units}
                for occasion, (units, _) in uses.items()
            ),
        )
    if claim.stocks:
        await conn.execute(
            sql.draw_stock,
            sql.one_or_many(
                {**key, "stock_number": stock, "more": units}
                for stock, units in claim.stocks.items()
            ),
        )
    await conn.execute(sql.record_event, sql.event_row(ask, claim))
    return view_of(ask, row, sale)


def view_of(ask: Ask, row: dict[str, Any], sale: Row) -> dict[str, Any]:
    """Show a hold just placed, straight from what was written."""
    return {
        "hold": str(ask.hold),
        "state": row["state"],
        "seats": row["seats"],
        "products": [
            {"product": product, "quantity": quantity}
            for product, quantity in ask.quantities.items()
        ],
        "units": row["units"],
        "amount": row["amount"],
        "currency": sale.currency,
        "expires_at": row["expires_at"],
        "renewals_left": sale.renewals_max,
    }


app = create_app(place_hold)
