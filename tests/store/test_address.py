"""One connection string means the same to every driver, or is refused."""

import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import text

from sunseo.backup.tools import PostgresTool, run_tool, target_of
from sunseo.postgres.address.address import read_address
from sunseo.postgres.address.parameters import AddressError
from sunseo.postgres.connection import LaneConnection
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.pipelined.pipeline import PipelineConnection
from sunseo.postgres.pool import create_cold_engine
from tests.postgres_fixture import create_database, execute
from tests.store.tls_postgres import FOLDERS, PASSWORD, TlsPostgres, tls_postgres

pytestmark = pytest.mark.skipif(
    not FOLDERS, reason="there is no PostgreSQL of Debian's, which has TLS: make tools"
)

ASKED = """
SELECT current_database()::text AS database, session_user::text AS role,
    current_setting('application_name') AS application,
    current_setting('search_path') AS search_path,
    coalesce(host(inet_server_addr()), 'socket') AS by,
    (SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls,
    (SELECT coalesce(version, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls_version,
    (current_setting('server_version_num')::int / 10000)::text AS major,
    current_setting('client_encoding') AS encoding,
    current_setting('TimeZone') AS zone,
    current_setting('DateStyle') AS dates,
    current_setting('geqo') AS geqo
"""


class Seen(NamedTuple):
    """What the server says of a connection."""

    database: str
    role: str
    application: str
    search_path: str
    by: str
    tls: str
    tls_version: str
    major: str
    encoding: str
    zone: str
    dates: str
    geqo: str


async def by_room_lane(dsn: str) -> Seen:
    lane = LaneConnection(dsn)
    try:
        async with lane.transaction() as tx:
            (row,) = await tx.fetch(ASKED)
    finally:
        await lane.close()
    return Seen(*map(str, row))


async def by_lane(dsn: str) -> Seen:
    lane = PipelineConnection(dsn)
    try:
        session = await lane.session()
        (answer,) = await session.send([(ASKED, ())])
        return Seen(*(str(answer[name][0]) for name in Seen._fields))
    finally:
        await lane.close()


async def by_cold_pool(dsn: str) -> Seen:
    engine = create_cold_engine(dsn, size=1)
    try:
        async with engine.connect() as connection:
            return Seen(*map(str, (await connection.execute(text(ASKED))).one()))
    finally:
        await engine.dispose()


async def by_program(dsn: str) -> Seen:
    target = target_of(dsn)
    assert quote(PASSWORD) not in target.conninfo
    assert PASSWORD not in target.conninfo
    psql = PostgresTool(FOLDERS[-1] / "psql", "15", has_tls=True)
    words = ["-X", "-A", "-t", "-w", "-d", target.conninfo, "-c", ASKED]
    return Seen(*(await run_tool(psql, words, target.environment)).strip().split("|"))


DRIVERS: dict[str, Callable[[str], Awaitable[Seen]]] = {
    "room lane": by_room_lane,
    "lane": by_lane,
    "cold pool": by_cold_pool,
    "program": by_program,
}

TCP = "host=127.0.0.1 port={port} dbname=box user={role} password={kept}"
URL = "postgresql://{role}:{coded}@127.0.0.1:{port}/box"
ON = {"tls": "true"}
OFF = {"tls": "false"}


class Case(NamedTuple):
    """A string, with a field for what differs each time, and what every driver shall show."""

    dsn: str
    seen: Mapping[str, str]
    role: str = "app"
    environment: Mapping[str, str] = {}


