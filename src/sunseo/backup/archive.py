"""The one file of a backup: a tar of manifest, secrets and the database's dump, maybe encrypted.

Guarantee   A file appears under its name whole, readable by its owner only, or not at all. Nothing
            is read from one before all of its checksums are found to be right.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO

import msgspec

from sunseo.backup.error import BackupError
from sunseo.backup.manifest import FORMAT, Content, Manifest
from sunseo.backup.sealed import MAGIC, OpeningReader, SealingWriter

MANIFEST, SECRETS, DATABASE = "manifest.json", "secrets.json", "database.dump"
MANIFEST_BYTES_MAX = 64 << 20
COPY_BYTES = 1 << 20

Passphrase = Callable[[], str]
Part = bytes | IO[bytes]


def check_target(file: Path, *, force: bool) -> Path:
    """The folder of a file that is to be written; refuses a place that cannot be, in time.

    Raises:
        BackupError: what is wrong with it.
    """
    folder = file.absolute().parent
    if not folder.is_dir():
        raise BackupError(f"there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BackupError(f"{folder} is not writable for this user")
    if file.is_dir():
        raise BackupError(f"{file} is a folder; name the file to write")
    if os.path.lexists(file) and not force:
        raise BackupError(f"{file} is there already; --force overwrites it")
    return folder


def content_of(part: Part) -> Content:
    """Size and checksum of a part."""
    if isinstance(part, bytes):
        return Content(len(part), hashlib.sha256(part).hexdigest())
    part.seek(0)
    digest = hashlib.sha256()
    while piece := part.read(COPY_BYTES):
        digest.update(piece)
    return Content(part.tell(), digest.hexdigest())


def write_archive(
    target: Path, parts: dict[str, Part], passphrase: str | None, *, force: bool
) -> None:
    """Write the parts, in their order, and put the file under its name.

    Raises:
        BackupError: the name was taken meanwhile.
    """
    folder = target.absolute().parent
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.new-", dir=folder)  # mode 0600
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _write_parts(file, parts, passphrase)
            file.flush()
            os.fsync(file.fileno())
        _put(draft, target, force=force)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(folder)


def _write_parts(file: BinaryIO, parts: dict[str, Part], passphrase: str | None) -> None:
    sealing = None if passphrase is None else SealingWriter(file, passphrase)
    out: Any = sealing or file
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, part in parts.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o600
            source = BytesIO(part) if isinstance(part, bytes) else part
            entry.size = source.seek(0, os.SEEK_END)
            source.seek(0)
            tar.addfile(entry, source)
    if sealing is not None:
        sealing.close()


def _put(draft: Path, target: Path, *, force: bool) -> None:
    if force:
        draft.replace(target)
        return
    try:
        os.link(draft, target)  # which, unlike a rename, never replaces
    except FileExistsError:
        raise BackupError(f"{target} is there already; --force overwrites it") from None
    except OSError:  # a file system without links
        draft.replace(target)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Archive:
    """A backup's file, found to be whole when it is opened.

    Args:
        file: where it is.
        passphrase: asked once, if it is encrypted.

    Raises:
        BackupError: it is no backup, of a later format, damaged, or cut off.
    """

    def __init__(self, file: Path, passphrase: Passphrase) -> None:
        self._file = file
        self._ask = passphrase
        self._passphrase: str | None = None
        with _explained(file):
            self.manifest, self.secrets = self._check()

    def copy_database(self, to: IO[bytes]) -> None:
        """Write the dump into a file of its own."""
        for name, part in self._parts():
            if name == DATABASE:
                shutil.copyfileobj(part, to, COPY_BYTES)
        if content_of(to) != self.manifest.contents[DATABASE]:
            raise BackupError(f"{self._file} has changed while it was read")

    def _check(self) -> tuple[Manifest, bytes | None]:
        manifest: Manifest | None = None
        secrets: bytes | None = None
        found: dict[str, Content] = {}
        for name, part in self._parts():
            if manifest is None:
                manifest = self._read_manifest(name, part)
                continue
            digest, size = hashlib.sha256(), 0
            while piece := part.read(COPY_BYTES):
                digest.update(piece)
                size += len(piece)
                if name == SECRETS:
                    secrets = (secrets or b"") + piece
            found[name] = Content(size, digest.hexdigest())
        if manifest is None:
            raise BackupError(f"{self._file} is no backup made by sunseo")
        for name, content in manifest.contents.items():
            if found.get(name) != content:
                raise BackupError(f"{self._file} is damaged: {name} is not what was saved")
        return manifest, secrets if SECRETS in manifest.contents else None

    def _read_manifest(self, name: str, part: IO[bytes]) -> Manifest:
        try:
            told = msgspec.json.decode(part.read(MANIFEST_BYTES_MAX) if name == MANIFEST else b"")
            if (written := told.get("format")) != FORMAT:
                raise BackupError(
                    f"{self._file} is of format {written}, which this version cannot read;"
                    " restore it with the version that made it"
                )
            return msgspec.convert(told, Manifest)
        except (ValueError, AttributeError, msgspec.MsgspecError):
            raise BackupError(f"{self._file} is no backup made by sunseo") from None

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with self._file.open("rb") as file:
            if file.read(len(MAGIC)) == MAGIC:
                if self._passphrase is None:
                    self._passphrase = self._ask()
                yield OpeningReader(file, self._passphrase)
            else:
                file.seek(0)
                yield file

    def _parts(self) -> Iterator[tuple[str, IO[bytes]]]:
        with self._opened() as file:
            with tarfile.open(fileobj=file, mode="r|") as tar:
                for entry in tar:
                    part = tar.extractfile(entry) if entry.isreg() else None
                    if part is not None:
                        yield entry.name, part
            if isinstance(file, OpeningReader):
                while file.read(COPY_BYTES):  # so that its last chunk is seen to be the last
                    pass


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except tarfile.TarError:
        raise BackupError(
            f"{file} is no backup made by sunseo, or it is damaged or cut off"
        ) from None
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror or error}") from None
