"""Refusals as RFC 9457 problem documents, and the one catalogue that describes them all.

Two sources: what the web layer itself refuses (`WEB_PROBLEMS`) and the outcomes of the endpoints.
Both have a code; `type` is the relative reference `/problems/<code>`, which can be read.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from sunseo.core.outcome import Kind, Outcome
from sunseo.web.endpoint import Endpoint, Header

STATUS_OF_KIND: dict[Kind, int] = {
    Kind.DONE: 200,
    Kind.REPLAYED: 200,
    Kind.WAITING: 202,
    Kind.ABSENT: 404,
    Kind.REFUSED: 403,
    Kind.CONFLICT: 409,
    Kind.GONE: 410,
    Kind.PACED: 429,
    Kind.LATER: 503,
}

ADVICE_OF_KIND: dict[Kind, str] = {
    Kind.ABSENT: "Check the number or id; the same request will be refused again.",
    Kind.REFUSED: "A rule forbids it. Change what you ask for; the same request stays refused.",
    Kind.CONFLICT: "Somebody or something else stands in the way. Read the present state, "
    "then ask for something else or try again later.",
    Kind.GONE: "It was there and is used up.",
    Kind.PACED: "Nothing was tried. Send the same request again after the time in Retry-After.",
    Kind.LATER: "It is not known whether it happened. Repeat the same request with the same "
    "Idempotency-Key after the time in Retry-After.",
}


class ProblemType(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of refusal, as the catalogue knows it."""

    code: str
    status: int
    title: str
    meaning: str
    advice: str = ""


def _web(code: str, status: int, title: str, meaning: str, advice: str) -> ProblemType:
    return ProblemType(code=code, status=status, title=title, meaning=meaning, advice=advice)


_TRY_LATER = "Try again after the time in Retry-After, with the same Idempotency-Key if it writes."

MALFORMED_JSON = _web(
    "malformed_json",
    400,
    "The body is not JSON",
    "The request body could not be read as one JSON value in UTF-8.",
    "Send valid JSON. `detail` says at which byte reading stopped.",
)
INVALID_FIELD = _web(
    "invalid_field",
    422,
    "A field is not as it must be",
    "The body is JSON, but a field is missing, unknown, of the wrong type or out of range.",
    "`field` names it, as in `seats[2]`; `expected` says what is right.",
)
INVALID_QUERY = _web(
    "invalid_query",
    400,
    "The query string is not as it must be",
    "A query parameter is unknown, repeated, of the wrong type or out of range.",
    "`field` names it; `expected` says what is right.",
)
INVALID_IDEMPOTENCY_KEY = _web(
    "invalid_idempotency_key",
    400,
    "Idempotency-Key is missing or not usable",
    "Every request that writes carries a key that is new for each intent and the same for its "
    "retries: 1 to 255 visible ASCII characters, sent once.",
    "Send for instance a random UUID.",
)
REPEATED_HEADER = _web(
    "repeated_header",
    400,
    "A header was sent more than once",
    "A header that may stand once decides about this request, so that sending it twice is refused.",
    "Send it once; `field` names it.",
)
MISSING_HOST = _web(
    "missing_host",
    400,
    "The request names no host",
    "HTTP/1.1 has every request say for which host it is meant.",
    "Send the header Host, once.",
)
CREDENTIAL_REQUIRED = _web(
    "credential_required",
    401,
    "A credential is required",
    "The request carries no usable credential.",
    "Send `Authorization: Bearer <token>`.",
)
INVALID_CREDENTIAL = _web(
    "invalid_credential",
    401,
    "The credential is not valid",
    "The token or key is unknown, expired, not yet valid, revoked or not signed by a known issuer.",
    "Get a new one.",
)
WRONG_CREDENTIAL = _web(
    "wrong_credential",
    403,
    "A credential of another kind is needed",
    "The credential is valid, but persons' requests take a person's token and operators' requests "
    "an operator key.",
    "Use the other kind of credential.",
)
NO_SUCH_PATH = _web(
    "no_such_path",
    404,
    "There is nothing at this path",
    "No endpoint has this path, or an id in it cannot exist.",
    "See /openapi.json for all paths.",
)
METHOD_NOT_ALLOWED = _web(
    "method_not_allowed",
    405,
    "The path does not know this method",
    "The path exists, but not with this method.",
    "The header Allow lists the methods.",
)
TOO_SLOW = _web(
    "too_slow",
    408,
    "The body came too slowly",
    "The request body did not arrive in time.",
    "Send it again over a better connection.",
)
TOO_LARGE = _web(
    "too_large",
    413,
    "The body is too large",
    "The body is longer than this endpoint takes.",
    "Send less at once; `expected` gives the limit in bytes.",
)
UNSUPPORTED_MEDIA_TYPE = _web(
    "unsupported_media_type",
    415,
    "The body is not of a supported type",
    "Bodies are JSON in UTF-8 without content encoding.",
    "Send `Content-Type: application/json`.",
)
HEADERS_TOO_LARGE = _web(
    "headers_too_large",
    431,
    "The headers are too many or too large",
    "The request's headers exceed what the server takes.",
    "Send fewer or shorter headers, often cookies.",
)
INTERNAL_ERROR = _web(
    "internal_error",
    500,
    "Something broke on our side",
    "An error that we did not expect. It is logged under `request_id`.",
    "Try again with the same Idempotency-Key; tell the operator the `request_id`.",
)
OVERLOADED = _web(
    "overloaded",
    503,
    "Too much is going on at once",
    "The server is busy to its limit and refused this request before doing anything.",
    _TRY_LATER,
)
TOOK_TOO_LONG = _web(
    "took_too_long",
    503,
    "It took too long",
    "The answer was not ready in time. It is not known whether the request had an effect.",
    _TRY_LATER,
)
UNAVAILABLE = _web(
    "unavailable",
    503,
    "Something we depend on is not available",
    "The database or another part cannot be reached at the moment.",
    _TRY_LATER,
)

