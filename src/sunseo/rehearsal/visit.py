"""One buyer's visit, from the first look to the order: or to leaving without one."""

import asyncio
import time
from uuid import UUID

import jwt
import msgspec

from sunseo.rehearsal.buyers import PERSON_LIMIT, Basket, Buyer, Ending, choose
from sunseo.rehearsal.driver import Door, Json, NoAnswerError, Reply, Window
from sunseo.rehearsal.figures import Figures

TOKEN_LIFETIME_S = 3600
SCARCE_PART = 20  # when less than one part in so many is free, nobody lets go of what she has
WAIT_FOR_RETURNS_S = (0.4, 1.2)  # between looks while all that is left is in others' hands


class Host(msgspec.Struct, frozen=True):
    """The site whose customers most buyers are: it vouches for them with tokens."""

    issuer: str
    secret: str

    def token_of(self, buyer: Buyer) -> str:
        claims = {
            "iss": self.issuer,
            "sub": f"buyer-{buyer.number}",
            "exp": int(time.time()) + TOKEN_LIFETIME_S,
        }
        return jwt.encode(claims, self.secret, "HS256")


class Sight(msgspec.Struct):
    """What all buyers of a sale have before their eyes."""

    door: Door
    window: Window
    host: Host
    capacity: int
    figures: Figures

    @property
    def is_sold_out(self) -> bool:
        return self.window.view.sold >= self.capacity


class Visit:
    def __init__(self, buyer: Buyer, sight: Sight) -> None:
        self._buyer = buyer
        self._sight = sight
        self._door = sight.door
        self._token = ""
        self._sees_the_end = False

    async def run(self) -> None:
        """Come, try, and leave: with an order, without one by choice, or because it is over."""
        buyer = self._buyer
        self._token = (
            await self._door.guest() if buyer.is_guest else self._sight.host.token_of(buyer)
        )
        while (hold := await self._hold(buyer.party)) is not None:
            match Ending.BUYS if self._sees_the_end else buyer.ending:
                case Ending.VANISHES:
                    return
                case Ending.RELEASES:
                    await self._release(hold)
                    return
                case Ending.BUYS:
                    if await self._order(hold):
                        break
        if buyer.returns and hold is not None:
            await self._try_for_more()

    async def _hold(self, units: int) -> Reply | None:
        """Try until something is held; nothing when all is sold."""
        attempt = 0
        too_many = PERSON_LIMIT + 1 if self._buyer.oversteps else units
        while (basket := await self._pick(too_many, attempt)) is not None:
            reply = await self._place(basket)
            if reply.status in (200, 201):
                if reply.body["state"] == "open":
                    return reply
            elif reply.outcome in ("seat_taken", "sold_out"):
                attempt += 1
            elif reply.outcome == "order_limit_reached":
                too_many = units
            else:
                raise NoAnswerError(f"a hold was answered {reply.status} {reply.outcome}")
        return None

    async def _pick(self, units: int, attempt: int) -> Basket | None:
        while True:
            view = await self._sight.window.look(self._door)
            if self._sight.is_sold_out:
                return None
            self._sees_the_end = view.free * SCARCE_PART < self._sight.capacity
            if (basket := choose(self._buyer, view, units, attempt)) is not None:
                return basket
            await asyncio.sleep(self._buyer.dice.uniform(*WAIT_FOR_RETURNS_S))

    async def _place(self, basket: Basket) -> Reply:
        buyer = self._buyer
        return await self._door.hold(
            self._token,
            self._new_key(),
            body_of(basket),
            lost=buyer.dice if buyer.loses_hold else None,
        )

    async def _order(self, hold: Reply) -> bool:
        """Whether the hold became an order; it may have run out on the way."""
        buyer = self._buyer
        reply = await self._door.order(
            self._token,
            self._new_key(),
            UUID(hold.body["hold"]),
            lost=buyer.dice if buyer.loses_order else None,
        )
        if reply.status in (200, 201):
            order = UUID(reply.body["order"])
            self._sight.figures.note_order(order, basket_of(reply.body), self._door.elapsed_s)
            return True
        if reply.outcome == "hold_expired":
            return False
        raise NoAnswerError(f"an order was answered {reply.status} {reply.outcome}")

    async def _release(self, hold: Reply) -> None:
        await self._door.release(self._token, self._new_key(), UUID(hold.body["hold"]))

    async def _try_for_more(self) -> None:
        """Ask for more than a person may have; what is granted all the same is given back."""
        basket = await self._pick(PERSON_LIMIT, 2)
        if basket is not None:
            reply = await self._place(basket)
            if reply.status in (200, 201):
                await self._release(reply)

    def _new_key(self) -> str:
        return str(UUID(int=self._buyer.dice.getrandbits(128)))


def body_of(basket: Basket) -> Json:
    return {
        "seats": basket.seats,
        "products": [{"product": p, "quantity": quantity} for p, quantity in basket.products],
    }


def basket_of(body: Json) -> Basket:
    products = tuple((part["product"], part["quantity"]) for part in body["products"])
    return Basket(tuple(body["seats"]), products)
