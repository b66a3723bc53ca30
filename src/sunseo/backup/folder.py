"""A data folder that is restored: built inside itself, and whole by one rename at the end."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sunseo.backup.archive import sync_folder
from sunseo.backup.error import BackupError
from sunseo.postgres.embedded.cluster import Layout, create_data_folder
from sunseo.postgres.embedded.error import explain_os_error
from sunseo.postgres.embedded.lock import FolderLock

PREFIX = "restoring-"
HARMLESS = ("lost+found", "postgresql.lock")


class Building:
    """A data folder in the making."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.folder = folder
        self._data = data

    def finish(self, files: Mapping[str, str]) -> None:
        """Put files and database in their places: the database last, as the seal."""
        for name, text in files.items():
            draft = self.folder / name
            draft.touch(mode=0o600)
            draft.write_text(text, "ascii")
            _give_like(self._data, draft)
            draft.rename(self._data / name)
        sync_folder(self._data)
        Layout(self.folder).cluster.rename(Layout(self._data).cluster)
        sync_folder(self._data)


def check_empty_folder(data: Path) -> None:
    """Refuse a folder in which something is.

    Raises:
        BackupError: what.
    """
    try:
        found = sorted(entry.name for entry in data.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise explain_os_error("looking into the data folder", data, error) from error
    cut_off = any(name.startswith(PREFIX) for name in found)
    rest = [
        name
        for name in found
        if name not in HARMLESS
        and not name.startswith(PREFIX)
        and not (cut_off and name == "secret")  # put there just before the last step
    ]
    if rest:
        named = ", ".join(rest[:3]) + (", …" if len(rest) > 3 else "")
        raise BackupError(
            f"{data.absolute()} is not empty ({named}): restore makes a new data folder and never"
            " replaces one. Name another folder, or move that one aside"
        )


@contextmanager
def building_folder(data: Path) -> Iterator[Building]:
    """A place to build in; whatever happens, nothing but the finished folder is left."""
    data = data.absolute()
    is_new = not data.exists()
    create_data_folder(data)
    lock = FolderLock(Layout(data).lock)
    lock.acquire()
    try:
        check_empty_folder(data)
        for cut_off in data.glob(f"{PREFIX}*"):
            shutil.rmtree(cut_off)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=data))
        folder.chmod(0o711)  # as a data folder is: PostgreSQL may run as another user
        _give_like(data, folder)
        try:
            yield Building(data, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        if is_new:  # otherwise the lock's file stays: removing it could let two in
            lock.path.unlink(missing_ok=True)
            with suppress(OSError):  # somebody has put something there meanwhile
                data.rmdir()
        raise
    finally:
        lock.release()


def _give_like(data: Path, path: Path) -> None:
    """Have a path owned by who owns the data folder."""
    if os.geteuid() == 0:
        owner = data.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
