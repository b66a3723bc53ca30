"""What cheaters try, each with the answer they get. None of it may get them anything."""

import asyncio
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

from sunseo.rehearsal.crowd.behaviour import Cheat
from sunseo.rehearsal.crowd.caller import GoneError, VisitorClient
from sunseo.rehearsal.crowd.picking import Claim
from sunseo.rehearsal.crowd.shared import AnswerBody, encode, read_answer
from sunseo.rehearsal.http.client import ApiReply, GaveUpError, Request
from sunseo.rehearsal.observe.ledger import CheatAttempt, EnteredRoom, Held, Operation

BURST, BURSTS_MAX = 8, 30
BETWEEN_BURSTS_S = (0.05, 0.2)
NUMBER_BYTES = slice(16, 24)  # of a place, see docs/protocol/tokens.md


async def forge(caller: VisitorClient, place: str) -> None:
    """Enter with number one written into her place; its signature is then wrong."""
    forged = with_number(place, 1)
    if forged != place:
        reply = await caller.send(enter_request(caller, forged))
        note_cheat(caller, Cheat.FORGE, reply, paid=reply.is_success)


async def jump(caller: VisitorClient, place: AnswerBody) -> None:
    """Enter at once. If that gets her a pass, the verdict says whether she had been called."""
    reply = await caller.send(enter_request(caller, place.place))
    note_cheat(caller, Cheat.JUMP, reply, paid=False)
    if reply.status in (200, 201):
        caller.crowd.ledger.entered.append(
            EnteredRoom(
                caller.behaviour.number, place.number, place.serving, caller.seconds(reply.at)
            )
        )


async def book_as_a_friend(caller: VisitorClient, lent: "asyncio.Future[str]") -> None:
    """Somebody else tries to hold a seat with her pass, once it is lent."""
    pass_ = await lent
    friend = VisitorClient(caller.behaviour, caller.crowd, time.monotonic())
    friend.sale = caller.sale
    try:
        friend.token = read_answer((await friend.ask(Operation.GUEST, "/v1/guests")).body).token
        view = await friend.look_at_sale()
        if view.free:
            claim = friend.crowd.goods.claim_one(view.free[-1])
            reply = await friend.send(hold_request(friend, claim, pass_))
            note_cheat(caller, Cheat.SHARE, reply, paid=reply.is_success)
    except (GoneError, GaveUpError):
        return


async def hammer(caller: VisitorClient, pass_: str) -> Held | None:
    """Bursts of holds, as many keys as holds, until one is placed or nothing is left.

    Of a burst no more may be placed than one person may have, and without a pass none.
    """
    crowd, goods = caller.crowd, caller.crowd.goods
    for _ in range(BURSTS_MAX):
        view = await caller.look_at_sale()
        if not view.free:
            return None
        requests = [
            hold_request(caller, goods.claim_one(caller.dice.choice(view.free)), pass_)
            for _ in range(BURST)
        ]
        due = caller.due
        replies = await asyncio.gather(
            *(
                crowd.client.ask(request, due, caller.behaviour.number, caller.dice)
                for request in requests
            )
        )
        placed = [read_answer(reply.body) for reply in replies if reply.is_success]
        units = sum(told.units for told in placed)
        note_cheat(caller, Cheat.HAMMER, replies[0], paid=units > goods.person_limit)
        holds = [note_hold(caller, told) for told in placed]
        if holds:
            return holds[0]
        await caller.pause(caller.dice.uniform(*BETWEEN_BURSTS_S))
    return None


def note_hold(caller: VisitorClient, told: AnswerBody) -> Held:
    products = [(one.product, one.quantity) for one in told.products]
    held = Held(caller.behaviour.number, told.hold, told.seats, products)
    caller.crowd.ledger.held.append(held)
    return held


def note_cheat(caller: VisitorClient, cheat: Cheat, reply: ApiReply, *, paid: bool) -> None:
    caller.crowd.ledger.tried.append(
        CheatAttempt(caller.behaviour.number, cheat.value, reply.status, reply.outcome, paid)
    )


def enter_request(caller: VisitorClient, place: str) -> Request:
    path = caller.crowd.room + "/enter"
    return Request(Operation.ENTER, "POST", path, encode({"place": place}), caller.token)


def hold_request(caller: VisitorClient, claim: Claim, pass_: str) -> Request:
    return Request(
        Operation.HOLD,
        "POST",
        caller.sale + "/holds",
        encode(claim),
        caller.token,
        caller.new_key(),
        pass_,
    )


def with_number(place: str, number: int) -> str:
    """A place with another number in it."""
    raw = bytearray(urlsafe_b64decode(place + "=" * (-len(place) % 4)))
    raw[NUMBER_BYTES] = number.to_bytes(8, "big")
    return urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
