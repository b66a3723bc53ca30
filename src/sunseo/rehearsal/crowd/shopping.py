"""A visitor inside: looks, chooses, holds, and orders, gives back, or vanishes."""

import asyncio

from sunseo.rehearsal.crowd.behaviour import Ending
from sunseo.rehearsal.crowd.caller import GoneError, VisitorClient
from sunseo.rehearsal.crowd.cheating import hammer, hold_request, note_hold
from sunseo.rehearsal.crowd.journey import Inside
from sunseo.rehearsal.crowd.picking import FreeItems
from sunseo.rehearsal.crowd.shared import PendingOrder, encode, note_order, read_answer
from sunseo.rehearsal.http.client import Request
from sunseo.rehearsal.observe.ledger import Held, Operation

AGAIN_S = (0.05, 0.25)  # after somebody else was quicker
RETURNS_S = (0.5, 1.5)  # between looks while all that is left is in others' hands
RETURNS_PATIENCE_S = 20.0


class Shopping:
    def __init__(self, caller: VisitorClient, inside: Inside) -> None:
        self._caller = caller
        self._inside = inside
        self._behaviour = caller.behaviour
        self._crowd = caller.crowd

    async def run(self) -> None:
        """Come away with an order.

        Raises:
            GoneError: she left without one.
        """
        behaviour, inside = self._behaviour, self._inside
        await inside.stay(behaviour.looks_s)
        hold = await (self._snatch() if behaviour.is_bot else self._hold(behaviour.party))
        await inside.stay(behaviour.decides_s)
        if behaviour.ending is Ending.VANISHES:
            raise GoneError("vanished")
        if behaviour.ending is Ending.RELEASES:
            await self._release(hold)
            await inside.leave()
            raise GoneError("released")
        while not await self._order(hold):  # it had run out: choose again
            hold = await self._hold(behaviour.party)

    async def _snatch(self) -> Held:
        hold = await hammer(self._caller, self._inside.pass_)
        if hold is None:
            await self._inside.leave()
            raise GoneError("found_nothing")
        return hold

    async def _hold(self, party: int) -> Held:
        """Try until something is held; whoever finds nothing leaves."""
        caller, attempt = self._caller, 0
        goods = self._crowd.goods
        wanted = goods.person_limit + 1 if self._behaviour.oversteps else party
        while True:
            claim = goods.pick(await self._find_free(), wanted, attempt, caller.dice)
            reply = await caller.send(hold_request(caller, claim, self._inside.pass_), "hold")
            if reply.is_success:
                told = read_answer(reply.body)
                held = note_hold(caller, told)
                if told.state == "open":
                    return held
            elif reply.outcome == "seat_taken":
                attempt += 1
            elif reply.outcome == "sold_out":  # what is shown as free is a moment old
                attempt += 1
                await self._inside.stay(caller.dice.uniform(*AGAIN_S))
            elif reply.outcome == "sale_not_open":  # by the server's clock
                await self._inside.stay(caller.dice.uniform(*RETURNS_S))
            elif reply.outcome == "order_limit_reached" and wanted > party:
                wanted = party
            elif reply.outcome == "pass_required":
                await self._inside.enter_again()
            else:
                caller.fault(Operation.HOLD, reply)

    async def _find_free(self) -> FreeItems:
        """What is free, waiting a while for what others let go of."""
        caller = self._caller
        gives_up_at = caller.due + RETURNS_PATIENCE_S
        while True:
            view = await caller.look_at_sale()
            if view.free:
                return view
            if not view.held or caller.due >= gives_up_at:
                await self._inside.leave()
                raise GoneError("found_nothing")
            await self._inside.stay(caller.dice.uniform(*RETURNS_S))

    async def _order(self, hold: Held) -> bool:
        """Whether the hold became an order; it may have run out on the way."""
        caller = self._caller
        request = Request(
            Operation.ORDER,
            "POST",
            caller.sale + "/orders",
            encode({"hold": hold.hold}),
            caller.token,
            caller.new_key(),
            self._inside.pass_,
        )
        pending = PendingOrder(self._behaviour.number, request, hold.hold)
        if self._behaviour.ending is Ending.DIES:
            await caller.lose(request)
            self._crowd.pending_orders.append(pending)
            raise GoneError("died")
        try:
            reply = await caller.send(request, "order")
        except asyncio.CancelledError:  # sent home while the answer was on its way
            self._crowd.pending_orders.append(pending)
            raise
        if reply.is_success:
            note_order(self._crowd, hold, reply, found=False)
            return True
        if reply.outcome != "hold_expired":
            caller.fault(Operation.ORDER, reply)
        return False

    async def _release(self, hold: Held) -> None:
        caller = self._caller
        path = f"{caller.sale}/holds/{hold.hold}/release"
        request = Request(Operation.RELEASE, "POST", path, b"", caller.token, caller.new_key())
        reply = await caller.send(request)
        if not reply.is_success and reply.outcome != "hold_expired":
            caller.fault(Operation.RELEASE, reply)
