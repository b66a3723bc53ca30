"""What all parts of the room's benchmark share: the database, a server of ours, the load."""

import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import psutil
from rich.console import Console

from bench import load
from bench.contenders import Contender, ours
from bench.load import Load, pinned
from bench.room.database import RoomDatabase
from bench.servers import free_port, running

SCRIPT = Path(load.__file__).with_name("wrk") / "room.lua"
DATABASE = "room_run"

SERVER_CORE, LOAD_CORE = 0, 1
"""Where the server and the load are pinned to a core each. On one core they would share it."""


@dataclass(slots=True)
class Bench:
    """One whole run.

    Attributes:
        waiting: how many wait when memory is measured.
        buffers: `shared_buffers` while memory is measured; None for the product's own.
        entrants: of the draw.
        with_peer: whether the peer takes part.
    """

    database: RoomDatabase
    folder: Path
    console: Console
    runs: int
    seconds: float
    waiting: int
    buffers: str | None
    entrants: int
    with_peer: bool

    def restart_database(self) -> None:
        """Start PostgreSQL anew on the same data, with nothing of it in memory yet."""
        folder = self.database.server.layout.data
        self.database.stop()
        self.database = RoomDatabase(folder)
        self.database.start()

    @contextmanager
    def serving(
        self, url: str, contender: Contender = ours, core: int | None = None
    ) -> Iterator[tuple[int, psutil.Process]]:
        """Run one worker of a contender: its port and its process."""
        port = free_port()
        with running(
            [*pinned(core), *contender.command(port, 1)],
            contender.environment(url, 0, 1),
            self.folder / f"{contender.name}.log",
            f"http://127.0.0.1:{port}/livez",
        ) as server:
            yield port, server

    def send(
        self,
        port: int,
        shape: str,
        connections: int,
        environment: Mapping[str, str],
        *,
        seconds: float | None = None,
        core: int | None = None,
    ) -> Load:
        """Send a crowd of one shape."""
        return load.send(
            port,
            connections,
            self.seconds if seconds is None else seconds,
            {"BENCH_SHAPE": shape, **environment},
            self.folder / "load.json",
            script=SCRIPT,
            path=environment["BENCH_PATH"] if shape == "poll" else "",
            core=core,
        )


GET_TRIES, GET_PAUSE_S = 40, 0.1


def cores_apart() -> tuple[int | None, int | None]:
    """A core for the server and one for the load, where the machine has two."""
    if len(os.sched_getaffinity(0)) < 2:
        return None, None
    return SERVER_CORE, LOAD_CORE


def get(url: str) -> bytes:
    """Read a page; a worker that has only just started has not read its rooms yet."""
    for _ in range(GET_TRIES):
        try:
            return _get(url)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            time.sleep(GET_PAUSE_S)
    return _get(url)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server on loopback
        body: bytes = answer.read()
        return body
