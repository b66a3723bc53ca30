"""`WaitingRoomMiddleware` for any WSGI app: Flask, Django, Bottle, Pyramid.

    app.wsgi_app = WaitingRoomMiddleware(app.wsgi_app, room=42, keys=KEYS, sunseo_url="https://…")

The same gate as for ASGI, with the same headers; see there.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any, Unpack, cast

from sunseo.gate.answers import HANDOVER, GateAnswer, Header, ended_cookie
from sunseo.gate.decision import Decision, GateCore
from sunseo.gate.options import GateArguments, options_of
from sunseo.gate.policy import GateRequest
from sunseo.gate.sender import COMMANDS, Command, RenewedText

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

_COMMAND = "waiting-room-command"
_OURS = ("HTTP_SUNSEO", "HTTP_WAITING_ROOM_COMMAND")
_REQUEST_LINES = ("RAW_URI", "REQUEST_URI")  # gunicorn's and uWSGI's names for the same


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

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        begun = time.perf_counter()
        cookie = environ.get("HTTP_COOKIE", "")
        shown = environ.get("HTTP_SUNSEO_PASS")
        asked = self._asked(environ)
        answer = None
        if HANDOVER in asked.query:
            answer = self.core.handover(cookie, asked)
        decision = Decision(answer) if answer else self.core.judge(cookie, shown, lambda: asked)
        if decision.answer is not None:
            return _refuse(environ, start_response, decision.answer)
        kept = {name: value for name, value in environ.items() if not name.startswith(_OURS)}
        if decision.ticket is not None:
            kept["HTTP_SUNSEO_PASS_ID"] = str(decision.ticket.pass_id)
            kept["HTTP_SUNSEO_PASS"] = decision.text
        return self._app(kept, self._after(asked, start_response, decision, begun))

    def _asked(self, environ: Environ) -> GateRequest:
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        line = next((environ[name] for name in _REQUEST_LINES if environ.get(name)), None)
        forwarded = headers.get("x-forwarded-for")
        return GateRequest(
            method=environ["REQUEST_METHOD"],
            path=path.encode("latin-1").decode("utf-8", "replace") or "/",
            raw_path=None if line is None else line.partition("?")[0].encode("latin-1"),
            query=environ.get("QUERY_STRING", ""),
            headers=headers,
            scheme=environ["wsgi.url_scheme"],
            client=self.core.proxies.client_of(
                environ.get("REMOTE_ADDR"), [forwarded] if forwarded else []
            ),
        )

    def _after(
        self, asked: GateRequest, start_response: StartResponse, decision: Decision, begun: float
    ) -> StartResponse:
        def started(status: str, headers: list[Header], *more: Any) -> Any:
            if self.core.options.signals is not None:
                self.core.sender.seconds.append(time.perf_counter() - begun)
            return start_response(status, self._opened(asked, headers, decision), *more)

        return started

    def _opened(
        self, asked: GateRequest, headers: list[Header], decision: Decision
    ) -> list[Header]:
        """The headers of the site's answer: its command obeyed and taken out, our cookies in."""
        secure = asked.scheme == "https"
        command = next((value for name, value in headers if name.lower() == _COMMAND), None)
        cookies = list(decision.cookies)
        if command is not None:
            headers = [pair for pair in headers if pair[0].lower() != _COMMAND]
            named = command.strip().lower()
            if named in COMMANDS and decision.ticket is not None:
                self.core.sender.end(cast("Command", named), decision.ticket, decision.text)
                cookies = [ended_cookie(self.core.room, secure)]
        elif decision.renewal is not None and decision.ticket is not None:
            renewed = _in_time(decision.renewal, self.core.options.renewal_wait_s)
            if renewed is not None:
                cookies.append(self.core.cookie_of(renewed.text, secure))
            elif not decision.renewal.done():
                cookies.append(self.core.renewing_cookie(decision.ticket, secure))
        return [*headers, *((name.title(), value) for name, value in cookies)]


def _in_time(renewal: "Future[RenewedText | None]", wait_s: float) -> RenewedText | None:
    try:
        return renewal.result(wait_s)
    except TimeoutError:
        return None


def _refuse(environ: Environ, start_response: StartResponse, answer: GateAnswer) -> Iterable[bytes]:
    headers = [(name.title(), value) for name, value in answer.headers]
    headers.append(("Content-Length", str(len(answer.body))))
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]
