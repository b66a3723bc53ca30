"""One request on its way to its answer, and how an answer is sent through ASGI."""

from contextlib import aclosing

from starlette.types import Send

from sunseo.web.adapter import Adapter, Rendered
from sunseo.web.endpoint import BodyStream, Call, LaneHandler, Record


class Exchange:
    """One request on its way to its answer.

    Attributes:
        is_served: whether there is somebody to serve it: only then are there `adapter` and `call`.
        lane: its handler, where nothing but a lane has to be waited for.
        rendered: its answer; none as long as it is open, and where there is nobody to answer.
    """

    __slots__ = ("adapter", "call", "is_served", "lane", "record", "rendered")

    adapter: Adapter
    call: Call

    def __init__(self, record: Record) -> None:
        self.record = record
        self.is_served = False
        self.lane: LaneHandler | None = None
        self.rendered: Rendered | None = None


def may_have_length(status: int) -> bool:
    """Whether an answer of this status says how long its body is."""
    return status not in (204, 304)


async def respond(send: Send, rendered: Rendered, record: Record) -> None:
    status, headers, body = rendered
    if may_have_length(status):
        size = body.size if isinstance(body, BodyStream) else len(body)
        headers.append((b"content-length", str(size).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if isinstance(body, BodyStream):
        async with aclosing(body.parts) as parts:
            if record.method != "HEAD":
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        body = b""
    await send({"type": "http.response.body", "body": b"" if record.method == "HEAD" else body})
