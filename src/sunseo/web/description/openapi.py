"""The OpenAPI 3.1 document, from the endpoint table and the catalogue of problems."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sunseo.core.version import VERSION
from sunseo.web.endpoint import Auth, Endpoint
from sunseo.web.input.paths import Template
from sunseo.web.problems import (
    CREDENTIAL_REQUIRED,
    HEADERS_TOO_LARGE,
    INTERNAL_ERROR,
    INVALID_CREDENTIAL,
    INVALID_FIELD,
    INVALID_IDEMPOTENCY_KEY,
    INVALID_QUERY,
    MALFORMED_JSON,
    MISSING_HOST,
    NO_SUCH_PATH,
    OVERLOADED,
    REPEATED_HEADER,
    TOO_LARGE,
    TOO_SLOW,
    TOOK_TOO_LONG,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA_TYPE,
    WRONG_CREDENTIAL,
    ProblemCatalogue,
    ProblemType,
    document,
    type_of,
)

Json = dict[str, Any]

_SECURITY: dict[Auth, list[Json]] = {
    Auth.PUBLIC: [],
    Auth.OPTIONAL_PERSON: [{}, {"personToken": []}],
    Auth.PERSON: [{"personToken": []}],
    Auth.OPERATOR: [{"operatorKey": []}],
}
_SCHEMES: Json = {
    "personToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A JSON Web Token of the host's issuer, or of a guest session.",
    },
    "operatorKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An operator key: `sunseo_<key id>_<secret>`.",
    },
}
_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "New for each intent, the same for its retries.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457. Some outcomes add members of their own.",
    "required": ["type", "title", "status", "detail", "outcome", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "outcome": {"type": "string", "description": "The code of this problem."},
        "request_id": {"type": "string"},
        "field": {"type": "string", "description": "Which part of the request is at fault."},
        "expected": {"type": "string", "description": "What is right there."},
    },
}
_EXAMPLE_REQUEST_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def openapi_document(endpoints: Sequence[Endpoint], catalogue: ProblemCatalogue) -> Json:
    """Describe all endpoints."""
    bodies = [endpoint.request for endpoint in endpoints if endpoint.request is not None]
    responses = [endpoint.response for endpoint in endpoints if endpoint.response is not None]
    types = [*bodies, *responses]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    schema_of = {_key(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: Json = {}
    for endpoint in endpoints:
        template = Template(endpoint.path)
        operation = _operation(endpoint, template, schema_of)
        paths.setdefault(template.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sunseo",
            "version": VERSION,
            "description": "Reservations for openings where everyone arrives at once.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "examples": {problem.code: _example(problem) for problem in catalogue},
            "securitySchemes": _SCHEMES,
        },
    }


def _example(problem: ProblemType) -> Json:
    return {
        "summary": problem.title,
        "description": problem.advice,
        "value": document(problem, None, _EXAMPLE_REQUEST_ID, {}),
    }


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(endpoint: Endpoint, template: Template, schema_of: Json) -> Json:
    operation: Json = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "security": _SECURITY[endpoint.auth],
        "parameters": _parameters(endpoint, template),
        "responses": _responses(endpoint, template, schema_of),
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.request is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {_body_media(endpoint): {"schema": schema_of[_key(endpoint.request)]}},
        }
    return operation


def _body_media(endpoint: Endpoint) -> str:
    is_page = endpoint.problem_page is not None
    return "application/x-www-form-urlencoded" if is_page else "application/json"


def _parameters(endpoint: Endpoint, template: Template) -> list[Json]:
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": kind.schema}
        for name, kind in template.kinds.items()
    ]
    if endpoint.idempotent_key:
        parameters.append(_IDEMPOTENCY_KEY)
    if endpoint.query is not None:
        parameters += _query_parameters(endpoint.query)
    return parameters


def _query_parameters(query: type[msgspec.Struct]) -> Iterable[Json]:
    _, components = msgspec.json.schema_components([query])
    schema = components[query.__name__]
    required = schema.get("required", ())
    for name, property_schema in schema["properties"].items():
        yield {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": property_schema,
        }


def _responses(endpoint: Endpoint, template: Template, schema_of: Json) -> Json:
    responses = {**_successes(endpoint, schema_of), **_refusals(endpoint, template)}
    for status, sentence in endpoint.answers.items():
        response = responses.setdefault(str(status), {"description": ""})
        response["description"] = f"{response['description']} {sentence}".lstrip()
        if endpoint.problem_page is not None and status >= 400:
            response["content"] = {"text/html": {}}
    return dict(sorted(responses.items()))


def statuses_of(endpoint: Endpoint) -> frozenset[int]:
    """All statuses that the document names for an endpoint."""
    template = Template(endpoint.path)
    named = {problem.status for problem in _web_problems(endpoint, template)}
    named |= {type_of(outcome).status for outcome in endpoint.refusals()}
    named |= {endpoint.status_of(one) for one in endpoint.outcomes or () if one.kind.is_success}
    return frozenset({endpoint.success, *named, *endpoint.answers})


def _successes(endpoint: Endpoint, schema_of: Json) -> Json:
    described = [outcome for outcome in endpoint.outcomes or () if outcome.kind.is_success]
    sentences: dict[int, list[str]] = {endpoint.success: []}
    for outcome in described:
        sentences.setdefault(endpoint.status_of(outcome), []).append(
            f"`{outcome.code}`: {outcome.sentence}"
        )
    content: Json = {}
    if endpoint.response is not None:
        content["application/json"] = {"schema": schema_of[_key(endpoint.response)]}
    content.update({media: {} for media in endpoint.media})
    return {
        str(status): {
            "description": " ".join(lines) or "Done.",
            "headers": {"X-Request-Id": {"schema": {"type": "string"}}},
            **({"content": content} if content else {}),
        }
        for status, lines in sentences.items()
    }


def _refusals(endpoint: Endpoint, template: Template) -> Json:
    by_status: dict[int, list[ProblemType]] = {}
    own = [type_of(outcome) for outcome in endpoint.refusals()]
    for problem in [*own, *_web_problems(endpoint, template)]:
        by_status.setdefault(problem.status, []).append(problem)
    refusals = {status: _refusal(problems) for status, problems in sorted(by_status.items())}
    if endpoint.problem_page is not None:
        for refusal in refusals.values():
            refusal["content"] = {"text/html": {}}
    return {str(status): refusal for status, refusal in refusals.items()}


def _refusal(problems: list[ProblemType]) -> Json:
    response: Json = {
        "description": " ".join(f"`{problem.code}`: {problem.meaning}" for problem in problems),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {
                    problem.code: {"$ref": f"#/components/examples/{problem.code}"}
                    for problem in problems
                },
            }
        },
    }
    if problems[0].status in (429, 503):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return response


def _web_problems(endpoint: Endpoint, template: Template) -> Iterable[ProblemType]:
    if template.kinds:
        yield NO_SUCH_PATH
    yield from (INVALID_QUERY, REPEATED_HEADER, MISSING_HOST, HEADERS_TOO_LARGE)
    if endpoint.auth is not Auth.PUBLIC:
        # Also where a person is optional: for a header that is no `Bearer`.
        yield from (CREDENTIAL_REQUIRED, INVALID_CREDENTIAL, WRONG_CREDENTIAL)
    if endpoint.idempotent_key:
        yield INVALID_IDEMPOTENCY_KEY
    if endpoint.takes_body:
        yield from (MALFORMED_JSON, INVALID_FIELD, TOO_LARGE, TOO_SLOW, UNSUPPORTED_MEDIA_TYPE)
    yield from (OVERLOADED, TOOK_TOO_LONG, UNAVAILABLE, INTERNAL_ERROR)
