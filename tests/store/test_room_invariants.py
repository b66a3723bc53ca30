"""Every invariant of rooms is broken on purpose, and reports the row at fault."""
# ruff: noqa: S608 - these statements are made of constants, and harm is what they are for

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from sunseo.invariants.entries import INVARIANTS
from sunseo.invariants.report import Report
from sunseo.invariants.verify import verify
from sunseo.postgres.pool import create_cold_engine
from sunseo.room.line.commands import Enter, Join, Leave, pass_id_of
from sunseo.room.setup.settings import RoomSettings
from tests.store.lobby import ORGANISATION, Lobby, holder, open_lobby

STRANGER = "00000000-0000-4000-8000-000000000000"


class Corruption(msgspec.Struct, frozen=True):
    """What breaks an invariant, and some columns of the row that it then reports."""

    invariant: str
    statement: str
    row: dict[str, Any]
    also: frozenset[str] = frozenset()


CORRUPTIONS = (
    Corruption("room-lines", "UPDATE rooms SET sale = 77 WHERE room = 1", {"part": "no sale 77"}),
    Corruption(
        "room-lines", "DELETE FROM room_lines WHERE room = 2", {"room": 2, "part": "no line"}
    ),
    Corruption("room-lines", "DELETE FROM rooms WHERE room = 2", {"room": 2, "part": "room_lines"}),
    Corruption(
        "room-epochs",
        f"INSERT INTO room_places VALUES (1, 1, now(), 1, 2, '{STRANGER}', NULL)",
        {"room": 1, "epoch": 2, "part": "room_places"},
    ),
    Corruption(
        "room-numbers",
        "UPDATE room_lines SET issued = 6 WHERE room = 1",
        {"room": 1, "issued": 6, "places": 5, "kept": 0},
    ),
    Corruption(
        "room-numbers",
        "DELETE FROM room_places WHERE room = 1 AND number = 4",
        {"room": 1, "issued": 5, "places": 4},
    ),
    Corruption(
        "room-numbers",
        "ALTER TABLE room_places DROP CONSTRAINT room_places_key;"
        "UPDATE room_places SET number = 4 WHERE room = 1 AND number = 5",
        {"room": 1, "issued": 5, "places": 5, "highest": 4},
    ),
    Corruption(
        "room-numbers",  # a number that was passed over has a row
        "INSERT INTO room_gaps VALUES (1, 1, 1, 4, 5, now(), now());"
        "UPDATE room_lines SET issued = 6, unlisted = 1 WHERE room = 1",
        {"room": 1, "issued": 6, "places": 5, "passed_over": 1},
    ),
    Corruption(
        "room-numbers",
        "UPDATE room_lines SET issued = 9, unlisted = 4 WHERE room = 1",
        {"room": 1, "issued": 9, "places": 5, "passed_over": 0},
    ),
    Corruption(
        "room-serving",
        "ALTER TABLE room_lines DROP CONSTRAINT room_lines_serving_within_issued;"
        "UPDATE room_lines SET serving = 9 WHERE room = 1",
        {"room": 1, "issued": 5, "serving": 9},
    ),
    Corruption(
        "room-occupancy",
        "UPDATE room_lines SET live = 3 WHERE room = 1",
        {"room": 1, "live": 3, "live_recounted": 2},
    ),
    Corruption(
        "room-passes",
        f"UPDATE room_passes SET holder = '{STRANGER}' WHERE room = 1 AND number = 1",
        {"number": 1, "holder": STRANGER, "place_of": str(holder("ann"))},
    ),
    Corruption(
        "room-passes",
        f"UPDATE room_passes SET pass_id = '{STRANGER}' WHERE room = 1 AND number = 2",
        {"number": 2, "holder": str(holder("bob"))},
    ),
    Corruption(
        "room-passes",  # of a place without a row, and nothing was passed over there
        "UPDATE room_lines SET live = 3 WHERE room = 1;"
        "INSERT INTO room_passes SELECT organisation, room, epoch, 9,"
        " '00000000-0000-0009-0000-000000000000', holder, state, renewal, renewed_at, entered_at,"
        " expires_at, slot_until, session_until, ended_at FROM room_passes"
        " WHERE room = 1 AND number = 2",
        {"number": 9, "holder": str(holder("bob")), "place_of": None},
    ),
    Corruption(
        "room-visits",
        "UPDATE room_places SET followed_by = 6 WHERE room = 1 AND number = 1;"
        f"INSERT INTO room_places VALUES (1, 6, now(), 1, 1, '{holder('ann')}', NULL);"
        "UPDATE room_lines SET issued = 6 WHERE room = 1",
        {"room": 1, "number": 1, "followed_by": 6, "next_number": 6},
    ),
    Corruption(
        "room-visits",
        "UPDATE room_places SET followed_by = 6 WHERE room = 1 AND number = 5",
        {"room": 1, "number": 5, "followed_by": 6, "next_number": None},
    ),
    Corruption(
        "room-visits",
        "ALTER TABLE room_places DROP CONSTRAINT room_places_one_per_holder;"
        f"INSERT INTO room_places VALUES (1, 6, now(), 1, 1, '{holder('cat')}', NULL);"
        "UPDATE room_lines SET issued = 6 WHERE room = 1",
        {"room": 1, "number": 3, "followed_by": None, "next_number": 6},
    ),
    Corruption(
        "room-pass-times",
        "UPDATE room_passes SET session_until = entered_at WHERE room = 1 AND number = 1",
        {"room": 1, "number": 1, "state": "live"},
    ),
    Corruption(
        "room-draws",
        "INSERT INTO room_draws (organisation, room, epoch, state, commitment, committer,"
        " independent, committed_at, entrants) VALUES"
        " (1, 1, 1, 'revealed', '', 'x', true, now(), 1);"
        "INSERT INTO room_entrants VALUES"
        f" (1, 1, 1, '{STRANGER}', '{STRANGER}', NULL, now())",
        {"room": 1, "holder": STRANGER, "entrants": 1},
    ),
    Corruption(
        "room-settings",
        """UPDATE rooms SET settings = '{"time_zone": "Mars"}' WHERE room = 2""",
        {"room": 2, "name": "Room", "fault": "settings: time_zone must be a name like Asia/Seoul"},
    ),
    Corruption(
        "room-draw-secrets",
        "INSERT INTO room_draws (organisation, room, epoch, state, commitment, committer,"
        " independent, kept, committed_at)"
        " VALUES (1, 1, 1, 'committed', '', 'x', false, true, now())",
        {"room": 1, "state": "committed", "has_secret": False},
    ),
    Corruption(
        "room-draw-secrets",
        "INSERT INTO room_draws (organisation, room, epoch, state, commitment, committer,"
        " independent, kept, committed_at)"
        " VALUES (1, 1, 1, 'committed', sha256('one'), 'x', false, true, now());"
        "INSERT INTO room_draw_secrets VALUES (1, 1, 1, 'other')",
        {"room": 1, "state": "committed", "has_secret": True},
    ),
)


