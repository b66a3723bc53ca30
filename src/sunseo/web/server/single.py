"""One ASGI app, served by this process alone until SIGINT or SIGTERM."""

import socket

from starlette.types import ASGIApp

from sunseo.web.limits import Limits
from sunseo.web.server.http_server import HttpServer


async def serve_alone(app: ASGIApp, host: str, port: int, *, connections_max: int) -> None:
    """Serve until a signal asks to stop.

    On connections beyond `connections_max`, idle ones counted, only health checks are answered.
    """
    limits = Limits(connections_max=connections_max, concurrency_max=connections_max - 1)
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.create_server(address[:2], family=family)
    await HttpServer(app, limits).serve([listener])
