"""What all visitors of a rehearsal share, and what answers carry."""

from collections import Counter

import msgspec

from sunseo.rehearsal.crowd.arrivals import Arrivals
from sunseo.rehearsal.crowd.documents import DocumentCache
from sunseo.rehearsal.crowd.picking import Goods
from sunseo.rehearsal.http.client import ApiClient, ApiReply, Request
from sunseo.rehearsal.observe.ledger import Figures, Held, Ledger, Ordered


class Issuer(msgspec.Struct, frozen=True):
    """The site whose customers most visitors are: it vouches for them with tokens."""

    name: str
    secret: str
    organisation: int


class ProductQuantity(msgspec.Struct, frozen=True):
    """So many of a product."""

    product: int
    quantity: int


class AnswerBody(msgspec.Struct):
    """What answers carry, as far as visitors read it."""

    token: str = ""
    person: str = ""
    nonce: str = ""
    place: str = ""
    receipt: str = ""
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
    products: tuple[ProductQuantity, ...] = ()

    @property
    def units(self) -> int:
        return len(self.seats) + sum(one.quantity for one in self.products)


read_answer = msgspec.json.Decoder(AnswerBody).decode
encode = msgspec.json.Encoder().encode


class PendingOrder(msgspec.Struct, frozen=True):
    """An order whose answer nobody waited for."""

    visitor: int
    request: Request
    hold: str


class CrowdState(msgspec.Struct):
    """What all visitors share. Paths are prefixes; sales are those of each opening in turn."""

    client: ApiClient
    documents: DocumentCache
    ledger: Ledger
    figures: Figures
    sales: list[str]
    issuer: Issuer | None
    arrivals: Arrivals
    goods: Goods
    room: str = ""  # empty where there is none
    arrived: int = 0
    now: Counter[str] = msgspec.field(default_factory=Counter)  # in_line, inside
    bought: int = 0
    pending_orders: list[PendingOrder] = []

    def sale_for(self, at_s: float, number: int) -> tuple[str, float]:
        """Which sale somebody comes for who comes then, and when that opens."""
        openings = self.arrivals.openings_s
        place = self.arrivals.opening_for(at_s)
        of_opening = self.sales[place :: len(openings)] or [""]
        return of_opening[number % len(of_opening)], openings[place]


def note_order(crowd: CrowdState, hold: Held, reply: ApiReply, *, found: bool) -> None:
    told = read_answer(reply.body)
    at = crowd.client.seconds(reply.at)
    products = [(one.product, one.quantity) for one in told.products]
    crowd.ledger.ordered.append(
        Ordered(hold.visitor, told.order, hold.hold, told.seats, at, found, products)
    )
    crowd.bought += told.units
