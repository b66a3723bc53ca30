"""Cancel anybody at any await point: nobody else notices, and nothing hangs.

A scenario runs again and again; each time the cancellation comes one turn of the loop later, until
it has come between any two turns. So every await point that there is has been cancelled at.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from sunseo.core.later import Reason
from sunseo.engine.applying import LaneLimits
from sunseo.engine.entry import Answer
from tests.lane_script import (
    Behaviour,
    Ending,
    Order,
    PaperDatabase,
    PaperLane,
    PoisonError,
    Result,
    Word,
    paper_lane,
    said,
    words,
)
from tests.virtual_loop import VirtualLoop, run_virtual

LIMITS = LaneLimits(batch_max=3, flush_timeout_s=1.0, abandon_grace_s=0.5)

SCRIPTS: dict[str, list[Behaviour]] = {
    "healthy": [],
    "retried": [Behaviour(), Behaviour(Ending.FAILS)],
    "acknowledgement lost": [Behaviour(), Behaviour(Ending.LOSES_ACK)],
    "outage": [Behaviour(Ending.FAILS)] * 20,
    "hang": [Behaviour(), Behaviour(Ending.HANGS)],
    "deaf hang": [Behaviour(), Behaviour(Ending.HANGS_DEAF)],
}

ORDERS = [
    Order(1),
    Order(2, defers=1),
    Order(3, is_poison=True),
    Order(4),
    Order(5, defers=2),
    Order(6),
]

Tasks = list["asyncio.Task[Answer[Result]]"]
Whom = Callable[[PaperLane, Tasks], "asyncio.Task[Any]"]


class Run(NamedTuple):
    database: PaperDatabase
    heard: dict[int, Word]
    turns: int


async def live(whom: Whom, script: list[Behaviour], turn: int, *, lets_follow: bool) -> Run:
    """Run the scenario and cancel somebody just before a turn; everything has to end."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    database = PaperDatabase(script, lets_follow=lets_follow)
    lane = paper_lane(database, LIMITS)
    callers = [asyncio.ensure_future(lane.submit(order)) for order in ORDERS]
    loop.interrupt(turn, whom(lane, callers).cancel)
    answers = await asyncio.gather(*callers, return_exceptions=True)
    turns = loop.turns
    await lane.stop()
    # What is in flight still may end, and nobody minds how.
    await asyncio.sleep(60.0)
    return Run(database, words(answers), turns)


def cancel_everywhere(
    whom: Whom, script: list[Behaviour], *, lets_follow: bool = False
) -> tuple[Run, list[Run]]:
    """The run without a cancellation, and one run for each turn at which it can come."""

    def run(turn: int) -> Run:
        return run_virtual(live(whom, script, turn, lets_follow=lets_follow))

    calm = run(-1)
    return calm, [run(turn) for turn in range(1, calm.turns + 1)]


def caller(number: int) -> Whom:
    return lambda _lane, callers: callers[number - 1]


def runner(lane: PaperLane, _callers: Tasks) -> "asyncio.Task[Any]":
    assert lane._runner is not None
    return lane._runner


def check_truth(run: Run) -> None:
    for number, word in run.heard.items():
        commits, acks_lost = run.database.commits[number], run.database.acks_lost[number]
        assert commits <= acks_lost + 1
        if word in ("done", "replayed"):
            assert commits >= 1
        if word in (Reason.STOPPING, Reason.OVERDUE, Reason.SHED):
            assert commits == 0
        if isinstance(word, PoisonError):
            assert word.args == (number,)


