"""A wire that is cut at the worst moment: when COMMIT was answered, or after any byte."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

SOCKET = ".s.PGSQL.5432"
COMMIT = b"COMMIT;\0"
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\0"  # CommandComplete
CHUNK = 65_536

Way = Literal["up", "down"]
"""To the server, and from it."""


class CuttingProxy:
    """Forwards bytes both ways, and swallows the answer to as many commits as it is told.

    Attributes:
        passed: what went each way since the proxy was last armed.
    """

    def __init__(self, folder: Path, server_socket: str) -> None:
        self.folder = folder
        self.cuts_left = 0
        self.cut = 0
        self.passed: dict[Way, bytearray] = {"up": bytearray(), "down": bytearray()}
        self._cut_after: tuple[Way, int] | None = None
        self._server_socket = server_socket

    def dsn(self, of: str) -> str:
        """The same database, through the proxy."""
        start, _, rest = of.partition("?host=")
        _, _, options = rest.partition("&")
        return f"{start}?host={self.folder}&{options}"

    def arm(self, way: Way, after: int) -> None:
        """Cut the wire once so many more bytes have gone that way and been passed on."""
        self.passed = {"up": bytearray(), "down": bytearray()}
        self._cut_after = way, after

    def disarm(self) -> None:
        self._cut_after = None

    async def serve(
        self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter
    ) -> None:
        server_in, server_out = await asyncio.open_unix_connection(self._server_socket)
        upwards = asyncio.ensure_future(self._pump("up", client_in, server_out))
        downwards = asyncio.ensure_future(self._pump("down", server_in, client_out))
        try:
            await asyncio.wait({upwards, downwards}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in (upwards, downwards):
                pump.cancel()
            for writer in (server_out, client_out):
                writer.close()  # once what it was given has gone

    async def _pump(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                if way == "down" and COMMITTED in data and self.cuts_left:
                    self.cuts_left -= 1
                    self.cut += 1
                    writer.transport.abort()
                    return
                part = self._let_through(way, data)
                writer.write(part)
                if part != data:
                    self.cut += 1
                    return
                await writer.drain()

    def _let_through(self, way: Way, data: bytes) -> bytes:
        self.passed[way] += data
        if self._cut_after is None or self._cut_after[0] != way:
            return data
        too_much = len(self.passed[way]) - self._cut_after[1]
        if too_much <= 0:
            return data
        self._cut_after = None
        return data[:-too_much]


@asynccontextmanager
async def cutting_proxy(dsn: str) -> AsyncIterator[CuttingProxy]:
    """Serve a proxy for the server of a DSN, on a socket of its own."""
    socket_folder = dsn.partition("?host=")[2].partition("&")[0]
    with tempfile.TemporaryDirectory() as folder:
        proxy = CuttingProxy(Path(folder), f"{socket_folder}/{SOCKET}")
        server = await asyncio.start_unix_server(proxy.serve, f"{folder}/{SOCKET}")
        try:
            yield proxy
        finally:
            server.close()
