"""Where PostgreSQL is, as its users write it: read once, by libpq itself, for all our drivers.

A connection string (`postgresql://…`, or `host=… dbname=…`) goes to three consumers: asyncpg,
psycopg, and PostgreSQL's own programs. Each has an understanding of its own of what it is given and
of what it finds in the environment. So none of them is given the string: libpq fills in what the
environment, a service file and its defaults say, this module decides about every parameter, and
each driver gets plain arguments.

State       None: a string is read anew by whoever connects.
Guarantee   A parameter has the same effect through every driver, or is refused in one line. No
            error and no `repr` holds a password.
Clock       None.
On failure  AddressError, which names the parameter and says what to do.
"""

import math
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sunseo.postgres.address.parameters import (
    INTEGERS,
    NEVER_ASKED,
    OWN_SERVER,
    REFUSED,
    AddressError,
    advice_on,
    libpq_options,
    require_coded,
    require_known,
)
from sunseo.postgres.address.tls import file_parameters, tls_context

OWN_FOLDER = re.compile(r".*/sunseo-[0-9a-f]{12}-[0-9]+")
"""Of an embedded server's socket: what the environment says of other servers is not about it."""

READ = ("service", "servicefile")
"""What stands in there has been read by now."""

UNTOLD = ("password", "client_encoding", "require_auth", *READ)
"""Not for PostgreSQL's programs, which choose their encoding by themselves."""

TIMEOUT_MIN_S = 2  # libpq's own least
PORT_MAX = 65_535
CHOICES = {
    "load_balance_hosts": ("disable", "random"),
    "target_session_attrs": (
        "any", "read-write", "read-only", "primary", "standby", "prefer-standby"
    ),
}  # fmt: skip
"""Of what libpq checks last; that of before 16 knows the second of them only."""

_STOP = "stop"  # no value of any parameter: with it libpq fills in everything, and does not connect


class Host(NamedTuple):
    """One server of perhaps several, in the order they are tried."""

    name: str  # or the folder of its socket
    numeric: str  # `hostaddr`, which is connected to instead; else empty
    port: int

    @property
    def is_local(self) -> bool:
        """Whether it is reached through a socket in a folder."""
        return self.name.startswith("/") and not self.numeric


class Address:
    """See the module; made by `read_address`."""

    def __init__(self, parameters: Mapping[str, str], default_host: str) -> None:
        self.parameters = parameters
        self.hosts = _hosts(parameters, default_host)

    def __repr__(self) -> str:
        return f"Address({self.place!r})"

    def get(self, name: str) -> str:
        return self.parameters.get(name, "")

    @property
    def place(self) -> str:
        """What people call it: a URL without a password."""
        hosts = ",".join(f"{host.name or host.numeric}:{host.port}" for host in self.hosts)
        return f"postgresql://{self.get('user')}@{hosts}/{self.get('dbname')}"

    @property
    def is_local(self) -> bool:
        return all(host.is_local for host in self.hosts)

    def application_name(self, ours: str) -> str:
        """The user's name for connections, if there is one."""
        return self.get("application_name") or self.get("fallback_application_name") or ours

    def timeout_s(self, ours: float) -> float:
        """Patience with one server; without one of the user's, or for ever, it is ours."""
        asked = int(self.get("connect_timeout") or 0)
        return max(asked, TIMEOUT_MIN_S) if asked > 0 else ours

    def for_psycopg(self, name: str, *, timeout_s: float) -> str:
        """All parameters, said outright, so that libpq takes none from the environment."""
        told = {name: value for name, value in self.parameters.items() if value}
        told |= self._where() | {
            "application_name": self.application_name(name),
            "client_encoding": "utf8",
            "connect_timeout": str(math.ceil(self.timeout_s(timeout_s))),
        }
        told = {name: value for name, value in told.items() if name not in READ}
        return make_conninfo("", **(dict.fromkeys(NEVER_ASKED, "") | told))

    def for_programs(self) -> dict[str, str]:
        """What PostgreSQL's programs have to be told: no defaults, and nothing secret."""
        compiled = {
            name: (option.compiled or b"").decode() for name, option in libpq_options().items()
        }
        told = {
            name: value
            for name, value in self.parameters.items()
            if value and value != compiled.get(name) and name not in UNTOLD
        } | self._where()
        if fallback := told.pop("fallback_application_name", None):  # they have one of their own
            told.setdefault("application_name", fallback)
        if told.get("sslcertmode") == "allow":  # the default; libpq before 16 does not know it
            del told["sslcertmode"]
        return told

    def _where(self) -> dict[str, str]:
        return {
            "host": ",".join(host.name for host in self.hosts),
            "port": ",".join(str(host.port) for host in self.hosts),
            "gssencmode": "disable",
        }


