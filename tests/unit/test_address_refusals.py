"""What one of our drivers cannot do is refused in one line, which names it and tells no secret."""

import ctypes.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg import pq

from sunseo.cli.main import main
from sunseo.postgres.address.address import read_address
from sunseo.postgres.address.parameters import REFUSED, TAKEN, AddressError
from tests.docs.pages import text_of

GUIDE = "docs/guides/connection-strings.md"
AWAY = "host=127.0.0.1 port=1 user=app password=s3cret dbname=box"

SHOWN = """
import sys
from sunseo.postgres.address.address import read_address
from sunseo.postgres.address.parameters import AddressError

for dsn in sys.argv[1:]:
    address = read_address(dsn)
    print(address, address.get("password"), sorted(address.for_programs().items()))
    assert address.for_psycopg("x", timeout_s=3)
for wrong in ("sslmode=x", "target_session_attrs=x", "host=h sslrootcert=system sslmode=require"):
    try:
        print("taken", read_address(wrong))
    except AddressError:
        print("refused")
"""

ASKED = {
    "channel_binding": "require",
    "gssdelegation": "1",
    "gssencmode": "require",
    "krbsrvname": "other",
    "min_protocol_version": "3.2",
    "oauth_client_id": "x",
    "oauth_client_secret": "s3cret",
    "oauth_issuer": "https://id.example",
    "oauth_scope": "x",
    "gsslib": "gssapi",
    "replication": "database",
    "require_auth": "scram-sha-256",
    "requirepeer": "postgres",
    "scram_client_key": "czNjcmV0czNjcmV0czNjcmV0czNjcmV0czNjcmV0czM=",
    "scram_server_key": "czNjcmV0czNjcmV0czNjcmV0czNjcmV0czNjcmV0czM=",
    "sslcertmode": "require",
    "sslkeylogfile": "keys",
    "sslpassword": "s3cret",
    "sslsni": "0",
}
"""Of every parameter that is not offered, a value that is refused."""


def told_by(dsn: str) -> str:
    with pytest.raises(AddressError) as told:
        read_address(dsn)
    line = str(told.value)
    assert "\n" not in line
    assert "s3cret" not in line
    assert "czNjcmV0" not in line
    return line


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_offered_is_refused_by_its_name(name: str) -> None:
    """With what to do instead."""
    line = told_by(f"{AWAY} {name}={ASKED[name]}")

    assert line.startswith(f"the connection string: {name}")
    assert line.endswith(f"is not offered: {REFUSED[name][1]}")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_changes_nothing_is_taken(name: str) -> None:
    """A value that is what we do anyway."""
    for value in REFUSED[name][0]:
        assert read_address(f"{AWAY} {name}={value}").get("dbname") == "box"


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("postgresql+asyncpg://app:s3cret@h/box", "has to begin with postgresql://"),
        ("mysql://app:s3cret@h/box", "begins with mysql://"),
        ("postgresql://app:s3cret%zz@h/box", "invalid percent-encoded token"),
        ("postgresql://app:pa/s3cret@h/box", "/ is written %2F"),
        ("postgresql://app:12/s3cret@h:1/box", "/ is written %2F"),
        ("postgres://app:pa@s3cret@h/box", "@ is written %40"),
        ("postgresql://app:pa@1:s3cret@h/box", "@ is written %40"),
        ("postgresql://app:pa@s3c=1?s3cret@h/box", "missing key/value separator"),
        ("postgresql://app@h/box?bogus=1", "libpq has no parameter bogus"),
        ("postgresql://app@h/box?sslmod=require", "is sslmode meant?"),
        ("host=h ssl=1", "is sslmode meant?"),
        ("host=h database=box", "is dbname meant?"),
        ("host=h password=my s3cret", 'missing "="'),
        ("host=h password=my s3cret=x", "neither coded nor quoted"),
        ("just words", 'missing "="'),
        ("host=a,b port=1,2,3", "could not match 3 port numbers to 2 hosts"),
        ("host=a sslmode=sometimes", 'invalid sslmode value: "sometimes"'),
        ("host=a load_balance_hosts=x", "load_balance_hosts"),
        ("host=a target_session_attrs=x", "target_session_attrs"),
        ("host=a sslrootcert=system sslmode=require", "sslrootcert=system"),
        ("host=a port=70000", "port=70000 must be a number from 1 to 65535"),
        ("host=a connect_timeout=soon", "connect_timeout=soon must be a whole number"),
        ("host=@abstract", "abstract sockets are not offered"),
        ("host=a sslmode=verify-full", "sslmode=verify-full needs sslrootcert"),
        ("hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=/x", "needs host"),
        ("host=a sslmode=require sslrootcert=/nowhere", "sslrootcert: /nowhere cannot be used"),
        ("host=a sslcert=/nowhere sslkey=/nowhere", "sslkey: /nowhere cannot be used"),
        ("host=a sslcert=/nowhere", "sslkey is missing"),
        ("service=nowhere", 'definition of service "nowhere" not found'),
    ],
)
def test_a_string_that_cannot_be_read_is_told_without_its_secrets(
    dsn: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line that says what would be right."""
    monkeypatch.setenv("HOME", str(tmp_path))

    assert said in told_by(dsn)


def test_what_the_environment_asks_for_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever did not write it into the string looks for it there in vain."""
    monkeypatch.setenv("PGCHANNELBINDING", "require")

    assert "(from PGCHANNELBINDING, or a service file)" in told_by(AWAY)


def test_the_systems_libpq_reads_it_as_well() -> None:
    """One that is older than the one psycopg brings: what it knows means the same."""
    if ctypes.util.find_library("pq") is None:
        pytest.skip("there is no libpq of the system's: make tools")
    own = "postgresql://sunseo@/sunseo?host=/tmp/sunseo-0123456789ab-0&port=5432"
    asked = (f"{AWAY} target_session_attrs=standby options=-cjit=off", own)
    told = [
        subprocess.run(
            [sys.executable, "-c", SHOWN, *asked],
            env=os.environ | {"PSYCOPG_IMPL": implementation},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for implementation in ("python", "")
    ]

    assert "s3cret" in told[0]
    assert told[0] == told[1]


def test_an_address_is_named_without_its_password() -> None:
    """In whatever form the string had it."""
    for dsn in (AWAY, "postgresql://app@127.0.0.1:1/box?password=s3cret"):
        address = read_address(dsn)
        assert address.place == "postgresql://app@127.0.0.1:1/box"
        assert repr(address) == "Address('postgresql://app@127.0.0.1:1/box')"


@pytest.mark.parametrize("command", ["serve", "verify", "migrate", "backup x", "keys create x"])
def test_every_command_refuses_it_in_one_line(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Code 2, nothing on standard output, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUNSEO_DATABASE_URL", f"{AWAY} channel_binding=require")
    monkeypatch.setenv("SUNSEO_SECRET", "x" * 32)
    monkeypatch.setenv("SUNSEO_PORT", "0")
    monkeypatch.setattr("sys.argv", ["sunseo", *command.split()])
    with pytest.raises(SystemExit) as ended:
        main()

    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    (line,) = told.err.splitlines()
    assert line.startswith("sunseo: the connection string: channel_binding=require is not offered")
    assert not list(tmp_path.iterdir())


def test_every_parameter_is_decided_upon_and_described() -> None:
    """What libpq knows is taken or refused, and has its row in the guide."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    assert known <= TAKEN | REFUSED.keys()
    assert not TAKEN & REFUSED.keys()
    assert ASKED.keys() == REFUSED.keys()
    guide = text_of(GUIDE)
    assert [name for name in sorted(known) if f"`{name}`" not in guide] == []
