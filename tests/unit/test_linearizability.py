"""Histories of a small sale as the campaign writes them down, and as porcupine judges them.

The campaign itself, with a real server and kills, is `make linearizability`.
"""

from pathlib import Path

import pytest

from chaos.linearizability.checker import CannotBeRunError, Verdict, build, check
from chaos.linearizability.defective import without_lock
from chaos.linearizability.history import Asking, Heard, History, Operation, Wish
from sunseo.booking.locked import SALES

STOCK = 2
HOLD = Wish("hold", 1, seats=(1,))
READ = Wish("read", 1, hold="a")


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build(tmp_path_factory.mktemp("checker"))
    except CannotBeRunError as reason:
        pytest.skip(str(reason))


def hold(
    call: int, returned: int | None, answer: str, hold: str, *seats: int, **more: int
) -> Operation:
    """A hold; with an answer that is a refusal all of its seats stood in the way."""
    taken = seats if answer == "seat_taken" else ()
    standing = more.get("standing", 0)
    return Operation(call, 1, "hold", seats, standing, hold, call, returned, answer, taken)


def about(kind: str, hold: str, call: int, returned: int | None, answer: str) -> Operation:
    return Operation(call, 1, kind, (), 0, hold, call, returned, answer)


LINEARIZABLE = {
    "a seat is held, given back, held by somebody else and sold": [
        hold(1, 2, "held", "a", 1),
        about("release", "a", 3, 4, "released"),
        hold(5, 6, "held", "b", 1),
        about("order", "b", 7, 8, "ordered"),
        about("read", "b", 9, 10, "ordered"),
        hold(11, 12, "seat_taken", "", 1),
    ],
    "of two at once the one who asked later is served first": [
        hold(1, 10, "seat_taken", "", 1),
        hold(2, 9, "held", "a", 1),
    ],
    "a hold of which nobody heard takes effect late": [
        hold(1, None, "", "", 1, 2),
        hold(2, 3, "held", "a", 1),
        about("release", "a", 4, 5, "released"),
        hold(6, 7, "seat_taken", "", 1, 2),
    ],
    "an order of which nobody heard never takes effect": [
        hold(1, 2, "held", "a", 1),
        about("order", "a", 3, None, ""),
        about("release", "a", 4, 5, "released"),
        hold(6, 7, "held", "b", 1),
    ],
    "the last of the stock is gone, and comes back": [
        hold(1, 2, "held", "a", standing=2),
        hold(3, 4, "sold_out", "", 1, standing=1),
        about("release", "a", 5, 6, "released"),
        hold(7, 8, "held", "b", 1, standing=1),
    ],
}

NOT_LINEARIZABLE = {
    "a seat is given to two": [
        hold(1, 4, "held", "a", 1),
        hold(2, 3, "held", "b", 1),
    ],
    "a seat is refused that nobody has": [hold(1, 2, "seat_taken", "", 1)],
    "an order is forgotten": [
        hold(1, 2, "held", "a", 1),
        about("order", "a", 3, 4, "ordered"),
        about("read", "a", 5, 6, "open"),
    ],
    "a hold is both sold and given back": [
        hold(1, 2, "held", "a", 1),
        about("order", "a", 3, 6, "ordered"),
        about("release", "a", 4, 5, "released"),
    ],
    "half of a hold is given back": [
        hold(1, 2, "held", "a", 1, 2),
        about("release", "a", 3, 4, "released"),
        hold(5, 6, "held", "b", 1),
        hold(7, 8, "seat_taken", "", 2),
    ],
    "more is given of a stock than there is": [
        hold(1, 2, "held", "a", standing=2),
        hold(3, 4, "held", "b", standing=1),
    ],
    "an answer has no place in the sale": [hold(1, 2, "unknown_sale", "", 1)],
}


def judged(checker: Path, folder: Path, operations: list[Operation]) -> Verdict:
    return check(checker, History(STOCK, operations), folder / "history.json")


