"""A network that can be cut, hung and slowed: a TCP proxy of our own between two parties.

State       Each connection is a pair of ends. The network FLOWS, or is CUT (all connections broken,
            new ones refused), or HANGS (nothing moves, nothing breaks), or is SLOW (all bytes come
            later, in order).
Guarantee   Bytes of one direction are delivered in order or not at all; none are changed. Where the
            receiver is slow, the sender is made to wait. The port stays ours while it is cut.
Clock       The loop's, for delays only.
On failure  An end that breaks, or that cannot be connected, breaks the other one.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Self, cast

BACKLOG = 4096  # a whole crowd comes again at the moment when the network is mended
CONNECT_TIMEOUT_S = 10.0

Factory = Callable[[], asyncio.Protocol]


class Route:
    """From a port of our own on loopback to a server.

    Attributes:
        port: ours, from the beginning and for as long as the road is there.
    """

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._reserved = _shared_socket(0)  # never listens: it keeps the port while nobody does
        self.port: int = self._reserved.getsockname()[1]

    async def listen(self, factory: Factory) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(factory, sock=_shared_socket(self.port), backlog=BACKLOG)

    async def connect(self, factory: Factory) -> object:
        return await asyncio.get_running_loop().create_connection(factory, *self._to)

    def give_up(self) -> None:
        self._reserved.close()


def _shared_socket(port: int) -> socket.socket:
    """Bound on loopback; another socket of ours may have the same port."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


class Proxy:
    """See the module. Also a context manager: started on entry, all broken off at the end.

    Attributes:
        connections: how many there have been.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._server: asyncio.Server | None = None
        self._ends: set[_End] = set()
        self._joining: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.delay_s = 0.0
        self.connections = 0

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        for task in self._joining:
            task.cancel()
        await asyncio.gather(*self._joining, return_exceptions=True)
        self._route.give_up()

    @property
    def hangs(self) -> bool:
        return not self._flowing.is_set()

    @property
    def open(self) -> int:
        """Connections at this moment."""
        return sum(end.calls for end in self._ends)

    def cut(self) -> int:
        """Break all connections and refuse new ones; how many were broken."""
        if self._server is not None:
            self._server.close()
            self._server = None
        broken = self.open
        for end in list(self._ends):
            end.abort()
        return broken

    async def mend(self) -> None:
        """Take connections again."""
        if self._server is None:
            self._server = await self._route.listen(lambda: _End(self, calls=True))

    def hang(self) -> int:
        """Hold everything where it is; how many connections are held."""
        self._flowing.clear()
        for end in self._ends:
            end.listen_no_more()
        return self.open

    def resume(self) -> None:
        self._flowing.set()
        for end in self._ends:
            end.listen_on()

    def slow(self, delay_s: float) -> int:
        """Have everything sent from now on arrive so much later, each way; zero ends that."""
        self.delay_s = delay_s
        return self.open

    # For the ends

    def arrived(self, end: "_End") -> None:
        self._ends.add(end)
        if end.calls:
            self.connections += 1
            task = asyncio.create_task(self._join(end))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)

    def departed(self, end: "_End") -> None:
        self._ends.discard(end)

    async def _join(self, caller: "_End") -> None:
        """Find the other end for one that calls."""
        await self._flowing.wait()
        called = _End(self, calls=False)
        called.other = caller
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._route.connect(lambda: called)
        except (OSError, TimeoutError):
            caller.abort()
            return
        caller.join(called)


class _End(asyncio.Protocol):
    """One end of a connection: what it hears, the other end says. One of the two has called."""

    def __init__(self, proxy: Proxy, *, calls: bool) -> None:
        self._proxy = proxy
        self._transport: asyncio.Transport | None = None
        self._to_say: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._early: list[bytes] = []
        self._broke = False
        self._other_is_full = False
        self._is_over = False
        self.calls = calls
        self.other: _End | None = None

    def join(self, other: "_End") -> None:
        self.other = other
        for data in self._early:
            other.say(data)
        self._early.clear()
        if self._transport is None:  # it has hung up meanwhile
            self._pass_on_the_end()
        self.listen_on()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def listen_no_more(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def listen_on(self) -> None:
        """Go on hearing, unless there is a reason not to."""
        if self._may_listen() and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def say(self, data: bytes) -> None:
        """Send what the other end has heard, now or after the delay."""
        loop = asyncio.get_running_loop()
        if not self._proxy.delay_s and not self._to_say:
            self._write(data)
            return
        due = loop.time() + self._proxy.delay_s
        if self._to_say:  # bytes never overtake others, also when the network gets faster
            due = max(due, self._to_say[-1][0])
        self._to_say.append((due, data))
        if self._timer is None:
            self._timer = loop.call_at(due, self._say_what_is_due)

    def finish(self) -> None:
        """Hang up once everything has been said."""
        self._is_over = True
        if not self._to_say and self._transport is not None:
            self._transport.close()

    def hear(self, *, is_full: bool) -> None:
        """The other end has too much to say already, or no longer."""
        self._other_is_full = is_full
        if is_full:
            self.listen_no_more()
        else:
            self.listen_on()

    # What the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # sockets give no other
        if not self._may_listen():
            self._transport.pause_reading()
            # Python 3.11.2 begins to read after this method, whatever was said in it.
            asyncio.get_running_loop().call_soon(self._pause_again)
        self._proxy.arrived(self)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.say(data)
        else:  # a loop may read on for a moment after it was told not to, to the very end
            self._early.append(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.hear(is_full=True)

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.hear(is_full=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._to_say.clear()
        self._proxy.departed(self)
        self._broke = exc is not None
        if self.other is not None:
            self._pass_on_the_end()

    def _may_listen(self) -> bool:
        return self.other is not None and not self._other_is_full and not self._proxy.hangs

    def _pause_again(self) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing() and not self._may_listen():
            transport.resume_reading()  # else it takes itself for paused, and does nothing
            transport.pause_reading()

    def _pass_on_the_end(self) -> None:
        if self.other is not None and self._broke:
            self.other.abort()
        elif self.other is not None:
            self.other.finish()

    def _say_what_is_due(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._to_say and self._to_say[0][0] <= loop.time():
            self._write(self._to_say.popleft()[1])
        if self._to_say:
            self._timer = loop.call_at(self._to_say[0][0], self._say_what_is_due)
        elif self._is_over:
            self.finish()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