@pytest.mark.parametrize("number", [order.number for order in ORDERS])
@pytest.mark.parametrize("lets_follow", [False, True], ids=["alone", "followed"])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_cancelled_caller_never_disturbs_its_neighbours(
    script: list[Behaviour], number: int, *, lets_follow: bool
) -> None:
    """Whenever one caller goes away, all others hear what they would have heard anyway."""
    calm, runs = cancel_everywhere(caller(number), script, lets_follow=lets_follow)

    assert len(runs) > 10
    for run in runs:
        check_truth(run)
        word = run.heard[number]
        assert isinstance(word, asyncio.CancelledError) or str(word) == str(calm.heard[number])
        # In an outage it depends on the other commands of a batch who finds the database back.
        if script is not SCRIPTS["outage"]:
            continue
        for other in run.heard.keys() - {number}:
            assert isinstance(run.heard[other], PoisonError) or run.heard[other] is Reason.UNKNOWN


@pytest.mark.parametrize("number", [order.number for order in ORDERS])
def test_neighbours_hear_the_very_same_words(number: int) -> None:
    """On a healthy database nobody can tell whether a neighbour has gone away."""
    calm, runs = cancel_everywhere(caller(number), SCRIPTS["healthy"])

    for run in runs:
        assert {n: str(w) for n, w in run.heard.items() if n != number} == {
            n: str(w) for n, w in calm.heard.items() if n != number
        }


def test_a_caller_that_goes_while_it_waits_takes_its_command_along() -> None:
    """What has not begun is not done for nobody; what has begun goes on."""
    calm, runs = cancel_everywhere(caller(6), SCRIPTS["healthy"])

    assert calm.database.commits[6] == 1
    gone_early = [run for run in runs if not run.database.commits[6]]
    gone_late = [run for run in runs if run.database.commits[6]]
    assert gone_early
    assert gone_late
    for run in gone_early:
        assert not any(6 in call for call in run.database.calls)
    for run in gone_late:
        assert run.database.commits[6] == 1


def test_what_was_let_go_before_its_flush_is_never_flushed() -> None:
    """A caller that leaves while the batch before its own commits has asked for nothing."""

    async def main() -> None:
        database = PaperDatabase()
        lane = paper_lane(database, LIMITS)
        first = asyncio.ensure_future(lane.submit(Order(1)))
        await asyncio.sleep(0.005)
        gone, stays = [asyncio.ensure_future(lane.submit(Order(n))) for n in (2, 3)]
        await asyncio.sleep(0)
        gone.cancel()

        await asyncio.gather(first, stays)
        assert database.calls == [[1], [3]]

    run_virtual(main())


@pytest.mark.parametrize("lets_follow", [False, True], ids=["alone", "followed"])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_cancelled_runner_leaves_nobody_waiting(
    script: list[Behaviour], *, lets_follow: bool
) -> None:
    """Whenever the lane's own task is cancelled, each caller hears at once what is true."""
    _, runs = cancel_everywhere(runner, script, lets_follow=lets_follow)

    for run in runs:
        check_truth(run)
        assert not any(isinstance(word, asyncio.CancelledError) for word in run.heard.values())
        in_flight = {number for call in run.database.calls for number in call}
        for number, word in run.heard.items():
            if number not in in_flight and word not in ("done", "replayed"):
                assert word is Reason.STOPPING


def test_a_lane_whose_runner_was_cancelled_refuses_newcomers() -> None:
    """Nobody queues where nobody will ever serve."""

    async def main() -> None:
        lane = paper_lane(PaperDatabase())
        runner(lane, []).cancel()
        await asyncio.sleep(0.01)

        assert said((await lane.submit(Order(1))).result) is Reason.STOPPING
        await lane.stop()

    run_virtual(main())


def test_a_cancelled_stop_does_not_cut_the_runner_short() -> None:
    """Who gives up waiting for the drain does not turn the rest away."""

    async def main() -> None:
        database = PaperDatabase()
        lane = paper_lane(database, LIMITS)
        callers = [asyncio.ensure_future(lane.submit(Order(n))) for n in range(1, 6)]
        stopping = asyncio.ensure_future(lane.stop())
        await asyncio.sleep(0.005)
        stopping.cancel()

        answers = await asyncio.gather(*callers)
        assert [said(answer.result) for answer in answers] == ["done"] * 5

    run_virtual(main())
