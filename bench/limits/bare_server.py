"""The same JSON from memory: what the server alone, without any work, could answer.

Raw ASGI, one worker. It reads the request's body, as every server must, and looks at nothing.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]

HOLD = (
    b'{"hold":"0b6e6d1c-7a53-8f0e-9a39-0f6f2a1f7c55","state":"open","seats":[123456],"products":[],'
    b'"units":1,"amount":0,"currency":"KRW","expires_at":"2026-11-22T06:03:12.751608Z",'
    b'"renewals_left":3}'
)
START: Message = {
    "type": "http.response.start",
    "status": 201,
    "headers": [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(HOLD)).encode()),
    ],
}
BODY: Message = {"type": "http.response.body", "body": HOLD}


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(BODY)