CASES = {
    "a URL with a coded password": Case(URL, {"database": "box", "role": "app", "by": "127.0.0.1"}),
    "keywords and values": Case(TCP, {"database": "box", "role": "app"}),
    "the query wins over the rest": Case(
        "postgresql://nobody:wrong@127.0.0.1:1/none?user=app&password={coded}&dbname=box&port={port}",
        {"database": "box", "role": "app"},
    ),
    "sslmode prefer": Case(TCP, ON),
    "sslmode disable": Case(f"{TCP} sslmode=disable", OFF),
    "sslmode allow": Case(f"{TCP} sslmode=allow", OFF),
    "sslmode allow, where TLS must be": Case(f"{TCP} sslmode=allow", ON, "secure"),
    "sslmode prefer, where TLS may not be": Case(TCP, OFF, "plain"),
    "sslmode require": Case(f"{URL}?sslmode=require", ON),
    "ssl=true": Case(f"{URL}?ssl=true", ON),
    "sslmode verify-ca": Case(f"{TCP} sslmode=verify-ca sslrootcert={{authority}}", ON),
    "sslmode verify-full": Case(
        TCP.replace("host=", "host=db.example hostaddr=")
        + " sslmode=verify-full sslrootcert={authority}",
        ON,
    ),
    "a certificate of ours": Case(
        "host=127.0.0.1 port={port} dbname=box user=carded sslmode=require sslcert={card}"
        " sslkey={card_key}",
        ON | {"role": "carded"},
    ),
    "TLS versions": Case(f"{TCP} ssl_max_protocol_version=TLSv1.2", {"tls_version": "TLSv1.2"}),
    "application_name": Case(f"{TCP} application_name=shop", {"application": "shop"}),
    "fallback_application_name": Case(
        f"{TCP} fallback_application_name=shop", {"application": "shop"}
    ),
    "options": Case(
        f"{URL}?options=-c%20search_path%3Dpublic,pg_temp", {"search_path": "public,pg_temp"}
    ),
    "client_encoding": Case(f"{TCP} client_encoding=latin1", {"database": "box"}),
    "a socket": Case(
        "postgresql://app@/box?host={sockets}&port={port}", OFF | {"by": "socket", "role": "app"}
    ),
    "a socket, and TLS that is not for sockets": Case(
        "postgresql://app@/box?host={sockets}&port={port}&sslmode=require", OFF
    ),
    "hostaddr": Case(TCP.replace("host=", "hostaddr="), {"by": "127.0.0.1"}),
    "several hosts, the first of which is away": Case(
        TCP.replace("127.0.0.1 port=", "127.0.0.1,127.0.0.1 port=1,"), {"database": "box"}
    ),
    "read-write": Case("{pair} target_session_attrs=read-write", {"major": "15"}),
    "read-only": Case("{pair} target_session_attrs=read-only", {"major": "18"}),
    "primary": Case("{pair} target_session_attrs=primary", {"major": "18"}),
    "prefer-standby": Case("{pair} target_session_attrs=prefer-standby", {"major": "18"}),
    "any": Case("{pair}", {"major": "18"}),
    "load_balance_hosts": Case(f"{TCP} load_balance_hosts=random", {"database": "box"}),
    "keepalives": Case(
        f"{TCP} keepalives=1 keepalives_idle=60 keepalives_interval=5 keepalives_count=3"
        " tcp_user_timeout=10000 connect_timeout=5",
        {"database": "box"},
    ),
    "passfile": Case(
        "host=127.0.0.1 port={port} dbname=box user=app passfile={passfile}", {"role": "app"}
    ),
    "a service": Case("service=shop password={kept}", {"database": "box", "application": "shop"}),
    "the environment": Case(
        "postgresql://",
        {"database": "box", "role": "app", "application": "shop", "search_path": "public"} | OFF,
        environment={
            "PGHOST": "127.0.0.1",
            "PGPORT": "{port}",
            "PGUSER": "app",
            "PGDATABASE": "box",
            "PGPASSWORD": PASSWORD,
            "PGSSLMODE": "disable",
            "PGAPPNAME": "shop",
            "PGOPTIONS": "-c search_path=public",
        },
    ),
    "the string wins over the environment": Case(
        f"{TCP} sslmode=require application_name=shop",
        ON | {"database": "box", "application": "shop"},
        environment={
            "PGHOST": "nowhere.invalid",
            "PGPORT": "1",
            "PGUSER": "nobody",
            "PGDATABASE": "none",
            "PGPASSWORD": "wrong",
            "PGSSLMODE": "disable",
            "PGAPPNAME": "none",
        },
    ),
    "what libpq tells besides its parameters": Case(
        TCP,
        {"zone": "Asia/Seoul", "dates": "German, DMY", "geqo": "off"},
        environment={"PGTZ": "Asia/Seoul", "PGDATESTYLE": "German", "PGGEQO": "off"},
    ),
    "hosts of the environment's choice": Case(
        "{pair}", {"major": "15"}, environment={"PGTARGETSESSIONATTRS": "read-write"}
    ),
}


@pytest.fixture(scope="module")
def fields(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedServer
) -> Iterator[dict[str, Any]]:
    """A server with TLS, and beside it the shared one, whose database of that name only reads."""
    with tls_postgres(tmp_path_factory.mktemp("tls")) as server:
        execute(postgres_server, "CREATE ROLE app LOGIN")
        create_database(postgres_server, "box")
        execute(postgres_server, "ALTER DATABASE box SET default_transaction_read_only = on")
        yield _fields(server, postgres_server)
        execute(postgres_server, "DROP DATABASE box WITH (FORCE)", "DROP ROLE app")


def _fields(server: TlsPostgres, reader: EmbeddedServer) -> dict[str, Any]:
    kept = "'" + PASSWORD.replace("\\", "\\\\").replace("'", "\\'") + "'"
    passfile = server.folder / "passfile"
    passfile.touch(mode=0o600)
    line = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    passfile.write_text(f"# ours\n*:*:other:*:wrong\n127.0.0.1:{server.port}:*:app:{line}\n")
    services = server.folder / "services"
    services.write_text(
        f"[shop]\nhost=127.0.0.1\nport={server.port}\ndbname=box\nuser=app\napplication_name=shop\n"
    )
    other = read_address(reader.dsn).hosts[0].name
    pair = f"host={other},127.0.0.1 port=5432,{server.port} dbname=box user=sunseo password={kept}"
    named = {name: getattr(server, name) for name in TlsPostgres._fields}
    return named | {
        "kept": kept,
        "coded": quote(PASSWORD, safe=""),
        "passfile": passfile,
        "services": services,
        "pair": pair,
    }


