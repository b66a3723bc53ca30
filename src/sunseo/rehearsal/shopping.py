"""A visitor inside: looks, chooses, holds, and orders, gives back, or vanishes."""

import asyncio
from typing import Protocol

from sunseo.rehearsal.caller import Caller, GoneError
from sunseo.rehearsal.door import Request
from sunseo.rehearsal.habits import Ending
from sunseo.rehearsal.ledger import Held, Operation
from sunseo.rehearsal.picking import View, pick
from sunseo.rehearsal.scene import Intent, encode, given, note_order
from sunseo.rehearsal.tricks import hold_request

RETURNS_S = (0.5, 1.5)  # between looks while all that is left is in others' hands
RETURNS_PATIENCE_S = 20.0


class Inside(Protocol):
    """Her pass, and how to keep it."""

    pass_: str

    async def stay(self, seconds: float) -> None: ...

    async def enter_again(self) -> None: ...

    async def leave(self) -> None: ...


class Shopping:
    def __init__(self, caller: Caller, inside: Inside) -> None:
        self._caller = caller
        self._inside = inside
        self._habits = caller.habits
        self._scene = caller.scene

    async def run(self) -> None:
        """Come away with an order.

        Raises:
            GoneError: she left without one.
        """
        habits, inside = self._habits, self._inside
        await inside.stay(habits.looks_s)
        hold = await self._hold(habits.party)
        await inside.stay(habits.decides_s)
        if habits.ending is Ending.VANISHES:
            raise GoneError("vanished")
        if habits.ending is Ending.RELEASES:
            await self._release(hold)
            await inside.leave()
            raise GoneError("released")
        while not await self._order(hold):  # it had run out: choose again
            hold = await self._hold(habits.party)

    async def _hold(self, party: int) -> Held:
        """Try until something is held; whoever finds nothing leaves."""
        caller, attempt = self._caller, 0
        wanted = self._scene.person_limit + 1 if self._habits.oversteps else party
        while True:
            seats = pick(await self._find_free(), wanted, attempt, caller.dice)
            reply = await caller.send(hold_request(caller, seats, self._inside.pass_), "hold")
            if reply.is_success:
                told = given(reply.body)
                held = Held(self._habits.number, told.hold, told.seats)
                self._scene.ledger.held.append(held)
                if told.state == "open":
                    return held
            elif reply.outcome == "seat_taken":
                attempt += 1
            elif reply.outcome == "order_limit_reached" and wanted > party:
                wanted = party
            elif reply.outcome == "pass_required":
                await self._inside.enter_again()
            else:
                caller.fault(Operation.HOLD, reply)

    async def _find_free(self) -> View:
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
            self._scene.sale + "/orders",
            encode({"hold": hold.hold}),
            caller.token,
            caller.new_key(),
            self._inside.pass_,
        )
        intent = Intent(self._habits.number, request, hold.hold)
        if self._habits.ending is Ending.DIES:
            await caller.lose(request)
            self._scene.intents.append(intent)
            raise GoneError("died")
        try:
            reply = await caller.send(request, "order")
        except asyncio.CancelledError:  # sent home while the answer was on its way
            self._scene.intents.append(intent)
            raise
        if reply.is_success:
            note_order(self._scene, hold, reply, found=False)
            return True
        if reply.outcome != "hold_expired":
            caller.fault(Operation.ORDER, reply)
        return False

    async def _release(self, hold: Held) -> None:
        caller = self._caller
        path = f"{self._scene.sale}/holds/{hold.hold}/release"
        request = Request(Operation.RELEASE, "POST", path, b"", caller.token, caller.new_key())
        reply = await caller.send(request)
        if not reply.is_success and reply.outcome != "hold_expired":
            caller.fault(Operation.RELEASE, reply)
