"""The verdict catches each seeded defect by the check that is meant for it, and no other."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sunseo.invariants.report import Report, Violation
from sunseo.rehearsal.observe.ledger import (
    BadAnswer,
    CheatAttempt,
    Drawn,
    EnteredRoom,
    Figures,
    Held,
    Known,
    Ledger,
    Left,
    Ordered,
    Placed,
)
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.stored import Stored, StoredHold, StoredOrder, StoredPass
from sunseo.rehearsal.report.result import standing_of
from sunseo.rehearsal.scenes.draw import DrawEntrance
from sunseo.rehearsal.scenes.seats import SeatSale
from sunseo.rehearsal.verdict.evidence import Evidence
from sunseo.rehearsal.verdict.judge import AFTER, BEFORE, judge

T0 = 1_800_000_000.0
CLEAN = Report(True, 1, 1, ["seat-owner"], [], [], 0.1)


def sample(at_s: float, serving: int, live: int = 2, sold: int = 0) -> Sample:
    return Sample(at_s=at_s, issued=4, serving=serving, live=live, capacity=2, held=0, sold=sold)


def story() -> Evidence:
    """Four visitors for two seats, two inside at once: two buy, one leaves, one comes too late."""
    names = {number: f"person-{number}" for number in range(1, 5)}
    ledger = Ledger(
        known=[Known(number, name) for number, name in names.items()],
        placed=[Placed(n, 1, n, n / 10, n / 10 + 0.05) for n in names],
        entered=[EnteredRoom(1, 1, 2, 2.0), EnteredRoom(2, 2, 2, 2.1), EnteredRoom(3, 3, 3, 4.0)],
        held=[Held(1, "hold-1", (11,)), Held(2, "hold-2", (12,))],
        ordered=[
            Ordered(1, "order-1", "hold-1", (11,), 3.0),
            Ordered(2, "order-2", "hold-2", (12,), 3.5, found=True),
        ],
        left=[Left(3, 3)],
        tried=[CheatAttempt(4, "jump", 409, "not_served", paid=False)],
    )
    stored = Stored(
        epoch=1,
        places={name: number for number, name in names.items()},
        passes=[
            StoredPass(1, "person-1", "completed", T0 + 2.0, T0 + 3.0),
            StoredPass(2, "person-2", "completed", T0 + 2.1, T0 + 3.5),
            StoredPass(3, "person-3", "left", T0 + 3.0, T0 + 4.5),
        ],
        releases=[(2, T0 + 1.0), (3, T0 + 2.9)],
        holds={
            "hold-1": StoredHold("person-1", "ordered", (11,)),
            "hold-2": StoredHold("person-2", "ordered", (12,)),
        },
        orders={
            "order-1": StoredOrder("hold-1", "person-1", (11,)),
            "order-2": StoredOrder("hold-2", "person-2", (12,)),
        },
    )
    return Evidence(
        ledger=ledger,
        figures=Figures(gone={"bought": 2, "found_nothing": 1, "sold_out": 1}),
        samples=[sample(1.5, 2), sample(2.5, 2), sample(4.5, 3, live=1, sold=2)],
        capacity=2,
        units=2,
        checks={**SeatSale().checks, **DrawEntrance().checks},
        whole=True,
        stored=stored,
        report=CLEAN,
    )


def broken(evidence: Evidence) -> set[str]:
    return {check.name for check in judge(evidence).checks if check.standing == "broken"}


def test_true_story_holds() -> None:
    """Where everything is as told, every check has looked at something and found nothing."""
    verdict = judge(story())

    assert [check.name for check in verdict.checks] == [
        *BEFORE,
        *("one-owner", "person-limit", "orders-told"),
        *("one-place", "first-come", "above-serving", "capacity", "uniform-draw"),
        *AFTER,
    ]
    assert {check.standing for check in verdict.checks} == {"held"}
    assert verdict.is_complete
    assert standing_of(verdict, whole=True) == "held"
    assert verdict.fairness is not None
    assert verdict.fairness.tau == 1.0


def seed(change: Callable[[Any, Any], object], **given: object) -> Evidence:
    evidence = story()
    change(evidence.ledger, evidence.stored)
    return msgspec.structs.replace(evidence, **given)


DEFECTS: dict[str, tuple[Evidence, set[str]]] = {
    "an acknowledged order is lost": (
        seed(lambda _, stored: stored.orders.pop("order-1")),
        {"told-is-true"},
    ),
    "an order that nobody was told of": (
        seed(lambda ledger, _: ledger.ordered.pop()),
        {"orders-told"},
    ),
    "a seat in two stored orders": (
        seed(
            lambda _, stored: stored.orders.update(
                {"order-2": StoredOrder("hold-2", "person-2", (12, 11))}
            )
        ),
        {"one-owner", "told-is-true"},
    ),
    "a seat told to two": (
        seed(
            lambda ledger, stored: (
                ledger.ordered.append(Ordered(3, "order-3", "hold-1", (11,), 4.0)),
                stored.orders.update({"order-3": StoredOrder("hold-1", "person-3", (11,))}),
            )
        ),
        {"one-owner"},
    ),
    "a cheater entered above serving, as seen": (
        seed(lambda ledger, _: ledger.entered.append(EnteredRoom(3, 3, 0, 2.2))),
        {"above-serving"},
    ),
    "a cheater entered above serving, as stored": (
        seed(
            lambda _, stored: stored.passes.append(
                StoredPass(4, "person-4", "left", T0 + 5.0, T0 + 5.1)
            )
        ),
        {"above-serving"},
    ),
    "a pass from before its call": (
        seed(
            lambda _, stored: stored.passes.__setitem__(
                2, StoredPass(3, "person-3", "left", T0 + 2.8, T0 + 2.85)
            )
        ),
        {"above-serving", "capacity"},
    ),
    "one too many inside, as stored": (
        seed(
            lambda _, stored: stored.passes.__setitem__(
                0, StoredPass(1, "person-1", "completed", T0 + 2.0, T0 + 3.2)
            )
        ),
        {"capacity"},
    ),
    "one too many inside, as seen": (
        msgspec.structs.replace(story(), samples=[sample(2.5, 3, live=3), sample(5, 3, sold=2)]),
        {"capacity"},
    ),
    "two numbers for one person": (
        seed(
            lambda ledger, _: ledger.placed.append(Placed(1, 1, 9, 0.6, 0.7)),
        ),
        {"one-place", "told-is-true"},
    ),
    "one number for two persons": (
        seed(lambda ledger, _: ledger.placed.__setitem__(3, Placed(4, 1, 3, 0.4, 0.45))),
        {"one-place", "told-is-true"},
    ),
    "a latecomer ahead of who had her number": (
        seed(
            lambda ledger, stored: (
                ledger.placed.__setitem__(2, Placed(3, 1, 3, 0.6, 0.7)),
                ledger.placed.__setitem__(3, Placed(4, 1, 4, 0.4, 0.5)),
                stored,
            )
        ),
        {"first-come"},
    ),
    "a draw in the order of registering": (
        seed(lambda ledger, _: ledger.drawn.extend(Drawn(n, n, float(n)) for n in range(100, 130))),
        {"uniform-draw"},
    ),
    "a place that is not stored": (
        seed(lambda _, stored: stored.places.pop("person-4")),
        {"told-is-true"},
    ),
    "a hold with other seats": (
        seed(
            lambda _, stored: stored.holds.update(
                {"hold-1": StoredHold("person-1", "ordered", (13,))}
            )
        ),
        {"told-is-true"},
    ),
    "a pass of somebody else": (
        seed(
            lambda _, stored: stored.passes.__setitem__(
                2, StoredPass(3, "person-4", "left", T0 + 3.0, T0 + 4.5)
            )
        ),
        {"told-is-true"},
    ),
    "an error without a word when to come back": (
        seed(
            lambda ledger, _: ledger.faults.append(BadAnswer(1, "hold", 500, "internal_error", 2.0))
        ),
        {"errors"},
    ),
    "silence": (
        seed(lambda ledger, _: ledger.faults.append(BadAnswer(1, "hold", 0, "gave_up", 2.0))),
        {"errors"},
    ),
    "an answer nobody foresees": (
        seed(
            lambda ledger, _: ledger.faults.append(BadAnswer(1, "enter", 403, "wrong_holder", 2.0))
        ),
        {"foreseen"},
    ),
    "a forged place that opened the door": (
        seed(
            lambda ledger, _: ledger.tried.append(CheatAttempt(4, "forge", 201, "201", paid=True))
        ),
        {"cheating"},
    ),
    "a violated invariant": (
        msgspec.structs.replace(
            story(),
            report=Report(
                False, 1, 1, ["seat-owner"], [Violation("seat-owner", 1, "", [{}], 1)], [], 0.1
            ),
        ),
        {"invariants"},
    ),
    "somebody waits in vain": (
        msgspec.structs.replace(
            story(),
            figures=Figures(gone={"still_there": 1}),
            samples=[sample(1.5, 2), sample(2.5, 2), sample(4.5, 3, live=1, sold=1)],
        ),
        {"in-vain"},
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_seeded_defect_is_caught_by_its_own_check(defect: str) -> None:
    """What is wrong is found by the checks that look for it; all others hold."""
    evidence, expected = DEFECTS[defect]

    assert broken(evidence) == expected


def test_unseen_data_are_not_called_clean() -> None:
    """Without the database what needs it is not checked; what visitors saw still is."""
    evidence = msgspec.structs.replace(story(), stored=None, report=None)
    evidence.ledger.ordered.append(Ordered(3, "order-3", "hold-1", (11,), 4.0))
    verdict = judge(evidence)

    standing = {check.name: check.standing for check in verdict.checks}
    assert standing["invariants"] == standing["told-is-true"] == "not_checked"
    assert standing["orders-told"] == "not_checked"
    assert standing["one-owner"] == "broken"
    assert not verdict.is_complete
    assert verdict.fairness is None


def test_rehearsal_that_was_stopped_has_no_verdict_unless_something_is_wrong() -> None:
    """A partial story that is true is incomplete; a defect in it counts all the same."""
    partial = msgspec.structs.replace(story(), whole=False)
    partial.ledger.ordered.pop()  # its answer was still on the way

    assert broken(partial) == set()
    assert standing_of(judge(partial), whole=False) == "incomplete"

    partial.ledger.faults.append(BadAnswer(1, "hold", 500, "internal_error", 2.0))
    assert standing_of(judge(partial), whole=False) == "broken"


@pytest.mark.parametrize(
    ("outages", "standing"),
    [
        ([(10.0, 13.0)], "broken"),  # a minute of silence is too much after three seconds
        ([(10.0, 60.0)], "held"),
        ([(10.0, 35.0), (36.0, 60.0)], "held"),
        ([(70.0, 140.0)], "broken"),  # hardly any of it was hers
    ],
)
def test_only_faults_that_fill_a_visitors_patience_excuse_silence(
    outages: list[tuple[float, float]], standing: str
) -> None:
    """Who heard nothing for a minute is no fault of a server that was kept away for most of it."""
    silence = BadAnswer(1, "hold", 0, "gave_up", 72.0)
    verdict = judge(seed(lambda ledger, _: ledger.faults.append(silence), outages=outages))

    assert {check.name: check.standing for check in verdict.checks}["errors"] == standing


def test_no_fault_excuses_an_error() -> None:
    """A 500 is one, whatever was being done to the server."""
    error = BadAnswer(1, "hold", 500, "internal_error", 20.0)
    verdict = judge(seed(lambda ledger, _: ledger.faults.append(error), outages=[(0.0, 60.0)]))

    assert verdict.is_broken
