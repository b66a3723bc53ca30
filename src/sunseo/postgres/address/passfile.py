"""Passwords out of libpq's password file, by libpq's rules, for the driver that is not libpq's.

Rules: https://www.postgresql.org/docs/current/libpq-pgpass.html
"""

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sunseo.postgres.address.address import Host

DEFAULT_FOLDERS = ("/tmp", "/var/run/postgresql", "/run/postgresql")  # noqa: S108 - libpq's own
FIELDS = re.compile(r"((?:[^\\:]|\\.)*):" * 4 + r"(.*)")


def password_for(parameters: Mapping[str, str], host: "Host") -> str:
    """The password that was given, or the file's for a host; else none, which is empty."""
    if password := parameters.get("password"):
        return password
    name = host.name or host.numeric
    names = {name, "localhost"} if name in DEFAULT_FOLDERS else {name}
    wanted: tuple[set[str | None], ...] = (
        {*names},
        {str(host.port)},
        {parameters.get("dbname")},
        {parameters.get("user")},
    )
    for *fields, password in _lines(Path(parameters.get("passfile", ""))):
        if all(
            field == "*" or _plain(field) in fit for field, fit in zip(fields, wanted, strict=True)
        ):
            return _plain(password)
    return ""


def _lines(file: Path) -> Iterator[tuple[str, ...]]:
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return  # libpq takes no file that others can read
        with file.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            for line in lines:
                if not line.startswith("#") and (said := FIELDS.fullmatch(line.rstrip("\r\n"))):
                    yield said.groups()
    except OSError:
        return


def _plain(field: str) -> str:
    return re.sub(r"\\(.)", r"\1", field)
