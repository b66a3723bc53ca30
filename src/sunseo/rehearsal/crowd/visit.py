"""One visitor's way: into the line, through the room, to an order or out without one.

State       COMING, IN LINE, INSIDE, GONE; the crowd counts how many there are of each.
Guarantee   Whatever the server tells her is in the ledger before the next request; nothing is in it
            that she was not told.
Clock       Monotonic. What she does is due at moments that follow from her behaviour and from the
            server's poll intervals, never from how fast this process is.
On failure  An answer that the protocol does not foresee is a fault in the ledger, and she leaves.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import inf

import jwt

from sunseo.core.ids import Person
from sunseo.passes.polling import next_poll_s
from sunseo.rehearsal.crowd.behaviour import Behaviour, Cheat
from sunseo.rehearsal.crowd.caller import NO_BODY, GoneError, VisitorClient
from sunseo.rehearsal.crowd.cheating import book_as_a_friend, enter_request, forge, jump
from sunseo.rehearsal.crowd.documents import RoomDocument, wait_s
from sunseo.rehearsal.crowd.journey import VisitorJourney
from sunseo.rehearsal.crowd.shared import AnswerBody, CrowdState, encode, read_answer
from sunseo.rehearsal.http.client import ApiReply, GaveUpError, Request
from sunseo.rehearsal.observe.ledger import (
    Drawn,
    EnteredRoom,
    Known,
    Left,
    Operation,
    Placed,
    WaitEstimate,
)

TOKEN_LIFETIME_S = 7200
BOT_EARLY_S = 1.0  # before the opening
JITTER = (1.0, 1.3)  # of every wait that the server names, so that visitors do not come in step


class Visit:
    """
    Attributes:
        pass_: the present token of her pass, once she is inside.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        crowd: CrowdState,
        journey: VisitorJourney,
        way_in: "WayIn",
        due: float,
    ) -> None:
        self._behaviour = behaviour
        self._journey = journey
        self._way_in = way_in
        self._crowd = crowd
        self._caller = VisitorClient(behaviour, crowd, due)
        self._caller.sale, self._opens_s = crowd.sale_for(
            crowd.client.seconds(due), behaviour.number
        )
        self._came = due
        self._place = AnswerBody()
        self._was_told = False
        self._renew_due = 0.0
        self._state = ""
        self._beside: list[asyncio.Task[None]] = []
        self._lent: asyncio.Future[str] | None = None
        self.pass_ = ""

    async def run(self) -> None:
        """Come, wait, try, and leave."""
        crowd = self._crowd
        crowd.arrived += 1
        try:
            await self._walk()
            reason = self._journey.done
        except GoneError as gone:
            reason = str(gone)
        except GaveUpError:
            reason = "gave_up"
        except asyncio.CancelledError:
            reason = "still_there"
        finally:
            self._move("")
            for task in self._beside:
                task.cancel()
        crowd.figures.gone[reason] = crowd.figures.gone.get(reason, 0) + 1

    async def _walk(self) -> None:
        await self._journey.approach(self._caller)
        await self._introduce()
        await self._way_in(self)
        self._move("inside")
        await self._journey.visit(self._caller, self)

    async def line_up(self) -> None:
        """Get a place, wait until it is called, and enter."""
        self._place = await join(self._caller)
        self._move("in_line")
        if self._place.receipt:
            await self._wait_for_draw()
        for _ in range(self._behaviour.tabs - 1):
            self._beside.append(asyncio.create_task(self._watch_in_tab()))
        await self._try_cheating()
        await self._wait_for_turn()
        await self.enter()

    async def look_until_open(self) -> None:
        """Without a room: look at what is there now and then, until it is time."""
        behaviour, caller = self._behaviour, self._caller
        self._renew_due = inf
        leaves_at = self._came + behaviour.patience_s
        opens_at = self._came + self._opens_s - caller.seconds(self._came)
        self._move("in_line")
        if behaviour.is_bot:
            await caller.pause(max(0.0, opens_at - BOT_EARLY_S - caller.due))
            return
        await caller.look_at_sale()
        while caller.due < opens_at:
            if caller.due >= leaves_at:
                raise GoneError("impatient")
            wait_s = behaviour.look_s * caller.dice.uniform(*JITTER)
            await caller.pause(max(0.0, min(wait_s, opens_at - caller.due)))
            await caller.look_at_sale()

    async def _introduce(self) -> None:
        crowd, number = self._crowd, self._behaviour.number
        if self._behaviour.is_guest or crowd.issuer is None:
            told = read_answer((await self._caller.ask(Operation.GUEST, "/v1/guests")).body)
            self._caller.token, person = told.token, told.person
        else:
            issuer, subject = crowd.issuer, f"visitor-{number}"
            claims = {"iss": issuer.name, "sub": subject, "exp": time.time() + TOKEN_LIFETIME_S}
            self._caller.token = jwt.encode(claims, issuer.secret, "HS256")
            person = str(Person.named(issuer.organisation, issuer.name, subject).id)
        crowd.ledger.known.append(Known(number, person))

    async def _watch_in_tab(self) -> None:
        """Another tab of the same person: it joins as well, gets the same number, and polls."""
        tab = VisitorClient(self._behaviour, self._crowd, time.monotonic(), self._caller.token)
        try:
            place = await join(tab)
            while self._state == "in_line":
                number = place.number or self._place.number  # the same, once it is drawn
                await tab.pause(self._poll_after_s(await tab.look_at_state(), number))
        except (GoneError, GaveUpError):
            return

    async def _try_cheating(self) -> None:
        match self._behaviour.cheat:
            case Cheat.FORGE:
                await forge(self._caller, self._place.place)
            case Cheat.JUMP:
                await jump(self._caller, self._place)
            case Cheat.SHARE if self._journey.knows_persons:
                self._lent = asyncio.get_running_loop().create_future()
                friend = book_as_a_friend(self._caller, self._lent)
                self._beside.append(asyncio.create_task(friend))
            case _:
                return

    # Waiting

    async def _wait_for_draw(self) -> None:
        """Registered: the number comes with the draw, for the same nonce."""
        caller = self._caller
        registered_at = caller.seconds(caller.due)
        nonce = self._place.nonce
        while self._place.receipt:
            state = await caller.look_at_state()
            self._leave_if_due()
            await caller.pause(self._poll_after_s(state, 0))
            if state.phase != "before":
                self._place = await ask_for_place(caller, nonce)
        number = self._behaviour.number
        self._crowd.ledger.drawn.append(Drawn(number, self._place.number, registered_at))

    def _leave_if_due(self) -> None:
        """
        Raises:
            GoneError: she does not stay any longer.
        """
        away_s, due = self._behaviour.stays_away_after_s, self._caller.due
        if away_s is not None and due >= self._came + away_s:
            raise GoneError("stayed_away")
        if due >= self._came + self._behaviour.patience_s:
            raise GoneError("impatient")

    async def _wait_for_turn(self) -> None:
        behaviour, caller = self._behaviour, self._caller
        leaves_at = self._came + behaviour.patience_s
        away_s = behaviour.stays_away_after_s
        await caller.pause(self._place.poll_after_s * caller.dice.uniform(*JITTER))
        while True:
            if away_s is not None and caller.due >= self._came + away_s:
                raise GoneError("stayed_away")
            state = await caller.look_at_state()
            if state.sold_out:
                raise GoneError("sold_out")
            if state.phase == "closed":
                raise GoneError("room_closed")
            self._hear_wait(state)
            if self._is_called(state) and away_s is None:
                self._place.serving = state.serving
                return
            if caller.due >= leaves_at:
                raise GoneError("impatient")
            await caller.pause(self._poll_after_s(state, self._place.number))

    def _hear_wait(self, state: RoomDocument) -> None:
        """Keep what she is told for the first time about how long it takes."""
        if self._was_told or state.speed is None:
            return
        number = self._place.number
        likely_s = wait_s(state, number, state.speed.v50)
        if likely_s is None:
            return
        self._was_told = True
        slow_s = wait_s(state, number, state.speed.v10)
        at = self._caller.seconds(self._caller.due)
        self._crowd.ledger.estimates.append(
            WaitEstimate(self._behaviour.number, at, likely_s, slow_s)
        )

    def _is_called(self, state: RoomDocument) -> bool:
        return self._place.number <= state.serving and state.phase in ("open", "draining")

    def _poll_after_s(self, state: RoomDocument, number: int) -> float:
        """As the server asks; but some people press "reload" all the time."""
        ahead = number - state.serving if number else None
        wait_s = next_poll_s(state, ahead, state.now) * self._caller.dice.uniform(*JITTER)
        refresh_s = self._behaviour.refresh_s
        return wait_s if refresh_s is None else min(wait_s, refresh_s)

    # The pass

    async def enter(self) -> None:
        """Turn the place into a pass, or into the same pass again where it has lapsed."""
        caller = self._caller
        first_asked = caller.due
        while True:
            reply = await caller.send(enter_request(caller, self._place.place), "enter")
            if reply.status in (200, 201):
                self._take_pass(reply)
                if reply.at > first_asked + read_answer(reply.body).renew_after_s:
                    # What was given first may have run out before it was told.
                    self._crowd.ledger.lapsed.append(self._behaviour.number)
                return
            if reply.status == 202 or reply.outcome == "not_served":  # by a worker a moment behind
                wait_s = read_answer(reply.body).poll_after_s
                await caller.pause(wait_s * caller.dice.uniform(*JITTER))
            elif reply.outcome in ("session_over", "room_closed"):
                raise GoneError(reply.outcome)
            else:
                caller.fault(Operation.ENTER, reply)

    async def enter_again(self) -> None:
        """Her pass has run out while the server was slow: the place still counts."""
        self._crowd.ledger.lapsed.append(self._behaviour.number)
        await self.enter()

    async def stay(self, seconds: float) -> None:
        """Pause while inside, keeping the pass alive."""
        caller = self._caller
        until = caller.due + seconds
        while self._renew_due < until:
            await caller.pause(max(0.0, self._renew_due - caller.due))
            await self._renew()
        await caller.pause(max(0.0, until - caller.due))

    async def leave(self) -> None:
        """Say goodbye, so that somebody else can come in at once."""
        if not self.pass_:
            return
        body = encode({"pass": self.pass_})
        path = self._crowd.room + "/leave"
        reply = await self._caller.send(Request(Operation.LEAVE, "POST", path, body))
        if not reply.is_success:
            self._caller.fault(Operation.LEAVE, reply)
        self._crowd.ledger.left.append(Left(self._behaviour.number, self._place.number))

    def _take_pass(self, reply: ApiReply) -> None:
        self._keep(reply)
        if self._lent is not None and not self._lent.done():
            self._lent.set_result(self.pass_)
        number, place = self._behaviour.number, self._place
        at = self._caller.seconds(reply.at)
        self._crowd.ledger.entered.append(EnteredRoom(number, place.number, place.serving, at))

    async def _renew(self) -> None:
        body = encode({"pass": self.pass_})
        path = self._crowd.room + "/renew"
        reply = await self._caller.send(Request(Operation.RENEW, "POST", path, body), "renew")
        if reply.is_success:
            self._keep(reply)
        elif reply.outcome == "pass_expired":
            await self.enter_again()
        elif reply.outcome == "session_over":
            raise GoneError("session_over")
        else:
            self._caller.fault(Operation.RENEW, reply)

    def _keep(self, reply: ApiReply) -> None:
        told = read_answer(reply.body)
        self.pass_ = told.pass_
        renews_due = reply.at + told.renew_after_s
        self._renew_due = inf if self._journey.renews_passes else renews_due

    def _move(self, state: str) -> None:
        if self._state:
            self._crowd.now[self._state] -= 1
        self._state = state
        if state:
            self._crowd.now[state] += 1


