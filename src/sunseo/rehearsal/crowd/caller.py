"""Somebody who asks the server for things: her token, her behaviour, and what is due when.

State       `due`: the moment at which she would do the next thing.
Clock       Monotonic. After an answer the next thing is due at once; a pause puts it off. How long
            this process takes to come round to it shows as latency, never as a later arrival.
On failure  An answer that the protocol does not foresee is a fault in the ledger, and she leaves.
"""

import asyncio
import time
from typing import NoReturn
from uuid import UUID

from sunseo.rehearsal.crowd.behaviour import Behaviour
from sunseo.rehearsal.crowd.documents import RoomDocument
from sunseo.rehearsal.crowd.picking import FreeItems
from sunseo.rehearsal.crowd.shared import CrowdState
from sunseo.rehearsal.http.client import ApiReply, Request
from sunseo.rehearsal.observe.histogram import note
from sunseo.rehearsal.observe.ledger import BadAnswer, Operation

LOST_WITHIN_S = 0.1  # the longest time after which a visitor's connection breaks down
NO_BODY = b"{}"


class GoneError(Exception):
    """The visit is over; the reason is one word."""


class VisitorClient:
    def __init__(
        self, behaviour: Behaviour, crowd: CrowdState, due: float, token: str = ""
    ) -> None:
        self.behaviour = behaviour
        self.crowd = crowd
        self.dice = behaviour.dice
        self.due = due
        self.token = token
        self.sale = crowd.sales[0] if crowd.sales else ""
        self._state_etag = ""
        self._view_etag = ""

    async def ask(self, operation: Operation, path: str) -> ApiReply:
        """Post what needs neither key nor pass; anything but success is a fault."""
        reply = await self.send(Request(operation, "POST", path, NO_BODY, self.token))
        if not reply.is_success:
            self.fault(operation, reply)
        return reply

    async def send(self, request: Request, losable: str = "") -> ApiReply:
        """Send; where her first answer to that gets lost, hang up on it and send it again."""
        if losable in self.behaviour.loses:
            await self.lose(request)
            self.due = time.monotonic()
        behaviour = self.behaviour
        reply = await self.crowd.client.ask(
            request, self.due, behaviour.number, self.dice, behaviour.pace, storms=behaviour.storms
        )
        self.due = reply.at
        return reply

    async def lose(self, request: Request) -> None:
        await self.crowd.client.lose(request, self.dice.random() * LOST_WITHIN_S)

    async def pause(self, seconds: float) -> None:
        self.due += seconds
        await asyncio.sleep(self.due - time.monotonic())
        note(self.crowd.figures.driver_late, time.monotonic() - self.due)

    async def look_at_state(self) -> RoomDocument:
        request = Request(Operation.STATE, "GET", self.crowd.room + "/state", etag=self._state_etag)
        reply = await self._look(request)
        etag = reply.etag or self._state_etag
        try:
            state = self.crowd.documents.read_state(etag, reply.body)
        except LookupError:
            self._state_etag = ""
            return await self.look_at_state()
        self._state_etag = etag
        return state

    async def look_at_sale(self) -> FreeItems:
        path = self.sale + "/availability"
        reply = await self._look(Request(Operation.LOOK, "GET", path, etag=self._view_etag))
        etag = reply.etag or self._view_etag
        try:
            view = self.crowd.documents.read_view(self.sale, etag, reply.body)
        except LookupError:
            self._view_etag = ""
            return await self.look_at_sale()
        self._view_etag = etag
        return view

    async def _look(self, request: Request) -> ApiReply:
        reply = await self.send(request)
        if reply.status not in (200, 304):
            self.fault(request.operation, reply)
        return reply

    def new_key(self) -> str:
        return str(UUID(int=self.dice.getrandbits(128)))

    def seconds(self, moment: float) -> float:
        """A monotonic moment as seconds from T0."""
        return self.crowd.client.seconds(moment)

    def fault(self, operation: Operation, reply: ApiReply) -> NoReturn:
        """
        Raises:
            GoneError: always: there is nothing she could do with such an answer.
        """
        if reply.status < 500:  # those are noted by the client
            at = self.seconds(reply.at)
            self.crowd.ledger.faults.append(
                BadAnswer(self.behaviour.number, operation.value, reply.status, reply.outcome, at)
            )
        raise GoneError("refused")
