"""Copy the journal into a file of JSON lines, one event a line: the simplest of all consumers.

State       A cursor a sale, in the database: the last version that is in the file.
Guarantee   Every event is written at least once, in order within its sale. A crash between the
            file and the cursor repeats lines; `sale` and `version` tell which. A line that a full
            disk cut off stays in the file, and is repeated whole. An event that is none is
            written as it is, under `unreadable`, and holds up nobody's news.
Clock       None.
On failure  Cursors stay behind and the next turn repeats. One process at a time serves the sink,
            the others find it taken.
"""

import os
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.core.clock import to_millis
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

    async def run_once(self) -> bool:
        """Write one turn's news; returns whether there may be more."""
        who = {"organisation": self._organisation, "consumer": CONSUMER}
        async with self._engine.begin() as connection:
            if not await connection.scalar(_QUERIES["try_lead"], who):
                return False
            news = await connection.execute(
                _QUERIES["read_news"], who | {"rows_max": TURN_ROWS_MAX}
            )
            rows = news.all()
            if not rows:
                return False
            self._write(
                b"".join(
                    _encode(
                        {
                            "organisation": self._organisation,
                            "sale": row.sale,
                            "version": row.version,
                            "recorded_at": to_millis(row.recorded_at),
                            **event,
                        }
                    )
                    + b"\n"
                    for row in rows
                    for event in _events_of(row.events)
                )
            )
            reached = {row.sale: row.version for row in rows}
            await connection.execute(
                _QUERIES["move_cursors"],
                who | {"sales": list(reached), "versions": list(reached.values())},
            )
        return len(rows) == TURN_ROWS_MAX

    def _write(self, lines: bytes) -> None:
        """Append, and have it on the disk before the cursors move."""
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


def _ends_in_mid_line(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