WayIn = Callable[[Visit], Awaitable[None]]
"""How visitors come in: past a line, or straight on."""


async def join(caller: VisitorClient) -> AnswerBody:
    """Get a nonce, and for it a place or a receipt.

    Raises:
        GoneError: the room takes nobody now.
    """
    nonce = read_answer(
        (await caller.ask(Operation.NONCE, caller.crowd.room + "/nonces")).body
    ).nonce
    return await ask_for_place(caller, nonce)


async def ask_for_place(caller: VisitorClient, nonce: str) -> AnswerBody:
    """Get the place of a nonce, or a receipt where its number is still to be drawn.

    Raises:
        GoneError: the room takes nobody now.
    """
    crowd = caller.crowd
    asked_at = caller.seconds(time.monotonic())
    path = f"{crowd.room}/places/{nonce}"
    reply = await caller.send(Request(Operation.JOIN, "PUT", path, NO_BODY, caller.token), "join")
    if reply.outcome in ("room_closed", "not_yet"):
        raise GoneError(reply.outcome)
    if not reply.is_success:
        caller.fault(Operation.JOIN, reply)
    told = read_answer(reply.body)
    told.nonce = nonce
    if told.number:
        number, at = caller.behaviour.number, caller.seconds(reply.at)
        crowd.ledger.placed.append(Placed(number, told.epoch, told.number, asked_at, at))
    elif not told.receipt:
        caller.fault(Operation.JOIN, reply)
    return told
