"""`kill -9` while visitors join a room and enter it; and that those who judge it see what is wrong.

The long campaign is `make chaos-room`.
"""

from collections.abc import Iterator
from uuid import UUID

import pytest

from chaos.room.campaign import Plan, campaign, set_up
from chaos.room.ledger import ReadPass, ReadPlace, Told, Visit, Witness, given_twice, most_at_once
from chaos.room.visitors import Room
from chaos.room.watch import Look, faults_of
from tests.acceptance.serving import Serving, running

ANN, BEN = UUID(int=1), UUID(int=2)
ROOM = Room(number=1, capacity=2, renewal_grace_s=10, share=1.0)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with running(tmp_path_factory.mktemp("room-kills") / "data") as started:
        yield started


async def test_kills_lose_and_double_nothing_in_a_room(server: Serving) -> None:
    """A worker, PostgreSQL and the supervisor die: every place and every pass still holds."""
    plan = Plan(kills=3, visitors=24, seed=7, workers=1, between=(5, 25))
    stage = set_up(server, plan)

    outcome = await campaign(stage, plan, lambda _line, _step: None)

    assert outcome.given_twice == outcome.lost == outcome.unasked == outcome.above_capacity == []
    assert outcome.broken == outcome.rows_wrong == outcome.went_back == []
    assert (outcome.server_errors, outcome.unadvised) == (0, 0)
    assert outcome.verify_clean
    assert outcome.passed
    assert min(outcome.places, outcome.passes, outcome.replayed, outcome.looks) > 0
    assert {part.kills for part in outcome.parts.values()} == {1}


def visit(number: int, holder: UUID, *spans: tuple[float, float], leaves_s: float = 99.0) -> Visit:
    told = [
        Told("", ReadPass(number, holder, until_s, UUID(int=number), renewal), begin_s)
        for renewal, (begin_s, until_s) in enumerate(spans)
    ]
    place = ReadPlace(1, 1, number, holder)
    return Visit(1, "", "", read=place, passes=told, leaves_s=leaves_s)


def test_ledger_sees_numbers_given_twice() -> None:
    """One number of two visitors, and two numbers of one; the same place shown again is neither."""
    assert given_twice([visit(1, ANN), visit(1, ANN), visit(2, BEN)]) == []
    assert given_twice([visit(1, ANN), visit(1, BEN)]) == [
        f"number 1 of room 1 was given to {ANN} and to {BEN}"
    ]
    assert given_twice([visit(1, ANN), visit(2, ANN)]) == [
        f"{ANN} has the numbers 1 and 2 in room 1"
    ]


def test_ledger_counts_passes_valid_at_once() -> None:
    """Renewals make one span, a slot is free from when its holder says so, and overlaps count."""
    renewed = visit(1, ANN, (0.0, 10.0), (5.0, 15.0), leaves_s=12.0)
    successor = visit(2, BEN, (12.0, 22.0))
    intruder = visit(3, UUID(int=3), (11.9, 12.5))

    assert most_at_once([renewed, successor]) == {1: 1}
    assert most_at_once([renewed, successor, intruder]) == {1: 2}


def test_witness_hears_a_line_go_back() -> None:
    """A document may be older than what is known already, but not say less than what was."""
    witness = Witness()
    witness.learn(1, "serving", 5, 100.0)
    witness.judge(1, "serving", 4, as_of_s=99.9, received_s=101.0)
    witness.judge(1, "serving", 5, as_of_s=101.0, received_s=101.0)
    assert witness.faults == []

    witness.judge(1, "serving", 4, as_of_s=101.0, received_s=101.0)
    assert witness.faults == ["room 1 showed serving 4 as of 101.000, after 5 was known"]


def look(at: float = 0.0, **more: int) -> Look:
    row = {"issued": 9, "serving": 5, "live": 2, "capacity": 2, "fence": 1, "passes": 2} | more
    return Look(at, **row)


def test_watch_sees_rows_that_are_wrong() -> None:
    """Counters that disagree, too many inside, a line that goes back, a room filled past a cut."""
    assert faults_of(ROOM, look(), None) == []
    assert faults_of(ROOM, look(0.1, capacity=1), look()) == []  # it drains

    for wrong in (look(passes=1), look(live=3, passes=3), look(serving=10)):
        assert len(faults_of(ROOM, wrong, None)) == 1
    assert len(faults_of(ROOM, look(0.1, serving=4), look())) == 1
    emptier = look(live=1, passes=1, capacity=1)
    assert len(faults_of(ROOM, look(0.1, capacity=1), emptier)) == 1
