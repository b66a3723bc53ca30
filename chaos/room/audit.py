"""Compare what visitors were told with what is in the database at the end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from chaos.room.ledger import Visit, given_twice, most_at_once
from chaos.room.visitors import Room

PLACES = "SELECT room, epoch, number, holder FROM room_places WHERE room = ANY($1::bigint[])"
PASSES = """
SELECT room, epoch, number, pass_id, holder, state, renewal, entered_at, slot_until, ended_at
FROM room_passes
WHERE room = ANY($1::bigint[])
"""
TOO_SOON = """
SELECT p.room, p.number
FROM room_passes AS p
WHERE p.room = ANY($1::bigint[]) AND NOT EXISTS (
    SELECT FROM room_releases AS r
    WHERE r.organisation = p.organisation AND r.room = p.room AND r.epoch = p.epoch
        AND r.upto >= p.number AND r.released_at <= p.entered_at
)
"""

ENDINGS = {
    None: {"live", "expired"},
    "left": {"left"},
    "completed": {"completed"},
    "revoked": {"revoked"},
}


@dataclass(frozen=True)
class Findings:
    """What the comparison found; sentences, one a finding."""

    places: int
    """Acknowledged, each to one visitor."""

    passes: int
    """Acknowledged, renewals not counted."""

    twice: list[str]
    lost: list[str]
    unasked: list[str]
    above: list[str]
    most_at_once: dict[int, int]


async def audit(dsn: str, visits: Sequence[Visit], rooms: Sequence[Room]) -> Findings:
    """Compare all that was acknowledged with these rooms, which nobody else has visited."""
    numbers = [room.number for room in rooms]
    connection = await asyncpg.connect(dsn)
    try:
        # As of one moment: passes go on expiring while we look.
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            places = await connection.fetch(PLACES, numbers)
            passes = await connection.fetch(PASSES, numbers)
            too_soon = await connection.fetch(TOO_SOON, numbers)
    finally:
        await connection.close()

    kept = {(row["room"], row["epoch"], row["number"]): row for row in passes}
    most = most_at_once(visits)
    capacities = {room.number: room.capacity for room in rooms}
    return Findings(
        places=sum(visit.read is not None for visit in visits),
        passes=sum(bool(visit.passes) for visit in visits),
        twice=given_twice(visits),
        lost=[*_lost_places(visits, places), *_lost_passes(visits, kept)],
        unasked=[
            *_unasked(visits, places),
            *(f"number {row['number']} entered before it was called" for row in too_soon),
        ],
        above=[
            f"{count} passes of room {room} were valid at once, of {capacities[room]} allowed"
            for room, count in most.items()
            if count > capacities[room]
        ],
        most_at_once=dict(most),
    )


def _lost_places(visits: Iterable[Visit], rows: Iterable[Any]) -> Iterable[str]:
    numbers = {(row["room"], row["epoch"], row["holder"]): row["number"] for row in rows}
    for visit in visits:
        if visit.read is not None:
            room, epoch, number, holder = visit.read
            kept = numbers.get((room, epoch, holder))
            if kept != number:
                yield f"number {number} of room {room} was acknowledged and {kept} is kept"


def _lost_passes(visits: Iterable[Visit], kept: dict[tuple[int, int, int], Any]) -> Iterable[str]:
    for visit in visits:
        if visit.read is None or not visit.passes:
            continue
        told = visit.passes[-1].read
        row = kept.get((visit.room, visit.read.epoch, visit.number))
        if row is None or (row["pass_id"], row["holder"]) != (told.pass_id, told.holder):
            yield f"{told} was acknowledged and is not there"
            continue
        if row["renewal"] < told.renewal:
            yield f"{told} lacks a renewal that was acknowledged"
        if row["state"] not in ENDINGS[visit.ended]:
            yield f"{told} is {row['state']} after {visit.ended} was acknowledged"
        if row["state"] == "expired" and row["ended_at"] < row["slot_until"]:
            yield f"{told} expired before its time"


def _unasked(visits: Iterable[Visit], rows: Iterable[Any]) -> Iterable[str]:
    """Places that nobody was told of: everybody asks until there is an answer."""
    known: set[tuple[int, UUID]] = {
        (visit.room, visit.read.holder) for visit in visits if visit.read is not None
    }
    for row in rows:
        if (row["room"], row["holder"]) not in known:
            yield f"number {row['number']} of room {row['room']} was never acknowledged"
