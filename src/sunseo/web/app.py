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
from contextlib import AbstractAsyncContextManager, aclosing
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from sunseo.telemetry.logs import Logs, RequestLine, now
from sunseo.telemetry.metrics import Metrics
from sunseo.web.adapter import Adapter, Rendered, refuse_wrong_row
from sunseo.web.auth import Authenticator
from sunseo.web.crossing import CROSS_ORIGIN_HEADERS, preflight_headers
from sunseo.web.descriptions import describe
from sunseo.web.endpoint import Call, Endpoint, Header, Record, Refusal, Stream, Urgency
from sunseo.web.limits import ClientGoneError, Limits, Patrol
from sunseo.web.pages import PAGE_HEADERS
from sunseo.web.paths import PathTable, Template
from sunseo.web.problems import (
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    NO_SUCH_PATH,
    OVERLOADED,
    TOO_SLOW,
    TOOK_TOO_LONG,
    UNAVAILABLE,
    Catalogue,
    ProblemError,
    ProblemType,
    UnavailableError,
    document,
    retry_after,
    type_of,
)
from sunseo.web.raw import RawAnswers, ReadyAnswer
from sunseo.web.requests import refuse_odd_headers, request_id_of

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
    authenticator: Authenticator,
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
        authenticator: knows persons and operators.
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
    catalogue = Catalogue.of(table)
    table += describe(table, catalogue)
    return App(
        table,
        authenticator,
        limits=limits,
        metrics=metrics,
        logs=logs,
        lifespan=lifespan,
        outage_of=outage_of,
        raw=raw,
        on_write=on_write,
    )


class Exchange(NamedTuple):
    """A request that was answered, before anything of the answer is sent."""

    record: Record
    adapter: Adapter | None
    rendered: Rendered | None  # none where the client left before its request had arrived


class _Methods:
    """What one path answers to."""

    def __init__(self) -> None:
        self.adapters: dict[str, Adapter] = {}

    def add(self, adapter: Adapter) -> None:
        method = adapter.endpoint.method
        if method in self.adapters:
            raise ValueError(f"{method} {adapter.route} is there twice")
        self.adapters[method] = adapter
        if method == "GET":
            self.adapters["HEAD"] = adapter

    def from_other_sites(self) -> str:
        """The methods that pages of other sites may use."""
        crossing = (m for m, adapter in self.adapters.items() if adapter.endpoint.cross_origin)
        return ", ".join(sorted(crossing))

    def refuse(self, method: str) -> ProblemError:
        allow = ", ".join(sorted(self.adapters))
        return ProblemError(
            METHOD_NOT_ALLOWED,
            f"This path knows {allow}, not {method[:20]}.",
            headers=((b"allow", allow.encode()),),
            expected=allow,
        )


