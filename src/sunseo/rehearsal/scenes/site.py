"""A site: somebody else's, which a room protects, and which gets worse under way.

Visitors are sent to the line at first, and then go from page to page. A gate in front of the site
renews their passes and tells the room how slow it is.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, ClassVar, Self

import msgspec
from msgspec import Meta

from sunseo.rehearsal.crowd.behaviour import People
from sunseo.rehearsal.crowd.caller import VisitorClient
from sunseo.rehearsal.crowd.journey import Inside, VisitorJourney
from sunseo.rehearsal.http.client import ApiClient, ApiReply, Request
from sunseo.rehearsal.observe.ledger import CheatAttempt, DriverRecord, Operation
from sunseo.rehearsal.scenes.scene import Companion, Scene, Surroundings, Texts
from sunseo.rehearsal.target.operator import Operator, open_session
from sunseo.rehearsal.target.server import free_port
from sunseo.rehearsal.target.site_app import SiteConfig, SiteModel
from sunseo.rehearsal.target.site_process import open_site
from sunseo.rehearsal.verdict.evidence import CheckFunction
from sunseo.rehearsal.verdict.protected import guarded, recovered, slowed

UNINVITED = "uninvited"  # the cheat of who goes to the site without a pass
PAGE, LAST_PAGE = "/page", "/finished"


class BrowsingJourney(VisitorJourney):
    """The way through the site.

    Args:
        pages: that a visitor looks at.
        client: of the site.
    """

    done = "browsed"
    knows_persons = False  # a borrowed pass is good at a gate
    renews_passes = True  # by the gate

    def __init__(self, pages: int, client: ApiClient) -> None:
        self._pages = pages
        self._client = client

    async def approach(self, caller: VisitorClient) -> None:
        """Ask for a page without a pass: the gate is to show the way to the line."""
        reply = await self._ask(caller, PAGE, "")
        number = caller.behaviour.number
        tried = CheatAttempt(number, UNINVITED, reply.status, reply.outcome, paid=reply.is_success)
        caller.crowd.ledger.tried.append(tried)

    async def visit(self, caller: VisitorClient, inside: Inside) -> None:
        """CheckFunction at one page after another, think in between, and be done."""
        for _ in range(self._pages):
            await self._look(caller, PAGE, inside)
            await inside.stay(caller.behaviour.looks_s)
        await self._look(caller, LAST_PAGE, inside)

    async def _look(self, caller: VisitorClient, path: str, inside: Inside) -> None:
        reply = await self._ask(caller, path, inside.pass_)
        if reply.outcome == "pass_required":  # it has run out while the site was slow
            await inside.enter_again()
            reply = await self._ask(caller, path, inside.pass_)
        if reply.pass_:  # the gate has renewed it
            inside.pass_ = reply.pass_
        if not reply.is_success:
            caller.fault(Operation.PAGE, reply)

    async def _ask(self, caller: VisitorClient, path: str, pass_: str) -> ApiReply:
        own = caller.behaviour
        request = Request(Operation.PAGE, "GET", path, pass_=pass_)
        reply = await self._client.ask(
            request, caller.due, own.number, caller.dice, own.pace, storms=own.storms
        )
        caller.due = reply.at
        return reply


class Site(SiteModel, Scene, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Attributes:
        pages: that a visitor looks at.
    """

    pages: Annotated[int, Meta(ge=1, le=100)] = 4

    table: ClassVar[str] = "site"
    lead: ClassVar[str] = "lead.site"
    tiles: ClassVar[Sequence[str]] = ("browsed",)
    unsuited: ClassVar[str] = "with a sale, and {title!r} has none"
    texts: ClassVar[Texts] = {
        "ko": {
            "lead.site": "방문자 {visitors}명이 대기실 뒤의 사이트를 찾아 {browsed}명이 다"
            " 보았습니다.",
            "check.guarded": "입장권 없이 사이트까지 온 요청이 없습니다",
            "check.slowed": "사이트가 목표보다 느린 동안 대기실이 사람을 덜 들여보냈습니다",
            "check.recovered": "사람을 덜 들여보낸 뒤 사이트가 목표로 돌아왔습니다",
            "tile.browsed": "끝까지 둘러봄",
            "funnel.browsed": "다 봄",
            "gone.browsed": "사이트를 다 봄",
        },
        "en": {
            "lead.site": "{visitors} visitors came to a site behind a room. {browsed} of them were"
            " done.",
            "check.guarded": "Nobody came through to the site without a pass",
            "check.slowed": "The room let fewer in while the site was slower than its target",
            "check.recovered": "The site came back to its target once fewer were let in",
            "tile.browsed": "browsed to the end",
            "funnel.browsed": "were done",
            "gone.browsed": "done with the site",
        },
    }

    @property
    def checks(self) -> Mapping[str, CheckFunction]:
        return {
            "guarded": guarded,
            "slowed": partial(slowed, target_s=self.target_s),
            "recovered": partial(recovered, target_s=self.target_s),
        }

    def must_fit(self, people: People, capacity: int | None) -> None:  # noqa: ARG002 - anybody may come
        if capacity is None:
            raise ValueError("a site stands behind a room: say [room] with its capacity")

    def stretched(self, factor: float) -> Self:
        return msgspec.structs.replace(
            self,
            worse_from_s=self.worse_from_s * factor,
            worse_over_s=self.worse_over_s * factor,
        )

    @property
    def companion_start_s(self) -> float:
        return 3.0  # a process of its own, which is not needed before the room is there

    @asynccontextmanager
    async def companion(self, around: Surroundings) -> AsyncIterator[Companion | None]:
        """The site itself, with a gate in front."""
        async with open_session(around.url) as session:
            keys = await Operator(session, around.key).read(f"/v1/rooms/{around.room}/keys")
        config = SiteConfig(
            site=self,
            port=free_port(),
            room=around.room or 0,
            keys=keys,
            sunseo_url=around.url,
            operator_key=around.key,
            zero=around.zero,
        )
        async with open_site(config, around.folder / "site.log") as site:
            yield site

    def journey(self, companion: ApiClient | None) -> VisitorJourney:
        if companion is None:
            raise ValueError("a site is not there without its process")
        return BrowsingJourney(self.pages, companion)

    def funnel(self, record: DriverRecord) -> dict[str, int]:
        return {"browsed": record.figures.gone.get(BrowsingJourney.done, 0)}