WEB_PROBLEMS: tuple[ProblemType, ...] = (
    MALFORMED_JSON,
    INVALID_FIELD,
    INVALID_QUERY,
    INVALID_IDEMPOTENCY_KEY,
    REPEATED_HEADER,
    MISSING_HOST,
    CREDENTIAL_REQUIRED,
    INVALID_CREDENTIAL,
    WRONG_CREDENTIAL,
    NO_SUCH_PATH,
    METHOD_NOT_ALLOWED,
    TOO_SLOW,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    HEADERS_TOO_LARGE,
    INTERNAL_ERROR,
    OVERLOADED,
    TOOK_TOO_LONG,
    UNAVAILABLE,
)


class ProblemError(Exception):
    """Stops the reading of a request; the adapter answers it as a problem document.

    Only the web layer raises it, and only before a handler has begun. A handler's refusals are
    returned, never raised.
    """

    def __init__(
        self,
        problem: ProblemType,
        detail: str | None = None,
        *,
        headers: tuple[Header, ...] = (),
        **members: Any,
    ) -> None:
        super().__init__(detail or problem.title)
        self.problem = problem
        self.detail = detail
        self.headers = headers
        self.members = members


class UnavailableError(Exception):
    """Raised by what wiring injects (key lookups, handlers) when a dependency cannot be reached."""


class ConflictingProblemsError(ValueError):
    """Two outcomes share a code but not a status; the server does not start."""


class ProblemCatalogue:
    """Every problem that this server can answer with, by code."""

    def __init__(self, types: Iterable[ProblemType]) -> None:
        self._types = {problem.code: problem for problem in types}

    @classmethod
    def of(cls, endpoints: Iterable[Endpoint]) -> "ProblemCatalogue":
        types = {problem.code: problem for problem in WEB_PROBLEMS}
        for endpoint in endpoints:
            for outcome in endpoint.refusals():
                problem = type_of(outcome)
                known = types.setdefault(problem.code, problem)
                if known.status != problem.status:
                    raise ConflictingProblemsError(
                        f"{endpoint.name}: {problem.code} would be {problem.status} here and is "
                        f"{known.status} elsewhere; one code has one status"
                    )
        return cls(types.values())

    def get(self, code: str) -> ProblemType | None:
        return self._types.get(code)

    def __iter__(self) -> Iterator[ProblemType]:
        return iter(self._types.values())


def type_of(outcome: Outcome) -> ProblemType:
    """The catalogue's entry of an outcome."""
    return ProblemType(
        code=outcome.code,
        status=STATUS_OF_KIND[outcome.kind],
        title=outcome.code.replace("_", " ").capitalize(),
        meaning=outcome.sentence,
        advice=ADVICE_OF_KIND.get(outcome.kind, ""),
    )


def document(
    problem: ProblemType,
    detail: str | None,
    request_id: str,
    members: Mapping[str, Any],
) -> dict[str, Any]:
    """The problem document. Reserved members win over a caller's `members` of the same name."""
    return {
        **members,
        "type": f"/problems/{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail or problem.meaning,
        "outcome": problem.code,
        "request_id": request_id,
    }


def retry_after(shortest_s: int, longest_s: int) -> int:
    """Seconds to wait, spread so that those refused together do not come back together."""
    return random.randint(shortest_s, longest_s)  # noqa: S311 - jitter guards nothing
