"""Watches a server from beside while faults are done to it, as a monitor would, but more often.

State       What `/readyz` said, as a list; what `/metrics` counted, as a list.
Guarantee   Every look is kept, also one without an answer. `/readyz` is asked on the crowd's own
            way, so that a cut network is seen; `/metrics` directly.
Clock       Monotonic, seconds from T0. Looks are due at fixed moments, whether or not those before
            have been answered.
On failure  A look without an answer is an observation, too.
"""

import asyncio
import time

import aiohttp
import msgspec

from sunseo.rehearsal.http.connection import ConnectionPool, LostError, ServerAddress
from sunseo.rehearsal.observe.observer import sums_of

READY_EVERY_S = 0.1  # so fine is what is told of detection and recovery
METRICS_EVERY_S = 0.5
ANSWER_S = 3.0  # above the two seconds after which /readyz itself says that a check hangs
LOOKS_MAX = 60  # under way at once


class Look(msgspec.Struct, frozen=True):
    """One look at `/readyz`: when it was asked and answered, and its status; 0 is silence."""

    asked_s: float
    told_s: float
    status: int


class Scrape(msgspec.Struct, frozen=True):
    """One look at `/metrics`, when that was over; none where there was no answer."""

    at_s: float
    sums: dict[str, float] | None


class Watch:
    """
    Args:
        via: a port that leads to the server, where the crowd comes that way.
        session: to the server itself.
        zero: the monotonic moment of T0.
    """

    def __init__(
        self, url: str, via: int | None, session: aiohttp.ClientSession, zero: float
    ) -> None:
        self._address = ServerAddress.of(url)
        self._via = via
        self._session = session
        self._zero = zero
        self._in_flight: set[asyncio.Task[None]] = set()
        self.looks: list[Look] = []
        self.scrapes: list[Scrape] = []

    async def run(self) -> None:
        """Look until cancelled."""
        connections = ConnectionPool(
            self._address, connections_max=LOOKS_MAX, timeout_s=ANSWER_S, via=self._via
        )
        ask = f"GET /readyz HTTP/1.1\r\nHost: {self._address.authority}\r\n\r\n".encode()
        scraping = asyncio.create_task(self._scrape_on())
        try:
            due = time.monotonic()
            while True:
                if len(self._in_flight) < LOOKS_MAX:
                    look = asyncio.create_task(self._look(connections, ask))
                    self._in_flight.add(look)
                    look.add_done_callback(self._in_flight.discard)
                due = max(due + READY_EVERY_S, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
        finally:
            several = [scraping, *self._in_flight]
            for task in several:
                task.cancel()
            await asyncio.gather(*several, return_exceptions=True)
            connections.close()

    async def _look(self, connections: ConnectionPool, ask: bytes) -> None:
        asked_s = self._now()
        try:
            status = (await connections.ask(ask)).status
        except LostError:
            status = 0
        self.looks.append(Look(asked_s, self._now(), status))

    async def _scrape_on(self) -> None:
        while True:
            try:
                async with (
                    asyncio.timeout(ANSWER_S),
                    self._session.get("/metrics") as response,
                ):
                    sums = sums_of(await response.text()) if response.status == 200 else None
            except (TimeoutError, OSError, aiohttp.ClientError):
                sums = None
            self.scrapes.append(Scrape(self._now(), sums))
            await asyncio.sleep(METRICS_EVERY_S)

    def _now(self) -> float:
        return round(time.monotonic() - self._zero, 3)
