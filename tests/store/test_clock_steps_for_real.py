"""PostgreSQL itself sees its clock go back an hour: while it runs, and while it was stopped.

Debian's `faketime` deceives that one process; without it these tests are skipped, and
`test_clock_steps.py` shows the same by what a step leaves behind.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from sunseo.core.clock import Instant
from sunseo.invariants.verify import verify
from sunseo.postgres.clock import read_clock
from sunseo.postgres.migrate import upgrade
from tests.own_postgres import OwnPostgres, own_postgres
from tests.store.whole_worker import WholeWorker, open_worker

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
HOUR_S = 3600

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="there is no faketime: make tools")


class DeceivedPostgres:
    """A server whose clock a test sets."""

    def __init__(self, own: OwnPostgres, file: Path) -> None:
        self.own = own
        self._file = file
        self.set_back(0)
        own.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set_back(self, seconds: int) -> None:
        draft = self._file.with_suffix(".new")
        draft.write_text(f"-{seconds}\n")
        draft.chmod(0o644)
        draft.replace(self._file)


@pytest.fixture
def deceived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeceivedPostgres]:
    folder = tmp_path_factory.mktemp("deceived")
    with own_postgres(folder) as own:
        server = DeceivedPostgres(own, folder / "time")
        own.start()
        upgrade(own.dsn())
        yield server


async def test_rooms_go_on_while_the_clock_goes_back_and_after_a_restart(
    deceived: DeceivedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State, calling and entering go on at once, the step is counted, and `verify` stays clean."""
    async with open_worker(deceived.own.dsn(), tmp_path, monkeypatch) as whole:
        rooms = whole.worker._rooms
        await rooms.controller.run_once()
        before = await now_of(whole)
        deceived.set_back(HOUR_S)
        assert HOUR_S - 60 < (before - await now_of(whole)).total_seconds() < HOUR_S + 60

        await goes_on(whole, before)
        assert b"sunseo_clock_stepped_back_total 0" not in (await whole.ask("metrics")).body

        # Another process led, and is gone with the power: nobody gives its lease back.
        async with whole.worker._engine.begin() as connection:
            await connection.execute(text("UPDATE room_leases SET leader = gen_random_uuid()"))
        deceived.own.stop()
        deceived.set_back(2 * HOUR_S)
        deceived.own.start()
        await goes_on(whole, before)


async def now_of(whole: WholeWorker) -> Instant:
    async with whole.worker._engine.connect() as connection:
        return await read_clock(connection)


async def goes_on(whole: WholeWorker, before: Instant) -> None:
    """Whoever joins now is called and let in, and everybody sees it."""
    rooms = whole.worker._rooms
    await whole.read_boards()
    issued = (await whole.ask("read_room_state")).json["issued"]
    whole.known["nonce"] = (await whole.ask("give_nonce")).json["nonce"]
    joined = await whole.ask("join_room")
    assert joined.status == 201, joined
    whole.known["place"] = joined.json["place"]
    for _ in range(2):
        await rooms.controller.run_once()
    assert rooms.controller.leads
    state = (await whole.ask("read_room_state")).json
    assert state["serving"] == state["issued"] == issued + 1
    assert state["now"] < before.timestamp() * 1000 - HOUR_S * 900
    entered = await whole.ask("enter_room")
    assert entered.status == 201, entered
    whole.known["pass"] = entered.json["pass"]
    assert (await whole.ask("renew_pass")).status == 200
    assert (await whole.ask("leave_room")).status == 200
    assert (await whole.ask("place_hold")).status in (200, 201, 409)
    report = await verify(whole.worker._engine, 1)
    assert report.violations == []
