"""A wire that is cut at the worst moment: after COMMIT was sent, before its answer is heard."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
COMMIT = b"COMMIT;\0"
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\0"  # CommandComplete
CHUNK = 65_536


class CuttingProxy:
    """Forwards bytes both ways, and swallows the answer to as many commits as it is told."""

    def __init__(self, folder: Path, server_socket: str) -> None:
        self.folder = folder
        self.cuts_left = 0
        self.cut = 0
        self._server_socket = server_socket

    def dsn(self, of: str) -> str:
        """The same database, through the proxy."""
        start, _, rest = of.partition("?host=")
        _, _, options = rest.partition("&")
        return f"{start}?host={self.folder}&{options}"

    async def serve(
        self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter
    ) -> None:
        server_in, server_out = await asyncio.open_unix_connection(self._server_socket)
        upwards = asyncio.ensure_future(_pump(client_in, server_out))
        try:
            while data := await server_in.read(CHUNK):
                if COMMITTED in data and self.cuts_left:
                    self.cuts_left -= 1
                    self.cut += 1
                    client_out.transport.abort()
                    break
                client_out.write(data)
                await client_out.drain()
        except ConnectionError:
            pass
        finally:
            upwards.cancel()
            for writer in (server_out, client_out):
                writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()


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
