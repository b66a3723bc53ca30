"""The log sink: every event at least once, in order, whatever breaks in between."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sunseo.journal.log_sink import CONSUMER, LogSink
from sunseo.postgres.lease import Lease
from tests.store.market import (
    KIM,
    LEE,
    ORGANISATION,
    PATIENCE_S,
    Market,
    person,
    place,
    release,
)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def test_every_event_is_written_in_order_and_once(market: Market, tmp_path: Path) -> None:
    """Turn by turn the file grows by what is new, in the order of each sale's versions."""
    path = tmp_path / "events.jsonl"
    sink = LogSink(market.engine, ORGANISATION, path)
    sales = [await market.sale(seats=2) for _ in range(2)]
    await sink.run_once()
    for sale in sales:
        hold = await market.held(place(sale, KIM, "a", 1))
        await market.ask(release(sale, KIM, hold.hold), place(sale, LEE, "b", 1, 2))
    assert not await sink.run_once()
    assert not await sink.run_once()

    for _, number in sales:
        written = [line for line in lines(path) if line["sale"] == number]
        assert [(line["version"], line["type"]) for line in written] == [
            (1, "SaleCreated"),
            (2, "SeatsAdded"),
            (3, "HoldPlaced"),
            (4, "HoldReleased"),
            (4, "HoldPlaced"),
        ]
        assert all(line["organisation"] == ORGANISATION for line in written)
        assert [line["recorded_at"] for line in written] == sorted(
            line["recorded_at"] for line in written
        )
    cursors = "SELECT consumer, kind, stream, version FROM journal_cursors ORDER BY stream"
    assert await market.rows(cursors) == [("log_sink", "sale", 1, 4), ("log_sink", "sale", 2, 4)]


async def test_a_crash_between_file_and_cursor_repeats_and_loses_nothing(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cursor stays behind, and the next turn writes the same lines again."""
    path = tmp_path / "events.jsonl"
    sink = LogSink(market.engine, ORGANISATION, path)
    await market.sale(seats=1)
    write = sink._write

    def crash(rows: Any) -> None:
        write(rows)
        raise OSError("the power failed")

    with monkeypatch.context() as broken:
        broken.setattr(sink, "_write", crash)
        with pytest.raises(OSError, match="the power failed"):
            await sink.run_once()
    assert await market.rows("SELECT * FROM journal_cursors") == []
    await sink.run_once()

    assert [line["version"] for line in lines(path)] == [1, 2, 1, 2]


async def test_a_line_that_was_cut_off_spoils_no_other(market: Market, tmp_path: Path) -> None:
    """After a full disk the file may end in half a line; what follows starts on its own."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"organisation":1,"sale":9,"ver')
    await market.sale(seats=1)
    await LogSink(market.engine, ORGANISATION, path).run_once()

    torn, *whole = path.read_bytes().splitlines()
    assert torn == b'{"organisation":1,"sale":9,"ver'
    assert [json.loads(line)["version"] for line in whole] == [1, 2]


async def test_one_process_serves_the_sink_at_a_time(market: Market, tmp_path: Path) -> None:
    """While another process has the lease, a turn finds nothing to do and writes nothing."""
    await market.sale(seats=1)
    path = tmp_path / "events.jsonl"
    leader = Lease(ORGANISATION, CONSUMER)
    async with market.engine.begin() as connection:
        assert await leader.hold(connection)
    sink = LogSink(market.engine, ORGANISATION, path)

    assert not await sink.run_once()
    assert not path.exists()
    async with market.engine.begin() as connection:
        await leader.drop(connection)
    await asyncio.gather(sink.run_once(), LogSink(market.engine, ORGANISATION, path).run_once())
    assert [line["version"] for line in lines(path)] == [1, 2]


async def test_a_slow_disk_holds_up_neither_the_loop_nor_the_database(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While lines are being written no transaction is open, and everything else goes on."""
    sale = await market.sale(seats=1)
    path = tmp_path / "events.jsonl"
    sink = LogSink(market.engine, ORGANISATION, path)
    write, reached, go_on = sink._write, threading.Event(), threading.Event()

    def slow(rows: Any) -> None:
        reached.set()
        assert go_on.wait(PATIENCE_S)
        write(rows)

    monkeypatch.setattr(sink, "_write", slow)
    turn = asyncio.ensure_future(sink.run_once())
    assert await asyncio.to_thread(reached.wait, PATIENCE_S)
    await market.held(place(sale, KIM, "a", 1))
    in_transaction = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'sunseo cold' AND state LIKE 'idle in transaction%'"
    )
    assert await market.value(in_transaction) == 0
    assert not path.exists()
    go_on.set()

    await asyncio.wait_for(turn, PATIENCE_S)
    assert [line["version"] for line in lines(path)] == [1, 2]


async def test_a_process_that_lost_its_lease_moves_no_cursor(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in mid-write and overtaken: what the other one has not written yet is not skipped."""
    await market.sale(seats=1)
    sink = LogSink(market.engine, ORGANISATION, tmp_path / "mine.jsonl")
    write = sink._write

    def overtaken(rows: Any) -> None:
        write(rows)
        asyncio.run(
            _execute(market.dsn, "UPDATE leases SET holder = gen_random_uuid(), fence = fence + 1")
        )

    monkeypatch.setattr(sink, "_write", overtaken)
    assert not await sink.run_once()
    assert await market.rows("SELECT * FROM journal_cursors") == []


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def test_a_turn_is_bounded_and_says_that_there_is_more(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long backlog is written turn by turn, without a gap where one ends."""
    monkeypatch.setattr("sunseo.journal.log_sink.TURN_ROWS_MAX", 7)
    sales = [await market.sale(stocks=[99], products=[{1: 1}]) for _ in range(2)]
    flush = market.flush()
    for number in range(9):
        await flush([place(sale, person(number), "a", products=[(1, 1)]) for sale in sales])
    path = tmp_path / "events.jsonl"
    sink = LogSink(market.engine, ORGANISATION, path)

    turns = 1
    while await sink.run_once():
        turns += 1
    assert turns == 4  # 22 rows
    for _, sale in sales:
        written = [line["version"] for line in lines(path) if line["sale"] == sale]
        assert written == list(range(1, 12))


async def test_an_event_that_is_none_holds_up_nobody(market: Market, tmp_path: Path) -> None:
    """What cannot be read is written as it is, and the news of all sales go on behind it."""
    path = tmp_path / "events.jsonl"
    (_, odd), (_, other) = await market.sale(seats=1), await market.sale(seats=1)
    await market.rows("UPDATE journal SET events = '[5]' WHERE stream = $1 AND version = 1", odd)
    await market.rows("UPDATE journal SET events = '6' WHERE stream = $1 AND version = 2", odd)

    await LogSink(market.engine, ORGANISATION, path).run_once()

    told = [(line["sale"], line.get("type"), line.get("unreadable")) for line in lines(path)]
    assert told == [
        (odd, None, 5),
        (odd, None, 6),
        (other, "SaleCreated", None),
        (other, "SeatsAdded", None),
    ]
