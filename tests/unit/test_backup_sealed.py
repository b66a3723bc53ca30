"""Encrypted backups open with their passphrase, whole, or not at all."""

from io import BytesIO

import pytest

from sunseo.backup.error import BackupError
from sunseo.backup.sealed import (
    CHUNK_BYTES,
    MAGIC,
    SALT_BYTES,
    TAG_BYTES,
    OpeningReader,
    SealingWriter,
    check_passphrase,
)

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sunseo.backup.sealed.SCRYPT_N", 2)


def sealed(plain: bytes) -> bytes:
    file = BytesIO()
    writer = SealingWriter(file, PASSPHRASE)
    for start in range(0, len(plain), 700_000):
        writer.write(plain[start : start + 700_000])
    writer.close()
    return file.getvalue()


def opened(file: bytes, passphrase: str = PASSPHRASE, piece: int = 333_333) -> bytes:
    source = BytesIO(file)
    assert source.read(len(MAGIC)) == MAGIC
    reader = OpeningReader(source, passphrase)
    parts = []
    while part := reader.read(piece):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2_500_000])
def test_what_was_sealed_is_read_again(size: int) -> None:
    """Whatever the length, also at the ends of chunks, and in pieces of any size."""
    plain = bytes(range(251)) * (size // 251 + 1)
    file = sealed(plain[:size])

    assert opened(file) == plain[:size]
    assert opened(file, piece=-1) == plain[:size]
    assert size < 100 or plain[:100] not in file


def test_the_same_text_is_sealed_differently_each_time() -> None:
    """Each file has a salt, and so a key, of its own."""
    assert sealed(b"same") != sealed(b"same")


def test_another_passphrase_opens_nothing() -> None:
    """It is told as such, since that is what most often went wrong."""
    with pytest.raises(BackupError, match="the passphrase is wrong, or the file is damaged"):
        opened(sealed(b"seats"), "incorrect horse battery")


def test_a_changed_byte_is_found_wherever_it_is() -> None:
    """In the salt, in any chunk, in any tag."""
    file = sealed(bytes(2 * CHUNK_BYTES + 10))
    first = len(MAGIC) + SALT_BYTES
    for place in (len(MAGIC), first, first + CHUNK_BYTES, first + CHUNK_BYTES + 99, len(file) - 1):
        harmed = bytearray(file)
        harmed[place] ^= 1
        with pytest.raises(BackupError, match="damaged"):
            opened(bytes(harmed))


def test_a_file_cut_off_between_chunks_does_not_open() -> None:
    """The last chunk says that it is the last: what ends before it is not whole."""
    file = sealed(bytes(2 * CHUNK_BYTES + 10))
    whole = len(MAGIC) + SALT_BYTES + CHUNK_BYTES + TAG_BYTES
    for end in (whole, whole + CHUNK_BYTES + TAG_BYTES, whole - 1):
        with pytest.raises(BackupError, match=r"cut off|damaged"):
            opened(file[:end])


def test_chunks_cannot_change_places() -> None:
    """Each is sealed for its own place."""
    file = sealed(bytes(3 * CHUNK_BYTES))
    at, size = len(MAGIC) + SALT_BYTES, CHUNK_BYTES + TAG_BYTES
    swapped = file[:at] + file[at + size : at + 2 * size] + file[at : at + size]

    with pytest.raises(BackupError, match="damaged"):
        opened(swapped + file[at + 2 * size :])


def test_a_short_passphrase_is_refused() -> None:
    """It would keep nobody out."""
    assert check_passphrase("twelve chars") == "twelve chars"
    with pytest.raises(BackupError, match="12 characters or more"):
        check_passphrase("eleven char")
