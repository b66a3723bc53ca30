"""A file that opens with a passphrase: scrypt, then AES-256-GCM in chunks.

    magic, a line of text; 16 bytes of salt; chunks of 1 MiB, each with its tag of 16 bytes

The key is of this file alone, so that a chunk's number can be its nonce; the last byte of a nonce
tells the last chunk, so that a file which was cut off does not open.
"""

import secrets
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from sunseo.backup.error import BackupError

MAGIC = b"sunseo backup, encrypted 1\n"
SALT_BYTES = 16
CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 17, 8, 1  # 128 MiB and about half a second
PASSPHRASE_CHARACTERS_MIN = 12


class SealingWriter:
    """Encrypts what is written, into a file; `close` writes the last chunk."""

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        salt = secrets.token_bytes(SALT_BYTES)
        self._file = file
        self._cipher = AESGCM(_key(passphrase, salt))
        self._pending = bytearray()
        self._chunks = 0
        file.write(MAGIC + salt)

    def write(self, data: bytes) -> int:
        self._pending += data
        while len(self._pending) > CHUNK_BYTES:  # the last one is written by `close`
            self._seal(bytes(self._pending[:CHUNK_BYTES]), last=False)
            del self._pending[:CHUNK_BYTES]
        return len(data)

    def close(self) -> None:
        self._seal(bytes(self._pending), last=True)
        self._pending.clear()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._chunks, last), chunk, MAGIC))
        self._chunks += 1


class OpeningReader:
    """Decrypts a file that stands behind its magic; every byte that it gives is genuine."""

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        self._file = file
        self._cipher = AESGCM(_key(passphrase, file.read(SALT_BYTES)))
        self._chunks = 0
        self._ready = b""
        self._ahead = file.read(CHUNK_BYTES + TAG_BYTES)
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer only at the end.

        Raises:
            BackupError: another passphrase, or not the bytes that were written.
        """
        parts, missing = [], size
        while missing != 0:
            if not self._ready and not self._open_next():
                break
            part = self._ready if missing < 0 else self._ready[:missing]
            self._ready = self._ready[len(part) :]
            missing -= len(part) if missing > 0 else 0
            parts.append(part)
        return b"".join(parts)

    def _open_next(self) -> bool:
        if self._ended:
            return False
        sealed, self._ahead = self._ahead, self._file.read(CHUNK_BYTES + TAG_BYTES)
        self._ended = not self._ahead
        try:
            self._ready = self._cipher.decrypt(_nonce(self._chunks, self._ended), sealed, MAGIC)
        except InvalidTag:
            why = "the file is damaged or cut off" if self._chunks else "the passphrase is wrong"
            raise BackupError(
                f"{why}{'' if self._chunks else ', or the file is damaged'}; nothing was restored"
            ) from None
        self._chunks += 1
        return True


def check_passphrase(passphrase: str) -> str:
    """The passphrase, if it is one.

    Raises:
        BackupError: it is too short to keep anything.
    """
    if len(passphrase) < PASSPHRASE_CHARACTERS_MIN:
        raise BackupError(f"a passphrase has {PASSPHRASE_CHARACTERS_MIN} characters or more")
    return passphrase


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase.encode())


def _nonce(chunk: int, last: bool) -> bytes:
    return chunk.to_bytes(11, "big") + bytes([last])
