"""Somebody else's site behind a gate: it knows nothing of Sunseo, and gets slower under way.

State       HEALTHY, GETTING WORSE, BAD: by the seconds since T0. Requests beyond what it can do at
            once wait in line, as in a pool of threads or of database connections.
Guarantee   It counts every request that came through to it, and those without a pass apart.
Clock       Monotonic, the same as the crowd's.
On failure  It ends with its parent; who asks it then is not answered.

Run as `python -m sunseo.rehearsal.site` with its terms on standard input.
"""

import asyncio
import sys
import time

import msgspec

from sunseo.core.processes import exit_with_parent
from sunseo.gate.asgi import Receive, Scope, Send, WaitingRoomMiddleware
from sunseo.gate.policy import BypassRules
from sunseo.gate.sender import SignalOptions
from sunseo.rehearsal.scenario import Site
from sunseo.web.server.single import serve_alone

CONNECTIONS_MAX = 4096
TALLY = "/tally"  # not guarded; for whoever rehearses
PASS_ID = b"sunseo-pass-id"
FINISHED = b"/finished"


class SiteTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a site is told. `zero` is T0, monotonic."""

    site: Site
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


class Shop:
    """The ASGI app."""

    def __init__(self, site: Site, zero: float) -> None:
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


async def _serve(terms: SiteTerms) -> None:
    guarded = WaitingRoomMiddleware(
        Shop(terms.site, terms.zero),
        room=terms.room,
        keys=terms.keys,
        sunseo_url=terms.sunseo_url,
        bypass=BypassRules(paths=(TALLY,)),
        signals=SignalOptions(terms.operator_key, terms.site.target_s),
    )
    await serve_alone(guarded, "127.0.0.1", terms.port, connections_max=CONNECTIONS_MAX)


def main() -> None:
    exit_with_parent()
    asyncio.run(_serve(msgspec.json.decode(sys.stdin.buffer.read(), type=SiteTerms)))


if __name__ == "__main__":
    main()
