"""What all visitors of a rehearsal share, and what answers carry."""

from collections import Counter

import msgspec

from sunseo.rehearsal.door import Door, Reply, Request
from sunseo.rehearsal.ledger import Figures, Held, Ledger, Ordered
from sunseo.rehearsal.sights import Sights


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


given = msgspec.json.Decoder(Given).decode
encode = msgspec.json.Encoder().encode


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
    person_limit: int
    arrived: int = 0
    now: Counter[str] = msgspec.field(default_factory=Counter)  # in_line, inside
    bought: int = 0
    intents: list[Intent] = []


def note_order(scene: Scene, hold: Held, reply: Reply, *, found: bool) -> None:
    told = given(reply.body)
    at = scene.door.seconds(reply.at)
    scene.ledger.ordered.append(Ordered(hold.visitor, told.order, hold.hold, told.seats, at, found))
    scene.bought += len(told.seats)
