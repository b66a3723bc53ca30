"""Serves the live page to browsers on this machine.

State       OPEN while the rehearsal runs, CLOSING once its end was told, CLOSED.
Guarantee   It listens on loopback only and answers nobody who came by another name, so that no
            other site's script can read it. It changes nothing, and a rehearsal never waits for
            it, but for `LINGER_S` at the end, if somebody is looking on.
Clock       Monotonic: who asked within `LOOKS_ON_S` is looking on.
On failure  A port that is taken is told at the start, in one line. A page that cannot reach us any
            more says that the rehearsal has ended.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from sunseo.rehearsal.attempt import AttemptError
from sunseo.rehearsal.report.live.page import render_page
from sunseo.rehearsal.report.live.view import LiveView
from sunseo.rehearsal.report.page import render_report
from sunseo.rehearsal.report.result import Result

HOST = "127.0.0.1"
OWN_NAMES = {"127.0.0.1", "localhost"}
LOOKS_ON_S = 5.0  # a page asks every second; a busy machine may be late
LINGER_S = 5.0  # for pages to fetch the report
SHUTDOWN_S = 1.0  # for answers under way

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LiveError(AttemptError):
    """The page cannot be served; one line says why."""


class LivePage:
    """
    Attributes:
        url: where it is, once it is served.
    """

    def __init__(self, view: LiveView) -> None:
        self.view = view
        self.url = ""
        self._nonce = secrets.token_urlsafe(16)
        self._asked_at = float("-inf")
        self._report = ""
        self._fetched = asyncio.Event()

    @asynccontextmanager
    async def served(self, port: int) -> AsyncIterator[None]:
        """Serve it at this port, or at any free one where it is 0.

        Raises:
            LiveError: the port is taken.
        """
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._show)
        app.router.add_get("/now", self._tell)
        app.router.add_get("/report", self._give_report)
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, port)
            try:
                await site.start()
            except OSError as error:
                raise LiveError(
                    f"the live page cannot have port {port}: {error.strerror}"
                ) from None
            taken = runner.addresses[0][1]
            self.url = f"http://{HOST}:{taken}/"
            yield
        except Exception as error:
            if self.url:
                await self._end_badly(error)
            raise
        finally:
            await runner.cleanup()

    async def finish(self, result: Result) -> None:
        """Tell the end, and give those who look on time to take the report with them."""
        self._report = render_report(result)
        self.view.standing = result.standing
        self.view.phase = "done"
        await self._linger()

    async def _end_badly(self, error: Exception) -> None:
        self.view.trouble = str(error)
        self.view.phase = "failed"
        await self._linger()

    async def _linger(self) -> None:
        if time.monotonic() - self._asked_at > LOOKS_ON_S:
            return
        try:
            async with asyncio.timeout(LINGER_S):
                await self._fetched.wait()
        except TimeoutError:
            return

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.url.host not in OWN_NAMES:
            raise web.HTTPForbidden(text="This page is for this machine's own browsers.")
        response = await handler(request)
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
            f" script-src 'nonce-{self._nonce}'; connect-src 'self';"
            " base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
        )
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def _show(self, _: web.Request) -> web.Response:
        return web.Response(text=render_page(self._nonce), content_type="text/html")

    async def _tell(self, _: web.Request) -> web.Response:
        self._asked_at = time.monotonic()
        if self.view.phase == "failed":
            self._fetched.set()  # there is nothing more to take away
        figures = msgspec.json.encode(self.view.figures())
        return web.Response(body=figures, content_type="application/json")

    async def _give_report(self, _: web.Request) -> web.Response:
        if not self._report:
            raise web.HTTPNotFound(text="The rehearsal has not ended yet.")
        self._fetched.set()
        return web.Response(text=self._report, content_type="text/html")