@pytest.mark.parametrize("told", LINEARIZABLE)
def test_history_that_an_order_explains_is_linearizable(
    checker: Path, tmp_path: Path, told: str
) -> None:
    """What may have happened one after the other passes, and nothing is drawn."""
    verdict = judged(checker, tmp_path, LINEARIZABLE[told])

    assert (verdict.result, verdict.operations) == ("ok", len(LINEARIZABLE[told]))
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize("told", NOT_LINEARIZABLE)
def test_history_that_no_order_explains_is_not_linearizable(
    checker: Path, tmp_path: Path, told: str
) -> None:
    """What cannot have happened fails, with the answer that gives it away and a picture."""
    operations = NOT_LINEARIZABLE[told]
    verdict = judged(checker, tmp_path, operations)

    assert (verdict.result, verdict.offending) == ("illegal", 1)
    last = max(operations, key=lambda one: one.returned or 0)
    assert verdict.last.endswith(last.answer) or last.taken
    assert "hold #0" in Path(verdict.picture).read_text()


def test_checker_refuses_what_is_no_history(checker: Path, tmp_path: Path) -> None:
    """A hold that nobody was given is told by its operation, and nothing is judged."""
    with pytest.raises(CannotBeRunError, match="operation 0 names a hold that nobody was given"):
        judged(checker, tmp_path, [about("order", "a", 1, 2, "ordered")])


def test_no_go_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go the checker cannot be built, and a sentence says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotBeRunError, match=r"^Go is needed and is not installed: \S+$"):
        build(tmp_path)


def test_repeated_request_is_one_operation() -> None:
    """It lasts from the first sending to the last answer, however often it was sent."""
    asking = Asking(7, HOLD)
    asking.sent(10)
    asking.heard_doubt()
    asking.sent(20)
    asking.heard_nothing_done()
    asking.sent(30)

    told = asking.answered(40, 200, {"hold": "a", "state": "open"})
    assert told == Operation(7, 1, "hold", (1,), 0, "a", 10, 40, "held")


def test_what_was_surely_not_done_is_no_part_of_an_operation() -> None:
    """A refusal to try leaves nothing behind: the operation begins with what came after it."""
    asking = Asking(7, HOLD)
    asking.sent(10)
    asking.heard_nothing_done()
    assert asking.given_up() is None

    asking.sent(20)
    told = asking.answered(30, 409, {"outcome": "seat_taken", "seats": [1]})
    assert told == Operation(7, 1, "hold", (1,), 0, "", 20, 30, "seat_taken", (1,))


def test_who_gives_up_in_doubt_leaves_the_operation_open() -> None:
    """It has no answer and no end; a read that nobody answered has changed nothing."""
    asking, reading = Asking(7, HOLD), Asking(7, READ)
    for one in (asking, reading):
        one.sent(10)
        one.heard_doubt()

    assert asking.given_up() == Operation(7, 1, "hold", (1,), 0, "", 10)
    assert reading.given_up() is None


@pytest.mark.parametrize(
    ("status", "outcome", "heard"),
    [
        (201, None, Heard.ANSWER),
        (410, "sold_out", Heard.ANSWER),
        (503, "busy", Heard.NOTHING_DONE),
        (503, "locked", Heard.NOTHING_DONE),
        (503, "overloaded", Heard.NOTHING_DONE),
        (503, "rooms_not_read", Heard.NOTHING_DONE),
        (503, "outcome_unknown", Heard.DOUBT),
        (503, "took_too_long", Heard.DOUBT),
        (500, "internal_error", Heard.DOUBT),
    ],
)
def test_only_what_says_so_was_not_done(status: int, outcome: str | None, heard: Heard) -> None:
    """Every 5xx but those that promise that nothing was done leaves doubt."""
    assert Heard.of(status, {"outcome": outcome}) is heard


def test_defect_leaves_out_the_lock_and_nothing_else() -> None:
    """The defective server's statement differs from ours by the locking clause alone."""
    without = without_lock(SALES.lock)
    assert without != SALES.lock
    assert without.split() == SALES.lock.replace("FOR NO KEY UPDATE SKIP LOCKED", "").split()
