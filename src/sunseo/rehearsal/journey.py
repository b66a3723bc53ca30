"""One visitor's way: into the line, through the room, to an order or out without one.

State       COMING, IN LINE, INSIDE, GONE; `Crowd` counts how many there are of each.
Guarantee   Whatever the server tells her is in the ledger before the next request; nothing is in it
            that she was not told.
Clock       Monotonic. What she does is due at moments that follow from her habits and from the
            server's poll intervals, never from how fast this process is.
On failure  An answer that the protocol does not foresee is a fault in the ledger, and she leaves.
"""

import asyncio
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from typing import NoReturn
from uuid import UUID

import jwt
import msgspec

from sunseo.core.ids import Person
from sunseo.rehearsal.door import Door, GaveUpError, Reply, Request
from sunseo.rehearsal.habits import PERSON_LIMIT, Ending, Habits, Trick
from sunseo.rehearsal.histogram import note
from sunseo.rehearsal.ledger import (
    Entered,
    Fault,
    Figures,
    Held,
    Known,
    Ledger,
    Left,
    Operation,
    Ordered,
    Placed,
    Tried,
)
from sunseo.rehearsal.picking import View, pick
from sunseo.rehearsal.sights import Sights, State, poll_after_s

TOKEN_LIFETIME_S = 7200
LOST_WITHIN_S = 0.1  # the longest time after which a visitor's connection breaks down
RETURNS_S = (0.5, 1.5)  # between looks while all that is left is in others' hands
RETURNS_PATIENCE_S = 20.0
NUMBER_BYTES = slice(16, 24)  # of a place, see docs/protocol/tokens.md
NO_BODY = b"{}"


class Issuer(msgspec.Struct, frozen=True):
    """The site whose customers most visitors are: it vouches for them with tokens."""

    name: str
    secret: str
    organisation: int


class Given(msgspec.Struct):
    """What answers carry, as far as visitors read it."""

    token: str = ""
    person: str = ""
    nonce: str = ""
    place: str = ""
    number: int = 0
    epoch: int = 0
    serving: int = 0
    poll_after_s: float = 1.0
    pass_: str = msgspec.field(default="", name="pass")
    renew_after_s: float = 60.0
    hold: str = ""
    order: str = ""
    state: str = ""
    seats: tuple[int, ...] = ()


_given = msgspec.json.Decoder(Given).decode
_json = msgspec.json.Encoder().encode


class GoneError(Exception):
    """The visit is over; the reason is one word."""


class Intent(msgspec.Struct, frozen=True):
    """An order whose answer nobody waited for."""

    visitor: int
    request: Request
    hold: str


class Scene(msgspec.Struct):
    """What all visitors share. Paths are prefixes."""

    door: Door
    sights: Sights
    ledger: Ledger
    figures: Figures
    room: str
    sale: str
    issuer: Issuer | None
    arrived: int = 0
    now: Counter[str] = msgspec.field(default_factory=Counter)  # in_line, inside
    bought: int = 0
    intents: list[Intent] = []


