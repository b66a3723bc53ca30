"""A PostgreSQL that listens on the loopback with TLS, for what the embedded one cannot do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sunseo.postgres.embedded.binaries import DISTRIBUTION_FOLDERS, find_binaries
from sunseo.postgres.embedded.config import CONFIG
from sunseo.postgres.embedded.socket import remove_socket_folder
from tests.acceptance.gate_wire import free_port
from tests.acceptance.nginx_examples import certify
from tests.own_postgres import OwnPostgres
from tests.postgres_fixture import query

FOLDERS = sorted(
    folder
    for pattern in DISTRIBUTION_FOLDERS
    for folder in Path("/").glob(pattern)
    if (folder / "postgres").exists() and (folder / "psql").exists()
)
"""Of a distribution's PostgreSQL: the wheel's speaks no TLS."""

PASSWORD = "p%40 s@:'\\x"  # with all that has a meaning elsewhere
HBA = """
local all all trust
hostssl all secure 127.0.0.1/32 scram-sha-256
hostssl all carded 127.0.0.1/32 cert
hostnossl all plain 127.0.0.1/32 scram-sha-256
host all app,sunseo 127.0.0.1/32 scram-sha-256
"""


class TlsPostgres(NamedTuple):
    """A running one; everything in `folder` was made for it and is thrown away."""

    folder: Path
    port: int
    sockets: Path
    authority: Path
    stranger: Path  # an authority that signed nothing here
    card: Path  # a certificate for the role `carded`, and its key
    card_key: Path


def _settings(server: OwnPostgres, folder: Path, port: int, card: Path) -> str:
    """What the embedded server's settings are not; the last word of a file counts."""
    hba = server.cluster / "tls_hba.conf"
    hba.write_text(HBA, "utf-8")
    served = server.cluster / "tls"
    served.mkdir(mode=0o700)
    certify(served, "db.example", "localhost")
    (served / "card.pem").write_bytes(card.read_bytes())
    (served / "privkey.pem").chmod(0o600)
    for path in (hba, served, *served.iterdir()):
        server._identity.give(path)
    return f"""
listen_addresses = '127.0.0.1'
port = {port}
hba_file = '{hba}'
ssl = on
ssl_cert_file = '{served / "fullchain.pem"}'
ssl_key_file = '{served / "privkey.pem"}'
ssl_ca_file = '{served / "card.pem"}'
"""


@contextmanager
def tls_postgres(folder: Path) -> Iterator[TlsPostgres]:
    """With the roles of `HBA`, all of the same password, and their database `box`."""
    parts = [folder / name for name in ("stranger", "card")]
    for part, name in zip(parts, ("stranger", "carded"), strict=True):
        part.mkdir()
        certify(part, name)
        (part / "privkey.pem").chmod(0o600)
    (folder / "data").mkdir()
    server = OwnPostgres(folder / "data", find_binaries({"PG_BIN": str(FOLDERS[-1])}))
    port = free_port()
    with (server.cluster / CONFIG).open("a", encoding="utf-8") as file:
        file.write(_settings(server, folder, port, parts[1] / "fullchain.pem"))
    try:
        server.start()
        admin = f"postgresql://postgres@/postgres?host={server.sockets}&port={port}"
        quoted = PASSWORD.replace("'", "''")
        for role in ("app", "secure", "plain", "carded"):
            query(admin, f"CREATE ROLE {role} LOGIN PASSWORD '{quoted}'")
        query(admin, f"ALTER ROLE sunseo PASSWORD '{quoted}'")
        query(admin, "CREATE DATABASE box OWNER app")
        authority = folder / "authority.pem"
        authority.write_bytes((server.cluster / "tls/fullchain.pem").read_bytes())
        card, key = parts[1] / "fullchain.pem", parts[1] / "privkey.pem"
        stranger = parts[0] / "fullchain.pem"
        yield TlsPostgres(folder, port, server.sockets, authority, stranger, card, key)
    finally:
        server.stop()
        remove_socket_folder(server.sockets)
