"""A visitor of a site behind a gate: sent to the line at first, then from page to page."""

from sunseo.rehearsal.crowd.caller import Caller
from sunseo.rehearsal.crowd.shopping import Inside
from sunseo.rehearsal.http.client import ApiClient, Reply, Request
from sunseo.rehearsal.observe.ledger import Operation, Tried
from sunseo.rehearsal.scenes.scenario import Site

UNINVITED = "uninvited"  # the cheat of who goes to the site without a pass
PAGE, LAST_PAGE = "/page", "/finished"


class Browsing:
    def __init__(self, caller: Caller, site: Site, client: ApiClient) -> None:
        self._caller = caller
        self._site = site
        self._client = client

    async def come_uninvited(self) -> None:
        """Ask for a page without a pass: the gate is to show the way to the line."""
        reply = await self._ask(PAGE, "")
        caller = self._caller
        caller.crowd.ledger.tried.append(
            Tried(
                caller.behaviour.number,
                UNINVITED,
                reply.status,
                reply.outcome,
                paid=reply.is_success,
            )
        )

    async def run(self, inside: Inside) -> None:
        """Look at one page after another, think in between, and be done.

        Raises:
            GoneError: the gate let her in no more.
        """
        caller = self._caller
        for _ in range(self._site.pages):
            await self._look(PAGE, inside)
            await inside.stay(caller.behaviour.looks_s)
        await self._look(LAST_PAGE, inside)

    async def _look(self, path: str, inside: Inside) -> None:
        reply = await self._ask(path, inside.pass_)
        if reply.outcome == "pass_required":  # it has run out while the site was slow
            await inside.enter_again()
            reply = await self._ask(path, inside.pass_)
        if reply.pass_:  # the gate has renewed it
            inside.pass_ = reply.pass_
        if not reply.is_success:
            self._caller.fault(Operation.PAGE, reply)

    async def _ask(self, path: str, pass_: str) -> Reply:
        caller, behaviour = self._caller, self._caller.behaviour
        request = Request(Operation.PAGE, "GET", path, pass_=pass_)
        reply = await self._client.ask(
            request,
            caller.due,
            behaviour.number,
            caller.dice,
            behaviour.pace,
            storms=behaviour.storms,
        )
        caller.due = reply.at
        return reply
