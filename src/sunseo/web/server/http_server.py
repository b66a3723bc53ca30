"""Serve one ASGI application in this process, on sockets that are given, until told to stop.

State       STARTING (the application's lifespan), SERVING, DRAINING, STOPPED.
Guarantee   A request that has arrived when the signal comes is answered; so is one that is on its
            way for another `GRACE_S`. From the signal on every answer says `Connection: close`.
            Only then are idle connections ended. The first signal is heeded, all others ignored.
Clock       The loop's. One look a second at all connections.
On failure  What is still unanswered after `DRAIN_S` is cancelled.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate

import uvloop
from starlette.types import ASGIApp
from uvicorn import Config, Server

from sunseo.web.app import App
from sunseo.web.limits import Limits
from sunseo.web.server.http_protocol import Connections, HttpProtocol

BACKLOG = 4096  # the kernel cuts it to net.core.somaxconn
LOOK_S = 1.0  # at all connections; more often where heads have less time than that
GRACE_S = 0.5  # for requests on their way when the server is told to stop
DRAIN_S = 25  # for requests under way: above a handler's own time-out


class HttpServer(Server):
    """See the module.

    Args:
        app: what to serve; an `App` gets whole requests the short way.
        limits: of heads and connections; an `App` has its own for everything else.
        on_stop: called first when told to stop, to end what never ends by itself.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, on_stop: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(_config(app))
        self.server_state: Connections = Connections(limits, app if isinstance(app, App) else None)
        self._on_stop = on_stop
        self._told = asyncio.Event()
        self._look_s = min(LOOK_S, limits.head_timeout_s / 4)

    def stop(self) -> None:
        """Drain and end; `run` returns then."""
        if not self._told.is_set():
            self._told.set()
            self._on_stop()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.serve(sockets))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.stop)
        yield
        # Not given back: Ctrl-C reaches a worker by the terminal and by its supervisor, and a
        # second signal during the last steps must not end them.

    async def main_loop(self) -> None:
        while not self._told.is_set():
            self._look()
            try:
                await asyncio.wait_for(self._told.wait(), self._look_s)
            except TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.server_state.draining = True
        await asyncio.sleep(GRACE_S)
        self._close_listeners(sockets or ())
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            await asyncio.wait_for(self._all_answered(), DRAIN_S)
        except TimeoutError:
            for task in list(self.server_state.tasks):
                task.cancel()
        await self.lifespan.shutdown()

    def _close_listeners(self, sockets: Sequence[socket.socket]) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()

    async def _all_answered(self) -> None:
        while self.server_state.connections or self.server_state.tasks:
            self._look()
            await asyncio.sleep(0.05)

    def _look(self) -> None:
        state = self.server_state
        state.date = b"date: " + formatdate(usegmt=True).encode() + b"\r\n"
        state.default_headers = [(b"date", state.date[6:-2])]
        now = asyncio.get_running_loop().time()
        for connection in list(state.connections):
            if isinstance(connection, HttpProtocol):
                connection.expire(now)


def _config(app: ASGIApp) -> Config:
    return Config(
        app,
        http=HttpProtocol,
        ws="none",
        interface="asgi3",
        lifespan="auto",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
    )
