"""How long people waited in line, held against what they were told."""

import pytest

from sunseo.passes.polling import Poll
from sunseo.rehearsal.crowd.documents import CallingSpeed, RoomDocument, wait_s
from sunseo.rehearsal.observe.ledger import Drawn, EnteredRoom, Ledger, Placed, WaitEstimate
from sunseo.rehearsal.verdict.waits import waits_of


def test_waits_are_from_the_first_asking_to_the_first_pass() -> None:
    """A place asked for twice, or registered for in a draw, counts from its beginning."""
    ledger = Ledger(
        placed=[
            Placed(1, 1, 7, asked_at=10.0, told_at=10.1),
            Placed(1, 1, 7, asked_at=50.0, told_at=50.1),
            Placed(2, 1, 8, asked_at=20.0, told_at=20.1),
            Placed(3, 1, 9, asked_at=30.0, told_at=30.1),
        ],
        drawn=[Drawn(2, 8, registered_at=-40.0)],
        estimates=[
            WaitEstimate(1, 12.0, likely_s=30.0, slow_s=60.0),
            WaitEstimate(2, 22.0, 20.0, 25.0),
            WaitEstimate(3, 31.0, 9.0, None),
        ],
        entered=[
            EnteredRoom(1, 7, 7, told_at=60.0),
            EnteredRoom(1, 7, 7, told_at=99.0),
            EnteredRoom(2, 8, 8, told_at=60.0),
        ],
    )
    waits = waits_of(ledger)

    assert waits is not None
    assert (waits.entered, waits.p50, waits.p90, waits.longest) == (2, 50.0, 100.0, 100.0)
    assert (waits.told, waits.told_p50, waits.told_p90) == (2, 20.0, 30.0)
    assert (waits.real_p50, waits.real_p90, waits.longer) == (38.0, 48.0, 1)


def test_nobody_waited_where_nobody_entered() -> None:
    """Who is still in line at the end has no wait to tell."""
    assert waits_of(Ledger(placed=[Placed(1, 1, 7, 10.0, 10.1)])) is None


@pytest.mark.parametrize(
    ("phase", "number", "speed", "expected"),
    [
        ("open", 30, 2.0, 10.0),
        ("open", 5, 2.0, 0.0),
        ("open", 30, 0.0, None),
        ("before", 30, 2.0, 70.0),
        ("before", 5, 0.0, 60.0),
    ],
)
def test_a_wait_is_told_as_the_pages_tell_it(
    phase: str, number: int, speed: float, expected: float | None
) -> None:
    """Those ahead at the speed of the line, behind the time until it opens."""
    state = RoomDocument(
        epoch=1, phase=phase, issued=40, serving=10, speed=CallingSpeed(speed), sold_out=False,
        opens_at=61_000, now=1_000, poll=Poll(1, 20, 10),
    )  # fmt: skip
    assert wait_s(state, number, speed) == expected
