"""The log sink: every event at least once, in order, whatever breaks in between."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sunseo.journal.log_sink import LogSink
from tests.store.market import KIM, LEE, ORGANISATION, Market, person, place, release


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
    cursors = "SELECT consumer, sale, version FROM journal_cursors ORDER BY sale"
    assert await market.rows(cursors) == [("log_sink", 1, 4), ("log_sink", 2, 4)]


async def test_a_crash_between_file_and_cursor_repeats_and_loses_nothing(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cursor stays behind, and the next turn writes the same lines again."""
    path = tmp_path / "events.jsonl"
    sink = LogSink(market.engine, ORGANISATION, path)
    await market.sale(seats=1)
    write = sink._write

    def crash(data: bytes) -> None:
        write(data)
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
    """While another process leads, a turn finds nothing to do and writes nothing."""
    await market.sale(seats=1)
    path = tmp_path / "events.jsonl"
    leader = await market.raw()
    await leader.execute("BEGIN")
    await leader.fetch("SELECT pg_advisory_xact_lock(hashtextextended('log_sink', 1))")
    sink = LogSink(market.engine, ORGANISATION, path)

    assert not await sink.run_once()
    assert not path.exists()
    await leader.execute("ROLLBACK")
    await asyncio.gather(sink.run_once(), LogSink(market.engine, ORGANISATION, path).run_once())
    assert [line["version"] for line in lines(path)] == [1, 2]


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
    await market.rows("UPDATE journal SET events = '[5]' WHERE sale = $1 AND version = 1", odd)
    await market.rows("UPDATE journal SET events = '6' WHERE sale = $1 AND version = 2", odd)

    await LogSink(market.engine, ORGANISATION, path).run_once()

    told = [(line["sale"], line.get("type"), line.get("unreadable")) for line in lines(path)]
    assert told == [
        (odd, None, 5),
        (odd, None, 6),
        (other, "SaleCreated", None),
        (other, "SeatsAdded", None),
    ]
