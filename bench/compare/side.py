"""One side of a comparison, driven over a pipe: `python -P side.py`, by the side's own Python.

Everything but this file and the crowd is the side's own, this checkout's or another revision's:
its server, schema, halls and audit. So this asks of a revision's `bench` only what it has long
had, and leaves out what it does not know. Each line of standard input is a command as JSON, `do`
and what it needs; each gets one line for an answer. When the input ends, everything is stopped.
"""

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path.cwd()))

import msgspec
from rich.console import Console

from bench import audit
from bench.contenders import ours
from bench.database import BenchDatabase
from bench.halls import Hall
from bench.load import Load
from bench.measure import DATABASE
from bench.room import __main__ as rooms
from bench.room import session
from bench.room.database import RoomDatabase
from bench.servers import free_port, running
from bench.workloads import Workload

FOLDER = Path.cwd() / "build" / "compare-work"
WAL = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"


class Side:
    """Does what it is told, one command after the other."""

    def __init__(self) -> None:
        self.all = ExitStack()
        self.server = ExitStack()
        self.database: BenchDatabase | None = None

    def start(self, kind: type[BenchDatabase], name: str) -> Any:
        """Start PostgreSQL, once."""
        if self.database is None:
            self.database = kind(FOLDER / name)
            self.database.start()
            self.all.callback(self.stop)
        return self.database

    def stop(self) -> None:
        if self.database is not None:
            self.database.stop()

    def prepare(self, hall: dict[str, Any]) -> None:
        database = self.start(BenchDatabase, "postgres")
        asyncio.run(database.make_template(known(Hall, hall)))

    def begin(self, workload: dict[str, Any]) -> dict[str, int]:
        """Serve a fresh clone of the workload's hall: the port, and the two processes to watch."""
        asked = known_workload(workload)
        database = self.start(BenchDatabase, "postgres")
        scripts = [script.read_text() for script in ours.scripts]
        url = asyncio.run(database.clone(asked.hall, DATABASE, scripts))
        port = free_port()
        server = self.server.enter_context(
            running(
                ours.command(port, asked.workers),
                ours.environment(url, 0, asked.workers),
                FOLDER / "ours.log",
                f"http://127.0.0.1:{port}/livez",
            )
        )
        return {"port": port, "server": server.pid, "store": database.pid}

    def wal(self) -> int:
        """Bytes of WAL that were ever written."""

        async def read() -> int:
            async with self.start(BenchDatabase, "postgres").connected(DATABASE) as conn:
                written: int = await conn.fetchval(WAL)
                return written

        return asyncio.run(read())

    def end(self, workload: dict[str, Any], load: dict[str, Any]) -> list[str]:
        """Stop serving, audit what the crowd was told, and leave nothing to be written later."""
        self.server.close()
        database = self.start(BenchDatabase, "postgres")

        async def faults() -> list[str]:
            async with database.connected(DATABASE) as conn:
                found = await audit.faults(conn, known_workload(workload), known(Load, load))
            await database.drop(DATABASE)
            return found

        return asyncio.run(faults())

    def room(self, part: str, seconds: float, script: str) -> Any:
        """Measure a part of the waiting room's benchmark once, with the crowd of that script."""
        session.SCRIPT = Path(script)
        is_fresh = self.database is None
        database = self.start(RoomDatabase, "room")
        given = rooms.options(["--runs", "1", "--seconds", str(seconds)])
        bench = session.Bench(
            database=database,
            folder=FOLDER / "room-work",
            console=Console(file=StringIO()),
            runs=1,
            seconds=seconds,
            waiting=given.waiting,
            buffers=None,
            entrants=given.entrants,
            with_peer=False,
        )
        if is_fresh:
            asyncio.run(database.make_rooms())

        async def measure() -> Any:
            return msgspec.to_builtins(await rooms.PARTS[part](bench))

        found = asyncio.run(measure())
        self.database = bench.database  # which a part may have started anew
        return found

    def close(self) -> None:
        self.server.close()
        self.all.close()


def known(kind: Any, given: Mapping[str, Any]) -> Any:
    """Make a record of what this side knows of the fields."""
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in given.items() if name in names})


def known_workload(given: Mapping[str, Any]) -> Workload:
    workload: Workload = known(Workload, {**given, "hall": known(Hall, given["hall"])})
    return workload


def serve(side: Side, asked: TextIO, told: TextIO) -> None:
    for line in asked:
        command = json.loads(line)
        try:
            answer = {"done": getattr(side, command.pop("do"))(**command)}
        except Exception as error:  # noqa: BLE001 - it is told to who asked, and the comparison ends
            answer = {"failed": f"{type(error).__name__}: {error}"}
        told.write(json.dumps(answer) + "\n")
        told.flush()


def main() -> None:
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what anybody prints is no answer
    side = Side()
    try:
        serve(side, sys.stdin, told)
    finally:
        side.close()


if __name__ == "__main__":
    main()
