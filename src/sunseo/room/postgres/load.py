"""Lock the lines that a batch is about, then read the time and all that the batch decides by.

What a line is locked for cannot change any more: places, registrations and passes of a room are
written by holders of that lock only. Settings can change at any time; a batch decides by one
version of them.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec

from sunseo.core.clock import Instant, to_millis
from sunseo.postgres.connection import Transaction
from sunseo.postgres.locks import Lockable
from sunseo.postgres.queries import load_queries
from sunseo.room.line.commands import (
    Enter,
    ExpirePasses,
    Join,
    PassCommand,
    RoomCommand,
    RoomKey,
    number_of,
)
from sunseo.room.line.line import (
    Line,
    LineEntrant,
    LinePass,
    LinePlace,
    PassState,
    RoomTerms,
)
from sunseo.room.setup.schedule import phase_at, takes_joins
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.setup.stored import UnreadableSettingsError, read_settings

QUERIES = load_queries("sunseo.room.postgres")

UNKNOWN_VERSION = 0  # versions count from one
ROOMS_KEPT_MAX = 10_000  # settings kept at once; then all are read again
NUMBER_MAX = 2**63 - 1  # a token has room for more, and a gate's key could sign that

_encode = msgspec.json.Encoder().encode


class _RoomRow(msgspec.Struct, gc=False):
    organisation: int
    room: int
    version: int


class _HolderRow(msgspec.Struct, gc=False):
    organisation: int
    room: int
    epoch: int
    holder: UUID


class _NumberRow(msgspec.Struct, gc=False):
    organisation: int
    room: int
    epoch: int
    number: int


class _DueRow(msgspec.Struct, gc=False):
    organisation: int
    room: int
    epoch: int
    passes_max: int


class _Wanted(msgspec.Struct):
    """What a batch has to look up."""

    holders: list[_HolderRow] = []
    entrants: list[_HolderRow] = []
    numbers: list[_NumberRow] = []
    due: list[_DueRow] = []
    entering: list[_NumberRow] = []


class _Found(msgspec.Struct):
    """What the look-up of a room has brought."""

    places: list[asyncpg.Record] = []
    entrants: list[asyncpg.Record] = []
    passes: list[asyncpg.Record] = []
    due: list[asyncpg.Record] = []
    numbers: list[asyncpg.Record] = []

    def add(self, row: asyncpg.Record) -> None:
        match row["kind"]:
            case "place":
                self.places.append(row)
            case "entrant":
                self.entrants.append(row)
            case "pass":
                self.passes.append(row)
            case "due":
                self.due.append(row)
            case "number":
                self.numbers.append(row)


class LineLoader:
    """Serves one lane; keeps nothing between batches but the settings of rooms."""

    def __init__(self) -> None:
        self._known: dict[RoomKey, tuple[int, RoomSettings | UnreadableSettingsError]] = {}

    async def load(
        self, tx: Transaction, commands: Sequence[RoomCommand]
    ) -> tuple[dict[RoomKey, Line | UnreadableSettingsError], Instant | None]:
        """Lock the lines of the commands' rooms and read what these need, then the time.

        A room that does not exist has no line; without any line there is no time either. Instead
        of a line that nothing can be decided on, there is the fault.
        """
        keys = {command.room for command in commands}
        locked = await tx.lock(
            Lockable.ROOM_LINE,
            QUERIES["lock_lines"],
            [organisation for organisation, _ in keys],
            [room for _, room in keys],
        )
        rows = {(row["organisation"], row["room"]): row for row in locked}
        if not rows:
            return {}, None

        wanted = _wanted_by(commands, rows)
        found, now = await self._look_up(tx, list(rows), wanted)
        return {key: self._line_of(key, row, found[key], now) for key, row in rows.items()}, now

    async def _look_up(
        self, tx: Transaction, keys: list[RoomKey], wanted: _Wanted
    ) -> tuple[dict[RoomKey, _Found], Instant]:
        if len(self._known) > ROOMS_KEPT_MAX:
            self._known.clear()
        unknown = (UNKNOWN_VERSION, None)
        versions = [_RoomRow(*key, self._known.get(key, unknown)[0]) for key in keys]
        rows = await tx.fetch_with_clock(
            QUERIES["look_up"],
            _json(versions),
            _json(wanted.holders),
            _json(wanted.entrants),
            _json(wanted.numbers),
            _json(wanted.due),
            _json(wanted.entering),
        )
        found = {key: _Found() for key in keys}
        now: Instant | None = next((row["at"] for row in rows if row["kind"] == "clock"), None)
        if now is None:
            raise RuntimeError("the clock did not answer")
        for row in rows:
            key = row["organisation"], row["room"]
            match row["kind"]:
                case "room":
                    self._learn(key, row, now)
                case "clock":
                    pass
                case _:
                    found[key].add(row)
        return found, now

    def _learn(self, key: RoomKey, row: asyncpg.Record, now: Instant) -> None:
        if row["text"] is None:
            return  # as known
        try:
            settings: RoomSettings | UnreadableSettingsError = read_settings(row["text"], now)
        except UnreadableSettingsError as error:
            settings = error
        self._known[key] = row["number"], settings

    def _line_of(
        self, key: RoomKey, row: asyncpg.Record, found: _Found, now: Instant
    ) -> Line | UnreadableSettingsError:
        _, settings = self._known[key]
        if isinstance(settings, UnreadableSettingsError):
            return settings
        phase, opens_at, _ = phase_at(settings, now)
        line = Line(
            key=key,
            epoch=row["epoch"],
            issued=row["issued"],
            serving=row["serving"],
            live=row["live"],
            departed=row["departed"],
            capacity=row["capacity"],
            entrants=row["entrants"],
            sealed=row["sealed"],
            is_restored=row["unlisted"] > 0,
            terms=RoomTerms(settings, phase, opens_at, takes_joins(settings, now), to_millis(now)),
        )
        for place in found.places:
            line.places[place["holder"]] = _place_of(place)
            if place["id"] is not None:
                line.passes[place["number"]] = _pass_of(place)
        for entrant in found.entrants:
            line.registered[entrant["holder"]] = _entrant_of(entrant)
        for held in found.passes:
            line.passes[held["number"]] = _pass_of(held)
        line.owners = {one["number"]: one["holder"] for one in found.numbers}
        line.unlisted = {one["number"] for one in found.numbers if one["renewal"]}
        due = [line.passes.setdefault(one["number"], _pass_of(one)) for one in found.due]
        due.sort(key=lambda held: (held.slot_until_ms, held.number), reverse=True)
        line.past_due = due
        return line


def _wanted_by(commands: Sequence[RoomCommand], rows: dict[RoomKey, asyncpg.Record]) -> _Wanted:
    wanted = _Wanted()
    entering: dict[RoomKey, int] = {}
    to_expire: dict[RoomKey, int] = {}
    for command in commands:
        key = command.room
        row = rows.get(key)
        if row is None:
            continue
        if isinstance(command, Join):
            asked = _HolderRow(*key, row["epoch"], command.holder)
            wanted.holders.append(asked)
            if row["entrants"] > 0:
                wanted.entrants.append(asked)
        elif isinstance(command, Enter):
            _want_number(wanted.numbers, key, row, command.number)
            _want_number(wanted.entering if row["unlisted"] else [], key, row, command.number)
            entering[key] = entering.get(key, 0) + 1
        elif isinstance(command, PassCommand):
            _want_number(wanted.numbers, key, row, number_of(command.pass_id))
        elif isinstance(command, ExpirePasses):
            to_expire[key] = to_expire.get(key, 0) + command.passes_max
    for key, row in rows.items():
        enters = entering.get(key, 0)
        missing = row["live"] + enters - row["capacity"]
        # Who comes back to a lapsed pass takes it out of the list: hence as many again.
        reclaim = missing + enters if enters and missing > 0 else 0
        if passes_max := reclaim + to_expire.get(key, 0):
            wanted.due.append(_DueRow(*key, row["epoch"], passes_max))
    return wanted


def _want_number(numbers: list[_NumberRow], key: RoomKey, row: asyncpg.Record, number: int) -> None:
    """Look a number up, unless no line can have such a one: then there is nothing."""
    if number <= NUMBER_MAX:
        numbers.append(_NumberRow(*key, row["epoch"], number))


def _place_of(row: asyncpg.Record) -> LinePlace:
    return LinePlace(row["holder"], row["number"], row["binding"], to_millis(row["at"]))


def _entrant_of(row: asyncpg.Record) -> LineEntrant:
    return LineEntrant(row["holder"], row["id"], row["binding"], to_millis(row["at"]))


def _pass_of(row: asyncpg.Record) -> LinePass:
    ended_at = row["ended_at"]
    return LinePass(
        number=row["number"],
        pass_id=row["id"],
        holder=row["holder"],
        state=PassState(row["text"]),
        renewal=row["renewal"],
        renewed_at_ms=to_millis(row["renewed_at"]),
        entered_at_ms=to_millis(row["entered_at"]),
        expires_at_ms=to_millis(row["expires_at"]),
        slot_until_ms=to_millis(row["slot_until"]),
        session_until_ms=to_millis(row["session_until"]),
        ended_at_ms=None if ended_at is None else to_millis(ended_at),
    )


def _json(rows: Sequence[msgspec.Struct]) -> str:
    return _encode(rows).decode()
