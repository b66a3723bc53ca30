"""The gate in front of real frameworks, to be asked in this process.

They are imported where they are used: most runs of tests have nothing to do with them.
"""

import asyncio
import sys
from collections.abc import Iterable
from io import BytesIO
from typing import Any, ClassVar, NamedTuple

import msgspec

from sunseo.gate import asgi, wsgi
from tests.gate_room import ROOM, Room

PASS = f"sunseo_pass_{ROOM}"


class Got(NamedTuple):
    """An answer: header names in lower case, cookies apart."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Elsewhere(NamedTuple):
    """A room at a running server, as far as a gate has to know it."""

    url: str
    keys: bytes


def got(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Got:
    pairs = [(name.lower(), value) for name, value in headers]
    cookies = [value for name, value in pairs if name == "set-cookie"]
    return Got(status, dict(pairs), cookies, body)


def fastapi_app() -> Any:
    from fastapi import FastAPI, Request, Response, WebSocket

    app = FastAPI()

    @app.get("/{path:path}")
    async def read(path: str, request: Request, response: Response) -> dict[str, Any]:
        if command := request.query_params.get("command"):
            response.headers["Waiting-Room-Command"] = command
        return {"headers": dict(request.headers), "path": "/" + path}

    @app.websocket("/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.headers.get("sunseo-pass-id", "nobody"))
        await socket.close()

    return app


def django_view(request: Any, path: str) -> Any:
    from django.http import HttpResponse

    seen = {name.lower(): value for name, value in request.headers.items()}
    response = HttpResponse(msgspec.json.encode({"headers": seen, "path": "/" + path}))
    if command := request.GET.get("command"):
        response["Waiting-Room-Command"] = command
    return response


class DjangoSite:
    """What Django takes for a module of URLs."""

    urlpatterns: ClassVar[list[Any]] = []


def set_django_up() -> None:
    import django
    from django.conf import settings
    from django.urls import re_path

    if not settings.configured:
        DjangoSite.urlpatterns.append(re_path(r"^(?P<path>.*)$", django_view))
        settings.configure(
            ROOT_URLCONF=DjangoSite, ALLOWED_HOSTS=["*"], SECRET_KEY="x", USE_TZ=True
        )
        django.setup()


def django_apps() -> tuple[Any, Any]:
    set_django_up()
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    return get_asgi_application(), get_wsgi_application()


def flask_like(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    set_django_up()  # its request is one of Django's, whichever test comes first
    from django.core.handlers.wsgi import WSGIRequest

    request = WSGIRequest({**environ, "wsgi.input": BytesIO()})
    response = django_view(request, request.path[1:])
    start_response("200 OK", list(response.items()))
    return [response.content]


class Asgi:
    """Calls an ASGI app behind the gate."""

    def __init__(self, app: Any, there: Room | Elsewhere, room: int = ROOM, **options: Any) -> None:
        self.gate = asgi.WaitingRoomMiddleware(
            app, room=room, keys=there.keys, sunseo_url=there.url, **options
        )
        self.core = self.gate.core

    def ask(
        self, target: str = "/buy", headers: dict[str, str] | None = None, method: str = "GET"
    ) -> Got:
        return asyncio.run(self._ask(target, headers or {}, method))

    async def _ask(self, target: str, headers: dict[str, str], method: str) -> Got:
        raw, _, query = target.partition("?")
        sent: list[Any] = []
        gone = asyncio.Event()
        requested = False

        async def receive() -> Any:
            nonlocal requested
            if requested:
                await gone.wait()
                return {"type": "http.disconnect"}
            requested = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        pairs = {"host": "shop.example", "accept": "text/html", **headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs.items()],
            "client": ("192.0.2.7", 5555),
            "server": ("shop.example", 443),
        }
        await self.gate(scope, receive, send)
        gone.set()
        return got(
            sent[0]["status"],
            [(name.decode(), value.decode()) for name, value in sent[0]["headers"]],
            b"".join(message.get("body", b"") for message in sent[1:]),
        )


class Wsgi:
    """Calls a WSGI app behind the gate."""

    def __init__(self, app: Any, room: Room, **options: Any) -> None:
        self.gate = wsgi.WaitingRoomMiddleware(
            app, room=ROOM, keys=room.keys, sunseo_url=room.url, **options
        )
        self.core = self.gate.core

    def ask(
        self, target: str = "/buy", headers: dict[str, str] | None = None, method: str = "GET"
    ) -> Got:
        raw, _, query = target.partition("?")
        started: list[tuple[int, list[tuple[str, str]]]] = []
        pairs = {"host": "shop.example", "accept": "text/html", **(headers or {})}
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": raw,
            "RAW_URI": target,
            "QUERY_STRING": query,
            "REMOTE_ADDR": "192.0.2.7",
            "SERVER_NAME": "shop.example",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.version": (1, 0),
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in pairs.items()},
        }

        def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> None:
            started.append((int(status[:3]), headers))

        body = self.gate(environ, start_response)
        content = b"".join(body)
        if (close := getattr(body, "close", None)) is not None:
            close()
        [(status, sent)] = started
        return got(status, sent, content)


Site = Asgi | Wsgi
SITES = ("fastapi", "django asgi", "django wsgi", "flask")


def site_of(name: str, room: Room, **options: Any) -> Site:
    if name == "fastapi":
        return Asgi(fastapi_app(), room, **options)
    if name == "flask":
        return Wsgi(flask_like, room, **options)
    by_asgi, by_wsgi = django_apps()
    return (
        Asgi(by_asgi, room, **options) if name.endswith("asgi") else Wsgi(by_wsgi, room, **options)
    )


def cookie(text: str) -> dict[str, str]:
    return {"cookie": f"{PASS}={text}"}
