"""The verifier that nginx asks by `auth_request`: the same gate, for sites in any language.

nginx asks about each request (`X-Sunseo-Ask: check`) and is answered 204, with the pass id as a
header to forward, or 401. For a 401 it fetches the visitor's answer from here, too (`X-Sunseo-Ask:
answer`): the redirect to the line, the problem document, or back from the line. The complete
configuration stands in docs/guides/gate.md; it overwrites every header that is believed here.
"""

import asyncio
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast
from urllib.parse import unquote_to_bytes

import msgspec

from sunseo.core.networks import address_of, forwarded_scheme
from sunseo.gate.answers import GateAnswer
from sunseo.gate.asgi import Message, Receive, Scope, Send
from sunseo.gate.decision import Decision, GateCore
from sunseo.gate.options import GateOptions
from sunseo.gate.policy import GateRequest
from sunseo.gate.sender import COMMANDS, Command
from sunseo.gate.verifier import gate_keys
from sunseo.passes.tokens import TokenError

NGINX = ("x-sunseo-ask", "x-original-uri", "x-original-method", "x-original-host")
"""Set by nginx, each exactly once; a request with more or fewer did not come by its rules."""

DENIED = GateAnswer(401, [])
CONNECTIONS_MAX = 4096  # nginx keeps a few open and needs one for each check under way


class Verifier:
    """An ASGI app for nginx, not for visitors: bind it where only nginx can reach it."""

    def __init__(self, options: GateOptions) -> None:
        self.core = GateCore(options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        answer = await self._answer(scope)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
        if answer.status != 204:
            headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message: Message = await receive()
            if message["type"] == "lifespan.startup":
                self.core.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self.core.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope) -> GateAnswer:
        headers = _single_headers(scope)
        if any(name not in headers for name in NGINX):
            return DENIED
        if headers["x-sunseo-ask"] == "command":
            return self._obey(headers)
        asked = _asked(headers)
        cookie = headers.get("cookie", "")
        back = self.core.handover(cookie, asked)
        checking = headers["x-sunseo-ask"] == "check"
        if back is not None:
            return DENIED if checking else back
        decision = self.core.judge(cookie, headers.get("sunseo-pass"), lambda: asked)
        if not checking:
            # The moment has passed in which it was refused: then the visitor just asks again.
            return decision.answer or GateAnswer(503, [("retry-after", "1")])
        if decision.answer is not None:
            return DENIED
        return await self._let_in(asked, decision)

    def _obey(self, headers: Mapping[str, str]) -> GateAnswer:
        """End a pass, as the app said by a header of its answer; nginx tells it afterwards."""
        command, text = headers.get("x-sunseo-command", ""), headers.get("sunseo-pass", "")
        if command not in COMMANDS:
            return GateAnswer(204, [])
        try:
            ticket = self.core.verifier.open(text)
        except TokenError:
            return DENIED
        self.core.sender.end(cast("Command", command), ticket, text)
        return GateAnswer(204, [])

    async def _let_in(self, asked: GateRequest, decision: Decision) -> GateAnswer:
        headers = list(decision.cookies)
        secure = asked.scheme == "https"
        if decision.ticket is not None:
            headers.append(("sunseo-pass-id", str(decision.ticket.pass_id)))
            headers.append(("sunseo-pass", decision.text))
            renewal = decision.renewal
            if renewal is not None:
                waiting = asyncio.wrap_future(renewal)
                await asyncio.wait({waiting}, timeout=self.core.options.renewal_wait_s)
                renewed = renewal.result() if renewal.done() else None
                if renewed is not None:
                    headers.append(self.core.cookie_of(renewed.text, secure))
                elif not renewal.done():
                    headers.append(self.core.renewing_cookie(decision.ticket, secure))
        return GateAnswer(204, headers)


def _single_headers(scope: Scope) -> dict[str, str]:
    """Headers by name. What nginx sets and comes twice is as good as missing."""
    headers: dict[str, str] = {}
    doubled = set()
    for name_bytes, value_bytes in scope["headers"]:
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1")
        if name in headers:
            doubled.add(name)
            value = f"{headers[name]}{';' if name == 'cookie' else ','}{value}"
        headers[name] = value
    return {
        name: value for name, value in headers.items() if name not in doubled.intersection(NGINX)
    }


def _asked(headers: Mapping[str, str]) -> GateRequest:
    """The visitor's request, as nginx describes it."""
    raw_path, _, query = headers["x-original-uri"].partition("?")
    raw = raw_path.encode("latin-1")
    visitors = {name: value for name, value in headers.items() if not name.startswith("x-sunseo")}
    visitors["host"] = headers["x-original-host"]
    return GateRequest(
        method=headers["x-original-method"],
        path=unquote_to_bytes(raw).decode("utf-8", "replace"),
        raw_path=raw,
        query=query,
        headers=visitors,
        scheme=forwarded_scheme(headers.get("x-original-scheme", ""), "http"),
        client=address_of(headers.get("x-original-address")),
    )


def read_options(file: Path) -> GateOptions:
    """Read a gate's options from a TOML file; `keys_file` names the JSON of its keys.

    Raises:
        ValueError: one line that says what is wrong.
    """
    try:
        read = tomllib.loads(file.read_text("utf-8"))
        keys_file = read.pop("keys_file", None)
        if keys_file is not None:
            read["keys"] = gate_keys((file.parent / keys_file).read_text("utf-8"))
        return msgspec.convert(read, GateOptions)
    except OSError as error:
        raise ValueError(f"cannot read {error.filename}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{file}: {error}") from None


def run_gate(options: GateOptions, host: str = "127.0.0.1", port: int = 8100) -> None:
    """Serve the verifier in this process until SIGINT or SIGTERM."""
    # Here and not above: a gate inside an app needs no server.
    from sunseo.web.server.single import serve_alone  # noqa: PLC0415 - see above

    asyncio.run(serve_alone(Verifier(options), host, port, connections_max=CONNECTIONS_MAX))
