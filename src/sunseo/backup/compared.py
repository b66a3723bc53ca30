"""What a later state of the database has and a backup lacks, as far as such a state is at hand."""

import re
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.backup.facts import QUERIES, read_facts
from sunseo.backup.manifest import Facts, KeyFacts
from sunseo.postgres.address.existing import existing_database
from sunseo.postgres.pool import create_cold_engine
from sunseo.settings import Settings

CLOCK_LEEWAY = timedelta(hours=1)
"""Orders are looked for from so long before the backup: transactions end after they begin."""


class RevokedPass(msgspec.Struct, frozen=True):
    """A pass that was taken away."""

    organisation: int
    room: int
    epoch: int
    number: int
    pass_id: str


class LostOrder(msgspec.Struct, frozen=True):
    """An order that was confirmed after the backup."""

    organisation: int
    sale: int
    order_id: str
    confirmed_at: datetime


class LaterState(msgspec.Struct, frozen=True):
    """A later state."""

    facts: Facts
    revoked_passes: list[RevokedPass]
    orders: list[LostOrder]


class Gap(msgspec.Struct, frozen=True):
    """What lies between a backup and a later state."""

    keys_alive_again: list[KeyFacts]
    keys_gone: list[KeyFacts]
    passes_alive_again: list[RevokedPass]
    orders_lost: list[LostOrder]
    journal_entries_lost: dict[str, int]  # by "organisation/sale"


async def read_later(place: str, settings: Settings, since: datetime) -> LaterState:
    """Read the state in an old data folder, or behind a URL.

    Raises:
        NoDatabaseError: the folder holds none.
    """
    is_url = "://" in place or re.match(r"[a-z_]+ *=", place) is not None
    asked = msgspec.structs.replace(
        settings,
        database_url=place if is_url else None,
        data=settings.data if is_url else Path(place),
        secret=settings.secret or "unused" * 8,
    )
    with ExitStack() as stack:
        engine = create_cold_engine(existing_database(asked, stack), size=1)
        try:
            async with engine.connect() as connection:
                return await _read(connection, since)
        finally:
            await engine.dispose()


async def _read(connection: AsyncConnection, since: datetime) -> LaterState:
    passes = (await connection.execute(QUERIES["read_revoked_passes"])).all()
    orders = await connection.execute(QUERIES["read_orders_since"], {"since": since - CLOCK_LEEWAY})
    return LaterState(
        await read_facts(connection),
        [RevokedPass(q.organisation, q.room, q.epoch, q.number, str(q.pass_id)) for q in passes],
        [LostOrder(o.organisation, o.sale, str(o.order_id), o.confirmed_at) for o in orders.all()],
    )


async def gap_between(connection: AsyncConnection, facts: Facts, later: LaterState) -> Gap:
    """Hold a restored database, which tells `facts`, against a later state."""
    there = {(key.organisation, key.key_id): key for key in facts.keys}
    kept = (await connection.execute(QUERIES["read_revoked_passes"])).all()
    revoked = {(q.organisation, q.room, q.epoch, q.number) for q in kept}
    asked = {"orders": [order.order_id for order in later.orders]}
    found = {
        str(row.order_id) for row in (await connection.execute(QUERIES["find_orders"], asked)).all()
    }
    versions = {(sale.organisation, sale.sale): sale.version for sale in facts.sales}
    lost = {
        f"{sale.organisation}/{sale.sale}": sale.version
        - versions.get((sale.organisation, sale.sale), 0)
        for sale in later.facts.sales
    }
    return Gap(
        keys_alive_again=[
            key
            for key in later.facts.keys
            if key.revoked_at is not None
            and (before := there.get((key.organisation, key.key_id))) is not None
            and before.revoked_at is None
        ],
        keys_gone=[key for key in later.facts.keys if (key.organisation, key.key_id) not in there],
        passes_alive_again=[
            one
            for one in later.revoked_passes
            if (one.organisation, one.room, one.epoch, one.number) not in revoked
        ],
        orders_lost=[order for order in later.orders if order.order_id not in found],
        journal_entries_lost={name: entries for name, entries in lost.items() if entries > 0},
    )