@pytest.mark.parametrize("name", CASES)
async def test_every_driver_shows_the_same(
    name: str, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Database, role, name, search path, TLS and server are those the string asks for."""
    case = CASES[name]
    monkeypatch.setenv("PGSERVICEFILE", str(fields["services"]))
    for variable, value in case.environment.items():
        monkeypatch.setenv(variable, value.format(**fields))
    dsn = case.dsn.format(**fields, role=case.role)

    shown = {driver: await ask(dsn) for driver, ask in DRIVERS.items()}

    for driver, seen in shown.items():
        told = {field: getattr(seen, field) for field in case.seen}
        told["search_path"] = told.get("search_path", "").replace(" ", "")
        assert told == {"search_path": "", **case.seen}, driver
        assert driver == "program" or seen.encoding == "UTF8"


WRONG = {
    "another authority": f"{TCP} sslmode=verify-ca sslrootcert={{stranger}}",
    "another name": f"{TCP} sslmode=verify-full sslrootcert={{authority}}",
    "require with an authority is as verify-ca": f"{TCP} sslmode=require sslrootcert={{stranger}}",
    "no server of that kind": f"{TCP} target_session_attrs=standby",
    "a wrong password": "postgresql://app:wrong@127.0.0.1:{port}/box",
    "a passfile that others can read": "{open}",
}


@pytest.mark.parametrize("name", WRONG)
async def test_no_driver_goes_where_it_must_not(name: str, fields: dict[str, Any]) -> None:
    """What libpq does not trust, none of the others trusts either; no error tells the password."""
    loose = fields["folder"] / "loose"
    loose.write_text(fields["passfile"].read_text())
    loose.chmod(0o644)
    unread = f"host=127.0.0.1 port={fields['port']} dbname=box user=app passfile={loose}"
    dsn = WRONG[name].format(**fields, role="app", open=unread)

    for driver, ask in DRIVERS.items():
        with pytest.raises(Exception) as told:
            await ask(dsn)
        assert not isinstance(told.value, AddressError | AssertionError), driver
        assert PASSWORD not in str(told.value)


async def test_the_environment_does_not_reach_an_embedded_server(
    postgres_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is set for another PostgreSQL leads nowhere else, and changes nothing."""
    for variable, value in {
        "PGHOSTADDR": "127.0.0.9",
        "PGOPTIONS": "-c search_path=elsewhere",
        "PGTARGETSESSIONATTRS": "standby",
        "PGSSLMODE": "verify-full",
        "PGAPPNAME": "other",
        "PGREQUIREAUTH": "scram-sha-256",
        "PGCHANNELBINDING": "require",
    }.items():
        monkeypatch.setenv(variable, value)

    for ask in DRIVERS.values():
        seen = await ask(postgres_server.dsn)
        assert (seen.by, seen.database, seen.search_path) == ("socket", "sunseo", '"$user", public')


async def test_a_silent_connection_is_looked_after(fields: dict[str, Any]) -> None:
    """The kernel's settings are those of libpq's parameters, through asyncpg too."""
    dsn = f"{TCP} keepalives_idle=61 keepalives_interval=7".format(**fields, role="app")
    lane = LaneConnection(dsn)
    async with lane.transaction():
        held: Any = lane._connection
        asked = held._transport.get_extra_info("socket")
        assert asked.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert asked.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 61
        assert asked.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 7
    await lane.close()


async def test_a_backup_is_made_of_the_server_that_holds_the_snapshot(
    fields: dict[str, Any],
) -> None:
    """Of several hosts, the program is told the one that our connection has led to."""
    dsn = "{pair} target_session_attrs=read-write".format(**fields)
    engine = create_cold_engine(dsn, size=1)
    async with engine.connect() as connection:
        held: Any = (await connection.get_raw_connection()).driver_connection
        target = target_of(dsn, held.server.for_libpq())
    await engine.dispose()

    told = psycopg.conninfo.conninfo_to_dict(target.conninfo)
    assert (told["host"], told["hostaddr"]) == ("127.0.0.1", "127.0.0.1")
    assert told["port"] == str(fields["port"])


def test_a_default_file_is_found_for_every_driver(
    fields: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~/.postgresql/root.crt` is as good as named, as it is to libpq."""
    home = tmp_path / ".postgresql"
    home.mkdir()
    (home / "root.crt").write_bytes(fields["authority"].read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))

    address = read_address("host=db.example sslmode=verify-full")

    assert address.get("sslrootcert") == str(home / "root.crt")
