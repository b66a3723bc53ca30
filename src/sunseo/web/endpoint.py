"""The one endpoint table: routing, decoding, identity and the API document are read from it.

A capability exports a list of `Endpoint`s, wiring joins the lists, `app.build_app` serves them. A
handler is `async def handler(call: Call) -> Reply | Refusal`; it knows no ASGI and no JSON.

    place_hold = Endpoint(
        name="place_hold",
        method="POST",
        path="/v1/sales/{sale:int}/holds",
        summary="Hold seats and units for a while",
        handler=routes.place_hold,
        request=PlaceHoldBody,
        response=HoldBody,
        success=201,
        outcomes=HoldOutcome,
        auth=Auth.PERSON,
        idempotent_key=True,
    )
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import msgspec
from starlette.types import Scope

from sunseo.core.ids import Person
from sunseo.core.outcome import Kind, Outcome, Refusal


class Auth(Enum):
    """Who may call: everybody, a person with a token, an operator with a key.

    Where a person is optional, no token is fine, but one that is sent has to be valid.
    """

    PUBLIC = "public"
    OPTIONAL_PERSON = "optional person"
    PERSON = "person"
    OPERATOR = "operator"


class Urgency(Enum):
    """What is shed first when too many requests are under way.

    The value is the share of `Limits.concurrency_max` up to which such a request is let in.
    """

    POLL = 0.7
    JOIN = 0.85
    LOOK = 0.95  # at what is free: those inside must see it before they can take it
    WRITE = 1.0
    ALWAYS = float("inf")  # health and metrics: refusing them would hide the overload


class Record:
    """What one request will have been, for its log line and its metrics.

    Handlers set `lane_wait_s` and `db_s`; the adapter sets the rest. `outcome` is taken from the
    handler's answer.
    """

    __slots__ = (
        "db_s",
        "expired",
        "lane_wait_s",
        "method",
        "outcome",
        "person",
        "reading",
        "request_id",
        "route",
        "started",
        "status",
    )

    def __init__(self, request_id: str, method: str, started: float) -> None:
        self.request_id = request_id
        self.method = method
        self.started = started
        self.route = ""
        self.status = 0
        self.outcome = ""
        self.person: str | None = None
        self.lane_wait_s: float | None = None
        self.db_s: float | None = None
        self.reading = False
        self.expired = False


class Call:
    """One decoded request.

    `person`, `operator` and `idempotency_key` are set exactly where the endpoint asks for them;
    reading one that was not asked for is a programmer's error and raises AttributeError.

    Attributes:
        body: the decoded request struct, or None where the endpoint takes none.
        headers: by name in lower case, as bytes; `header` reads one as text.
        path: path parameters by name, already `int`, `UUID` or `str` as the template says.
        query: the decoded query struct, or None.
        person: who calls, where `auth` is PERSON; elsewhere see `known_person`.
        operator: the id of the operator key used, where `auth` is OPERATOR.
        idempotency_key: as sent, 1 to 255 visible ASCII characters.
        record: what this request will have been; handlers add their times to it.
        scope: ASGI's, for what is asked rarely: `peer`, `scheme`, `header_lines`.
    """

    __slots__ = (
        "body",
        "headers",
        "idempotency_key",
        "operator",
        "path",
        "person",
        "query",
        "record",
        "scope",
    )

    body: Any
    path: dict[str, Any]
    query: Any
    person: Person
    operator: str
    idempotency_key: str
    record: Record

    def __init__(
        self,
        record: Record,
        headers: dict[bytes, bytes],
        path: dict[str, Any],
        scope: Scope | None = None,
    ) -> None:
        self.record = record
        self.path = path
        self.headers = headers
        self.scope = {} if scope is None else scope

    @property
    def known_person(self) -> Person | None:
        """Who calls, where `auth` is OPTIONAL_PERSON and she sent a token."""
        return getattr(self, "person", None)

    @property
    def peer(self) -> str | None:
        """The address at the other end of the connection: a visitor's, or a proxy's."""
        client = self.scope.get("client")
        return client[0] if client else None

    @property
    def scheme(self) -> str:
        """`http` or `https`, of the connection that reached us."""
        return str(self.scope.get("scheme", "http"))

    def header_lines(self, name: str) -> list[str]:
        """All lines of a header that may stand more than once, in the order they came."""
        wanted = name.encode()
        pairs = self.scope.get("headers", ())
        return [value.decode("latin-1") for known, value in pairs if known == wanted]

    def header(self, name: str) -> str | None:
        """A request header by its name in lower case; repeated ones give the last."""
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")


Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class BodyStream:
    """A body that is sent in parts, since all of it would be too much to hold.

    Args:
        parts: closed when they are sent, or when the client has left.
        size: bytes of all parts together.
    """

    parts: AsyncGenerator[bytes, None]
    size: int


class Reply(msgspec.Struct, frozen=True):
    """An answer to a call that succeeded.

    Args:
        status: the HTTP status, or None to take it from `outcome` and the endpoint's `success`
            (done: `success`; replayed: 200; waiting: 202).
        body: a struct to be encoded as JSON, bytes or a stream as they are, or None.
        headers: further headers, names in lower case; `content-type` here replaces JSON's.
        outcome: the outcome that is logged and counted.
    """

    status: int | None = None
    body: msgspec.Struct | Sequence[msgspec.Struct] | bytes | BodyStream | None = None
    headers: Sequence[Header] = ()
    outcome: Outcome | None = None


Answer = Reply | Refusal


class LaneHandler(NamedTuple):
    """A handler in two halves, that waits in between for nothing but a lane's answer.

    A request that has arrived whole needs no task then. The answer is no stream.
    """

    submit: Callable[[Call], asyncio.Future[Any]]
    reply: Callable[[Call, Any], Answer]

    async def __call__(self, call: Call) -> Answer:
        return self.reply(call, await self.submit(call))


Handler = Callable[[Call], Awaitable[Answer]] | LaneHandler
ProblemPage = Callable[[Call, str, int], bytes]
"""From a call, a problem's code and its status: the HTML that a person reads instead of JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One row of the table.

    Args:
        name: unique, a verb phrase in snake case; the `operationId` of the API document.
        path: a template; parameters are `{sale:int}` (1 to 2^63-1), `{hold:uuid}` or `{code:str}`.
        request: the body's struct; None takes no body (an empty object is let pass).
        response: the type of a successful JSON body, or None where there is none.
        success: the status of an answer that was DONE.
        outcomes: the closed set of answers, for the document and the catalogue of problems.
        idempotent_key: whether `Idempotency-Key` is required.
        query: the struct of the query string; None takes no query.
        urgency: when it is shed; by default POLL for reads and WRITE for everything else.
        body_bytes_max: where the general limit is wrong, as for imports.
        cross_origin: whether pages of other sites may call it from a browser.
        media: further response media types beside JSON, for the document.
        problem_page: makes the endpoint a page for people: what the web layer refuses is answered
            with this HTML, bodies are forms, and unknown query parameters (which those who share
            links add) are dropped instead of refused.
        answers: a sentence for each further status with which the handler answers by itself.
        description: a paragraph for the document.
    """

    name: str
    method: str
    path: str
    summary: str
    handler: Handler
    request: type[msgspec.Struct] | None = None
    response: Any = None
    success: int = 200
    outcomes: Iterable[Outcome] | None = None
    auth: Auth = Auth.PUBLIC
    idempotent_key: bool = False
    query: type[msgspec.Struct] | None = None
    urgency: Urgency | None = None
    body_bytes_max: int | None = None
    cross_origin: bool = False
    media: Sequence[str] = ()
    problem_page: ProblemPage | None = None
    answers: Mapping[int, str] = field(default_factory=dict)
    description: str = ""

    @property
    def shed_as(self) -> Urgency:
        if self.urgency is not None:
            return self.urgency
        return Urgency.POLL if self.method in ("GET", "HEAD") else Urgency.WRITE

    @property
    def takes_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH")

    def refusals(self) -> list[Outcome]:
        """The outcomes that become problem documents, in their precedence."""
        return [outcome for outcome in self.outcomes or () if not outcome.kind.is_success]

    def status_of(self, outcome: Outcome | None) -> int:
        """The status of a successful answer that names none itself."""
        if outcome is None or outcome.kind is Kind.DONE:
            return self.success
        return 202 if outcome.kind is Kind.WAITING else 200