@pytest.fixture
async def lobby(database_dsn: str) -> AsyncIterator[Lobby]:
    """Two rooms; in the first five have joined, three have entered and one of them has left."""
    async with open_lobby(database_dsn) as lobby:
        room = await lobby.open_room()
        await lobby.open_room()
        await lobby.join(room, "ann", "bob", "cat", "dan", "eve")
        await lobby.call_up_to(room, 3)
        entering = [
            Enter(room, 1, number, holder(who), pass_id_of(number, 5))
            for number, who in ((1, "ann"), (2, "bob"), (3, "cat"))
        ]
        *_, last = await lobby.do(*entering)
        assert last.held is not None
        await lobby.leave(room, last.held)
        assert room == (1, 1)
        yield lobby


async def verified(lobby: Lobby, *harm: str) -> Report:
    engine = create_cold_engine(lobby.dsn, size=1)
    try:
        async with engine.begin() as connection:
            for statement in harm:
                await connection.execute(text(statement))
        return await verify(engine, ORGANISATION)
    finally:
        await engine.dispose()


async def test_rooms_in_use_are_clean(lobby: Lobby) -> None:
    """All that the tests below find comes from their own corruption."""
    report = await verified(lobby)

    assert (report.violations, report.not_checked) == ([], [])
    assert report.clean


async def test_coming_again_is_clean(lobby: Lobby) -> None:
    """An account that has left has another place, behind all others."""
    room = await lobby.open_room(RoomSettings(mode="passthrough"))
    come, inside = Join(room, holder("kim"), holder("kim"), None), pass_id_of(1, 5)
    enter = Enter(room, 1, 1, holder("kim"), inside)
    *_, again = await lobby.do(come, enter, Leave(room, 1, inside), come)

    assert (again.place and again.place.number) == 2
    assert (await verified(lobby)).clean


async def test_numbers_kept_for_a_draw_are_not_missing(lobby: Lobby) -> None:
    """While a sealed draw is not revealed, latecomers' numbers begin behind the entrants'."""
    report = await verified(
        lobby,
        "UPDATE room_places SET number = number + 7 WHERE room = 1 AND number > 3",
        "DELETE FROM room_places WHERE room = 1 AND number <= 3",
        "DELETE FROM room_passes",
        "UPDATE room_places SET number = number - 1 WHERE room = 1 AND number = 11",
        "UPDATE room_places SET number = 11 WHERE room = 1 AND number = 12",
        "UPDATE room_lines SET issued = 11, live = 0 WHERE room = 1",
        "INSERT INTO room_draws (organisation, room, epoch, state, commitment, committer,"
        " independent, committed_at, entrants) VALUES (1, 1, 1, 'sealed', '', 'x', true, now(), 9)",
    )

    assert report.violations == []


def test_every_invariant_of_rooms_is_corrupted_here() -> None:
    """The list and the corruptions name the same invariants, in the same order."""
    named = [i.name for i in INVARIANTS if i.name.startswith("room-")]
    assert list(dict.fromkeys(c.invariant for c in CORRUPTIONS)) == named


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda c: f"{c.invariant} {c.row}"[:60])
async def test_a_corruption_of_a_room_is_reported(lobby: Lobby, corruption: Corruption) -> None:
    """The invariant that was broken, and no other, reports the row at fault."""
    report = await verified(lobby, *corruption.statement.split(";"))

    assert {v.invariant for v in report.violations} == {corruption.invariant} | corruption.also
    (violation,) = (v for v in report.violations if v.invariant == corruption.invariant)
    assert violation.total == 1
    assert {name: violation.rows[0][name] for name in corruption.row} == corruption.row
