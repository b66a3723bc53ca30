"""The state document of a room: the same bytes for everybody, built once a tick and signed.

A visitor works out her own position from it, a gate learns which passes are void, and any cache
may keep it for a second. Every worker builds it from the same rows.
"""

from typing import Literal
from uuid import UUID

import msgspec

from sunseo.core.clock import Instant, to_millis
from sunseo.passes.keys import KeyRing
from sunseo.passes.polling import Poll
from sunseo.room.draw.rules import Keeper
from sunseo.room.setup.schedule import Phase
from sunseo.room.setup.settings import FailMode, Message, Mode, RoomSettings

Slowed = Literal["paused", "slowed", "unhealthy"]
Halted = Literal[
    "closed",  # its time is over, or its mode says so
    "sold_out",  # nothing is left, and those who wait are told so
    "paused",  # by its operator
    "before",  # its opening is still to come
    "draw_due",  # the server is about to hold the draw
    "draw_secret",  # the draw waits for the secret of whoever promised it
    "draw_withheld",  # the secret did not come; another commitment is waited for
    "stock",  # those inside could buy all that is left
]
DrawState = Literal["none", "committed", "sealed", "withheld", "revealed"]

_SIGNATURE = b',"signature":"'


class ShownSpeed(msgspec.Struct, frozen=True):
    """Numbers called per second: the slow end, the middle and the fast end of the estimate."""

    v10: float
    v50: float
    v90: float


class Shown(msgspec.Struct, frozen=True):
    """What the controller last said about a room's line, for all workers to show.

    Attributes:
        slowed: why the line moves less than it could; None when it moves as usual.
        units_left: not yet sold; None where no stock is behind the room.
        stock_holds: those inside could buy all that is left, so that nobody is called.
    """

    speed: ShownSpeed | None = None
    slowed: Slowed | None = None
    units_left: int | None = None
    sold_out: bool = False
    stock_holds: bool = False


class ShownDraw(msgspec.Struct, frozen=True, kw_only=True):
    """The draw of a room in mode `random`, as everybody may see it.

    Attributes:
        keeper: who keeps the secret until it is revealed.
        entrants: registered so far; once the list is sealed, drawn.
    """

    state: DrawState = "none"
    keeper: Keeper = "server"
    committer: str | None = None
    commitment: str | None = None  # hexadecimal
    entrants: int = 0

    @property
    def is_awaited(self) -> bool:
        """Whether the first numbers are still to be drawn, so that nobody can be called."""
        return self.state != "revealed"


class PassTerms(msgspec.Struct, frozen=True):
    """Seconds that a pass lasts, and how long before its end to renew it."""

    ttl: int
    renew_before: int


class StateDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The document without its signature; members go over the wire in this order."""

    room: int
    epoch: int
    phase: Phase
    mode: Mode
    issued: int
    serving: int
    speed: ShownSpeed | None
    slowed: Slowed | None
    halted: Halted | None
    draw: ShownDraw | None
    units_left: int | None
    sold_out: bool
    message: Message | None
    opens_at: int | None  # ms since 1970 UTC
    poll: Poll
    pass_: PassTerms = msgspec.field(name="pass")
    revoked: list[UUID]
    fail_mode: FailMode
    now: int  # ms since 1970 UTC, by the database's clock


class SignedState(StateDocument, frozen=True, kw_only=True):
    """As served: `signature` covers the exact bytes before `,"signature":"`."""

    signature: str


_encode = msgspec.json.Encoder().encode


def poll_of(settings: RoomSettings) -> Poll:
    return Poll(settings.poll_floor_s, settings.poll_ceiling_s, settings.poll_divisor)


def pass_terms_of(settings: RoomSettings) -> PassTerms:
    """Renew when a third of the time is left: a lost answer leaves time for another try."""
    return PassTerms(settings.pass_ttl_s, max(1, settings.pass_ttl_s // 3))


def moment_of(instant: Instant | None) -> int | None:
    return None if instant is None else to_millis(instant)


def content_of(state: StateDocument) -> bytes:
    """The document without its time: equal for as long as nothing else has changed."""
    return _encode(msgspec.structs.replace(state, now=0))


def seal_state(state: StateDocument, keys: KeyRing, *, ed25519: bool) -> tuple[bytes, str]:
    """The signed document, and the signature, which tells one document from another."""
    document = _encode(state)[:-1]
    signature = keys.state_signature(state.room, document, ed25519)
    return document + _SIGNATURE + signature.encode() + b'"}', signature


class BoardReading:
    """The last reading of all rooms, and what the database's clock said."""

    __slots__ = ("now_ms", "number")

    def __init__(self) -> None:
        self.number = 0
        self.now_ms = 0
