"""The same state document from memory: what the server alone, without any work, could answer.

Raw ASGI, one worker. `BENCH_DOCUMENT` names a file with the bytes, `BENCH_STATUS` is 200, or 304
for an answer without them. Nothing of the request is looked at.
"""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from sunseo.room.board.ready import STATE_HEADERS

Message = MutableMapping[str, Any]

DOCUMENT = Path(os.environ["BENCH_DOCUMENT"]).read_bytes()
STATUS = int(os.environ["BENCH_STATUS"])
ETAG = (b"etag", b'"AAAAAAAAAAAAAAAAAAAAAA"')
LENGTH = [(b"content-length", str(len(DOCUMENT)).encode())] if STATUS == 200 else []

START: Message = {
    "type": "http.response.start",
    "status": STATUS,
    "headers": [*STATE_HEADERS, ETAG, *LENGTH],
}
BODY: Message = {"type": "http.response.body", "body": DOCUMENT if STATUS == 200 else b""}


async def app(
    scope: Message,
    _receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        return
    await send(START)
    await send(BODY)
