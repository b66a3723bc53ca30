"""A real `python -m sunseo serve` for tests: started, asked over HTTP, killed, stopped.

    with running(tmp_path / "data", workers=2) as server:
        key = server.create_key()
        ...

Everything is waited for by event or by asking again; what takes longer than `PATIENCE_S` fails.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar
from uuid import uuid4

import jwt
import psutil

from sunseo.invariants.report import Report
from sunseo.invariants.verify import verify
from sunseo.operators.keys import create_key
from sunseo.postgres.embedded.orphans import pid_in_file
from sunseo.postgres.embedded.running import running_dsn
from sunseo.postgres.pool import create_cold_engine

PATIENCE_S = 180.0
"""For what is awaited by asking again; none of it is a figure."""

POLL_S = 0.05
ANSWERS_IN_A_ROW = 40  # a dozen, among as many rooms as tests make, came from one worker at times
ENDING_S = 20.0  # a moment, on a busy machine
ISSUER = "https://tickets.example"
JWT_SECRET = "a secret that only tests share with the server"

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Serving:
    """One data folder and one port; the process that serves them may be replaced."""

    data: Path
    port: int
    settings: dict[str, str]
    program: str = "sunseo"
    process: subprocess.Popen[bytes] | None = None
    seen: set[psutil.Process] = field(default_factory=set)
    """Every process that was ever seen below ours, so that none is left behind unnoticed."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> Path:
        return self.data.with_name(f"{self.data.name}.out")

    @property
    def errors(self) -> Path:
        return self.data.with_name(f"{self.data.name}.err")

    @property
    def environment(self) -> dict[str, str]:
        """Ours, without settings of somebody else's server, and with those of this one."""
        inherited = {name: v for name, v in os.environ.items() if not name.startswith("SUNSEO_")}
        given = {f"SUNSEO_{name.upper()}": value for name, value in self.settings.items()}
        return inherited | given

    # The process

    def spawn(self) -> None:
        """Start `sunseo serve` and do not wait; its logs are appended."""
        with self.output.open("ab") as output, self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.program, "serve"],
                env=self.environment,
                stdout=output,
                stderr=errors,
            )

    def start(self) -> None:
        """Start it and wait until all workers take requests and one says that all is well."""
        self.spawn()
        self.await_ready()

    def await_ready(self) -> None:
        workers = int(self.settings["workers"])
        until(lambda: self._listens(workers), "all workers listen", self.give_up)
        until(lambda: self.ask("GET", "/readyz").status == 200, "it is ready", self.give_up)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        assert self.process is not None
        self.watch()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End the supervisor as `kill -9` does; what it leaves behind goes by itself."""
        assert self.process is not None
        self.watch()
        self.process.kill()
        self.process.wait()

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run another `sunseo` command with the same settings, but for those given."""
        changed = {f"SUNSEO_{name.upper()}": value for name, value in settings.items()}
        return subprocess.run(
            [sys.executable, "-m", "sunseo", *arguments],
            env=self.environment | changed,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    # What runs below it

    def watch(self) -> None:
        """Note all processes below the supervisor."""
        if self.process is not None and self.process.poll() is None:
            with suppress(psutil.Error):
                self.seen.update(psutil.Process(self.process.pid).children(recursive=True))

    def workers(self) -> list[int]:
        """The workers that listen for requests, by their process numbers."""
        if self.process is None or self.process.poll() is not None:
            return []
        self.watch()
        found = []
        for process in self.seen:  # not only those below it: workers outlive their fork server
            with suppress(psutil.Error):
                if any(held.laddr[1] == self.port for held in _listening(process)):
                    found.append(process.pid)
        return sorted(found)

    def postmaster(self) -> int | None:
        return pid_in_file(self.data / "postgresql")

    def left_behind(self) -> list[str]:
        """Processes once seen below the supervisor that do not end by themselves soon."""
        deadline = time.monotonic() + ENDING_S
        while (running := [one for one in self.seen if _runs(one)]) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return [f"{one.pid} {one.name()}" for one in running if _runs(one)]

    def dsn(self) -> str:
        """Where the database is now."""
        return until(lambda: running_dsn(self.data), "PostgreSQL runs")

    def _listens(self, workers: int) -> bool:
        return len(self.workers()) >= workers

    def give_up(self) -> None:
        """Stop waiting for a server that has ended."""
        if self.process is not None and (code := self.process.poll()) is not None:
            raise AssertionError(f"serve ended with {code}: {self.errors.read_text()}")

    # Over HTTP

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        bearer: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own; status 0 when nobody answers."""
        sent = {"Connection": "close", **(headers or {})}
        if bearer is not None:
            sent["Authorization"] = f"Bearer {bearer}"
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        if method == "POST":
            sent["Idempotency-Key"] = key or str(uuid4())
        request = urllib.request.Request(  # noqa: S310 - http on loopback, always
            self.url + path, data=data, headers=sent, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
                return Answer(answer.status, _lower(answer.headers), answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, _lower(refused.headers), refused.read())
        except OSError:
            return Answer(0, {}, b"{}")

    def create_key(self) -> str:
        """Make an operator key, as the command line does, but without its start."""
        return _run(_create_key(self.dsn()))

    def verify(self) -> Report:
        """Check all invariants, as the command line does, but without its start."""
        return _run(_verify(self.dsn()))

    def create_concert(
        self,
        operator: str,
        *,
        rows: int = 10,
        seats_per_row: int = 20,
        standing: int = 100,
        **more: Any,
    ) -> int:
        """Create a concert of one date with seats and standing places, all free of charge."""
        sale = concert(**more)
        made = self._set_up("/v1/sales", sale, operator)
        number: int = made["sale"]
        block = {
            "occasion": 1,
            "price_class": 1,
            "section": "A",
            "rows": rows,
            "seats_per_row": seats_per_row,
        }
        self._set_up(f"/v1/sales/{number}/seats", {"blocks": [block]}, operator)
        stocks = {
            "stocks": [{"occasion": 1, "name": "Standing", "capacity": standing}],
            "products": [{"name": "Standing", "price": 0, "draws": [{"stock": 1, "units": 1}]}],
        }
        self._set_up(f"/v1/sales/{number}/stocks", stocks, operator)
        return number

    def _set_up(self, path: str, body: Any, operator: str) -> Any:
        answer = self.ask("POST", path, body, bearer=operator)
        assert answer.status == 201, answer
        return answer.json

    def hold(self, sale: int, person: str, *seats: int, key: str | None = None) -> Answer:
        """Hold seats for a person."""
        path = f"/v1/sales/{sale}/holds"
        return self.ask("POST", path, {"seats": seats}, bearer=token(person), key=key)


def serving(data: Path, *, workers: int = 1, port: int | None = None, **settings: str) -> Serving:
    """Describe a server that does not run yet."""
    chosen = free_port() if port is None else port
    given = {
        "data": str(data),
        "port": str(chosen),
        "workers": str(workers),
        "jwt_issuer": ISSUER,
        "jwt_secret": JWT_SECRET,
    }
    return Serving(data, chosen, given | settings)


@contextmanager
def running(data: Path, *, workers: int = 1, **settings: str) -> Iterator[Serving]:
    """A running server, which is stopped at the end whatever has happened to it."""
    with ended_at_last(serving(data, workers=workers, port=None, **settings)) as server:
        server.start()
        yield server


@contextmanager
def ended_at_last(server: Serving) -> Iterator[Serving]:
    """Leave nothing of a server behind, whatever has happened to it."""
    try:
        yield server
    finally:
        clean_up(server)


def clean_up(server: Serving) -> None:
    """End whatever of a server still runs."""
    if server.process is not None and server.process.poll() is None:
        try:
            server.stop()
        except subprocess.TimeoutExpired:
            server.kill()
    with suppress(AssertionError):
        until(lambda: not server.left_behind(), "nothing is left")
    for process in server.seen:
        with suppress(psutil.Error):
            process.kill()  # psutil sees to it that the number has not been given anew


def token(subject: str) -> str:
    """A person's token, as the host's issuer would sign it."""
    claims = {"iss": ISSUER, "sub": subject, "exp": int(time.time()) + 24 * 3600}
    return jwt.encode(claims, JWT_SECRET, algorithm="HS256")


def concert(**more: Any) -> dict[str, Any]:
    """The body that creates a sale which has been open for an hour."""
    now = datetime.now(UTC)
    return {
        "template": "concert",
        "name": "봄 콘서트",
        "currency": "KRW",
        "time_zone": "Asia/Seoul",
        "opens_at": (now - timedelta(hours=1)).isoformat(),
        "persons": "guests",
        "price_classes": [{"name": "R", "price": 0}],
        "occasions": [{"name": "Day 1", "starts_at": (now + timedelta(days=30)).isoformat()}],
    } | more


def seen_by_all(server: Serving, room: int, holds: Callable[[Any], bool]) -> None:
    """Wait until so many answers in a row agree that every worker has surely been asked.

    Each is a connection of its own, which either worker takes.
    """

    def agreed() -> bool:
        for _ in range(ANSWERS_IN_A_ROW):
            answer = server.ask("GET", f"/v1/rooms/{room}/state")
            if answer.status != 200 or not holds(answer.json):
                return False
        return True

    until(agreed, "every worker shows it")


def until(found: Callable[[], T | None], what: str, check: Callable[[], None] = lambda: None) -> T:
    """Ask again and again until there is something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (something := found()):
        check()
        if time.monotonic() >= deadline:
            raise AssertionError(f"it did not come true within {PATIENCE_S:.0f} s that {what}")
        time.sleep(POLL_S)
    return something


async def _create_key(dsn: str) -> str:
    engine = create_cold_engine(dsn, size=1)
    try:
        return await create_key(engine, 1, f"tests {token_hex(4)}")
    finally:
        await engine.dispose()


async def _verify(dsn: str) -> Report:
    engine = create_cold_engine(dsn, size=1)
    try:
        return await verify(engine, 1)
    finally:
        await engine.dispose()


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run something in a loop of its own, also where this thread has one that runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        running: bool = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return running
    return False


def _listening(process: psutil.Process) -> list[Any]:
    held = process.net_connections(kind="tcp")
    return [connection for connection in held if connection.status == psutil.CONN_LISTEN]


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
