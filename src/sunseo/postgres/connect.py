"""Open a connection of asyncpg's as libpq would: host by host, with and without TLS.

asyncpg is given everything, so that it reads neither the environment nor a file by itself.

State       None.
Guarantee   Hosts are tried in order (or in any, where asked so), each address of a name, until one
            takes us in and is of the kind that was asked for.
Clock       Each attempt has its own time.
On failure  What the first server said that said anything; else the last failure.
"""

import asyncio
import os
import random
import socket
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from sunseo.postgres.address.address import Address, Host
from sunseo.postgres.address.passfile import password_for
from sunseo.postgres.address.tls import tls_context

_KEEPALIVE_OPTIONS = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}

_SESSION_VARIABLES = {"PGDATESTYLE": "DateStyle", "PGGEQO": "geqo", "PGTZ": "TimeZone"}
"""What libpq tells every server of the environment, besides its parameters."""


class Attempt(NamedTuple):
    """One way to one server."""

    host: Host
    address: str  # numeric, or the folder of a socket
    with_tls: bool

    def for_libpq(self) -> dict[str, str]:
        """The parameters that name this very server."""
        numeric = "" if self.host.is_local else self.address
        return {"host": self.host.name, "hostaddr": numeric, "port": str(self.host.port)}


if TYPE_CHECKING:
    _Plain = asyncpg.Connection[asyncpg.Record]
else:
    _Plain = asyncpg.Connection


class Connection(_Plain):
    """One that knows its server, of perhaps several."""

    server: Attempt


async def connect(
    address: Address,
    name: str,
    *,
    timeout_s: float,
    settings: dict[str, str],
    statement_cache: int = 100,
) -> Connection:
    """Connect.

    Args:
        address: where.
        name: of the connection, unless the user has one.
        timeout_s: for each attempt, unless the user has one.
        settings: of the session; they win over `options` and the environment.
        statement_cache: how many statements are kept prepared.

    Raises:
        asyncpg.PostgresError, OSError, TimeoutError: it could not be done.
    """
    told = {"application_name": address.application_name(name)}
    if options := address.get("options"):
        told["options"] = options
    arguments = {
        "timeout": address.timeout_s(timeout_s),
        "server_settings": _of_environment() | settings | told,
        "statement_cache_size": statement_cache,
    }
    failures: list[Exception] = []
    wanted = address.get("target_session_attrs") or "any"
    rounds = ("standby", "any") if wanted == "prefer-standby" else (wanted,)
    ways = await _ways(address, failures)
    for kind in rounds:
        for way in ways:
            if connection := await _first(address, way, arguments, kind, failures):
                return connection
    raise _worst(failures)


def _of_environment() -> dict[str, str]:
    found = {name: os.environ.get(variable) for variable, name in _SESSION_VARIABLES.items()}
    return {name: v for name, v in found.items() if v is not None and v.lower() != "default"}


async def _ways(address: Address, failures: list[Exception]) -> list[list[Attempt]]:
    """For each server, and each of its addresses, the ways to try in turn."""
    servers: list[tuple[Host, str]] = []
    for host in address.hosts:
        try:
            servers += [(host, numeric) for numeric in await _resolved(host)]
        except OSError as error:
            failures.append(error)
    if address.get("load_balance_hosts") == "random":
        random.shuffle(servers)
    return [
        [Attempt(host, numeric, tls) for tls in _encryption(address, host)]
        for host, numeric in servers
    ]


async def _resolved(host: Host) -> list[str]:
    if host.is_local:
        return [host.name]
    if host.numeric:
        return [host.numeric]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.name, host.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


def _encryption(address: Address, host: Host) -> tuple[bool, ...]:
    """With TLS or without it, in the order of libpq's `sslmode`."""
    if host.is_local:
        return (False,)
    by_mode = {"disable": (False,), "allow": (False, True), "prefer": (True, False)}
    return by_mode.get(address.get("sslmode"), (True,))


async def _first(
    address: Address,
    ways: list[Attempt],
    arguments: dict[str, Any],
    kind: str,
    failures: list[Exception],
) -> Connection | None:
    for way in ways:
        try:
            return await _attempt(address, way, arguments, kind)
        except (asyncpg.PostgresError, asyncpg.InternalClientError, OSError, EOFError) as error:
            failures.append(error)
            if not _may_be_for_encryption(error):
                return None
        except asyncpg.InterfaceError as error:
            failures.append(error)
    return None


def _may_be_for_encryption(error: Exception) -> bool:
    """Whether it may go better with, or without, TLS."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith("28")
    refused = ConnectionRefusedError | TimeoutError | asyncpg.TargetServerAttributeNotMatched
    return not isinstance(error, refused)


async def _attempt(
    address: Address, way: Attempt, arguments: dict[str, Any], kind: str
) -> Connection:
    context: ssl.SSLContext | None = None
    if way.with_tls:
        context = tls_context(address.parameters, way.host.name)
    connection: Connection = await asyncpg.connect(
        host=[way.address],
        port=[way.host.port],
        user=address.get("user"),
        password=password_for(address.parameters, way.host),
        database=address.get("dbname"),
        ssl=context or False,
        direct_tls=context is not None and address.get("sslnegotiation") == "direct",
        target_session_attrs=SessionAttribute(kind),
        krbsrvname="postgres",
        gsslib="gssapi",
        connection_class=Connection,
        **arguments,
    )
    connection.server = way
    if not way.host.is_local:
        _keep_alive(connection, address)
    return connection


def _keep_alive(connection: Any, address: Address) -> None:
    """Have the kernel look after a silent connection, as libpq does unless told not to."""
    found = connection._transport.get_extra_info("socket")  # noqa: SLF001 - there is no other way
    if found is None or int(address.get("keepalives") or 1) == 0:
        return
    with socket.socket(fileno=socket.dup(found.fileno())) as shared:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, option in _KEEPALIVE_OPTIONS.items():
            value = int(address.get(name) or 0)
            if value > 0 and hasattr(socket, option):
                shared.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _worst(failures: list[Exception]) -> Exception:
    said = (error for error in failures if isinstance(error, asyncpg.PostgresError))
    return next(said, failures[-1])
