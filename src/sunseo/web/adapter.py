"""One endpoint behind HTTP: reads a request into a `Call`, and an answer into bytes.

The order of checks is the order of their cost to us and of their worth to an attacker: path,
identity, query and headers come before the first byte of the body is read.
"""

from typing import Any

import msgspec
from starlette.types import Receive

from sunseo.telemetry.metrics import RouteMetrics
from sunseo.web.auth import IDENTIFY, Authenticator
from sunseo.web.bodies import BodyReader
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Header, Record, Reply, Stream
from sunseo.web.limits import announced_length, read_body, refuse_too_large
from sunseo.web.paths import Template
from sunseo.web.queries import FormReader, QueryReader
from sunseo.web.requests import idempotency_key_of, refuse_other_forms, refuse_other_media

_encode = msgspec.json.Encoder().encode
_JSON_TYPE: Header = (b"content-type", b"application/json")
_NO_STORE: Header = (b"cache-control", b"no-store")

Rendered = tuple[int, list[Header], bytes | Stream]
"""Status, headers and body of a response."""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request that takes none: empty, or an empty object."""


class Adapter:
    """Serves one endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        template: Template,
        authenticator: Authenticator,
        metrics: RouteMetrics,
        body_bytes_max: int,
    ) -> None:
        self.endpoint = endpoint
        self.urgency = endpoint.shed_as
        self.metrics = metrics
        self.route = template.path
        self._template = template
        self._authenticator = authenticator
        self._identify = IDENTIFY.get(endpoint.auth)
        self._handler = endpoint.handler
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
        if call.path:
            call.path = self._template.convert(call.path)
        headers = call.headers
        if self._identify is not None:
            await self._identify(self._authenticator, call, headers.get(b"authorization"))
        call.query = self._query.read(query_string)
        if self.endpoint.idempotent_key:
            call.idempotency_key = idempotency_key_of(headers)
        call.body = None
        if self._body is not None:
            call.body = await self._read(self._body, call, body)
        return await self._handler(call)

    def render(self, reply: Reply, record: Record) -> Rendered:
        """Encode a successful answer."""
        status = reply.status or self.endpoint.status_of(reply.outcome)
        if reply.outcome is not None:
            record.outcome = self._outcomes.get(reply.outcome) or reply.outcome.code
        body = reply.body
        if body is None:
            headers = list(self._headers[1:])
            encoded: bytes | Stream = b""
        else:
            headers = list(self._headers)
            encoded = body if isinstance(body, bytes | Stream) else _encode(body)
        for header in reply.headers:
            if header[0] in (b"content-type", b"cache-control"):
                headers = [known for known in headers if known[0] != header[0]]
            headers.append(header)
        return status, headers, encoded

    async def _read(
        self, reader: BodyReader | FormReader, call: Call, source: Receive | bytes
    ) -> Any:
        headers = call.headers
        announced = announced_length(headers)
        if announced == 0 and self._body_is_optional:
            return None
        if announced != 0 and not self._body_is_optional:
            self._refuse_other_media(headers)
        body = b""
        if isinstance(source, bytes):
            body = refuse_too_large(source, self._body_bytes_max)
        elif announced != 0:
            call.record.reading = True
            body = await read_body(source, announced, self._body_bytes_max)
            call.record.reading = False
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
