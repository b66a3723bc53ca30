"""Copy the journal into a file of JSON lines, one event a line: the simplest of all consumers.

State       A cursor a stream, in the database: the last version that is in the file.
Guarantee   Every event is written at least once, in order within its stream. A crash between the
            file and the cursor repeats lines; stream and `version` tell which. A line that a full
            disk cut off stays in the file, and is repeated whole. An event that is none is
            written as it is, under `unreadable`, and holds up nobody's news. News are read in a
            transaction, written to the disk outside of any and off the event loop, and only then
            do the cursors move: a slow disk holds up nothing else.
Clock       None of its own.
On failure  Cursors stay behind and the next turn repeats. One process at a time serves the sink,
            by a lease; the others find it taken. One that lost its lease while it wrote does not
            move the cursors.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.core.clock import to_millis
from sunseo.postgres.lease import Lease
from sunseo.postgres.queries import load_cold_queries

_QUERIES = load_cold_queries("sunseo.journal")
_encode = msgspec.json.Encoder().encode

CONSUMER = "log_sink"
TURN_ROWS_MAX = 500


class LogSink:
    """One organisation's sink."""

    def __init__(self, engine: AsyncEngine, organisation: int, path: Path) -> None:
        self._engine = engine
        self._organisation = organisation
        self._path = path
        self._lease = Lease(organisation, CONSUMER)

    async def run_once(self) -> bool:
        """Write one turn's news; returns whether there may be more."""
        rows = await self._read_news()
        if not rows:
            return False
        await asyncio.to_thread(self._write, rows)
        moved = await self._move_cursors(rows)
        return moved and len(rows) == TURN_ROWS_MAX

    async def leave(self) -> None:
        """Let another process go on at once."""
        async with self._engine.begin() as connection:
            await self._lease.drop(connection)

    async def _read_news(self) -> Sequence[Row[Any]]:
        who = {"organisation": self._organisation, "consumer": CONSUMER}
        async with self._engine.begin() as connection:
            if not await self._lease.hold(connection):
                return ()
            news = await connection.execute(
                _QUERIES["read_news"], who | {"rows_max": TURN_ROWS_MAX}
            )
            return news.all()

    async def _move_cursors(self, rows: Sequence[Row[Any]]) -> bool:
        reached = {(row.kind, row.stream): row.version for row in rows}
        async with self._engine.begin() as connection:
            if not await self._lease.guard(connection):
                return False
            await connection.execute(
                _QUERIES["move_cursors"],
                {
                    "organisation": self._organisation,
                    "consumer": CONSUMER,
                    "kinds": [kind for kind, _ in reached],
                    "streams": [stream for _, stream in reached],
                    "versions": list(reached.values()),
                },
            )
        return True

    def _write(self, rows: Sequence[Row[Any]]) -> None:
        """Append, and have it on the disk before the cursors move. Runs in a thread."""
        lines = b"".join(
            _line(self._organisation, row, event)
            for row in rows
            for event in _events_of(row.events)
        )
        with self._path.open("a+b") as file:
            if _ends_in_mid_line(file):
                file.write(b"\n")  # a full disk has cut the last try off: keep that to its own line
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())


def _events_of(stored: Any) -> list[dict[str, Any]]:
    """The events of an entry, whatever is stored there."""
    events = stored if isinstance(stored, list) else [stored]
    return [event if isinstance(event, dict) else {"unreadable": event} for event in events]


def _line(organisation: int, row: Row[Any], event: dict[str, Any]) -> bytes:
    named = {
        "organisation": organisation,
        row.kind: row.stream,
        "version": row.version,
        "recorded_at": to_millis(row.recorded_at),
    }
    return _encode(named | event) + b"\n"


def _ends_in_mid_line(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
