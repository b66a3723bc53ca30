"""What visitors ask a server: one request at a time, sent again as the API asks for.

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

from sunseo.rehearsal.http.connection import (
    ConnectionPool,
    HttpResponse,
    LostError,
    NoConnectionError,
    Pace,
)
from sunseo.rehearsal.observe.histogram import note
from sunseo.rehearsal.observe.ledger import BadAnswer, Figures, Ledger, Operation, Troubled

PATIENCE_S = 60.0  # of silence; a server that is killed and recovers is back well within
BROKEN_PAUSE_S, BROKEN_DOUBLINGS_MAX = 0.25, 4  # of a broken connection; twice as long each time
STORM_PAUSE_S, STORM_TRIES = 0.1, 20
PAUSE_S_MAX = 30.0  # whatever Retry-After says


class GaveUpError(Exception):
    """The server did not answer for a long time."""


class _Problem(msgspec.Struct):
    outcome: str = "unknown"


_problem_of = msgspec.json.Decoder(_Problem).decode


class ApiReply(msgspec.Struct, frozen=True):
    """An answer; `outcome` is the problem's, or the status where there is none."""

    status: int
    outcome: str
    body: bytes
    etag: str
    at: float  # monotonic
    pass_: str = ""  # a renewed one, from a gate

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
        if self.operation is Operation.PAGE:
            lines.append("Accept: application/json")
        if self.body:
            lines.append("Content-Type: application/json")
        if self.method != "GET":
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class ApiClient:
    """
    Args:
        zero: the monotonic moment of T0.
        keeps_troubles: whether each request that was not answered straight away is kept.
    """

    def __init__(
        self,
        connections: ConnectionPool,
        authority: str,
        zero: float,
        ledger: Ledger,
        figures: Figures,
        *,
        keeps_troubles: bool = False,
    ) -> None:
        self._connections = connections
        self._authority = authority
        self._zero = zero
        self._ledger = ledger
        self._figures = figures
        self._keeps_troubles = keeps_troubles
        self.answers = 0

    def seconds(self, moment: float) -> float:
        """A monotonic moment as seconds from T0."""
        return moment - self._zero

    async def ask(
        self,
        request: Request,
        due: float,
        visitor: int,
        dice: Random,
        pace: Pace | None = None,
        *,
        storms: bool = False,
    ) -> ApiReply:
        """Send, at a pace where one is given, until there is an answer that is not "later".

        Who `storms` comes back at once, and learns manners only after many times.

        Raises:
            GaveUpError: the server is away for good.
        """
        sent = request.sent(self._authority)
        line_s = pace.takes_s(len(sent)) if pace is not None else 0.0
        wanted = heard_at = due
        troubled: Troubled | None = None
        while True:
            due += line_s
            try:
                answer = await self._connections.ask(sent, pace)
            except LostError as lost:
                kind = "no_connection" if isinstance(lost, NoConnectionError) else "no_answer"
                self._count(request.operation, kind, kind, time.monotonic(), due)
                tries = troubled.tries if troubled is not None else 0
                pause_s = BROKEN_PAUSE_S * 2.0 ** min(tries, BROKEN_DOUBLINGS_MAX)
            else:
                reply = self._read(request.operation, answer, due)
                self._judge(request.operation, reply, answer, visitor)
                if answer.status not in (429, 503):
                    if troubled is not None:
                        troubled.until, troubled.answered = self.seconds(reply.at), True
                    return reply
                kind, pause_s, heard_at = "later", _pause_s(answer), reply.at
                if storms and (troubled is None or troubled.tries < STORM_TRIES):
                    pause_s = STORM_PAUSE_S
            troubled = troubled or self._trouble(request.operation, kind, visitor, wanted)
            troubled.until = self.seconds(time.monotonic())
            troubled.tries += 1
            self._figures.retries += 1
            due = time.monotonic() + pause_s * dice.uniform(1.0, 1.3)
            if due > heard_at + PATIENCE_S:
                self._ledger.faults.append(
                    BadAnswer(visitor, request.operation.value, 0, "gave_up", self.seconds(due))
                )
                raise GaveUpError
            await asyncio.sleep(due - time.monotonic())

    async def lose(self, request: Request, after_s: float) -> None:
        """Send a request and hang up before the answer, or just after it."""
        self._figures.lost_answers += 1
        try:
            await self._connections.cut(request.sent(self._authority), after_s)
        except LostError:
            return

    def _read(self, operation: Operation, answer: HttpResponse, due: float) -> ApiReply:
        now = time.monotonic()
        outcome = str(answer.status)
        if answer.status >= 400:
            try:
                outcome = _problem_of(answer.body).outcome
            except msgspec.DecodeError:
                outcome = "no_problem_document"
        self._count(operation, outcome, _kind_of(answer.status), now, due)
        return ApiReply(answer.status, outcome, answer.body, answer.etag, now, answer.pass_)

    def _trouble(self, operation: Operation, kind: str, visitor: int, wanted: float) -> Troubled:
        now = self.seconds(time.monotonic())
        troubled = Troubled(visitor, operation.value, kind, self.seconds(wanted), now, now)
        if self._keeps_troubles:
            self._ledger.troubled.append(troubled)
        return troubled

    def _count(self, operation: Operation, outcome: str, kind: str, now: float, due: float) -> None:
        self.answers += 1
        name = operation.value
        counts = self._figures.outcomes.setdefault(name, {})
        counts[outcome] = counts.get(outcome, 0) + 1
        tenth = floor((now - self._zero) * 10)
        kinds = self._figures.answers.setdefault(tenth, {})
        kinds[kind] = kinds.get(kind, 0) + 1
        second = tenth // 10
        note(self._figures.latencies.setdefault(name, {}).setdefault(second, {}), now - due)

    def _judge(
        self, operation: Operation, reply: ApiReply, answer: HttpResponse, visitor: int
    ) -> None:
        """Keep what no server may answer: 5xx, but for 503 that says when to come back."""
        sheds = reply.status == 503 and answer.retry_after is not None
        if reply.status >= 500 and not sheds:
            at = self.seconds(reply.at)
            self._ledger.faults.append(
                BadAnswer(visitor, operation.value, reply.status, reply.outcome, at)
            )


def _kind_of(status: int) -> str:
    """As `Figures.answers` sorts them: a refusal that says why is a good answer."""
    if status in (429, 503):
        return "later"
    return "good" if status < 500 else "error"


def _pause_s(answer: HttpResponse) -> float:
    try:
        return min(PAUSE_S_MAX, float(answer.retry_after or 1))
    except ValueError:  # a date: nobody of ours sends one
        return 1.0
