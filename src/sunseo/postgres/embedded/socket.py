"""A short and private place for PostgreSQL's socket.

A socket's path must fit into 107 bytes, which a data folder with a long or Korean name would
exceed: so the socket lives in a small folder of its own under the user's runtime folder or /tmp,
named after the data folder.
"""

import hashlib
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from sunseo.postgres.embedded.config import PORT
from sunseo.postgres.embedded.error import EmbeddedServerError, explain_os_error
from sunseo.postgres.embedded.identity import Identity

SOCKET_PATH_BYTES_MAX = 103
"""Linux allows 107, macOS and the BSDs 103."""

KNOCK_S = 1.0

SOCKET = f".s.PGSQL.{PORT}"
LOCK = f"{SOCKET}.lock"


def create_socket_folder(
    data: Path, identity: Identity, environment: Mapping[str, str] | None = None
) -> Path:
    """Make, or find again, the folder for the socket of the database in `data`.

    Raises:
        EmbeddedServerError: Somebody else owns a folder of that name, or none can be made.
    """
    environment = os.environ if environment is None else environment
    name = "sunseo-" + hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]
    for parent in _parents(identity, environment):
        folder = parent / f"{name}-{identity.uid}"
        if len(os.fsencode(folder / LOCK)) <= SOCKET_PATH_BYTES_MAX:
            return _owned(folder, identity)
    raise EmbeddedServerError(
        "no folder is short enough for PostgreSQL's socket; set XDG_RUNTIME_DIR to a short one"
    )


def is_listening(folder: Path) -> bool:
    """Whether somebody answers at the socket; PostgreSQL does not mind being hung up on."""
    with socket.socket(socket.AF_UNIX) as knock:
        knock.settimeout(KNOCK_S)
        try:
            knock.connect(os.fspath(folder / SOCKET))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # a full queue: busy, but there
            return True
    return True


def remove_socket_folder(folder: Path) -> None:
    """Take away what a stopped server has left; a folder with anything else in it stays."""
    try:
        for name in (SOCKET, LOCK):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:  # not worth failing for: the next start uses the folder again
        return


def _parents(identity: Identity, environment: Mapping[str, str]) -> Iterator[Path]:
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    # Another user than ourselves could not pass through our runtime folder.
    if runtime.startswith("/") and identity.uid == os.geteuid() and os.access(runtime, os.W_OK):
        yield Path(runtime)
    yield Path("/tmp")  # noqa: S108 - a name others may take first is refused in `_owned`


def _owned(folder: Path, identity: Identity) -> Path:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise explain_os_error("making a place for the socket", folder, error) from error
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (identity.uid, os.geteuid()):
        raise EmbeddedServerError(
            f"{folder} is needed for PostgreSQL's socket, but it belongs to somebody else;"
            " remove it, or set XDG_RUNTIME_DIR to a private folder"
        )
    identity.give(folder)
    folder.chmod(0o700)
    return folder
