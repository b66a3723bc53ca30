"""Operators can stop a sale and a room, and let them go on, however busy everything else is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from sunseo.identity.operator_keys import OperatorKeys, new_operator_key
from sunseo.operators.keys import KeyFinder, create_key
from sunseo.postgres.migrate import head_revision
from sunseo.postgres.pool import COLD_POOL_SIZE
from sunseo.settings import Settings
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.wiring import ROOM_CONNECTIONS, URGENT_CONNECTIONS, Worker, WorkerPlan
from tests.asgi import Response, ask
from tests.store.market import ORGANISATION, Market

SECRET = "a secret of the tests, of 32 characters"


@pytest.fixture
async def worker(database_dsn: str, tmp_path: Path) -> AsyncIterator[Worker]:
    """All parts of a worker, whose loops do not run."""
    plan = WorkerPlan(Settings(), database_dsn, SECRET, tmp_path, None, head_revision())
    built = Worker(plan, Metrics(), Logs("error", LineWriter(-1)))
    yield built
    for engine in (built._engine, built._room_engine, built._urgent_engine):
        await engine.dispose()


async def test_stopping_goes_ahead_while_every_pool_is_busy(market: Market, worker: Worker) -> None:
    """Pausing, resuming and closing are done, and the key is verified, on connections apart."""
    app, key = worker.app(), await create_key(market.engine, ORGANISATION, "box office")

    async def operate(path: str, body: Any = None) -> Response:
        headers = {"authorization": f"Bearer {key}", "idempotency-key": path}
        sent = None
        if body is not None:
            headers["content-type"], sent = "application/json", msgspec.json.encode(body)
        return await ask(app, "POST", path, sent or b"", headers=headers)

    sale = (await market.sale(seats=1))[1]
    created = await operate("/v1/rooms", {"name": "Line", "sale": sale})
    assert created.status == 201, created.body
    room = created.json["room"]
    worker._rooms.board._is_read = True
    pools = {worker._engine: COLD_POOL_SIZE, worker._room_engine: ROOM_CONNECTIONS}
    async with AsyncExitStack() as busy:
        for engine, size in pools.items():
            for _ in range(size):
                await busy.enter_async_context(engine.connect())

        for path in (
            f"/v1/sales/{sale}/pause",
            f"/v1/rooms/{room}/pause",
            f"/v1/rooms/{room}/resume",
            f"/v1/rooms/{room}/close",
        ):
            assert (await operate(path)).status == 200, path
        assert await market.rows("SELECT paused FROM sales") == [(True,)]
        assert (await operate(f"/v1/sales/{sale}/resume")).json["paused"] is False


async def test_one_connection_is_kept_open_for_operators(worker: Worker) -> None:
    """It is there before anybody needs it, and is the same one from turn to turn."""
    for _ in range(3):
        await worker._keep_connected()

    assert worker._urgent_engine.pool.checkedin() == 1  # type: ignore[attr-defined]  # it is a queue of connections
    assert URGENT_CONNECTIONS > 1


async def test_guessing_keys_holds_nobody_up(market: Market) -> None:
    """Hundreds of keys asked for at once are one statement, and a good one among them works."""
    good = await create_key(market.engine, ORGANISATION, "good")
    finder = KeyFinder(market.engine, ORGANISATION)
    keys = OperatorKeys(finder.find)
    sent: list[str] = []
    event.listen(
        market.engine.sync_engine,
        "before_cursor_execute",
        lambda *arguments: sent.append(arguments[2]),
    )

    async def guess() -> str | None:
        return await keys.verify(new_operator_key().text)

    found = await asyncio.gather(*(guess() for _ in range(500)), keys.verify(good))
    found += await asyncio.gather(keys.verify(good), guess())

    assert len(sent) == 2
    assert all("find_keys" in statement for statement in sent)
    assert found[:500] == [None] * 500
    assert found[500:] == [good.split("_")[1]] * 2 + [None]


async def test_revoked_keys_are_not_found(market: Market) -> None:
    """Nor are those of another organisation."""
    key = await create_key(market.engine, ORGANISATION, "once good")
    await market.rows("UPDATE operator_keys SET revoked_at = clock_timestamp()")

    assert await KeyFinder(market.engine, ORGANISATION).find(key.split("_")[1]) is None
