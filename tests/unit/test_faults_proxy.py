"""The proxy over real sockets: what flows, breaks, hangs and is late."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from sunseo.rehearsal.faults.proxy import Proxy, Route, _End

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PIECE = os.urandom(1 << 16)


class Echo:
    """A server that says back what it hears."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.broken = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                self.heard.set()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.broken.set()
            writer.close()


class Network:
    """A proxy in front of an echo, and who calls through it."""

    def __init__(self, route: Route, echo: Echo, proxy: Proxy) -> None:
        self.route = route
        self.echo = echo
        self.proxy = proxy
        self._writers: list[asyncio.StreamWriter] = []

    async def call(self) -> Wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.route.port)
        self._writers.append(writer)
        return reader, writer

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def network() -> AsyncIterator[Network]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    route = Route("127.0.0.1", server.sockets[0].getsockname()[1])
    async with Proxy(route) as proxy:
        net = Network(route, echo, proxy)
        yield net
        net.hang_up()
    server.close()


async def said_back(connections: Wire, data: bytes) -> bytes:
    reader, writer = connections
    writer.write(data)
    return await reader.readexactly(len(data))


async def test_bytes_pass_unchanged_both_ways() -> None:
    """Two callers at once each hear their own bytes, all of them and in order."""
    async with network() as net:
        first, second = await net.call(), await net.call()
        many = PIECE * 40  # more than any buffer on the way holds

        heard, other = await asyncio.gather(said_back(first, many), said_back(second, b"few"))

        assert heard == many
        assert other == b"few"
        assert (net.proxy.connections, net.proxy.open) == (2, 2)


def test_first_words_arrive_on_the_loop_of_a_rehearsal() -> None:
    """On uvloop, too, nothing is lost of callers who speak before their call is put through."""

    async def call(net: Network, number: int) -> bool:
        word = b"hello from %d" % number
        return await said_back(await net.call(), word) == word

    async def everybody() -> list[bool]:
        async with network() as net:
            return await asyncio.gather(*(call(net, number) for number in range(200)))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert all(runner.run(everybody()))


async def test_cut_breaks_what_is_open_and_refuses_what_comes() -> None:
    """A cut ends connections at both ends; once mended, the same port takes new ones."""
    async with network() as net:
        connections = await net.call()
        assert await said_back(connections, b"before") == b"before"

        assert net.proxy.cut() == 1
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await connections[0].readexactly(1)
        await net.echo.broken.wait()
        with pytest.raises(ConnectionRefusedError):
            await net.call()

        await net.proxy.mend()
        assert await said_back(await net.call(), b"after") == b"after"


async def test_hanging_network_loses_nothing() -> None:
    """What was sent into a network that hangs, also by new callers, arrives when it flows again."""
    async with network() as net:
        connections = await net.call()
        assert await said_back(connections, b"before") == b"before"
        net.echo.heard.clear()

        assert net.proxy.hang() == 1
        newcomer = await net.call()
        connections[1].write(b"meanwhile")
        newcomer[1].write(b"hello")
        await asyncio.gather(connections[1].drain(), newcomer[1].drain())
        assert not net.echo.heard.is_set()

        net.proxy.resume()
        assert await connections[0].readexactly(9) == b"meanwhile"
        assert await newcomer[0].readexactly(5) == b"hello"


async def test_slow_network_delays_each_way_and_keeps_the_order() -> None:
    """An answer takes twice the delay; what is sent after the slowness waits its turn."""
    loop = asyncio.get_running_loop()
    async with network() as net:
        connections = await net.call()
        assert await said_back(connections, b"before") == b"before"
        net.proxy.slow(0.05)

        began = loop.time()
        assert await said_back(connections, b"slow") == b"slow"
        assert loop.time() - began >= 0.099  # twice, less the clock's grain

        net.echo.heard.clear()
        connections[1].write(b"first")
        await net.echo.heard.wait()  # so that its way back is slow and that of "last" is not
        net.proxy.slow(0.0)
        connections[1].write(b"last")
        assert await connections[0].readexactly(9) == b"firstlast"


async def test_hanging_up_reaches_the_other_end_after_the_last_word() -> None:
    """A caller that hangs up is followed by the server's end, and nothing is left open."""
    async with network() as net:
        reader, writer = await net.call()
        net.proxy.slow(0.01)
        writer.write(b"goodbye")
        writer.close()
        await net.echo.broken.wait()

        assert net.echo.heard.is_set()
        assert await reader.read() == b""


class Line(asyncio.Transport):
    """A connection without a network, which does not heed being told to pause."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[object] = []

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def write(self, data: object) -> None:
        self.said.append(data)

    def close(self) -> None:
        self.said.append("closed")

    def abort(self) -> None:
        self.said.append("aborted")


@pytest.mark.parametrize(
    ("broken_by", "end"), [(None, "closed"), (ConnectionResetError(), "aborted")]
)
async def test_what_a_loop_hears_too_early_arrives(broken_by: Exception | None, end: str) -> None:
    """A caller that speaks and leaves before the call is put through is heard, and its end is."""
    async with Proxy(Route("127.0.0.1", 9)) as proxy:
        proxy.hang()
        caller, called, line = _End(proxy, calls=True), _End(proxy, calls=False), Line()
        caller.connection_made(Line())
        caller.data_received(b"goodbye")
        caller.connection_lost(broken_by)
        called.other = caller
        called.connection_made(line)

        caller.join(called)
        said = list(line.said)

    assert said == [b"goodbye", end]


async def test_hanging_network_reads_nothing_of_new_connections() -> None:
    """However a loop begins to read, the bytes of one who calls meanwhile stay in the kernel."""
    async with network() as net:
        net.proxy.hang()
        _, writer = await net.call()
        writer.write(b"hello")
        await writer.drain()
        for _ in range(200):  # turns in which it arrives, and a loop that reads would have read
            await asyncio.sleep(0)

        assert [end._early for end in net.proxy._ends] == [[]]


async def test_server_that_is_not_there_breaks_the_call() -> None:
    """Who calls through to nobody is hung up on."""
    route = Route("127.0.0.1", 9)
    async with Proxy(route):
        reader, writer = await asyncio.open_connection("127.0.0.1", route.port)
        assert await reader.read() == b""
        writer.close()