def read_address(dsn: str) -> Address:
    """Read a connection string and what stands behind it: environment, service file, defaults.

    Raises:
        AddressError: it cannot be read, or a driver of ours cannot do what it asks for.
    """
    given = _given(dsn)
    is_ours = OWN_FOLDER.fullmatch(given.get("host", "")) is not None
    if is_ours:
        given = {name: v for name, v in OWN_SERVER.items() if name in libpq_options()} | given
    last = next(name for name in CHOICES if name in libpq_options())
    found, host = _completed(given, last)
    found[last] = _completed(given, "sslmode")[0].get(last, "")
    for name, value in () if is_ours else found.items():
        _require_offered(name, value, by_environment=name not in given)
    found["client_encoding"] = "utf8"
    address = Address(found | file_parameters(found), host)
    for place in address.hosts:
        if place.name.startswith("@"):
            raise AddressError("host: abstract sockets are not offered; name the socket's folder")
        if not place.is_local:
            tls_context(address.parameters, place.name)  # tells what is wrong with its files
    return address


def _given(dsn: str) -> dict[str, str]:
    require_coded(dsn)
    try:
        return {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    except psycopg.ProgrammingError as error:
        raise AddressError(advice_on(dsn, str(error))) from None
    except ValueError:  # a character that C cannot hold
        raise AddressError("it holds a character that cannot be sent") from None


def _completed(given: Mapping[str, str], stopped: str) -> tuple[dict[str, str], str]:
    """What libpq makes of parameters before it connects, and where it would; all but one.

    What stops at the parameter that libpq checks last was found to be right otherwise.
    """
    conn = pq.PGconn.connect_start(make_conninfo("", **{**given, stopped: _STOP}).encode())
    said = conn.error_message.decode("utf-8", "replace").strip()
    if f'"{_STOP}"' not in said:
        password = given.get("password") or os.environ.get("PGPASSWORD")
        raise AddressError(said.replace(password, "…") if password else said)
    found = {
        option.keyword.decode(): option.val.decode()
        for option in conn.info
        if option.val is not None and option.keyword.decode() != stopped
    }
    return found, conn.host.decode()


def _require_offered(name: str, value: str, *, by_environment: bool) -> None:
    if value == "":
        return
    known = require_known(name)
    allowed, advice = REFUSED.get(name, (None, ""))
    if allowed is not None and value not in allowed:
        variable = known.envvar.decode() if known.envvar and by_environment else ""
        where = f" (from {variable}, or a service file)" if variable else ""
        shown = "" if known.dispchar else f"={value}"
        raise AddressError(f"{name}{shown}{where} is not offered: {advice}")
    if value not in CHOICES.get(name, (value,)):
        raise AddressError(f"{name}={value} must be one of: {', '.join(CHOICES[name])}")
    if name in INTEGERS and not re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", value):
        raise AddressError(f"{name}={value} must be a whole number")


def _hosts(parameters: Mapping[str, str], default_host: str) -> tuple[Host, ...]:
    names = _listed(parameters.get("host", ""))
    numerics = _listed(parameters.get("hostaddr", ""))
    count = max(len(names), len(numerics), 1)
    names = names or [""] * count
    numerics = numerics or [""] * count
    ports = _listed(parameters.get("port", "")) or [""]
    ports = ports * count if len(ports) == 1 else ports
    return tuple(
        Host(name or ("" if numeric else default_host), numeric, _port(port))
        for name, numeric, port in zip(names, numerics, ports, strict=True)
    )


def _listed(value: str) -> list[str]:
    return value.split(",") if value else []


def _port(value: str) -> int:
    port = value.strip() or "5432"
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= PORT_MAX:
        raise AddressError(f"port={port} must be a number from 1 to {PORT_MAX}")
    return int(port)
