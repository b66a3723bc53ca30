"""TLS as libpq's parameters ask for it, for the driver that is not libpq's.

The files that libpq looks for by itself (`~/.postgresql/root.crt` and others) are found here and
named to every driver. What is stricter than libpq: a file that is named has to be there.
"""

import ssl
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sunseo.postgres.address.parameters import AddressError

BY_DEFAULT = {
    "sslrootcert": "root.crt",
    "sslcrl": "root.crl",
    "sslcert": "postgresql.crt",
    "sslkey": "postgresql.key",
}
"""Names in `~/.postgresql`."""

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Red Hat
    "/etc/ssl/cert.pem",  # BSD, macOS
)
"""Each driver may bring an OpenSSL of its own, which looks elsewhere: all are told one file."""

TLS_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class _NamedContext(ssl.SSLContext):
    """One that holds the certificate against a name, whichever address was connected to."""

    server_name: str

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> ssl.SSLObject:
        name = self.server_name or server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, name, session)


def file_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """The files that parameters name, or leave to be found; only those that there are.

    Raises:
        AddressError: a named one is not there.
    """
    found: dict[str, str] = {}
    if parameters.get("sslmode") == "disable":
        return found
    for name, default in BY_DEFAULT.items():
        if name in ("sslcert", "sslkey") and parameters.get("sslcertmode") == "disable":
            continue
        named = parameters.get(name)
        path = Path(named) if named else _home() / default
        if named == "system" and name == "sslrootcert":
            if parameters.get("sslmode") != "verify-full":  # libpq before 16 would not mind
                raise AddressError("sslrootcert=system needs sslmode=verify-full")
            path = _system_bundle()
        if named or _is_file(path):
            found[name] = str(path)
    if "sslcert" in found and "sslkey" not in found:
        raise AddressError("sslkey is missing: sslcert needs the file of its key beside it")
    return found


def tls_context(parameters: Mapping[str, str], server_name: str) -> ssl.SSLContext | None:
    """What a connection is encrypted with; none if it never is.

    Args:
        parameters: of libpq, with `file_parameters`.
        server_name: that the certificate has to be for, with `verify-full`.

    Raises:
        AddressError: a file cannot be used.
    """
    mode = parameters.get("sslmode", "prefer")
    if mode == "disable":
        return None
    if mode.startswith("verify") and not parameters.get("sslrootcert"):
        raise AddressError(
            f"sslmode={mode} needs sslrootcert: the file of the authority that signed the"
            " server's certificate, or sslrootcert=system"
        )
    if mode == "verify-full" and not server_name:
        raise AddressError("sslmode=verify-full needs host: the name in the certificate")
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server_name
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if parameters.get("sslrootcert") else ssl.CERT_NONE
    context.minimum_version = _version(parameters, "ssl_min_protocol_version", "TLSv1.2")
    if parameters.get("ssl_max_protocol_version"):
        context.maximum_version = _version(parameters, "ssl_max_protocol_version", "")
    if parameters.get("sslnegotiation") == "direct":
        context.set_alpn_protocols(["postgresql"])
    _load_files(context, parameters)
    return context


def _load_files(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    if authority := parameters.get("sslrootcert"):
        with _named("sslrootcert", authority):
            context.load_verify_locations(cafile=authority)
    revoked, folder = parameters.get("sslcrl"), parameters.get("sslcrldir")
    if authority and (revoked or folder):
        with _named("sslcrl", str(revoked or folder)):
            context.load_verify_locations(cafile=revoked or None, capath=folder or None)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
    if (certificate := parameters.get("sslcert")) and parameters.get("sslcertmode") != "disable":
        key = parameters["sslkey"]
        with _named("sslkey", key):
            _require_closed(key)
        with _named("sslcert", certificate):
            context.load_cert_chain(certificate, key, password=_refuse_password)


class _named:  # noqa: N801 - used as a keyword is
    """Tells of a file which could not be used by the parameter that named it."""

    def __init__(self, parameter: str, file: str) -> None:
        self._told = f"{parameter}: {file} cannot be used"

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ssl.SSLError):
            raise AddressError(f"{self._told}: {error.reason or 'it is not in PEM'}") from None
        if isinstance(error, OSError):
            raise AddressError(f"{self._told}: {error.strerror or error}") from None


def _require_closed(key: str) -> None:
    """Refuse by libpq's own rule: a key that others can read.

    Raises:
        AddressError: they can.
    """
    found = Path(key).stat()
    group = stat.S_IWGRP | stat.S_IXGRP if found.st_uid == 0 else stat.S_IRWXG
    if found.st_mode & (group | stat.S_IRWXO):
        raise AddressError(f"sslkey: {key} can be read by others; chmod 600 it")


def _refuse_password() -> str:
    raise AddressError("sslkey: the key is encrypted; keep it unencrypted, and to yourself")


def _version(parameters: Mapping[str, str], name: str, default: str) -> ssl.TLSVersion:
    return TLS_VERSIONS[parameters.get(name) or default]


def _system_bundle() -> Path:
    chosen = ssl.get_default_verify_paths().cafile
    for path in (chosen, *SYSTEM_BUNDLES):
        if path and Path(path).is_file():
            return Path(path)
    raise AddressError(
        "sslrootcert=system: no bundle of authorities was found; install ca-certificates,"
        " or name the file"
    )


def _home() -> Path:
    try:
        return Path.home() / ".postgresql"
    except RuntimeError:
        return Path("/nonexistent")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
