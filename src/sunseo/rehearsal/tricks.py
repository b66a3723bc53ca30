"""What cheaters try, each with the answer they get. None of it may get them anything."""

import asyncio
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

from sunseo.rehearsal.caller import Caller, GoneError
from sunseo.rehearsal.door import GaveUpError, Reply, Request
from sunseo.rehearsal.habits import Trick
from sunseo.rehearsal.ledger import Entered, Operation, Tried
from sunseo.rehearsal.scene import Given, encode, given

NUMBER_BYTES = slice(16, 24)  # of a place, see docs/protocol/tokens.md


async def forge(caller: Caller, place: str) -> None:
    """Enter with number one written into her place; its signature is then wrong."""
    forged = with_number(place, 1)
    if forged != place:
        reply = await caller.send(enter_request(caller, forged))
        note_trick(caller, Trick.FORGE, reply, paid=reply.is_success)


async def jump(caller: Caller, place: Given) -> None:
    """Enter at once. If that gets her a pass, the verdict says whether she had been called."""
    reply = await caller.send(enter_request(caller, place.place))
    note_trick(caller, Trick.JUMP, reply, paid=False)
    if reply.status in (200, 201):
        caller.scene.ledger.entered.append(
            Entered(caller.habits.number, place.number, place.serving, caller.seconds(reply.at))
        )


async def book_as_a_friend(caller: Caller, lent: "asyncio.Future[str]") -> None:
    """Somebody else tries to hold a seat with her pass, once it is lent."""
    pass_ = await lent
    friend = Caller(caller.habits, caller.scene, time.monotonic())
    try:
        friend.token = given((await friend.ask(Operation.GUEST, "/v1/guests")).body).token
        view = await friend.look_at_sale()
        if view.free:
            reply = await friend.send(hold_request(friend, view.free[-1:], pass_))
            note_trick(caller, Trick.SHARE, reply, paid=reply.is_success)
    except (GoneError, GaveUpError):
        return


def note_trick(caller: Caller, trick: Trick, reply: Reply, *, paid: bool) -> None:
    caller.scene.ledger.tried.append(
        Tried(caller.habits.number, trick.value, reply.status, reply.outcome, paid)
    )


def enter_request(caller: Caller, place: str) -> Request:
    path = caller.scene.room + "/enter"
    return Request(Operation.ENTER, "POST", path, encode({"place": place}), caller.token)


def hold_request(caller: Caller, seats: tuple[int, ...], pass_: str) -> Request:
    return Request(
        Operation.HOLD,
        "POST",
        caller.scene.sale + "/holds",
        encode({"seats": seats}),
        caller.token,
        caller.new_key(),
        pass_,
    )


def with_number(place: str, number: int) -> str:
    """A place with another number in it."""
    raw = bytearray(urlsafe_b64decode(place + "=" * (-len(place) % 4)))
    raw[NUMBER_BYTES] = number.to_bytes(8, "big")
    return urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
