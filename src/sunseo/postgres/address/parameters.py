"""Every parameter of libpq's: which are not offered, why, and what to do instead.

What is not named here is passed on or translated (`address`, `tls`, `connect`). The guide of
settings has the same as a table.
"""

import difflib
import re
from functools import lru_cache

from psycopg import pq
from psycopg.pq.misc import ConninfoOption

from sunseo.core.errors import OneLineError

TAKEN = frozenset(
    {
        "application_name", "client_encoding", "connect_timeout", "dbname",
        "fallback_application_name", "host", "hostaddr", "keepalives", "keepalives_count",
        "keepalives_idle", "keepalives_interval", "load_balance_hosts", "max_protocol_version",
        "options", "passfile", "password", "port", "service", "servicefile",
        "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcompression",
        "sslcrl", "sslcrldir", "sslkey", "sslmode", "sslnegotiation", "sslrootcert",
        "target_session_attrs", "tcp_user_timeout", "user",
    }
)  # fmt: skip
"""They have the same effect through every driver, whatever their value."""

_GSS = (frozenset[str](), "GSSAPI is not offered; use a password or a client certificate")
_OAUTH = (frozenset[str](), "OAuth is not offered; use a password or a client certificate")
_SCRAM = (frozenset[str](), "give password or passfile instead")

REFUSED: dict[str, tuple[frozenset[str], str]] = {
    "channel_binding": (
        frozenset({"disable", "prefer"}),
        "not every driver can bind the channel; leave it out, and set sslmode=verify-full",
    ),
    "gssdelegation": (frozenset({"0"}), _GSS[1]),
    "gssencmode": (frozenset({"disable", "prefer"}), "use TLS instead (sslmode)"),
    "gsslib": _GSS,
    "krbsrvname": (frozenset({"postgres"}), _GSS[1]),
    "min_protocol_version": (frozenset({"3.0"}), "not every driver speaks a newer one than 3.0"),
    "oauth_client_id": _OAUTH,
    "oauth_client_secret": _OAUTH,
    "oauth_issuer": _OAUTH,
    "oauth_scope": _OAUTH,
    "replication": (
        frozenset({"false", "off", "no", "0"}),
        "Sunseo works on an ordinary connection; leave it out",
    ),
    "require_auth": (
        frozenset(),
        "not every driver can insist on a method; let pg_hba.conf, and sslmode=verify-full here",
    ),
    "requirepeer": (
        frozenset(),
        "not every driver can ask whose socket it is; keep the socket's folder closed to others",
    ),
    "scram_client_key": _SCRAM,
    "scram_server_key": _SCRAM,
    "sslcertmode": (
        frozenset({"allow", "disable"}),
        "not every driver can insist on being asked; let pg_hba.conf (clientcert)",
    ),
    "sslkeylogfile": (frozenset(), "it would write the connection's keys into a file"),
    "sslpassword": (
        frozenset(),
        "pg_dump could be told in plain sight only; keep the key unencrypted in a closed file",
    ),
    "sslsni": (frozenset({"1"}), "the server's name is always told"),
}
"""By parameter: the values that are fine nevertheless, and what to do instead of the others."""

OWN_SERVER = {
    "application_name": "",
    "channel_binding": "prefer",
    "gssencmode": "disable",
    "hostaddr": "",
    "load_balance_hosts": "disable",
    "options": "",
    "password": "",
    "require_auth": "none",  # its socket asks the kernel who we are
    "requirepeer": "",
    "sslmode": "disable",
    "target_session_attrs": "any",
}
"""Said to an embedded server, lest the environment says something else."""

NEVER_ASKED = ("application_name", "hostaddr", "options", "password", "requirepeer")
"""Said as empty, where there is none, lest libpq looks into the environment once more."""

INTEGERS = frozenset(
    {
        "connect_timeout", "keepalives", "keepalives_count", "keepalives_idle",
        "keepalives_interval", "tcp_user_timeout",
    }
)  # fmt: skip

MEANT = {
    "command_timeout": "options=-c statement_timeout=…",
    "database": "dbname",
    "currentschema": "options=-c search_path=…",
    "schema": "options=-c search_path=…",
    "search_path": "options=-c search_path=…",
    "server_settings": "options=-c name=value",
    "ssl": "sslmode",
    "username": "user",
}
"""Names out of other drivers' worlds, and what libpq has instead."""


class AddressError(OneLineError, ValueError):
    """A connection string that we cannot do as it says. Its text is one line, without secrets."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the connection string: {' '.join(why.split())}")


@lru_cache
def libpq_options() -> dict[str, ConninfoOption]:
    """What the libpq at hand knows, by name."""
    return {option.keyword.decode(): option for option in pq.Conninfo.get_defaults()}


def require_known(name: str) -> ConninfoOption:
    """What libpq knows of a parameter that has been given.

    Raises:
        AddressError: this version was written before there was such a parameter.
    """
    if name not in TAKEN and name not in REFUSED:
        raise AddressError(f"{name} is not known to this version of Sunseo; leave it out")
    options = libpq_options()
    return options.get(name) or options["service"]


def require_coded(dsn: str) -> None:
    """Refuse a URL in which libpq takes a part of a password for a host or a database.

    Those are shown to people.

    Raises:
        AddressError: an `@` follows where libpq takes the password to have ended.
    """
    url = re.match(r"postgres(?:ql)?://(?:[^@/]*@)?([^?]*)", dsn)
    if url and "@" in url[1]:
        raise AddressError(
            "it has an @ after the place where its password ends; in user and password,"
            " @ is written %40, and / is written %2F"
        )


def advice_on(dsn: str, said: str) -> str:
    """Say what is wrong with a string that libpq cannot read; it may quote a password, we do not.

    Args:
        dsn: the string.
        said: libpq's complaint.
    """
    scheme = re.match(r"\s*([a-z]+\+?[a-z0-9]*)://", dsn)
    if scheme and scheme[1] not in ("postgresql", "postgres"):
        return f"it begins with {scheme[1]}://, and has to begin with postgresql://"
    if named := re.fullmatch(
        r'invalid (?:URI query parameter:|connection option) "([^"]+)"\s*', said
    ):
        return _unknown(dsn, named[1])
    why = re.sub(r'(:| after| in) ".*', "", said.strip(), flags=re.DOTALL)
    return (
        f"libpq cannot read it ({why}); it should be like postgresql://user:password@host/database,"
        " with %xx for every special character of a password, or like host=… dbname=…"
    )


def _unknown(dsn: str, name: str) -> str:
    if "@" in dsn.partition("?")[2] or "password" in dsn:
        # The name may be part of a password in which something was not coded, or not quoted.
        return "libpq has no parameter of a name in it; is a password neither coded nor quoted?"
    meant = MEANT.get(name.lower())
    if meant is None:
        close = difflib.get_close_matches(name.lower(), libpq_options(), n=1)
        meant = close[0] if close else None
    if meant is None:
        return f"libpq has no parameter {name}; leave it out"
    return f"libpq has no parameter {name}; is {meant} meant?"
