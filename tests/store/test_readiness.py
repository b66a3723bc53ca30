"""A worker is ready once it has read what it needs, and names what it could not read."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sunseo.postgres.migrate import head_revision
from sunseo.settings import Settings
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.wiring import Worker, WorkerPlan
from tests.asgi import ask
from tests.store.room_house import House

SPOILED = """UPDATE rooms SET settings = '{"time_zone": "Mars/Olympus"}' WHERE room = $1"""


@pytest.fixture
async def worker(database_dsn: str, tmp_path: Path) -> AsyncIterator[Worker]:
    """A worker that is built and not started, so that nothing is read but by the test."""
    settings = Settings(secret="a secret that only the tests know")
    plan = WorkerPlan(
        settings, database_dsn, settings.secret or "", tmp_path, None, head_revision()
    )
    built = Worker(plan, Metrics(), Logs("error"))
    try:
        yield built
    finally:
        await built._room_engine.dispose()
        await built._engine.dispose()


async def test_a_worker_is_not_ready_before_it_has_read_the_rooms(
    worker: Worker, database_dsn: str
) -> None:
    """Until then no sale takes holds, and traffic should go elsewhere; all parts are asked."""
    house = House(database_dsn)
    bad = await house.room()
    await house.rows(SPOILED, bad)
    await house.close()
    app = worker.app()

    early = await ask(app, "GET", "/readyz")
    assert (early.status, early.json["ready"]) == (503, False)
    assert early.json["checks"]["rooms"].startswith("rooms_not_read: ")

    await worker._rooms.board.run_once()
    ready = await ask(app, "GET", "/readyz")
    assert (ready.status, ready.json["ready"]) == (200, True)
    assert ready.json["checks"] == dict.fromkeys(
        ("database", "lanes", "room_lanes", "rooms", "disk"), "ok"
    )
    assert ready.json["set_aside"] == [f"room {bad}"]
    assert b'sunseo_set_aside{kind="room"} 1.0' in worker._metrics.render()
