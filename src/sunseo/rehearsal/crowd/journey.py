"""One visitor's way: into the line, through the room, to an order or out without one.

State       COMING, IN LINE, INSIDE, GONE; the scene counts how many there are of each.
Guarantee   Whatever the server tells her is in the ledger before the next request; nothing is in it
            that she was not told.
Clock       Monotonic. What she does is due at moments that follow from her habits and from the
            server's poll intervals, never from how fast this process is.
On failure  An answer that the protocol does not foresee is a fault in the ledger, and she leaves.
"""

import asyncio
import time
from math import inf

import jwt

from sunseo.core.ids import Person
from sunseo.rehearsal.crowd.browsing import Browsing
from sunseo.rehearsal.crowd.caller import NO_BODY, Caller, GoneError
from sunseo.rehearsal.crowd.habits import Habits, Trick
from sunseo.rehearsal.crowd.scene import Given, Scene, encode, given
from sunseo.rehearsal.crowd.shopping import Shopping
from sunseo.rehearsal.crowd.sights import State, poll_after_s, wait_s
from sunseo.rehearsal.crowd.tricks import book_as_a_friend, enter_request, forge, jump
from sunseo.rehearsal.http.door import GaveUpError, Reply, Request
from sunseo.rehearsal.observe.ledger import Drawn, Entered, Known, Left, Operation, Placed, Told

TOKEN_LIFETIME_S = 7200
BOT_EARLY_S = 1.0  # before the opening
JITTER = (1.0, 1.3)  # of every wait that the server names, so that visitors do not come in step