class Visit:
    def __init__(self, habits: Habits, scene: Scene, due: float) -> None:
        self._habits = habits
        self._scene = scene
        self._dice = habits.dice
        self._due = due
        self._came = due
        self._token = ""
        self._place = Given()
        self._pass = ""
        self._renew_due = 0.0
        self._state_etag = ""
        self._view_etag = ""
        self._stage = ""
        self._tabs: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Come, wait, try, and leave."""
        scene = self._scene
        scene.arrived += 1
        try:
            await self._walk()
            reason = "bought"
        except GoneError as gone:
            reason = str(gone)
        except GaveUpError:
            reason = "gave_up"
        except asyncio.CancelledError:
            reason = "still_there"
        finally:
            self._move("")
            for tab in self._tabs:
                tab.cancel()
        scene.figures.gone[reason] = scene.figures.gone.get(reason, 0) + 1

    async def _walk(self) -> None:
        await self._introduce()
        nonce = _given((await self._ask(Operation.NONCE, self._scene.room + "/nonces")).body).nonce
        self._place = await self._join(nonce)
        self._move("in_line")
        self._open_tabs()
        await self._try_tricks()
        await self._wait_for_turn()
        await self._enter()
        self._move("inside")
        await self._visit_sale()

    # Who she is, and her place

    async def _introduce(self) -> None:
        scene, number = self._scene, self._habits.number
        if self._habits.is_guest or scene.issuer is None:
            told = _given((await self._ask(Operation.GUEST, "/v1/guests")).body)
            self._token, person = told.token, told.person
        else:
            issuer, subject = scene.issuer, f"visitor-{number}"
            claims = {"iss": issuer.name, "sub": subject, "exp": time.time() + TOKEN_LIFETIME_S}
            self._token = jwt.encode(claims, issuer.secret, "HS256")
            person = str(Person.named(issuer.organisation, issuer.name, subject).id)
        scene.ledger.known.append(Known(number, person))

    async def _join(self, nonce: str) -> Given:
        asked_at = time.monotonic()
        request = Request(
            Operation.JOIN, "PUT", f"{self._scene.room}/places/{nonce}", NO_BODY, self._token
        )
        reply = await self._send(request, "join")
        if reply.outcome in ("room_closed", "not_yet"):
            raise GoneError(reply.outcome)
        if not reply.is_success:
            self._fault(Operation.JOIN, reply)
        told = _given(reply.body)
        door = self._scene.door
        self._scene.ledger.placed.append(
            Placed(
                self._habits.number,
                told.epoch,
                told.number,
                door.seconds(asked_at),
                door.seconds(reply.at),
            )
        )
        return told

    def _open_tabs(self) -> None:
        for _ in range(self._habits.tabs - 1):
            self._tabs.append(asyncio.create_task(self._watch_in_tab()))

    async def _watch_in_tab(self) -> None:
        """Another tab of the same person: it joins as well, gets the same number, and polls."""
        tab = Visit(msgspec.structs.replace(self._habits, tabs=1), self._scene, time.monotonic())
        tab._token = self._token  # noqa: SLF001 - it is the same visitor
        try:
            nonce = _given((await tab._ask(Operation.NONCE, self._scene.room + "/nonces")).body)
            tab._place = await tab._join(nonce.nonce)  # noqa: SLF001 - as above
            while self._stage == "in_line":
                await tab._poll_later(await tab._look_at_state())  # noqa: SLF001 - as above
        except (GoneError, GaveUpError):
            return

    # Waiting

    async def _wait_for_turn(self) -> None:
        habits = self._habits
        leaves_at = self._came + habits.patience_s
        stays_away_at = (
            None if habits.stays_away_after_s is None else self._came + habits.stays_away_after_s
        )
        await self._pause(self._place.poll_after_s * self._dice.uniform(1.0, 1.3))
        while True:
            if stays_away_at is not None and self._due >= stays_away_at:
                raise GoneError("stayed_away")
            state = await self._look_at_state()
            if state.sold_out:
                raise GoneError("sold_out")
            if self._place.number <= state.serving and state.phase in ("open", "draining"):
                self._place.serving = state.serving
                if stays_away_at is None:
                    return
            if state.phase == "closed":
                raise GoneError("room_closed")
            if self._due >= leaves_at:
                raise GoneError("impatient")
            await self._poll_later(state)

    async def _look_at_state(self) -> State:
        request = Request(
            Operation.STATE, "GET", self._scene.room + "/state", etag=self._state_etag
        )
        reply = await self._send(request)
        if reply.status not in (200, 304):
            self._fault(Operation.STATE, reply)
        etag = reply.etag or self._state_etag
        try:
            state = self._scene.sights.read_state(etag, reply.body)
        except LookupError:
            self._state_etag = ""
            return await self._look_at_state()
        self._state_etag = etag
        return state

    async def _poll_later(self, state: State) -> None:
        wait_s = poll_after_s(state, self._place.number) * self._dice.uniform(1.0, 1.3)
        if self._habits.refresh_s is not None:
            wait_s = min(wait_s, self._habits.refresh_s)
        await self._pause(wait_s)

    # Entering

    async def _enter(self) -> None:
        while True:
            reply = await self._ask_to_enter(self._place.place, "enter")
            if reply.status in (200, 201):
                self._take_pass(reply)
                return
            if reply.status == 202:
                await self._pause(_given(reply.body).poll_after_s * self._dice.uniform(1.0, 1.3))
            elif reply.outcome == "not_served":  # of another worker, a moment behind
                await self._pause(_given(reply.body).poll_after_s * self._dice.uniform(1.0, 1.3))
            elif reply.outcome in ("session_over", "room_closed"):
                raise GoneError(reply.outcome)
            else:
                self._fault(Operation.ENTER, reply)

    async def _ask_to_enter(self, place: str, losable: str = "") -> Reply:
        request = Request(
            Operation.ENTER,
            "POST",
            self._scene.room + "/enter",
            _json({"place": place}),
            self._token,
        )
        return await self._send(request, losable)

    def _take_pass(self, reply: Reply) -> None:
        told = _given(reply.body)
        self._pass = told.pass_
        self._renew_due = reply.at + told.renew_after_s
        at = self._scene.door.seconds(reply.at)
        number, place = self._habits.number, self._place
        self._scene.ledger.entered.append(Entered(number, place.number, place.serving, at))

    async def _renew(self) -> None:
        request = Request(
            Operation.RENEW, "POST", self._scene.room + "/renew", _json({"pass": self._pass})
        )
        reply = await self._send(request, "renew")
        if reply.is_success:
            told = _given(reply.body)
            self._pass = told.pass_
            self._renew_due = reply.at + told.renew_after_s
        elif reply.outcome == "pass_expired":
            await self._enter_again()
        elif reply.outcome == "session_over":
            raise GoneError("session_over")
        else:
            self._fault(Operation.RENEW, reply)

    async def _enter_again(self) -> None:
        """Her pass has run out while the server was slow: the place still counts."""
        self._scene.ledger.lapsed.append(self._habits.number)
        await self._enter()

    # Inside

    async def _visit_sale(self) -> None:
        habits = self._habits
        await self._stay(habits.looks_s)
        hold = await self._hold(habits.party)
        await self._stay(habits.decides_s)
        if habits.ending is Ending.VANISHES:
            raise GoneError("vanished")
        if habits.ending is Ending.RELEASES:
            await self._release(hold)
            await self._leave()
            raise GoneError("released")
        while not await self._order(hold):  # it had run out: choose again
            hold = await self._hold(habits.party)

    async def _hold(self, party: int) -> Held:
        """Try until something is held; whoever finds nothing leaves."""
        attempt = 0
        wanted = PERSON_LIMIT + 1 if self._habits.oversteps else party
        while True:
            seats = pick(await self._find_free(), wanted, attempt, self._dice)
            reply = await self._ask_to_hold(seats, self._pass)
            if reply.is_success:
                told = _given(reply.body)
                held = Held(self._habits.number, told.hold, told.seats)
                self._scene.ledger.held.append(held)
                if told.state == "open":
                    return held
            elif reply.outcome == "seat_taken":
                attempt += 1
            elif reply.outcome == "order_limit_reached" and wanted > party:
                wanted = party
            elif reply.outcome == "pass_required":
                await self._enter_again()
            else:
                self._fault(Operation.HOLD, reply)

    async def _ask_to_hold(self, seats: tuple[int, ...], pass_: str) -> Reply:
        request = Request(
            Operation.HOLD,
            "POST",
            self._scene.sale + "/holds",
            _json({"seats": seats}),
            self._token,
            self._new_key(),
            pass_,
        )
        return await self._send(request, "hold")

    async def _find_free(self) -> View:
        """What is free, waiting a while for what others let go of."""
        gives_up_at = self._due + RETURNS_PATIENCE_S
        while True:
            view = await self._look_at_sale()
            if view.free:
                return view
            if not view.held or self._due >= gives_up_at:
                await self._leave()
                raise GoneError("found_nothing")
            await self._stay(self._dice.uniform(*RETURNS_S))

    async def _look_at_sale(self) -> View:
        request = Request(
            Operation.LOOK, "GET", self._scene.sale + "/availability", etag=self._view_etag
        )
        reply = await self._send(request)
        if reply.status not in (200, 304):
            self._fault(Operation.LOOK, reply)
        etag = reply.etag or self._view_etag
        try:
            view = self._scene.sights.read_view(etag, reply.body)
        except LookupError:
            self._view_etag = ""
            return await self._look_at_sale()
        self._view_etag = etag
        return view

    async def _order(self, hold: Held) -> bool:
        """Whether the hold became an order; it may have run out on the way."""
        request = Request(
            Operation.ORDER,
            "POST",
            self._scene.sale + "/orders",
            _json({"hold": hold.hold}),
            self._token,
            self._new_key(),
            self._pass,
        )
        if self._habits.ending is Ending.DIES:
            await self._scene.door.lose(request, self._dice.random() * LOST_WITHIN_S)
            self._scene.intents.append(Intent(self._habits.number, request, hold.hold))
            raise GoneError("died")
        reply = await self._send(request, "order")
        if reply.is_success:
            note_order(self._scene, hold, reply, found=False)
            return True
        if reply.outcome == "hold_expired":
            return False
        self._fault(Operation.ORDER, reply)

    async def _release(self, hold: Held) -> None:
        path = f"{self._scene.sale}/holds/{hold.hold}/release"
        request = Request(Operation.RELEASE, "POST", path, b"", self._token, self._new_key())
        reply = await self._send(request)
        if not reply.is_success and reply.outcome != "hold_expired":
            self._fault(Operation.RELEASE, reply)

    async def _leave(self) -> None:
        body = _json({"pass": self._pass})
        request = Request(Operation.LEAVE, "POST", self._scene.room + "/leave", body)
        reply = await self._send(request)
        if reply.is_success:
            self._scene.ledger.left.append(Left(self._habits.number, self._place.number))
        elif reply.outcome != "pass_revoked":
            self._fault(Operation.LEAVE, reply)

    # Cheating

    async def _try_tricks(self) -> None:
        match self._habits.trick:
            case Trick.FORGE:
                place = with_number(self._place.place, 1)
                if place != self._place.place:
                    self._note_trick(await self._ask_to_enter(place))
            case Trick.JUMP:
                reply = await self._ask_to_enter(self._place.place)
                self._note_trick(reply)
            case Trick.SHARE:
                self._share()
            case None:
                return

    def _share(self) -> None:
        """Somebody else will try her pass, as soon as she has one."""
        self._tabs.append(asyncio.create_task(self._book_as_a_friend()))

    async def _book_as_a_friend(self) -> None:
        try:
            while not self._pass:
                await asyncio.sleep(0.5)
            friend = Visit(self._habits, self._scene, time.monotonic())
            friend._token = _given(  # noqa: SLF001 - the friend is another visitor
                (await friend._ask(Operation.GUEST, "/v1/guests")).body
            ).token
            view = await friend._look_at_sale()
            if view.free:
                self._note_trick(await friend._ask_to_hold(view.free[-1:], self._pass))
        except (GoneError, GaveUpError):
            return

    def _note_trick(self, reply: Reply) -> None:
        """Whether it paid: a jump that was answered with a pass is for the verdict to judge."""
        trick = self._habits.trick
        if trick is None:
            return
        number = self._habits.number
        if trick is Trick.JUMP and reply.status in (200, 201):
            at = self._scene.door.seconds(reply.at)
            place = self._place
            self._scene.ledger.entered.append(Entered(number, place.number, place.serving, at))
        paid = trick is not Trick.JUMP and reply.is_success
        self._scene.ledger.tried.append(
            Tried(number, trick.value, reply.status, reply.outcome, paid)
        )

    # Requests and time

    async def _ask(self, operation: Operation, path: str) -> Reply:
        reply = await self._send(Request(operation, "POST", path, NO_BODY, self._token))
        if not reply.is_success:
            self._fault(operation, reply)
        return reply

    async def _send(self, request: Request, losable: str = "") -> Reply:
        if losable in self._habits.loses:
            await self._scene.door.lose(request, self._dice.random() * LOST_WITHIN_S)
            self._due = time.monotonic()
        reply = await self._scene.door.ask(request, self._due, self._habits.number, self._dice)
        self._due = reply.at
        return reply

    async def _pause(self, seconds: float) -> None:
        self._due += seconds
        await asyncio.sleep(self._due - time.monotonic())
        note(self._scene.figures.driver_late, time.monotonic() - self._due)

    async def _stay(self, seconds: float) -> None:
        """Pause while inside, keeping the pass alive."""
        until = self._due + seconds
        while self._renew_due < until:
            await self._pause(max(0.0, self._renew_due - self._due))
            await self._renew()
        await self._pause(max(0.0, until - self._due))

    def _move(self, stage: str) -> None:
        if self._stage:
            self._scene.now[self._stage] -= 1
        self._stage = stage
        if stage:
            self._scene.now[stage] += 1

    def _new_key(self) -> str:
        return str(UUID(int=self._dice.getrandbits(128)))

    def _fault(self, operation: Operation, reply: Reply) -> NoReturn:
        if reply.status < 500:  # those are noted by the door
            at = self._scene.door.seconds(reply.at)
            self._scene.ledger.faults.append(
                Fault(self._habits.number, operation.value, reply.status, reply.outcome, at)
            )
        raise GoneError("refused")


def note_order(scene: Scene, hold: Held, reply: Reply, *, found: bool) -> None:
    told = _given(reply.body)
    at = scene.door.seconds(reply.at)
    scene.ledger.ordered.append(Ordered(hold.visitor, told.order, hold.hold, told.seats, at, found))
    scene.bought += len(told.seats)


def with_number(place: str, number: int) -> str:
    """A place with another number in it; its signature is then wrong."""
    raw = bytearray(urlsafe_b64decode(place + "=" * (-len(place) % 4)))
    raw[NUMBER_BYTES] = number.to_bytes(8, "big")
    return urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
