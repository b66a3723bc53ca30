"""How many polls of the state document one worker answers, alone and behind nginx's cache."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from bench.contenders import Contender, Server, Store
from bench.load import Load, pinned
from bench.room import figures
from bench.room.database import ROOM
from bench.room.figures import Figure
from bench.room.session import DATABASE, Bench, cores_apart, get
from bench.servers import free_port, running
from tests.acceptance.nginx_examples import nginx_binary
from tests.acceptance.test_gate_nginx import nginx_configuration

POLLS_A_SECOND = 15_000
ORIGIN_A_SECOND = 2.0
"""Of a cache that keeps an answer for a second, and asks for the next one in the background."""

STATE = f"/v1/rooms/{ROOM}/state"
CONNECTIONS = (64, 256)
NGINX_CONNECTIONS = 256
WARM_UP_S = 1.0
IDLE_S_MIN = 4.0
METRICS_S = 2.5  # until the counts of a worker have reached its metrics
POLLS_METRIC = re.compile(r"^sunseo_room_polls_total(?:{[^}]*})? (\S+)$", re.MULTILINE)
SHAPES = {"poll": "", "repoll": ", If-None-Match"}


def bare(status: int) -> Contender:
    return Contender(
        f"bare_{status}",
        "the same bytes from memory, raw ASGI on Granian",
        Server.GRANIAN,
        Store.NONE,
        app="bench.limits.bare_state:app",
    )


async def measure_polls(bench: Bench) -> list[Figure]:
    """Ask one worker of ours and a bare server in turns; count what reaches the database."""
    url = await bench.database.clone_rooms(DATABASE)
    server_core, load_core = cores_apart()
    with ExitStack() as stack:
        ours, _ = stack.enter_context(bench.serving(url, core=server_core))
        document = bench.folder / "state.json"
        document.write_bytes(get(f"http://127.0.0.1:{ours}{STATE}"))
        bares = {
            shape: stack.enter_context(bare_server(bench, status, document, server_core))
            for shape, status in (("poll", 200), ("repoll", 304))
        }
        idle = StatementCount(bench)
        async with idle:
            await asyncio.sleep(max(bench.seconds, IDLE_S_MIN))
        found = []
        for shape, words in SHAPES.items():
            for connections in CONNECTIONS:
                rates: dict[str, list[Load]] = {"ours": [], "bare": []}
                for _ in range(bench.runs):
                    for who, port in (("ours", ours), ("bare", bares[shape])):
                        rates[who].append(await poll(bench, port, shape, connections, load_core))
                found.append(_polls(bench, f"{connections} connections{words}", rates, server_core))
                bench.console.print(f"  {found[-1].name}: {found[-1].value:,.0f}/s")
        found.append(await count_statements(bench, ours, idle.per_s, load_core))
    return found


def _polls(bench: Bench, name: str, seen: dict[str, list[Load]], core: int | None) -> Figure:
    return figures.of(
        [run.requests / run.seconds for run in seen["ours"]],
        beside_each=[run.requests / run.seconds for run in seen["bare"]],
        section="polls",
        name=f"state polls, {name}",
        unit="/s",
        at_least=POLLS_A_SECOND,
        beside="bare server",
        details={
            "server_core": core,
            "p99_ms": median(run.p99_ms for run in seen["ours"]),
            "bare_p99_ms": median(run.p99_ms for run in seen["bare"]),
            "statuses": dict(seen["ours"][-1].statuses),
            "seconds": bench.seconds,
        },
    )


async def poll(bench: Bench, port: int, shape: str, connections: int, core: int | None) -> Load:
    return await asyncio.to_thread(
        bench.send, port, shape, connections, {"BENCH_PATH": STATE}, core=core
    )


async def count_statements(bench: Bench, port: int, idle_per_s: float, core: int | None) -> Figure:
    """Statements that the database ran for polls: what was more than in as long an idle time."""
    counted = StatementCount(bench)
    async with counted:
        seen = await poll(bench, port, "poll", CONNECTIONS[-1], core)
    idle = idle_per_s * counted.seconds
    return Figure(
        section="polls",
        name="database statements a poll",
        unit="",
        value=round(max(0.0, counted.total - idle) / seen.requests, 3),
        at_most=0.0,
        note=f"{counted.total} statements during {seen.requests:,} polls, {idle:.1f} in as long "
        "without any: the worker's own ticks",
        details={"busy": counted.total, "idle": round(idle, 1), "polls": seen.requests},
    )


class StatementCount:
    """Counts the statements of a block, and the seconds that it takes."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.total = 0
        self.seconds = 0.0

    async def __aenter__(self) -> None:
        self._began = time.monotonic()
        self._before = await self._bench.database.statements(DATABASE)

    async def __aexit__(self, *_: object) -> None:
        self.total = await self._bench.database.statements(DATABASE) - self._before
        self.seconds = time.monotonic() - self._began

    @property
    def per_s(self) -> float:
        return self.total / self.seconds


