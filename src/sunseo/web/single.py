"""One ASGI app, served by this process alone until SIGINT or SIGTERM."""

import asyncio
import signal

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server
from starlette.types import ASGIApp

BACKLOG = 1024


async def serve_alone(app: ASGIApp, host: str, port: int, *, connections_max: int) -> None:
    """Serve until a signal asks to stop.

    Of connections beyond `connections_max`, idle ones counted, none is accepted.
    """
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        websockets=False,
        backlog=BACKLOG,
        backpressure=connections_max,
        log_level=LogLevels.error,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    await server.serve()
