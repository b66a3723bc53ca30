"""Who takes part, and how each is started. How ours is started stands here and nowhere else."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique
from pathlib import Path

from bench.tokens import ISSUER, SECRET

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
OURS = "ours"

BACKLOG = 16_384  # of listening sockets, and requests in flight: nobody is turned away by a default


@unique
class Store(Enum):
    """Where a contender keeps the truth."""

    POSTGRESQL = "postgresql"
    VALKEY = "valkey"
    NONE = "none"


@unique
class Server(Enum):
    """How a contender is served."""

    OURS = "python -m sunseo serve"
    GRANIAN = "granian"
    UVICORN = "uvicorn"


@dataclass(frozen=True, slots=True)
class Contender:
    """One server under test.

    Attributes:
        app: import path of the ASGI application; ours has none.
        pool: connections over all its workers together.
        scripts: what its database needs besides the product's schema.
        appendfsync: for Valkey.
    """

    name: str
    title: str
    server: Server
    store: Store = Store.POSTGRESQL
    app: str = ""
    pool: int = 0
    scripts: tuple[Path, ...] = ()
    appendfsync: str = ""

    def command(self, port: int, workers: int) -> list[str]:
        python = [sys.executable, "-m"]
        if self.server is Server.OURS:
            return [*python, "sunseo", "serve", "--port", str(port), "--workers", str(workers)]
        if self.server is Server.UVICORN:
            return [
                *python, "uvicorn", self.app,
                "--port", str(port), "--workers", str(workers), "--backlog", str(BACKLOG),
                "--loop", "uvloop", "--http", "httptools", "--ws", "none",
                "--no-access-log", "--log-level", "warning",
            ]  # fmt: skip
        return [
            *python, "granian", self.app, "--interface", "asgi", "--loop", "uvloop",
            "--port", str(port), "--workers", str(workers), "--no-ws",
            "--backlog", str(BACKLOG), "--backpressure", str(BACKLOG),
            "--no-access-log", "--log-level", "warning",
        ]  # fmt: skip

    def environment(self, database_url: str, valkey_port: int, workers: int) -> Mapping[str, str]:
        if self.server is Server.OURS:
            return {
                "SUNSEO_DATABASE_URL": database_url,
                "SUNSEO_JWT_ISSUER": ISSUER,
                "SUNSEO_JWT_SECRET": SECRET,
                "SUNSEO_SECRET": SECRET,
            }
        return {
            "BENCH_DATABASE_URL": database_url,
            "BENCH_VALKEY_PORT": str(valkey_port),
            "BENCH_POOL": str(max(1, self.pool // workers)),
            "BENCH_JWT_ISSUER": ISSUER,
            "BENCH_JWT_SECRET": SECRET,
        }


ours = Contender(OURS, "Sunseo", Server.OURS)

peers = [
    Contender(
        "fastapi_sqlalchemy",
        "(a) FastAPI + SQLAlchemy, FOR UPDATE",
        Server.UVICORN,
        app="bench.peers.fastapi_sqlalchemy:app",
        pool=20,
        scripts=(PEERS / "peers.sql",),
    ),
    Contender(
        "fastapi_optimistic",
        "(b) the same, optimistic version column",
        Server.UVICORN,
        app="bench.peers.fastapi_optimistic:app",
        pool=20,
        scripts=(PEERS / "peers.sql", PEERS / "row_versions.sql"),
    ),
    Contender(
        "raw_asyncpg",
        "(c) our web stack, one raw statement a request",
        Server.GRANIAN,
        app="bench.peers.raw_asyncpg:app",
        pool=16,
        scripts=(PEERS / "peers.sql", PEERS / "raw_place_hold.sql"),
    ),
    Contender(
        "valkey_always",
        "(d) Valkey Lua, file synced always",
        Server.GRANIAN,
        Store.VALKEY,
        app="bench.peers.valkey_lua:app",
        pool=32,
        appendfsync="always",
    ),
    Contender(
        "valkey_everysec",
        "(d) Valkey Lua, file synced every second",
        Server.GRANIAN,
        Store.VALKEY,
        app="bench.peers.valkey_lua:app",
        pool=32,
        appendfsync="everysec",
    ),
]

bare_server = Contender(
    "bare_server",
    "the same JSON from memory, raw ASGI on Granian",
    Server.GRANIAN,
    Store.NONE,
    app="bench.limits.bare_server:app",
)