async def measure_nginx(bench: Bench) -> list[Figure]:
    """Ask through nginx with the guide's cache, and count what comes through."""
    url = await bench.database.clone_rooms(DATABASE)
    server_core, load_core = cores_apart()
    found = []
    with (
        bench.serving(url, core=server_core) as (ours, _),
        nginx(bench, ours, server_core) as port,
    ):
        for shape, words in (("poll", "behind nginx"), ("bust", "with a new query string each")):
            await asyncio.to_thread(
                bench.send,
                port,
                shape,
                NGINX_CONNECTIONS,
                {"BENCH_PATH": STATE},
                seconds=WARM_UP_S,
                core=load_core,
            )
            await asyncio.sleep(METRICS_S)
            rates, origin = [], []
            for _ in range(bench.runs):
                before = polls_served(ours)
                seen = await asyncio.to_thread(
                    bench.send,
                    port,
                    shape,
                    NGINX_CONNECTIONS,
                    {"BENCH_PATH": STATE},
                    core=load_core,
                )
                await asyncio.sleep(METRICS_S)
                rates.append(seen.requests / seen.seconds)
                origin.append((polls_served(ours) - before) / seen.seconds)
                if seen.refused or seen.socket_errors:
                    raise RuntimeError(f"nginx refused {seen.refused}, {seen.socket_errors} errors")
            found += _behind_nginx(words, rates, origin)
            bench.console.print(
                f"  {words}: {median(rates):,.0f}/s, {median(origin):.2f} at origin"
            )
    return found


def _behind_nginx(words: str, rates: list[float], origin: list[float]) -> list[Figure]:
    return [
        figures.of(rates, section="nginx", name=f"state polls {words}", unit="/s"),
        figures.of(
            origin,
            section="nginx",
            name=f"requests at the origin, {words}",
            unit="/s",
            at_most=ORIGIN_A_SECOND,
        ),
    ]


@contextmanager
def bare_server(bench: Bench, status: int, document: Path, core: int | None) -> Iterator[int]:
    """Run a server that answers the document, or 304, whatever it is asked."""
    port = free_port()
    contender = bare(status)
    with running(
        [*pinned(core), *contender.command(port, 1)],
        {"BENCH_DOCUMENT": str(document), "BENCH_STATUS": str(status)},
        bench.folder / f"{contender.name}.log",
        f"http://127.0.0.1:{port}/",
    ):
        yield port


@contextmanager
def nginx(bench: Bench, ours: int, core: int | None) -> Iterator[int]:
    """Run nginx as the guide of the gate says; only its rooms' half is asked."""
    folder = bench.folder / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    ports = {"sunseo": ours, "app": free_port(), "gate": free_port()}
    ports |= {name: free_port() for name in ("shop", "rooms")}
    file = nginx_configuration(folder, ports)
    with running(
        [*pinned(core), nginx_binary(), "-p", str(folder), "-c", str(file)],
        {},
        bench.folder / "nginx.log",
        f"http://127.0.0.1:{ports['rooms']}{STATE}",
    ):
        yield ports["rooms"]


def polls_served(port: int) -> float:
    found = POLLS_METRIC.findall(get(f"http://127.0.0.1:{port}/metrics").decode())
    return sum(float(value) for value in found)
