"""Answers that are ready before anybody asks: served ahead of the router, by path alone.

The hottest read of all is answered from bytes in memory: no record, no log line, no query string
is looked at, and there is nothing to decode. Whoever owns such an answer counts it by itself.
"""

from collections.abc import Mapping
from typing import Protocol

from starlette.types import Receive, Scope, Send

from sunseo.web.endpoint import Header


class RawAnswer(Protocol):
    """Answers one path, for the methods that it names."""

    @property
    def methods(self) -> frozenset[str]: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None: ...


RawAnswers = Mapping[str, RawAnswer]
"""By exact path; whoever has it may change it at any time."""


class ReadyAnswer:
    """One document for GET and HEAD, with an ETag.

    Args:
        body: the document.
        etag: a strong one, without its quotation marks; new whenever a byte of `body` is.
        headers: besides `etag` and `content-length`.
        served: what came before, to count on from.
    """

    __slots__ = ("_etag", "_headers", "_unchanged", "body", "served")

    methods = frozenset({"GET", "HEAD"})

    def __init__(self, body: bytes, etag: bytes, headers: list[Header], served: int = 0) -> None:
        self.body = body
        self.served = served
        self._etag = b'"' + etag + b'"'
        self._unchanged: list[Header] = [*headers, (b"etag", self._etag)]
        self._headers = [*self._unchanged, (b"content-length", str(len(body)).encode())]

    def answer(self, scope: Scope) -> tuple[int, list[Header], bytes]:
        """Status, headers and body for a request; it counts as served."""
        self.served += 1
        for name, value in scope["headers"]:
            if name == b"if-none-match" and (self._etag in value or value == b"*"):
                return 304, self._unchanged, b""
        return 200, self._headers, self.body if scope["method"] == "GET" else b""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        status, headers, body = self.answer(scope)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
