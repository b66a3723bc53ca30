"""How much one request, and all requests together, may take.

State       The requests under way, oldest first.
Guarantee   A body is never read beyond its limit, announced or not. A body that comes too slowly
            ends with 408, a handler that takes too long with 503. When too much is under way,
            polls are refused first, then joins, writes last, each at once and with a Retry-After
            that differs from its neighbour's.
Clock       A monotonic clock, the same as in `Record.started`. One sweep every quarter of a second
            serves all requests: a timer for each would cost more than it guards.
On failure  A handler that swallows its cancellation keeps its place until it ends.
"""

import asyncio
import time
from asyncio import Future
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.types import Receive

from sunseo.web.endpoint import Record, Urgency
from sunseo.web.problems import MALFORMED_JSON, TOO_LARGE, ProblemError

SWEEP_INTERVAL_S = 0.25


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the web layer puts up with. Times in seconds, sizes in bytes."""

    body_bytes_max: int = 64 * 1024  # a hold of 1,000 seats is 7 kB; imports set their own
    headers_max: int = 64  # a browser behind two proxies sends about 30
    header_bytes_max: int = 16 * 1024  # of all headers together, as nginx and Apache have it
    head_timeout_s: float = 30.0  # also how long an idle keep-alive connection stays
    body_timeout_s: float = 10.0
    handler_timeout_s: float = 20.0  # above a lane's own deadline, which answers better
    concurrency_max: int = 8192  # requests under way in one worker
    connections_max: int = 16_384  # open connections of one worker, idle ones too
    retry_after_shortest_s: int = 1
    retry_after_longest_s: int = 4

    def __post_init__(self) -> None:
        if self.body_timeout_s > self.handler_timeout_s:
            raise ValueError("body_timeout_s must not be above handler_timeout_s")
        if self.connections_max <= self.concurrency_max:
            raise ValueError(
                "connections_max must be above concurrency_max: the server would stop accepting "
                "before we could answer 503"
            )
        if not 0 < self.retry_after_shortest_s <= self.retry_after_longest_s:
            raise ValueError("retry_after_shortest_s must be positive and not above the longest")
        for name in self.__struct_fields__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above zero")


class ClientGoneError(Exception):
    """The client left before its request had arrived; there is nobody to answer."""


async def read_body(receive: Receive, announced: int | None, limit: int) -> bytes:
    """Read a body of at most `limit` bytes.

    Args:
        receive: ASGI's.
        limit: bytes that this endpoint takes.
        announced: its Content-Length, or None where it comes in chunks.

    Raises:
        ProblemError: it is longer than the limit; the rest is not read.
        ClientGoneError: the client left.
    """
    if announced is not None and announced > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        # A server may announce more after the last byte, too; asking again would cost a turn.
        if size == announced or not message.get("more_body", False):
            return b"".join(chunks) + chunk if chunks else chunk
        chunks.append(chunk)


def refuse_too_large(body: bytes, limit: int) -> None:
    """Refuse a body that has arrived as a whole and has more than `limit` bytes.

    Raises:
        ProblemError: it is longer.
    """
    if len(body) > limit:
        raise _too_large(limit)


def announced_length(headers: dict[bytes, bytes]) -> int | None:
    """The Content-Length, 0 where there is no body, None where it comes in chunks."""
    length = headers.get(b"content-length")
    if length is None:
        return None if b"transfer-encoding" in headers else 0
    if not length.isdigit() or len(length) > 19:
        raise ProblemError(
            MALFORMED_JSON, "Content-Length is not a number.", field="Content-Length"
        )
    return int(length)


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        TOO_LARGE,
        f"The body is longer than {limit} bytes.",
        # What was not read cannot be skipped cheaply: the connection ends with the answer.
        headers=((b"connection", b"close"),),
        expected=f"at most {limit} bytes",
    )


class InFlightLimiter:
    """Knows what is under way, decides who may come in and ends what takes too long."""

    def __init__(self, limits: Limits, on_sweep: Callable[[int], object] | None = None) -> None:
        self._limits = limits
        self._on_sweep = on_sweep
        self._in_flight: dict[Record, Future[Any]] = {}
        self._sweep_due = False
        self._seats = {urgency: limits.concurrency_max * urgency.value for urgency in Urgency}

    def __len__(self) -> int:
        return len(self._in_flight)

    def has_room(self, urgency: Urgency) -> bool:
        return len(self._in_flight) < self._seats[urgency]

    def enter(self, record: Record, answer: Future[Any]) -> None:
        """Watch over a request: cancelling `answer`, a task or a lane's future, ends it."""
        self._in_flight[record] = answer
        if not self._sweep_due:
            self._sweep_due = True
            asyncio.get_running_loop().call_later(SWEEP_INTERVAL_S, self._sweep_on_time)

    def leave(self, record: Record) -> None:
        self._in_flight.pop(record, None)

    def sweep(self, now: float) -> None:
        """Cancel what is past its time. `now` is monotonic, as `Record.started` is."""
        for record, answer in self._in_flight.items():
            age = now - record.started
            if age < self._limits.body_timeout_s:
                return  # oldest first: nobody behind is older
            late = record.reading or age >= self._limits.handler_timeout_s
            if late and not record.expired:
                record.expired = True
                answer.cancel()

    def _sweep_on_time(self) -> None:
        self.sweep(time.monotonic())
        if self._on_sweep is not None:
            self._on_sweep(len(self._in_flight))
        self._sweep_due = bool(self._in_flight)
        if self._sweep_due:
            asyncio.get_running_loop().call_later(SWEEP_INTERVAL_S, self._sweep_on_time)
