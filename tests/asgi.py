"""Calls an ASGI app in this process, and says what came back."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message, Scope


class Response(NamedTuple):
    """What an app answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    body: bytes | Sequence[bytes] | None = None,
    *,
    headers: dict[str, str] | None = None,
    pairs: Sequence[tuple[bytes, bytes]] = (),
    query: bytes = b"",
) -> Response:
    """Send one request, with a Host of its own unless there is one among the `pairs`.

    A body given as several pieces comes in chunks, without a length.
    """
    sent: list[Message] = []
    pieces = [body] if isinstance(body, bytes) else list(body or ())
    sent_headers = [
        (name.lower().encode(), value.encode()) for name, value in (headers or {}).items()
    ]
    if all(name != b"host" for name, _ in (*sent_headers, *pairs)):
        sent_headers.append((b"host", b"sunseo.example"))
    if isinstance(body, bytes):
        sent_headers.append((b"content-length", str(len(body)).encode()))
    elif body is not None:
        sent_headers.append((b"transfer-encoding", b"chunked"))

    async def receive() -> Message:
        if not pieces:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [*sent_headers, *pairs],
    }
    await app(scope, receive, send)
    start, *parts = sent
    assert not parts[-1].get("more_body", False)
    return Response(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(part["body"] for part in parts),
    )
