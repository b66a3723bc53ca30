"""What the server says about itself: `/openapi.json` and `/problems/{code}`."""

from collections.abc import Sequence
from html import escape

import msgspec

from sunseo.web.description.openapi import openapi_document
from sunseo.web.documents import UNCHANGED, document_of
from sunseo.web.endpoint import Answer, Call, Endpoint, Reply, Urgency
from sunseo.web.problems import NO_SUCH_PATH, ProblemCatalogue, ProblemError, ProblemType

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{code}</title>
<h1>{title}</h1><p>{meaning}</p><p>{advice}</p><p>HTTP status {status}, code <code>{code}</code></p>
"""


def describe(endpoints: Sequence[Endpoint], catalogue: ProblemCatalogue) -> list[Endpoint]:
    """The endpoints that describe `endpoints` and themselves."""
    problem = Endpoint(
        name="read_problem",
        method="GET",
        path="/problems/{code:str}",
        summary="What a problem means and what to do about it",
        handler=_ProblemPages(catalogue),
        response=ProblemType,
        media=("text/html",),
    )
    document = _Document()
    api = Endpoint(
        name="read_openapi",
        method="GET",
        path="/openapi.json",
        summary="This document",
        handler=document,
        response=dict,
        urgency=Urgency.POLL,
        answers=UNCHANGED,
    )
    described = [*endpoints, problem, api]
    encoded = msgspec.json.encode(openapi_document(described, catalogue))
    document.made = document_of(msgspec.json.format(encoded, indent=2))
    return [problem, api]


class _Document:
    made = document_of(b"")

    async def __call__(self, call: Call) -> Answer:
        return self.made.reply(call, ((b"cache-control", b"public, max-age=300"),))


class _ProblemPages:
    def __init__(self, catalogue: ProblemCatalogue) -> None:
        self._catalogue = catalogue

    async def __call__(self, call: Call) -> Answer:
        known = self._catalogue.get(call.path["code"])
        if known is None:
            raise ProblemError(NO_SUCH_PATH, "There is no problem of this name.", field="code")
        cache = (b"cache-control", b"public, max-age=300")
        if "text/html" not in (call.header("accept") or ""):
            return Reply(200, known, (cache,))
        members = {
            name: escape(str(value)) for name, value in msgspec.structs.asdict(known).items()
        }
        page = _PAGE.format(**members).encode()
        return Reply(200, page, (cache, (b"content-type", b"text/html; charset=utf-8")))
