"""Somebody else's site behind a gate: it knows nothing of Sunseo, and gets slower under way.

State       HEALTHY, GETTING WORSE, BAD: by the seconds since T0. Requests beyond what it can do at
            once wait in line, as in a pool of threads or of database connections.
Guarantee   It counts every request that came through to it, and those without a pass apart.
Clock       Monotonic, the same as the crowd's.
On failure  It ends with its parent; who asks it then is not answered.

Run as `python -m sunseo.rehearsal.target.site_app` with its terms on standard input.
"""

import asyncio
import sys
import time
from typing import Annotated

import msgspec
from msgspec import Meta

from sunseo.core.processes import exit_with_parent
from sunseo.gate.asgi import Receive, Scope, Send, WaitingRoomMiddleware
from sunseo.gate.policy import BypassRules
from sunseo.gate.sender import SignalOptions
from sunseo.web.server.single import serve_alone

CONNECTIONS_MAX = 4096
TALLY = "/tally"  # not guarded; for whoever rehearses
PASS_ID = b"sunseo-pass-id"
FINISHED = b"/finished"


class SiteModel(msgspec.Struct, frozen=True, kw_only=True):
    """How such a site is, and how it gets worse.

    Attributes:
        servers: pages that it can make at once; the others wait in line.
        page_s: one page takes it so long while it is well.
        target_s: its p99 is to be below; the gate tells the room what it is.
        worse_from_s: from then on after T0 pages take longer,
        worse_over_s: ever more for so long,
        slower: until they take so many times as long.
    """

    servers: Annotated[int, Meta(ge=1, le=1_000)] = 8
    page_s: Annotated[float, Meta(gt=0, le=60)] = 0.05
    target_s: Annotated[float, Meta(gt=0, le=60)] = 0.5
    worse_from_s: Annotated[float, Meta(ge=0, le=86_400)] = 30.0
    worse_over_s: Annotated[float, Meta(gt=0, le=86_400)] = 10.0
    slower: Annotated[float, Meta(ge=1, le=1_000)] = 3.0

    def takes_s(self, at_s: float) -> float:
        """One page, so many seconds after T0."""
        part = min(1.0, max(0.0, (at_s - self.worse_from_s) / self.worse_over_s))
        return self.page_s * (1 + part * (self.slower - 1))


class SiteConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a site is told. `zero` is T0, monotonic."""

    site: SiteModel
    port: int
    room: int
    keys: str
    sunseo_url: str
    operator_key: str
    zero: float


class Tally(msgspec.Struct):
    """What came through to the site."""

    served: int = 0
    without_pass: int = 0
    at_once_max: int = 0


class SiteApp:
    """The ASGI app."""

    def __init__(self, site: SiteModel, zero: float) -> None:
        self._site = site
        self._zero = zero
        self._servers = asyncio.Semaphore(site.servers)
        self._at_once = 0
        self.tally = Tally()

    async def __call__(
        self,
        scope: Scope,
        receive: Receive,  # noqa: ARG002 - an app is called with it
        send: Send,
    ) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == TALLY:
            await _answer(send, msgspec.json.encode(self.tally))
            return
        self._count(any(name == PASS_ID for name, _ in scope["headers"]))
        try:
            async with self._servers:
                await asyncio.sleep(self._site.takes_s(time.monotonic() - self._zero))
        finally:
            self._at_once -= 1
        bought = scope["path"].encode() == FINISHED
        await _answer(send, b"{}", *([(b"waiting-room-command", b"complete")] if bought else []))

    def _count(self, has_pass: bool) -> None:
        self._at_once += 1
        self.tally.served += 1
        self.tally.without_pass += not has_pass
        self.tally.at_once_max = max(self.tally.at_once_max, self._at_once)


async def _answer(send: Send, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    headers = (
        (b"content-type", b"application/json"),
        (b"cache-control", b"private"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    )
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def _serve(terms: SiteConfig) -> None:
    guarded = WaitingRoomMiddleware(
        SiteApp(terms.site, terms.zero),
        room=terms.room,
        keys=terms.keys,
        sunseo_url=terms.sunseo_url,
        bypass=BypassRules(paths=(TALLY,)),
        signals=SignalOptions(terms.operator_key, terms.site.target_s),
    )
    await serve_alone(guarded, "127.0.0.1", terms.port, connections_max=CONNECTIONS_MAX)


def main() -> None:
    exit_with_parent()
    asyncio.run(_serve(msgspec.json.decode(sys.stdin.buffer.read(), type=SiteConfig)))


if __name__ == "__main__":
    main()
