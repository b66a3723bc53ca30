"""`WaitingRoomMiddleware` for any ASGI app: Starlette, FastAPI, Litestar, Django, Quart.

    app = WaitingRoomMiddleware(app, room=42, keys=KEYS, sunseo_url="https://rooms.example")

or, where a framework builds its middleware itself:

    app.add_middleware(WaitingRoomMiddleware, room=42, keys=KEYS, sunseo_url="https://…")

The app receives the header `Sunseo-Pass-Id` of who was let in with a pass (and `Sunseo-Pass`, to
show it to Sunseo), never one that a client made up. It ends a pass by answering with the header
`Waiting-Room-Command: complete`, `leave` or `revoke`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import Future
from typing import Any, Unpack, cast

from sunseo.gate.answers import HANDOVER, GateAnswer, ended_cookie
from sunseo.gate.decision import Decision, GateCore
from sunseo.gate.options import GateArguments, options_of
from sunseo.gate.policy import GateRequest
from sunseo.gate.sender import COMMANDS, Command, RenewedText

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Pairs = list[tuple[bytes, bytes]]

_HANDOVER = HANDOVER.encode() + b"="
_COMMAND = b"waiting-room-command"
_STARTS = frozenset(("http.response.start", "websocket.accept"))


class WaitingRoomMiddleware:
    """Lets through who has a pass of the room.

    Args:
        app: the guarded one.
        arguments: `room`, `keys`, `sunseo_url` and all others of `GateOptions`.

    Raises:
        TypeError: an argument is missing or unknown.
        ValueError: the options contradict each other, or the keys are not this room's.
    """

    def __init__(self, app: App, **arguments: Unpack[GateArguments]) -> None:
        self._app = app
        self.core = GateCore(options_of(arguments))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            self.core.start()
            await self._app(scope, receive, send)
            return

        begun = time.perf_counter()
        cookie, shown, kept = _sorted_headers(scope["headers"])
        answer = None
        if _HANDOVER in scope["query_string"] and scope["type"] == "http":
            answer = self.core.handover(cookie, self._asked(scope))
        decision = Decision(answer) if answer else self._judge(scope, cookie, shown)
        if decision.answer is not None:
            await _refuse(scope, send, decision.answer)
            return
        if decision.ticket is not None:
            kept.append((b"sunseo-pass-id", str(decision.ticket.pass_id).encode()))
            kept.append((b"sunseo-pass", decision.text.encode()))
        await self._app(
            {**scope, "headers": kept}, receive, self._after(scope, send, decision, begun)
        )

    def _judge(self, scope: Scope, cookie: str, shown: str | None) -> Decision:
        return self.core.judge(cookie, shown, lambda: self._asked(scope))

    def _asked(self, scope: Scope) -> GateRequest:
        headers: dict[str, str] = {}
        for name_bytes, value_bytes in scope["headers"]:
            name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        peer = scope.get("client")
        forwarded = headers.get("x-forwarded-for")
        return GateRequest(
            method=scope.get("method", "GET"),
            path=scope["path"],
            raw_path=scope.get("raw_path"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            scheme="https" if _is_secure(scope) else "http",
            client=self.core.proxies.client_of(
                peer[0] if peer else None, [forwarded] if forwarded else []
            ),
        )

    def _after(self, scope: Scope, send: Send, decision: Decision, begun: float) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] in _STARTS:
                if self.core.options.signals is not None:
                    self.core.sender.seconds.append(time.perf_counter() - begun)
                message = await self._opened(scope, message, decision)
            await send(message)

        return sent

    async def _opened(self, scope: Scope, message: Message, decision: Decision) -> Message:
        """The beginning of the site's answer: its command obeyed and taken out, our cookies in."""
        headers: Pairs = list(message.get("headers", ()))
        command = next((value for name, value in headers if name.lower() == _COMMAND), None)
        if command is None and not decision.cookies and decision.renewal is None:
            return message

        secure = _is_secure(scope)
        cookies = list(decision.cookies)
        if command is not None:
            headers = [pair for pair in headers if pair[0].lower() != _COMMAND]
            if self._end(command, decision):
                cookies = [ended_cookie(self.core.room, secure)]
        elif decision.renewal is not None and decision.ticket is not None:
            renewed = await _in_time(decision.renewal, self.core.options.renewal_wait_s)
            if renewed is not None:
                cookies.append(self.core.cookie_of(renewed.text, secure))
            elif not decision.renewal.done():
                cookies.append(self.core.renewing_cookie(decision.ticket, secure))
        headers += [(name.encode(), value.encode()) for name, value in cookies]
        return {**message, "headers": headers}

    def _end(self, command: bytes, decision: Decision) -> bool:
        named = command.decode("latin-1").strip().lower()
        if named not in COMMANDS or decision.ticket is None:
            return False
        self.core.sender.end(cast("Command", named), decision.ticket, decision.text)
        return True


def _is_secure(scope: Scope) -> bool:
    return scope.get("scheme") in ("https", "wss")


def _sorted_headers(headers: Sequence[tuple[bytes, bytes]]) -> tuple[str, str | None, Pairs]:
    """Cookies, the pass shown as a header, and what may go on to the app.

    Whatever looks like ours is taken out, in the spelling with underscores, too, which some
    frameworks do not tell from the one with hyphens.
    """
    cookies: list[bytes] = []
    shown = None
    kept: Pairs = []
    for pair in headers:
        name = pair[0].lower()
        if name[:6] == b"sunseo" or name.replace(b"_", b"-") == _COMMAND:
            if name == b"sunseo-pass":
                shown = pair[1].decode("latin-1").strip()
            continue
        if name == b"cookie":
            cookies.append(pair[1])
        kept.append(pair)
    return b";".join(cookies).decode("latin-1"), shown, kept


async def _in_time(renewal: "Future[RenewedText | None]", wait_s: float) -> RenewedText | None:
    if not renewal.done() and wait_s > 0:
        await asyncio.wait({asyncio.wrap_future(renewal)}, timeout=wait_s)
    return renewal.result() if renewal.done() else None


async def _refuse(scope: Scope, send: Send, answer: GateAnswer) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403, "reason": ""})
        return
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})
