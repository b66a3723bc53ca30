"""Published draws, kept by each worker as long as somebody asks for them.

State       A file is written once for each state of a draw, to a temporary file without a name,
            and read from there; the `FILES_MAX` last ones are kept.
Guarantee   However many ask at once, a draw is read from the database once, in parts of a 256th;
            compressing does not hold up other requests. The bytes are the same on every worker.
On failure  A file that could not be written is not kept, and the next one who asks begins anew. The
            system removes files without names when the last reader or the worker is gone.
"""

import asyncio
import os
import tempfile
import weakref
from collections.abc import AsyncGenerator
from contextlib import aclosing
from hashlib import sha256
from typing import IO, Any

from sunseo.room.draw.bodies import DrawStatus
from sunseo.room.draw.file import CHUNK_BYTES, Squeeze, gzip_compressor
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.store import DrawStore

FILES_MAX = 16


class PublishedFile:
    """A published draw, gzipped, on this worker's disk until nobody knows of it any more.

    Attributes:
        size: bytes.
        digest: SHA-256 of the bytes, the ETag.
    """

    def __init__(self, descriptor: int, size: int, digest: str) -> None:
        self._descriptor = descriptor
        self.size = size
        self.digest = digest
        weakref.finalize(self, os.close, descriptor)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, self.size, CHUNK_BYTES):
            yield await asyncio.to_thread(os.pread, self._descriptor, CHUNK_BYTES, start)


Key = tuple[int, int, str, int]  # room, epoch, state, entries in the log


class PublishedDraws:
    """The files of one worker."""

    def __init__(self, store: DrawStore) -> None:
        self._store = store
        self._files: dict[Key, PublishedFile] = {}
        self._writes: dict[Key, asyncio.Task[PublishedFile | DrawOutcome]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def find(self, room: int, epoch: int | None) -> PublishedFile | DrawOutcome:
        """The file of a draw as it stands, or why there is none."""
        status = await self._store.status(room, epoch)
        if isinstance(status, DrawOutcome):
            return status
        key = status.room, status.epoch, status.state, len(status.log)
        if (known := self._files.get(key)) is not None:
            return known
        if (task := self._writes.get(key)) is None:
            task = self._writes[key] = asyncio.get_running_loop().create_task(
                self._keep(key, status)
            )
            task.add_done_callback(lambda _: self._writes.pop(key))
        # Who gives up leaves the others waiting, and the next one who asks finds it done.
        return await asyncio.shield(task)

    async def _keep(self, key: Key, status: DrawStatus) -> PublishedFile | DrawOutcome:
        async with self._one_at_a_time:
            written = await self._write(status)
        if isinstance(written, PublishedFile):
            while len(self._files) >= FILES_MAX:
                del self._files[next(iter(self._files))]  # closed with its last reader
            self._files[key] = written
        return written

    async def _write(self, status: DrawStatus) -> PublishedFile | DrawOutcome:
        chunks = await self._store.publish(status.room, status.epoch)
        if isinstance(chunks, DrawOutcome):
            return chunks
        squeeze, digest = gzip_compressor(), sha256()
        with tempfile.TemporaryFile() as content:
            async with aclosing(chunks):
                async for chunk in chunks:
                    await asyncio.to_thread(_append, content, digest, squeeze, chunk)
            await asyncio.to_thread(_append, content, digest, squeeze, None)
            return PublishedFile(os.dup(content.fileno()), content.tell(), digest.hexdigest())


def _append(content: IO[bytes], digest: Any, squeeze: Squeeze, chunk: bytes | None) -> None:
    """Write a chunk compressed, or the end of all."""
    squeezed = squeeze.flush() if chunk is None else squeeze.compress(chunk)
    digest.update(squeezed)
    content.write(squeezed)
    if chunk is None:
        content.flush()
