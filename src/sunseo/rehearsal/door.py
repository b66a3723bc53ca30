"""The server's door, as visitors use it: one request at a time, with the manners the API asks for.

State       None of its own.
Guarantee   What is answered 429 or 503, or not at all, is sent again, the very same request, after
            Retry-After. Everything else is the visitor's to deal with. Every answer is counted.
Clock       Monotonic. Latency counts from the moment a request was due, not from when this process
            came round to sending it. The time that a slow line needs is not the server's: it counts
            from when such a line would have carried all of the request.
On failure  Without any answer for `PATIENCE_S`, GaveUpError.
"""

import asyncio
import time
from math import floor
from random import Random

import msgspec

from sunseo.rehearsal.histogram import note
from sunseo.rehearsal.ledger import Fault, Figures, Ledger, Operation
from sunseo.rehearsal.wire import Answer, LostError, NoConnectionError, Pace, Wire

PATIENCE_S = 60.0  # of silence; a server that is killed and recovers is back well within
BROKEN_PAUSE_S = 0.25
PAUSE_S_MAX = 30.0  # whatever Retry-After says


class GaveUpError(Exception):
    """The server did not answer for a long time."""


class _Problem(msgspec.Struct):
    outcome: str = "unknown"


_problem_of = msgspec.json.Decoder(_Problem).decode


class Reply(msgspec.Struct, frozen=True):
    """An answer; `outcome` is the problem's, or the status where there is none."""

    status: int
    outcome: str
    body: bytes
    etag: str
    at: float  # monotonic

    @property
    def is_success(self) -> bool:
        return self.status < 300


class Request(msgspec.Struct, frozen=True):
    """What to ask, and for whom."""

    operation: Operation
    method: str
    path: str
    body: bytes = b""
    token: str = ""
    key: str = ""
    pass_: str = ""
    etag: str = ""

    def sent(self, authority: str) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1\r\nHost: {authority}"]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if self.key:
            lines.append(f"Idempotency-Key: {self.key}")
        if self.pass_:
            lines.append(f"Sunseo-Pass: {self.pass_}")
        if self.etag:
            lines.append(f"If-None-Match: {self.etag}")
        if self.body:
            lines.append("Content-Type: application/json")
        if self.method != "GET":
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class Door:
    """
    Args:
        zero: the monotonic moment of T0.
    """

    def __init__(
        self, wire: Wire, authority: str, zero: float, ledger: Ledger, figures: Figures
    ) -> None:
        self._wire = wire
        self._authority = authority
        self._zero = zero
        self._ledger = ledger
        self._figures = figures
        self.answers = 0

    def seconds(self, moment: float) -> float:
        """A monotonic moment as seconds from T0."""
        return moment - self._zero

    async def ask(
        self, request: Request, due: float, visitor: int, dice: Random, pace: Pace | None = None
    ) -> Reply:
        """Send, at a pace where one is given, until there is an answer that is not "later".

        Raises:
            GaveUpError: the server is away for good.
        """
        sent = request.sent(self._authority)
        line_s = pace.takes_s(len(sent)) if pace is not None else 0.0
        heard_at = due
        while True:
            due += line_s
            try:
                answer = await self._wire.ask(sent, pace)
            except LostError as lost:
                outcome = "no_connection" if isinstance(lost, NoConnectionError) else "no_answer"
                self._count(request.operation, outcome, time.monotonic(), due)
                pause_s = BROKEN_PAUSE_S
            else:
                reply = self._read(request.operation, answer, due)
                self._judge(request.operation, reply, answer, visitor)
                if answer.status not in (429, 503):
                    return reply
                pause_s, heard_at = _pause_s(answer), reply.at
            self._figures.retries += 1
            due = time.monotonic() + pause_s * dice.uniform(1.0, 1.3)
            if due > heard_at + PATIENCE_S:
                self._ledger.faults.append(
                    Fault(visitor, request.operation.value, 0, "gave_up", self.seconds(due))
                )
                raise GaveUpError
            await asyncio.sleep(due - time.monotonic())

    async def lose(self, request: Request, after_s: float) -> None:
        """Send a request and hang up before the answer, or just after it."""
        self._figures.lost_answers += 1
        try:
            await self._wire.cut(request.sent(self._authority), after_s)
        except LostError:
            return

    def _read(self, operation: Operation, answer: Answer, due: float) -> Reply:
        now = time.monotonic()
        outcome = str(answer.status)
        if answer.status >= 400:
            try:
                outcome = _problem_of(answer.body).outcome
            except msgspec.DecodeError:
                outcome = "no_problem_document"
        self._count(operation, outcome, now, due)
        return Reply(answer.status, outcome, answer.body, answer.etag, now)

    def _count(self, operation: Operation, outcome: str, now: float, due: float) -> None:
        self.answers += 1
        name = operation.value
        counts = self._figures.outcomes.setdefault(name, {})
        counts[outcome] = counts.get(outcome, 0) + 1
        second = floor(now - self._zero)
        note(self._figures.latencies.setdefault(name, {}).setdefault(second, {}), now - due)

    def _judge(self, operation: Operation, reply: Reply, answer: Answer, visitor: int) -> None:
        """Keep what no server may answer: 5xx, but for 503 that says when to come back."""
        sheds = reply.status == 503 and answer.retry_after is not None
        if reply.status >= 500 and not sheds:
            at = self.seconds(reply.at)
            self._ledger.faults.append(
                Fault(visitor, operation.value, reply.status, reply.outcome, at)
            )


def _pause_s(answer: Answer) -> float:
    try:
        return min(PAUSE_S_MAX, float(answer.retry_after or 1))
    except ValueError:  # a date: nobody of ours sends one
        return 1.0