class Visit:
    """
    Attributes:
        pass_: the present token of her pass, once she is inside.
    """

    def __init__(self, habits: Habits, scene: Scene, due: float) -> None:
        self._habits = habits
        self._scene = scene
        self._caller = Caller(habits, scene, due)
        self._caller.sale, self._opens_s = scene.errand(scene.door.seconds(due), habits.number)
        self._came = due
        self._place = Given()
        self._was_told = False
        self._renew_due = 0.0
        self._stage = ""
        self._beside: list[asyncio.Task[None]] = []
        self._lent: asyncio.Future[str] | None = None
        self.pass_ = ""

    async def run(self) -> None:
        """Come, wait, try, and leave."""
        scene = self._scene
        scene.arrived += 1
        try:
            await self._walk()
            reason = "bought" if scene.site is None else "browsed"
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
        scene.figures.gone[reason] = scene.figures.gone.get(reason, 0) + 1

    async def _walk(self) -> None:
        scene = self._scene
        browsing = None
        if scene.site is not None and scene.scenario.site is not None:
            browsing = Browsing(self._caller, scene.scenario.site, scene.site)
            await browsing.come_uninvited()
        await self._introduce()
        if scene.room:
            await self._line_up()
        else:
            await self._watch()
        self._move("inside")
        if browsing is not None:
            await browsing.run(self)
        else:
            await Shopping(self._caller, self).run()

    async def _line_up(self) -> None:
        self._place = await join(self._caller)
        self._move("in_line")
        if self._place.receipt:
            await self._wait_for_draw()
        for _ in range(self._habits.tabs - 1):
            self._beside.append(asyncio.create_task(self._watch_in_tab()))
        await self._try_tricks()
        await self._wait_for_turn()
        await self.enter()

    async def _watch(self) -> None:
        """Without a room: look at what is there now and then, until it is time."""
        habits, caller = self._habits, self._caller
        self._renew_due = inf
        leaves_at = self._came + habits.patience_s
        opens_at = self._came + self._opens_s - caller.seconds(self._came)
        self._move("in_line")
        if habits.is_bot:
            await caller.pause(max(0.0, opens_at - BOT_EARLY_S - caller.due))
            return
        await caller.look_at_sale()
        while caller.due < opens_at:
            if caller.due >= leaves_at:
                raise GoneError("impatient")
            wait_s = habits.look_s * caller.dice.uniform(*JITTER)
            await caller.pause(max(0.0, min(wait_s, opens_at - caller.due)))
            await caller.look_at_sale()

    async def _introduce(self) -> None:
        scene, number = self._scene, self._habits.number
        if self._habits.is_guest or scene.issuer is None:
            told = given((await self._caller.ask(Operation.GUEST, "/v1/guests")).body)
            self._caller.token, person = told.token, told.person
        else:
            issuer, subject = scene.issuer, f"visitor-{number}"
            claims = {"iss": issuer.name, "sub": subject, "exp": time.time() + TOKEN_LIFETIME_S}
            self._caller.token = jwt.encode(claims, issuer.secret, "HS256")
            person = str(Person.named(issuer.organisation, issuer.name, subject).id)
        scene.ledger.known.append(Known(number, person))

    async def _watch_in_tab(self) -> None:
        """Another tab of the same person: it joins as well, gets the same number, and polls."""
        tab = Caller(self._habits, self._scene, time.monotonic(), self._caller.token)
        try:
            place = await join(tab)
            while self._stage == "in_line":
                number = place.number or self._place.number  # the same, once it is drawn
                await tab.pause(self._poll_after_s(await tab.look_at_state(), number))
        except (GoneError, GaveUpError):
            return

    async def _try_tricks(self) -> None:
        match self._habits.trick:
            case Trick.FORGE:
                await forge(self._caller, self._place.place)
            case Trick.JUMP:
                await jump(self._caller, self._place)
            case Trick.SHARE if self._scene.sales:  # a site behind a gate knows no persons
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
            self._heed_habits()
            await caller.pause(self._poll_after_s(state, 0))
            if state.phase != "before":
                self._place = await ask_for_place(caller, nonce)
        number = self._habits.number
        self._scene.ledger.drawn.append(Drawn(number, self._place.number, registered_at))

    def _heed_habits(self) -> None:
        """
        Raises:
            GoneError: she does not stay any longer.
        """
        away_s, due = self._habits.stays_away_after_s, self._caller.due
        if away_s is not None and due >= self._came + away_s:
            raise GoneError("stayed_away")
        if due >= self._came + self._habits.patience_s:
            raise GoneError("impatient")

    async def _wait_for_turn(self) -> None:
        habits, caller = self._habits, self._caller
        leaves_at = self._came + habits.patience_s
        away_s = habits.stays_away_after_s
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

    def _hear_wait(self, state: State) -> None:
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
        self._scene.ledger.told.append(Told(self._habits.number, at, likely_s, slow_s))

    def _is_called(self, state: State) -> bool:
        return self._place.number <= state.serving and state.phase in ("open", "draining")

    def _poll_after_s(self, state: State, number: int) -> float:
        """As the server asks; but some people press "reload" all the time."""
        wait_s = poll_after_s(state, number) * self._caller.dice.uniform(*JITTER)
        refresh_s = self._habits.refresh_s
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
                if reply.at > first_asked + given(reply.body).renew_after_s:
                    # What was given first may have run out before it was told.
                    self._scene.ledger.lapsed.append(self._habits.number)
                return
            if reply.status == 202 or reply.outcome == "not_served":  # by a worker a moment behind
                wait_s = given(reply.body).poll_after_s
                await caller.pause(wait_s * caller.dice.uniform(*JITTER))
            elif reply.outcome in ("session_over", "room_closed"):
                raise GoneError(reply.outcome)
            else:
                caller.fault(Operation.ENTER, reply)

    async def enter_again(self) -> None:
        """Her pass has run out while the server was slow: the place still counts."""
        self._scene.ledger.lapsed.append(self._habits.number)
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
        if not self._scene.room:
            return
        body = encode({"pass": self.pass_})
        path = self._scene.room + "/leave"
        reply = await self._caller.send(Request(Operation.LEAVE, "POST", path, body))
        if not reply.is_success:
            self._caller.fault(Operation.LEAVE, reply)
        self._scene.ledger.left.append(Left(self._habits.number, self._place.number))

    def _take_pass(self, reply: Reply) -> None:
        self._keep(reply)
        if self._lent is not None and not self._lent.done():
            self._lent.set_result(self.pass_)
        number, place = self._habits.number, self._place
        at = self._caller.seconds(reply.at)
        self._scene.ledger.entered.append(Entered(number, place.number, place.serving, at))

    async def _renew(self) -> None:
        body = encode({"pass": self.pass_})
        path = self._scene.room + "/renew"
        reply = await self._caller.send(Request(Operation.RENEW, "POST", path, body), "renew")
        if reply.is_success:
            self._keep(reply)
        elif reply.outcome == "pass_expired":
            await self.enter_again()
        elif reply.outcome == "session_over":
            raise GoneError("session_over")
        else:
            self._caller.fault(Operation.RENEW, reply)

    def _keep(self, reply: Reply) -> None:
        told = given(reply.body)
        self.pass_ = told.pass_
        # A pass is renewed by the gate in front of a site, or else by her.
        self._renew_due = inf if self._scene.site is not None else reply.at + told.renew_after_s

    def _move(self, stage: str) -> None:
        if self._stage:
            self._scene.now[self._stage] -= 1
        self._stage = stage
        if stage:
            self._scene.now[stage] += 1


async def join(caller: Caller) -> Given:
    """Get a nonce, and for it a place or a receipt.

    Raises:
        GoneError: the room takes nobody now.
    """
    nonce = given((await caller.ask(Operation.NONCE, caller.scene.room + "/nonces")).body).nonce
    return await ask_for_place(caller, nonce)


async def ask_for_place(caller: Caller, nonce: str) -> Given:
    """Get the place of a nonce, or a receipt where its number is still to be drawn.

    Raises:
        GoneError: the room takes nobody now.
    """
    scene = caller.scene
    asked_at = caller.seconds(time.monotonic())
    path = f"{scene.room}/places/{nonce}"
    reply = await caller.send(Request(Operation.JOIN, "PUT", path, NO_BODY, caller.token), "join")
    if reply.outcome in ("room_closed", "not_yet"):
        raise GoneError(reply.outcome)
    if not reply.is_success:
        caller.fault(Operation.JOIN, reply)
    told = given(reply.body)
    told.nonce = nonce
    if told.number:
        number, at = caller.habits.number, caller.seconds(reply.at)
        scene.ledger.placed.append(Placed(number, told.epoch, told.number, asked_at, at))
    elif not told.receipt:
        caller.fault(Operation.JOIN, reply)
    return told
