"""Write back what has moved in the lines of a batch: all of it in one statement."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from sunseo.core.clock import from_millis
from sunseo.postgres.connection import Transaction
from sunseo.room.line.line import Line, LinePass, LinePlace, PassState
from sunseo.room.postgres.load import QUERIES

_encode = msgspec.json.Encoder().encode


class _PlaceRow(msgspec.Struct, gc=False):
    """A row of `room_places`, by its columns' names; so are the others."""

    organisation: int
    room: int
    epoch: int
    holder: UUID
    number: int
    binding: UUID | None
    followed_by: int | None


class _FollowedRow(msgspec.Struct, gc=False):
    organisation: int
    room: int
    epoch: int
    number: int
    followed_by: int


class _EntrantRow(msgspec.Struct, gc=False):
    organisation: int
    room: int
    epoch: int
    holder: UUID
    entrant: UUID
    binding: UUID | None


class _PassRow(msgspec.Struct, gc=False):
    organisation: int
    room: int
    epoch: int
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
    ended_at_ms: int | None


class _LineRow(msgspec.Struct, gc=False):
    organisation: int
    room: int
    issued: int
    live: int
    departed: int
    entrants: int


async def save(tx: Transaction, lines: Iterable[Line], now_ms: int) -> None:
    """Write decided lines; nothing where nothing has moved."""
    moved = [line for line in lines if line.has_moved]
    if not moved:
        return
    places = [_place_row(line, new) for line in moved for new in line.new_places]
    followed = [
        _FollowedRow(*line.key, line.epoch, number, by)
        for line in moved
        for number, by in line.followed.items()
    ]
    entrants = [
        _EntrantRow(*line.key, line.epoch, new.holder, new.entrant, new.binding)
        for line in moved
        for new in line.new_entrants
    ]
    passes = [_pass_row(line, held) for line in moved for held in line.moved_passes.values()]
    counts = [
        _LineRow(*line.key, line.issued, line.live, line.departed, line.entrants) for line in moved
    ]
    await tx.fetch(
        QUERIES["write_lines"],
        from_millis(now_ms),
        _json(places),
        _json(followed),
        _json(entrants),
        _json(passes),
        _json(counts),
    )


def _place_row(line: Line, new: LinePlace) -> _PlaceRow:
    followed_by = line.followed.get(new.number)
    return _PlaceRow(*line.key, line.epoch, new.holder, new.number, new.binding, followed_by)


def _pass_row(line: Line, held: LinePass) -> _PassRow:
    organisation, room = line.key
    return _PassRow(
        organisation,
        room,
        line.epoch,
        held.number,
        held.pass_id,
        held.holder,
        held.state,
        held.renewal,
        held.renewed_at_ms,
        held.entered_at_ms,
        held.expires_at_ms,
        held.slot_until_ms,
        held.session_until_ms,
        held.ended_at_ms,
    )


def _json(rows: Sequence[msgspec.Struct]) -> str:
    return _encode(rows).decode()
