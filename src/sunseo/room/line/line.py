"""One room's line as a batch has locked it, in memory, with the moves that keep it consistent.

State       A pass is LIVE until left, completed, expired or revoked; one that expired may live
            again while its session lasts.
Guarantee   `live` counts exactly the passes that take up a slot, and numbers follow each other
            without a gap. What moved is noted, for the store to write.
Clock       None: moves are told the time, in milliseconds since 1970, as tokens have it.
"""

from enum import Enum, unique
from uuid import UUID

import msgspec

from sunseo.core.clock import Instant
from sunseo.room.line.commands import RoomKey
from sunseo.room.setup.schedule import Phase
from sunseo.room.setup.settings import RoomSettings

SECOND_MS = 1000


@unique
class PassState(Enum):
    LIVE = "live"
    LEFT = "left"
    COMPLETED = "completed"
    EXPIRED = "expired"
    REVOKED = "revoked"


class LinePlace(msgspec.Struct, frozen=True, gc=False):
    """A number in the line. `binding` is none where the holder is an account.

    An account takes its next place when the one before is used up.
    """

    holder: UUID
    number: int
    binding: UUID | None
    issued_at_ms: int


class LineEntrant(msgspec.Struct, frozen=True, gc=False):
    """Somebody who takes part in the draw under a random id."""

    holder: UUID
    entrant: UUID
    binding: UUID | None
    registered_at_ms: int


class LinePass(msgspec.Struct, gc=False):
    """A pass, as stored; `slot_until_ms` is its expiry and an allowance for gates' clocks."""

    number: int
    pass_id: UUID
    holder: UUID
    state: PassState
    renewal: int
    renewed_at_ms: int
    entered_at_ms: int
    expires_at_ms: int
    slot_until_ms: int
    session_until_ms: int
    ended_at_ms: int | None = None


class RoomTerms(msgspec.Struct, frozen=True):
    """What a room allows at one moment."""

    settings: RoomSettings
    phase: Phase  # as if its line never ran empty: who was called may come until the next opening
    opens_at: Instant | None
    takes_joins: bool
    now_ms: int


class Line(msgspec.Struct):
    """One room, as far as the batch has locked it."""

    key: RoomKey
    epoch: int
    issued: int
    serving: int
    live: int
    departed: int
    capacity: int
    entrants: int
    sealed: bool
    terms: RoomTerms
    is_restored: bool = False  # from a backup: some numbers of the epoch live only in tokens
    owners: dict[int, UUID | None] = {}  # of numbers that want to enter, where it is restored
    unlisted: set[int] = set()  # those of them that were given after the backup, maybe
    places: dict[UUID, LinePlace] = {}  # the newest of each holder
    registered: dict[UUID, LineEntrant] = {}
    passes: dict[int, LinePass] = {}
    past_due: list[LinePass] = []  # taking up slots though their time has run out, oldest last
    new_places: list[LinePlace] = []
    followed: dict[int, int] = {}  # numbers that are used up, with those that follow them
    new_entrants: list[LineEntrant] = []
    moved_passes: dict[int, LinePass] = {}

    @property
    def has_moved(self) -> bool:
        return bool(self.new_places or self.new_entrants or self.moved_passes)

    def is_stray(self, number: int, holder: UUID) -> bool:
        """Whether a genuine place counts no more: given after a backup, past what was kept free.

        The number has been given anew since, or will be; nobody else's may be taken for it.
        """
        owner = self.owners.get(number)
        if not self.is_restored or owner == holder:
            return False
        return owner is not None or number not in self.unlisted

    @property
    def has_slot(self) -> bool:
        return self.live < self.capacity or self.terms.settings.mode == "passthrough"

    def give_place(self, holder: UUID, binding: UUID | None, now_ms: int) -> LinePlace:
        """Give the next number; it follows the holder's place of before, if there is one."""
        self.issued += 1
        place = LinePlace(holder, self.issued, binding, now_ms)
        if (before := self.places.get(holder)) is not None:
            self.followed[before.number] = place.number
        self.places[holder] = place
        self.new_places.append(place)
        return place

    def register(
        self, holder: UUID, entrant: UUID, binding: UUID | None, now_ms: int
    ) -> LineEntrant:
        """Take somebody into the draw."""
        self.entrants += 1
        entry = LineEntrant(holder, entrant, binding, now_ms)
        self.registered[holder] = entry
        self.new_entrants.append(entry)
        return entry

    def open_pass(self, number: int, pass_id: UUID, holder: UUID, now_ms: int) -> LinePass:
        """Give a slot to a number that has had no pass so far."""
        session_until_ms = now_ms + self.terms.settings.session_max_s * SECOND_MS
        opened = LinePass(
            number, pass_id, holder, PassState.LIVE, 0, now_ms, now_ms, 0, 0, session_until_ms
        )
        self.passes[number] = opened
        self.live += 1
        self._extend(opened, now_ms)
        return opened

    def renew(self, held: LinePass, now_ms: int) -> None:
        """Give a pass its full time again, and a slot if it had lost it."""
        if held.state is PassState.EXPIRED:
            held.state, held.ended_at_ms = PassState.LIVE, None
            self.live += 1
        held.renewal += 1
        held.renewed_at_ms = now_ms
        self._extend(held, now_ms)

    def end(self, held: LinePass, how: PassState, now_ms: int) -> None:
        """End a pass; its slot is free if it still had one."""
        if held.state is PassState.LIVE:
            self.live -= 1
            self.departed += 1
        held.state, held.ended_at_ms = how, now_ms
        self.moved_passes[held.number] = held

    def _extend(self, held: LinePass, now_ms: int) -> None:
        settings = self.terms.settings
        lasts_until_ms = now_ms + settings.pass_ttl_s * SECOND_MS
        held.expires_at_ms = min(lasts_until_ms, held.session_until_ms)
        held.slot_until_ms = held.expires_at_ms + settings.skew_s * SECOND_MS
        self.moved_passes[held.number] = held
