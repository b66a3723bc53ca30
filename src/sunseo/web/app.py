"""The ASGI application: from one endpoint table to everything that HTTP asks of us.

State       What is under way (`limits.Patrol`); nothing else outlives a request.
Guarantee   Every request gets one answer, one log line and one count. Whatever bytes come in, a
            500 means that we erred: it is logged with its request id, and tells nothing else.
Clock       Monotonic, for durations.
On failure  An exception out of a handler is caught here, and only here.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from sunseo.core.fields import FieldError
from sunseo.core.outcome import Refusal, RefusedError
from sunseo.telemetry.logs import Logs, RequestLine, now
from sunseo.telemetry.metrics import Metrics
from sunseo.web.adapter import Adapter, Rendered
from sunseo.web.authentication import Authentication
from sunseo.web.cors import CROSS_ORIGIN_HEADERS, preflight_headers
from sunseo.web.description.descriptions import describe
from sunseo.web.endpoint import Answer, Call, Endpoint, Header, LaneHandler, Record, Urgency
from sunseo.web.input.paths import PathTable
from sunseo.web.input.requests import refuse_odd_headers, request_id_of
from sunseo.web.limits import ClientGoneError, InFlightLimiter, Limits
from sunseo.web.page_headers import PAGE_HEADERS
from sunseo.web.problems import (
    INTERNAL_ERROR,
    INVALID_FIELD,
    NO_SUCH_PATH,
    OVERLOADED,
    TOO_SLOW,
    TOOK_TOO_LONG,
    UNAVAILABLE,
    ProblemCatalogue,
    ProblemError,
    ProblemType,
    UnavailableError,
    document,
    retry_after,
    type_of,
)
from sunseo.web.raw import RawAnswer, RawAnswers
from sunseo.web.routing import paths_of
from sunseo.web.server.exchange import Exchange, respond

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]
OutageOf = Callable[[Exception], str | None]

_encode = msgspec.json.Encoder(enc_hook=str).encode
_PROBLEM_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"application/problem+json"),
    (b"cache-control", b"no-store"),
)
_CLIENT_GONE = 499  # as nginx logs it; nobody receives it
NOTHING_RAW: RawAnswers = MappingProxyType({})
_NOWHERE = "-"  # the route of requests that found none; a path may hold anything, so it is no label


def build_app(
    endpoints: Iterable[Endpoint],
    authentication: Authentication,
    *,
    limits: Limits,
    metrics: Metrics,
    logs: Logs,
    lifespan: Lifespan | None = None,
    outage_of: OutageOf = lambda _error: None,
    raw: RawAnswers = NOTHING_RAW,
    on_write: Callable[[int], object] = lambda _status: None,
) -> "App":
    """Join the endpoint tables of all capabilities into one application.

    Args:
        endpoints: of all capabilities; `/openapi.json` and `/problems/{code}` are added.
        authentication: knows persons and operators.
        limits: what a request may take.
        metrics: of this process.
        logs: of this process.
        lifespan: entered when a worker starts and left when it has drained.
        outage_of: says in a sentence what is away, if that is what an exception out of a handler
            means; then the answer is 503, not 500.
        raw: answers by exact path that go ahead of the table, for the methods they take.
        on_write: told the status of each request that writes, joins aside.

    Raises:
        ValueError: the table contradicts itself.
        TypeError: a request struct lets unknown or unbounded values in.
    """
    table = list(endpoints)
    catalogue = ProblemCatalogue.of(table)
    table += describe(table, catalogue)
    return App(
        table,
        authentication,
        limits=limits,
        metrics=metrics,
        logs=logs,
        lifespan=lifespan,
        outage_of=outage_of,
        raw=raw,
        on_write=on_write,
    )


class App:
    """An ASGI application over one endpoint table."""

    def __init__(
        self,
        table: list[Endpoint],
        authentication: Authentication,
        *,
        limits: Limits,
        metrics: Metrics,
        logs: Logs,
        lifespan: Lifespan | None,
        outage_of: OutageOf,
        raw: RawAnswers,
        on_write: Callable[[int], object],
    ) -> None:
        self._on_write = on_write
        self._raw = raw
        self._limits = limits
        self._outage_of = outage_of
        self._limiter = InFlightLimiter(limits, metrics.http_in_flight.set)
        self._logs = logs
        self._logger = logs.logger("web")
        self._shed = {
            urgency: metrics.http_shed.labels(urgency.name.lower()).inc
            for urgency in {endpoint.shed_as for endpoint in table}
        }
        self._unrouted = metrics.route(_NOWHERE, _NOWHERE)
        self._lifespan = Router(lifespan=lifespan).lifespan
        self._pid = logs.pid
        self._paths = PathTable(paths_of(table, authentication, limits, metrics).values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        raw = self.raw(scope)
        if raw is not None:
            await raw(scope, receive, send)
            return
        exchange = await self.exchange(scope, receive)
        if exchange.rendered is not None:
            await respond(send, exchange.rendered, exchange.record)
        self.settle(exchange)

    def raw(self, scope: Scope) -> RawAnswer | None:
        """Who answers ahead of the table, perhaps for as long as somebody listens."""
        raw = self._raw.get(scope["path"])
        if raw is None or scope["method"] not in raw.methods:
            return None
        # Without just one Host it is the table's to refuse, as everything else.
        return raw if [name for name, _ in scope["headers"]].count(b"host") == 1 else None

    async def exchange(self, scope: Scope, body: Receive | bytes) -> Exchange:
        """Have a request answered; whoever asked sends the answer, then calls `settle`.

        Args:
            scope: ASGI's.
            body: all of it, or where to receive it from.
        """
        exchange = self.open(scope)
        if exchange.rendered is None:
            await self.answer(exchange, body)
        return exchange

    def open(self, scope: Scope) -> Exchange:
        """Find who serves a request; where nobody does, it is answered already."""
        pairs = scope["headers"]
        headers = dict(pairs)
        method = scope["method"]
        record = Record(request_id_of(headers), method, time.monotonic())
        exchange = Exchange(record)
        try:
            refuse_odd_headers(
                pairs, headers, self._limits.headers_max, self._limits.header_bytes_max
            )
            if method == "OPTIONS":
                self._close(exchange, self._preflight(scope["path"], record))
                return exchange
            adapter, raw_path = self._find(scope["path"], method)
        except ProblemError as error:
            self._fail(exchange, error)
            return exchange
        record.route = adapter.route
        exchange.is_served = True
        exchange.adapter = adapter
        exchange.call = Call(record, headers, raw_path, scope)
        exchange.lane = adapter.lane_for(headers)
        return exchange

    async def answer(self, exchange: Exchange, body: Receive | bytes) -> None:
        """Have an open request answered in this task."""
        record = exchange.record
        task = asyncio.current_task()
        try:
            self._refuse_surplus(exchange.adapter)
            if task is not None:  # an ASGI server without tasks cannot be patrolled
                self._limiter.enter(record, task)
            query_string = exchange.call.scope["query_string"]
            self._render(exchange, await exchange.adapter.answer(exchange.call, query_string, body))
        except asyncio.CancelledError:
            if not record.expired or task is None or task.uncancel() > 0:
                raise  # not our limiter's doing
            self._fail(exchange, _out_of_time(record))
        except Exception as error:  # noqa: BLE001 - the outer edge: whatever it is, it is answered
            self._fail(exchange, error)
        finally:
            self._limiter.leave(record)

    def submit(
        self, exchange: Exchange, lane: LaneHandler, body: bytes
    ) -> asyncio.Future[Any] | None:
        """Hand an open request, which has arrived whole, to its lane: no task is needed.

        Returns:
            What to wait for and then to `hear`; none where the request is refused and so answered.
        """
        call = exchange.call
        try:
            self._refuse_surplus(exchange.adapter)
            exchange.adapter.read(call, call.scope["query_string"], body)
            heard = lane.submit(call)
        except Exception as error:  # noqa: BLE001 - the outer edge, as in `answer`
            self._fail(exchange, error)
            return None
        self._limiter.enter(exchange.record, heard)
        return heard

    def hear(self, exchange: Exchange, lane: LaneHandler, heard: asyncio.Future[Any]) -> bool:
        """Answer with what a lane has said, unless it was cut off: then there is no answer."""
        record = exchange.record
        self._limiter.leave(record)
        try:
            self._render(exchange, lane.reply(exchange.call, heard.result()))
        except asyncio.CancelledError:
            if not record.expired:
                return False  # not our limiter's doing
            self._fail(exchange, _out_of_time(record))
        except Exception as error:  # noqa: BLE001 - the outer edge, as in `answer`
            self._fail(exchange, error)
        return True

    def _find(self, path: str, method: str) -> tuple[Adapter, dict[str, str]]:
        found = self._paths.find(path)
        if found is None:
            raise ProblemError(NO_SUCH_PATH)
        _, methods, raw_path = found
        adapter = methods.adapters.get(method)
        if adapter is None:
            raise methods.refuse(method)
        return adapter, raw_path

    def _preflight(self, path: str, record: Record) -> Rendered:
        """Answer a browser that asks what a page of another site may send here."""
        found = self._paths.find(path)
        if found is None:
            raise ProblemError(NO_SUCH_PATH)
        template, methods, _ = found
        record.route = template.path
        allowed = methods.from_other_sites()
        if not allowed:
            raise methods.refuse("OPTIONS")
        return 204, preflight_headers(allowed), b""

    def _refuse_surplus(self, adapter: Adapter) -> None:
        if not self._limiter.has_room(adapter.urgency):
            self._shed[adapter.urgency]()
            raise ProblemError(OVERLOADED)

    def _render(self, exchange: Exchange, answer: Answer) -> None:
        record = exchange.record
        if isinstance(answer, Refusal):
            self._close(exchange, self._refusal(answer, record))
        else:
            self._close(exchange, exchange.adapter.render(answer, record))

    def _fail(self, exchange: Exchange, error: Exception) -> None:
        """Answer with a problem, whatever came in the way of an answer."""
        record = exchange.record
        if isinstance(error, ClientGoneError):
            record.status = _CLIENT_GONE
            return
        problem = self._problem_of(error, record)
        rendered = self._problem(problem.problem, problem.detail, record, problem.members)
        rendered[1].extend(problem.headers)
        if exchange.is_served:
            endpoint = exchange.adapter.endpoint
            rendered = _for_people(endpoint, exchange.call, problem.problem, rendered)
        self._close(exchange, rendered)

    def _close(self, exchange: Exchange, rendered: Rendered) -> None:
        record = exchange.record
        status, headers, _ = exchange.rendered = rendered
        if exchange.is_served and exchange.adapter.endpoint.cross_origin:
            headers.extend(CROSS_ORIGIN_HEADERS)
        record.status = status
        headers.append((b"x-request-id", record.request_id.encode()))

    def _problem_of(self, error: Exception, record: Record) -> ProblemError:
        match error:
            case ProblemError():
                return error
            case FieldError():
                field, expected = error.field, error.expected
                return ProblemError(INVALID_FIELD, str(error), field=field, expected=expected)
            case RefusedError():
                refusal = error.refusal
                return ProblemError(type_of(refusal.outcome), refusal.detail, **refusal.extra)
        return self._failure(error, record)

    def _failure(self, error: Exception, record: Record) -> ProblemError:
        """Log an exception out of a handler; the caller learns no more than whose turn it is."""
        about = {"request_id": record.request_id, "route": record.route}
        outage = self._outage_of(error)
        if outage is not None or isinstance(error, UnavailableError):
            # A line, not a traceback: an outage makes one for every request.
            self._logger.warning("unavailable", error=type(error).__name__, reason=outage, **about)
            return ProblemError(UNAVAILABLE, outage)
        self._logger.error("unexpected_error", exc_info=error, **about)
        return ProblemError(INTERNAL_ERROR)

    def _refusal(self, refusal: Refusal, record: Record) -> Rendered:
        problem = type_of(refusal.outcome)
        return self._problem(problem, refusal.detail, record, refusal.extra, refusal.retry_after_s)

    def _problem(
        self,
        problem: ProblemType,
        detail: str | None,
        record: Record,
        members: Mapping[str, Any],
        retry_after_s: int | None = None,
    ) -> Rendered:
        record.outcome = problem.code
        headers = list(_PROBLEM_HEADERS)
        if problem.status in (429, 503):
            wait_s = retry_after_s or retry_after(
                self._limits.retry_after_shortest_s, self._limits.retry_after_longest_s
            )
            headers.append((b"retry-after", str(wait_s).encode()))
        body = _encode(document(problem, detail, record.request_id, members))
        return problem.status, headers, body

    def settle(self, exchange: Exchange) -> None:
        """Count and log what a request has been."""
        record = exchange.record
        duration_s = time.monotonic() - record.started
        route = self._unrouted
        if exchange.is_served:
            route = exchange.adapter.metrics
            if exchange.adapter.urgency is Urgency.WRITE:
                self._on_write(record.status)
        outcome = record.outcome or _NOWHERE
        route.answered(record.status, outcome, duration_s)
        if self._logs.requests_on:
            lane_wait_s, db_s = record.lane_wait_s, record.db_s
            self._logs.request(
                RequestLine(
                    time=now(),
                    level="error" if record.status == 500 else "info",
                    event="request",
                    request_id=record.request_id,
                    method=record.method[:20],
                    route=record.route or _NOWHERE,
                    status=record.status,
                    outcome=outcome,
                    duration_ms=_ms(duration_s),
                    lane_wait_ms=None if lane_wait_s is None else _ms(lane_wait_s),
                    db_ms=None if db_s is None else _ms(db_s),
                    person=record.person,
                    pid=self._pid,
                )
            )

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})


def _ms(seconds: float) -> float:
    """Milliseconds with three digits behind the point, in a third of the time of `round(…, 3)`."""
    return round(seconds * 1e6) / 1000


def _out_of_time(record: Record) -> ProblemError:
    """What the limiter has ended."""
    if record.reading:
        return ProblemError(TOO_SLOW, headers=((b"connection", b"close"),))
    return ProblemError(TOOK_TOO_LONG)


def _for_people(
    endpoint: Endpoint, call: Call, problem: ProblemType, rendered: Rendered
) -> Rendered:
    """The same refusal as a page, where the endpoint is one."""
    if endpoint.problem_page is None:
        return rendered
    status, headers, _ = rendered
    kept = [header for header in headers if header[0] != b"content-type"]
    kept.extend(PAGE_HEADERS)
    return status, kept, endpoint.problem_page(call, problem.code, status)
