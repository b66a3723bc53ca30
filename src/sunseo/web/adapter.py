"""One endpoint behind HTTP: reads a request into a `Call`, and an answer into bytes.

The order of checks is the order of their cost to us and of their worth to an attacker: path,
identity, query and headers come before the first byte of the body is read.
"""

from typing import Any

import msgspec
from starlette.types import Receive

from sunseo.telemetry.metrics import RouteMetrics
from sunseo.web.authentication import Authentication
from sunseo.web.endpoint import (
    Answer,
    Auth,
    BodyStream,
    Call,
    Endpoint,
    Header,
    LaneHandler,
    Record,
    Reply,
)
from sunseo.web.input.bodies import BodyReader
from sunseo.web.input.paths import Template
from sunseo.web.input.queries import FormReader, QueryReader
from sunseo.web.input.requests import (
    Headers,
    idempotency_key_of,
    refuse_other_forms,
    refuse_other_media,
)
from sunseo.web.limits import announced_length, read_body, refuse_too_large

_encode = msgspec.json.Encoder().encode
_JSON_TYPE: Header = (b"content-type", b"application/json")
_NO_STORE: Header = (b"cache-control", b"no-store")

Rendered = tuple[int, list[Header], bytes | BodyStream]
"""Status, headers and body of a response."""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request that takes none: empty, or an empty object."""


class Adapter:
    """Serves one endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        template: Template,
        authentication: Authentication,
        metrics: RouteMetrics,
        body_bytes_max: int,
    ) -> None:
        self.endpoint = endpoint
        self.urgency = endpoint.shed_as
        self.metrics = metrics
        self.route = template.path
        self._template = template
        self._authentication = authentication
        self._identify = {
            Auth.OPTIONAL_PERSON: authentication.identify_known_person,
            Auth.PERSON: authentication.identify_person,
            Auth.OPERATOR: authentication.identify_operator,
        }.get(endpoint.auth)
        self._handler = endpoint.handler
        self._lane: LaneHandler | None = None
        if isinstance(endpoint.handler, LaneHandler) and endpoint.auth is Auth.PERSON:
            self._lane = endpoint.handler
        is_page = endpoint.problem_page is not None
        self._query = QueryReader(endpoint.query, drop_unknown=is_page)
        self._body = _reader_of(endpoint) if endpoint.takes_body else None
        self._refuse_other_media = refuse_other_forms if is_page else refuse_other_media
        self._body_is_optional = endpoint.request is None
        self._body_bytes_max = endpoint.body_bytes_max or body_bytes_max
        self._outcomes = {outcome: outcome.code for outcome in endpoint.outcomes or ()}
        self._headers: tuple[Header, ...] = (
            (_JSON_TYPE,) if endpoint.auth is Auth.PUBLIC else (_JSON_TYPE, _NO_STORE)
        )

    async def answer(self, call: Call, query_string: bytes, body: Receive | bytes) -> Answer:
        """Read the request and have it handled. `call.path` comes as raw text.

        Raises:
            ProblemError: the request cannot be handed to the handler.
            ClientGoneError: the client left before its body had arrived.
        """
        self._read_path(call)
        if self._identify is not None:
            await self._identify(call, call.headers.get(b"authorization"))
        self._read_head(call, query_string)
        if self._body is not None:
            announced = self._announced(call.headers)
            if not isinstance(body, bytes):
                body = await self._receive(call.record, body, announced)
            call.body = self._read_body(self._body, call.headers, body)
        return await self._handler(call)

    def lane_for(self, headers: Headers) -> LaneHandler | None:
        """The handler, where nothing but a lane has to be waited for; `read` first."""
        if self._lane is None or self._authentication.may_ask_store(headers.get(b"authorization")):
            return None
        return self._lane

    def read(self, call: Call, query_string: bytes, body: bytes) -> None:
        """Read a request that `lane_for` has found a handler for, as `answer` does.

        Raises:
            ProblemError: the request cannot be handed to the handler.
        """
        self._read_path(call)
        self._authentication.recognise_person(call, call.headers.get(b"authorization"))
        self._read_head(call, query_string)
        if self._body is not None:
            self._announced(call.headers)
            call.body = self._read_body(self._body, call.headers, body)

    def render(self, reply: Reply, record: Record) -> Rendered:
        """Encode a successful answer."""
        status = reply.status or self.endpoint.status_of(reply.outcome)
        if reply.outcome is not None:
            record.outcome = self._outcomes.get(reply.outcome) or reply.outcome.code
        body = reply.body
        if body is None:
            headers = list(self._headers[1:])
            encoded: bytes | BodyStream = b""
        else:
            headers = list(self._headers)
            encoded = body if isinstance(body, bytes | BodyStream) else _encode(body)
        for header in reply.headers:
            if header[0] in (b"content-type", b"cache-control"):
                headers = [known for known in headers if known[0] != header[0]]
            headers.append(header)
        return status, headers, encoded

    def _read_path(self, call: Call) -> None:
        if call.path:
            call.path = self._template.convert(call.path)

    def _read_head(self, call: Call, query_string: bytes) -> None:
        call.query = self._query.read(query_string)
        if self.endpoint.idempotent_key:
            call.idempotency_key = idempotency_key_of(call.headers)
        call.body = None

    def _announced(self, headers: Headers) -> int | None:
        """The length of a body that comes, as far as it is told, and of a type that is taken."""
        announced = announced_length(headers)
        if announced != 0 and not self._body_is_optional:
            self._refuse_other_media(headers)
        return announced

    async def _receive(self, record: Record, receive: Receive, announced: int | None) -> bytes:
        if announced == 0:
            return b""
        record.reading = True
        body = await read_body(receive, announced, self._body_bytes_max)
        record.reading = False
        return body

    def _read_body(self, reader: BodyReader | FormReader, headers: Headers, body: bytes) -> Any:
        refuse_too_large(body, self._body_bytes_max)
        if self._body_is_optional:
            if body:
                self._refuse_other_media(headers)
                reader.read(body)
            return None
        return reader.read(body)


def _reader_of(endpoint: Endpoint) -> BodyReader | FormReader:
    request = endpoint.request or Nothing
    return BodyReader(request) if endpoint.problem_page is None else FormReader(request)


def refuse_wrong_row(endpoint: Endpoint) -> None:
    """Refuse a row of the endpoint table that makes no sense.

    Raises:
        ValueError: says what is wrong with which endpoint.
    """
    if endpoint.method not in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        raise ValueError(f"{endpoint.name}: {endpoint.method} is not served; HEAD follows GET")
    if endpoint.request is not None and not endpoint.takes_body:
        raise ValueError(f"{endpoint.name}: {endpoint.method} takes no body")
    if not 200 <= endpoint.success < 300:
        raise ValueError(f"{endpoint.name}: {endpoint.success} is not a success")