class App:
    """An ASGI application over one endpoint table."""

    def __init__(
        self,
        table: list[Endpoint],
        authenticator: Authenticator,
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
        self._patrol = Patrol(limits, metrics.http_under_way.set)
        self._logs = logs
        self._logger = logs.logger("web")
        self._shed = {
            urgency: metrics.http_shed.labels(urgency.name.lower()).inc
            for urgency in {endpoint.shed_as for endpoint in table}
        }
        self._unrouted = metrics.route(_NOWHERE, _NOWHERE)
        self._lifespan = Router(lifespan=lifespan).lifespan
        self._pid = logs.pid
        self._paths = PathTable(_paths(table, authenticator, limits, metrics).values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        ready = self._raw.get(scope["path"])
        if ready is not None and scope["method"] in ready.methods:
            await ready(scope, receive, send)
            return
        exchange = await self.exchange(scope, receive)
        if exchange.rendered is not None:
            await _respond(send, exchange.rendered, exchange.record)
        self.settle(exchange)

    def ready(self, scope: Scope) -> ReadyAnswer | None:
        """What is answered from memory, for whoever can send it without ASGI."""
        ready = self._raw.get(scope["path"])
        if isinstance(ready, ReadyAnswer) and scope["method"] in ready.methods:
            return ready
        return None

    def is_raw(self, path: str) -> bool:
        """Whether a path is answered ahead of the table, perhaps for as long as one listens."""
        return path in self._raw

    async def exchange(self, scope: Scope, body: Receive | bytes) -> "Exchange":
        """Have a request answered; whoever asked sends the answer, then calls `settle`.

        Args:
            scope: ASGI's.
            body: all of it, or where to receive it from.
        """
        pairs = scope["headers"]
        headers = dict(pairs)
        method = scope["method"]
        record = Record(request_id_of(headers), method, time.monotonic())
        adapter: Adapter | None = None
        call: Call | None = None
        try:
            refuse_odd_headers(
                pairs, headers, self._limits.headers_max, self._limits.header_bytes_max
            )
            if method == "OPTIONS":
                rendered = self._preflight(scope["path"], record)
            else:
                adapter, raw_path = self._find(scope["path"], method)
                record.route = adapter.route
                call = Call(record, headers, raw_path, scope)
                rendered = await self._answer(adapter, call, scope["query_string"], body)
        except ProblemError as error:
            rendered = self._problem(error.problem, error.detail, record, error.members)
            rendered[1].extend(error.headers)
            if adapter is not None and call is not None:
                rendered = _for_people(adapter.endpoint, call, error.problem, rendered)
        except ClientGoneError:
            record.status = _CLIENT_GONE
            return Exchange(record, adapter, None)
        if adapter is not None and adapter.endpoint.cross_origin:
            rendered[1].extend(CROSS_ORIGIN_HEADERS)
        record.status = rendered[0]
        rendered[1].append((b"x-request-id", record.request_id.encode()))
        return Exchange(record, adapter, rendered)

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
        crossing = methods.from_other_sites()
        if not crossing:
            raise methods.refuse("OPTIONS")
        return 204, preflight_headers(crossing), b""

    async def _answer(
        self, adapter: Adapter, call: Call, query_string: bytes, body: Receive | bytes
    ) -> Rendered:
        record = call.record
        if not self._patrol.has_room(adapter.urgency):
            self._shed[adapter.urgency]()
            raise ProblemError(OVERLOADED)
        self._patrol.enter(record)
        try:
            answer = await adapter.answer(call, query_string, body)
            if isinstance(answer, Refusal):
                return self._refusal(answer, record)
            return adapter.render(answer, record)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not record.expired or task is None or task.uncancel() > 0:
                raise  # not our patrol's doing
            problem = TOO_SLOW if record.reading else TOOK_TOO_LONG
            close = ((b"connection", b"close"),) if record.reading else ()
            raise ProblemError(problem, headers=close) from None
        except (ProblemError, ClientGoneError):
            raise
        except Exception as error:  # noqa: BLE001 - the outer edge: whatever it is, it is answered
            raise self._failure(error, record) from None
        finally:
            self._patrol.leave(record)

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

    def settle(self, exchange: "Exchange") -> None:
        """Count and log what a request has been."""
        record, adapter, _ = exchange
        duration_s = time.monotonic() - record.started
        route = self._unrouted if adapter is None else adapter.metrics
        if adapter is not None and adapter.urgency is Urgency.WRITE:
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
                    duration_ms=round(duration_s * 1000, 3),
                    lane_wait_ms=None if lane_wait_s is None else round(lane_wait_s * 1000, 3),
                    db_ms=None if db_s is None else round(db_s * 1000, 3),
                    person=record.person,
                    pid=self._pid,
                )
            )

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})


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


def may_have_length(status: int) -> bool:
    """Whether an answer of this status says how long its body is."""
    return status not in (204, 304)


async def _respond(send: Send, rendered: Rendered, record: Record) -> None:
    status, headers, body = rendered
    if may_have_length(status):
        size = body.size if isinstance(body, Stream) else len(body)
        headers.append((b"content-length", str(size).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if isinstance(body, Stream):
        async with aclosing(body.parts) as parts:
            if record.method != "HEAD":
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        body = b""
    await send({"type": "http.response.body", "body": b"" if record.method == "HEAD" else body})


def _paths(
    table: list[Endpoint], authenticator: Authenticator, limits: Limits, metrics: Metrics
) -> dict[str, tuple[Template, _Methods]]:
    paths: dict[str, tuple[Template, _Methods]] = {}
    names: set[str] = set()
    for endpoint in table:
        refuse_wrong_row(endpoint)
        if endpoint.name in names:
            raise ValueError(f"two endpoints are called {endpoint.name}")
        names.add(endpoint.name)
        template, methods = paths.setdefault(
            Template(endpoint.path).path, (Template(endpoint.path), _Methods())
        )
        route = metrics.route(endpoint.method, template.path)
        methods.add(Adapter(endpoint, template, authenticator, route, limits.body_bytes_max))
    return paths
