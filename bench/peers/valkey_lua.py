"""Peer (d): one Lua script a request in Valkey, which then is the only truth there is.

What each setting of the append-only file loses when the machine (or Valkey) dies:

`appendfsync always`    Nothing acknowledged: Valkey writes and syncs the file once an event-loop
                        turn, before it answers the clients of that turn. (That is a batch, too.)
                        The file then grows with every hold, all data must fit in memory, and a
                        start replays the file.
`appendfsync everysec`  Up to about two seconds of acknowledged holds (one second of schedule, and
                        Valkey lets a slow sync go on for another before it blocks). People who saw
                        "yours" no longer own their seat, and it is sold again: nothing in the data
                        tells who. At 10,000 holds/s that is 10,000 to 20,000 people. A mere
                        `kill -9` of Valkey loses little, since the kernel has the writes already.

In both: a replica that takes over lacks what asynchronous replication had not sent, `always` or
not. No constraint checks what the script wrote; orders, money and reports need another database
and a second, non-atomic step to reach it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis

from bench.peers.identity import PeerSettings
from bench.peers.rules import Ask
from bench.peers.sunseo_app import HoldView, LazyApp, Place, ProductAsk

SCRIPT = Path(__file__).with_name("place_hold.lua")


@asynccontextmanager
async def opening(settings: PeerSettings) -> AsyncIterator[Place]:
    pool = BlockingConnectionPool(
        host="127.0.0.1",
        port=settings.valkey_port,
        max_connections=settings.pool,
        timeout=60,
        decode_responses=True,
    )
    client: Redis = Redis(connection_pool=pool)
    sha = await client.script_load(SCRIPT.read_text())

    async def place(ask: Ask) -> tuple[str, HoldView | None]:
        return await place_hold(client, sha, ask)

    try:
        yield place
    finally:
        await client.aclose()


def keys_of(sale: int, hold: object) -> list[str]:
    """Name the keys of one sale; the braces keep them in one slot of a cluster."""
    slot = f"{{{sale}}}"
    parts = ("sale", "seats", "stocks", "products", "uses", f"hold:{hold}", "open", "outbox")
    return [f"{slot}:{part}" for part in parts]


async def place_hold(client: Redis, sha: str, ask: Ask) -> tuple[str, HoldView | None]:
    answer: Any = await client.evalsha(
        sha,
        8,
        *keys_of(ask.sale, ask.hold),
        str(ask.hold),
        str(ask.person),
        str(ask.digest),
        " ".join(map(str, ask.seats)),
        " ".join(f"{product} {quantity}" for product, quantity in ask.quantities.items()),
    )
    if len(answer) == 1:
        return answer[0], None
    outcome, (state, units, amount, expires_ms, currency, renewals_left) = answer
    return outcome, HoldView(
        hold=ask.hold,
        state=state,
        seats=list(ask.seats),
        products=[ProductAsk(product, n) for product, n in ask.quantities.items()],
        units=int(units),
        amount=int(amount),
        currency=currency,
        expires_at=datetime.fromtimestamp(int(expires_ms) / 1000, UTC),
        renewals_left=int(renewals_left),
    )


app = LazyApp(opening)
