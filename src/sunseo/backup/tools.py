"""Find and run pg_dump and pg_restore, told where the database is without its password in sight.

Looked for in the same places as the server: `PG_BIN` alone, where it is set; else the embedded
wheel, `PATH`, and the folders of Linux distributions. The wheel's speak no TLS, so that over a
network any other comes first.

State       None.
Guarantee   A program that was started has ended when we go on, however that came.
Clock       None: a dump takes as long as it takes.
On failure  What the program complained of becomes one line.
"""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

from sunseo.backup.error import BackupError
from sunseo.postgres.address.address import read_address
from sunseo.postgres.address.parameters import libpq_options
from sunseo.postgres.embedded.binaries import DISTRIBUTION_FOLDERS, wheel_folders

POLL_S = 0.2
VERSION_S = 20.0
CONNECT_TIMEOUT_S = 10
NEWER = ("load_balance_hosts", "max_protocol_version")


class PostgresTool(NamedTuple):
    """A program of PostgreSQL's."""

    path: Path
    version: str
    has_tls: bool

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


class ToolTarget(NamedTuple):
    """A database as libpq wants it: what others may see, and what they may not."""

    conninfo: str
    environment: dict[str, str]
    is_local: bool


def target_of(dsn: str, server: Mapping[str, str] | None = None) -> ToolTarget:
    """Where a connection string leads; its password goes into the environment.

    Args:
        dsn: the connection string.
        server: libpq's parameters of the one server that is meant, where there are several.

    Raises:
        AddressError: it cannot be read.
    """
    address = read_address(dsn)
    told = {"connect_timeout": str(CONNECT_TIMEOUT_S)} | address.for_programs()
    # Those before 16 and 18 know nothing of these, and lose nothing.
    told = {name: value for name, value in told.items() if name not in NEWER}
    if server is not None:
        told |= server
    # What the environment says is in `told` by now.
    theirs = {option.envvar.decode() for option in libpq_options().values() if option.envvar}
    environment = {name: value for name, value in os.environ.items() if name not in theirs}
    if password := address.get("password"):
        environment["PGPASSWORD"] = password
    conninfo = " ".join(f"{name}={_quoted(value)}" for name, value in told.items() if value)
    return ToolTarget(conninfo, environment | {"LC_ALL": "C"}, address.is_local)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def find_tool(
    name: str,
    least: int,
    most: int | None = None,
    *,
    is_local: bool,
    environment: Mapping[str, str] | None = None,
    root: Path = Path("/"),
) -> PostgresTool:
    """The nearest version of a program that is neither too old nor too new.

    Raises:
        BackupError: there is none; it says what to install.
    """
    environment = os.environ if environment is None else environment
    found = list(_candidates(name, environment, root))
    fitting = [
        tool for tool in found if least <= tool.major and (most is None or tool.major <= most)
    ]
    if fitting:
        return min(fitting, key=lambda tool: (not (tool.has_tls or is_local), tool.major))
    wanted = (
        f"{least} or newer" if most is None else f"{least} to {most}" if most > least else least
    )
    seen = ", ".join(f"{tool.path} {tool.version}" for tool in found) or "none"
    raise BackupError(
        f"{name} of PostgreSQL {wanted} is needed, and was not found (found: {seen}); install"
        f" postgresql-client-{least}, or set PG_BIN to the folder that holds it"
    )


def _candidates(name: str, environment: Mapping[str, str], root: Path) -> Iterator[PostgresTool]:
    if chosen := environment.get("PG_BIN"):
        places = [(Path(chosen), True)]
    else:
        places = [(folder, False) for folder in wheel_folders()]
        if on_path := shutil.which(name, path=environment.get("PATH", "")):
            places.append((Path(on_path).parent, True))
        for pattern in DISTRIBUTION_FOLDERS:
            places += [(folder, True) for folder in sorted(root.glob(pattern))]
    for folder, has_tls in places:
        path = folder / name
        if os.access(path, os.X_OK) and (version := _version(path)):
            yield PostgresTool(path, version, has_tls)


def _version(program: Path) -> str | None:
    try:
        answer = subprocess.run(  # noqa: S603 - the operator's own PostgreSQL
            [str(program), "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = re.search(r"\(PostgreSQL\)\s+([0-9]+(?:\.[0-9]+)*)", answer.stdout)
    return said[1] if said else None


async def run_tool(
    tool: PostgresTool,
    arguments: list[str],
    environment: Mapping[str, str],
    on_turn: Callable[[], None] = lambda: None,
    *,
    reads: IO[bytes] | None = None,
    writes: IO[bytes] | None = None,
) -> str:
    """Run a program to its end; what it printed, unless it writes into a file.

    It reads nothing, or a file from its beginning, and ends when we are interrupted.

    Raises:
        BackupError: it failed, and said why.
    """
    if reads is not None:
        reads.flush()
        reads.seek(0)
    process = await asyncio.create_subprocess_exec(
        str(tool.path),
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL if reads is None else reads,
        stdout=asyncio.subprocess.PIPE if writes is None else writes,
        stderr=asyncio.subprocess.PIPE,
    )
    talk = asyncio.ensure_future(process.communicate())
    try:
        while not talk.done():
            on_turn()
            await asyncio.wait({talk}, timeout=POLL_S)
        out, errors = await talk
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
        named = next((line for line in lines if "error:" in line or "ERROR:" in line), None)
        why = named or (lines[-1] if lines else f"it ended with code {process.returncode}")
        raise BackupError(f"{tool.path.name} failed: {why.removeprefix(f'{tool.path.name}: ')}")
    return (out or b"").decode("utf-8", "replace")
