"""The lane, clause by clause, on a clock that jumps."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from sunseo.core.later import Later, LaterOutcome, Reason
from sunseo.core.outcome import Kind
from sunseo.engine.applying import LaneLimits
from sunseo.engine.entry import Defer
from sunseo.engine.lane import Lane
from sunseo.postgres.errors import fault_of
from tests.lane_script import (
    Behaviour,
    Ears,
    Ending,
    Order,
    PaperDatabase,
    PaperLane,
    PoisonError,
    Result,
    paper_lane,
    said,
)
from tests.virtual_loop import run_virtual

FAILS = Behaviour(Ending.FAILS)
LOSES_ACK = Behaviour(Ending.LOSES_ACK)


def send(lane: PaperLane, *orders: Order) -> "list[asyncio.Task[Any]]":
    return [asyncio.ensure_future(lane.submit(order)) for order in orders]


async def hear(tasks: "list[asyncio.Task[Any]]") -> list[Result | Reason | BaseException]:
    """What became of each: its word, or its error."""
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    return [a if isinstance(a, BaseException) else said(a.result) for a in answers]


def test_an_idle_lane_flushes_one_command_at_once() -> None:
    """A lone command waits for nobody: its batch is itself."""

    async def main() -> None:
        database = PaperDatabase()
        answer = await paper_lane(database).submit(Order(1))

        assert (answer.result, answer.waited_s) == ("done", 0.0)
        assert answer.flush_s == pytest.approx(0.01)
        assert database.calls == [[1]]

    run_virtual(main())


def test_what_arrives_during_a_flush_becomes_the_next_batch() -> None:
    """Commands gather while the batch before them commits, up to the most in one flush."""

    async def main() -> None:
        database, ears = PaperDatabase(), Ears()
        lane = paper_lane(database, LaneLimits(batch_max=3), ears)
        first = send(lane, Order(1))
        await asyncio.sleep(0.005)
        rest = send(lane, *(Order(n) for n in range(2, 7)))

        assert await hear(first + rest) == ["done"] * 6
        assert database.calls == [[1], [2, 3, 4], [5, 6]]
        assert ears.batches == [1, 3, 2]
        assert ears.waits == pytest.approx([0, 0.005, 0.015])  # of the longest waiting
        assert ears.depths[:3] == [0, 2, 0]

    run_virtual(main())


@pytest.mark.parametrize("poison", [{1}, {8}, {3, 4}, {2, 5, 7}, set(range(1, 9))])
def test_bisection_isolates_exactly_the_poison(poison: set[int]) -> None:
    """Each command at fault gets its own error, and all the others are done, in order."""

    async def main() -> None:
        database, ears = PaperDatabase(), Ears()
        lane = paper_lane(database, meter=ears)
        heard = await hear(send(lane, *(Order(n, is_poison=n in poison) for n in range(1, 9))))

        for number, word in enumerate(heard, 1):
            if number in poison:
                assert isinstance(word, PoisonError)
                assert word.args == (number,)
            else:
                assert word == "done"
        assert database.committed == [n for n in range(1, 9) if n not in poison]
        assert max(database.commits.values(), default=1) == 1
        assert len(database.calls) <= 2 * len(poison) * 3 + 1  # log2(8) levels, two halves each
        assert ears.refusals == {}

    run_virtual(main())


def test_an_outage_does_not_multiply_transactions() -> None:
    """However large the batch, a lost connection costs two flushes, then LATER for all of it."""

    async def main() -> None:
        database, ears = PaperDatabase([FAILS, FAILS]), Ears()
        lane = paper_lane(database, meter=ears)
        heard = await hear(send(lane, *(Order(n) for n in range(1, 101))))

        assert heard == [Reason.UNKNOWN] * 100
        assert len(database.calls) == 2
        assert (ears.retries, ears.bisections) == (1, 0)
        assert ears.refusals == {Reason.UNKNOWN: 100}
        assert await hear(send(lane, Order(101))) == ["done"]

    run_virtual(main())


def test_an_outage_in_mid_bisection_costs_one_retry_more() -> None:
    """A batch that is being bisected when the outage comes is given up with all of its parts."""

    async def main() -> None:
        database = PaperDatabase([Behaviour(), FAILS, FAILS])
        orders = [Order(n, is_poison=n == 1) for n in range(1, 9)]
        heard = await hear(send(paper_lane(database), *orders))

        assert heard == [Reason.UNKNOWN] * 8
        assert [len(call) for call in database.calls] == [8, 4, 4]

    run_virtual(main())


def test_a_failure_is_retried_once_after_a_jittered_pause() -> None:
    """One lost connection is not even noticed by the callers."""

    async def main() -> None:
        database, pauses = PaperDatabase([FAILS]), list[float]()

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        lane: PaperLane = Lane(
            database,
            later=Later,
            fault_of=fault_of,
            limits=LaneLimits(retry_pause_s=0.1),
            monotonic=asyncio.get_running_loop().time,
            pause=pause,
        )
        lane.start()

        assert await hear(send(lane, Order(1), Order(2))) == ["done", "done"]
        assert database.calls == [[1, 2], [1, 2]]
        assert len(pauses) == 1
        assert 0.05 <= pauses[0] <= 0.15

    run_virtual(main())


def test_an_acknowledgement_that_is_lost_does_nothing_twice() -> None:
    """The retry of a batch that had been committed finds its effects and replays them."""

    async def main() -> None:
        database = PaperDatabase([LOSES_ACK])
        heard = await hear(send(paper_lane(database), Order(1), Order(2)))

        assert heard == ["replayed", "replayed"]
        assert database.committed == [1, 2]

    run_virtual(main())


def test_two_lost_acknowledgements_are_told_as_unknown() -> None:
    """Nobody is told that nothing was done when it may have been."""

    async def main() -> None:
        database = PaperDatabase([LOSES_ACK, LOSES_ACK])
        heard = await hear(send(paper_lane(database), Order(1)))

        assert heard == [Reason.UNKNOWN]
        assert Later(Reason.UNKNOWN).outcome is LaterOutcome.OUTCOME_UNKNOWN
        assert Later(Reason.UNKNOWN).outcome.kind is Kind.LATER

    run_virtual(main())


def test_the_watchdog_drops_a_connection_that_hangs() -> None:
    """A hung flush is abandoned at its time-out, and tried once more on a new connection."""

    async def main() -> None:
        database = PaperDatabase([Behaviour(Ending.HANGS)])
        lane = paper_lane(database, LaneLimits(flush_timeout_s=10.0))
        answer = await lane.submit(Order(1))

        assert (answer.result, database.abandoned) == ("done", 1)
        assert 10.0 < asyncio.get_running_loop().time() < 10.2

    run_virtual(main())


def test_a_flush_that_does_not_even_notice_is_torn_loose() -> None:
    """After the grace the flush itself is cancelled; the lane goes on."""

    async def main() -> None:
        database = PaperDatabase([Behaviour(Ending.HANGS_DEAF), Behaviour(Ending.HANGS_DEAF)])
        lane = paper_lane(database, LaneLimits(flush_timeout_s=10.0, abandon_grace_s=2.0))

        assert await hear(send(lane, Order(1))) == [Reason.UNKNOWN]
        assert database.abandoned == 2
        assert 24.0 < asyncio.get_running_loop().time() < 24.2
        assert await hear(send(lane, Order(2))) == ["done"]

    run_virtual(main())


def test_stop_drains_what_waits_and_refuses_newcomers() -> None:
    """Who was let in before the stop is served; who comes after is told at once."""

    async def main() -> None:
        database = PaperDatabase()
        lane = paper_lane(database, LaneLimits(batch_max=2))
        tasks = send(lane, *(Order(n) for n in range(1, 6)))
        await asyncio.sleep(0.005)
        stopping = asyncio.ensure_future(lane.stop())
        await asyncio.sleep(0)

        assert said((await lane.submit(Order(6))).result) is Reason.STOPPING
        await stopping
        assert await hear(tasks) == ["done"] * 5
        assert database.committed == [1, 2, 3, 4, 5]
        assert said((await lane.submit(Order(7))).result) is Reason.STOPPING

    run_virtual(main())


def test_a_lane_that_was_never_started_refuses() -> None:
    """Nobody waits for a runner that does not run."""

    async def main() -> None:
        lane: PaperLane = Lane(PaperDatabase(), later=Later, fault_of=fault_of)

        assert said((await lane.submit(Order(1))).result) is Reason.STOPPING
        await lane.stop()

    run_virtual(main())


def test_newcomers_are_shed_when_they_would_wait_too_long() -> None:
    """Expected wait is the running flush's age plus the batches ahead; shedding takes no time."""

    async def main() -> None:
        database, ears = PaperDatabase(takes_s=1.0), Ears()
        lane = paper_lane(database, LaneLimits(batch_max=1, wait_max_s=2.0), ears)
        first = send(lane, Order(1))
        await asyncio.gather(*first)  # from now on the lane remembers 0.2 s a flush
        busy = send(lane, Order(2))
        await asyncio.sleep(0.5)
        assert lane.expected_wait_s == pytest.approx(0.5)

        waiting = send(lane, *(Order(n) for n in range(3, 11)))
        await asyncio.sleep(0)
        assert lane.expected_wait_s == pytest.approx(0.5 + 8 * 0.2)
        before = asyncio.get_running_loop().time()
        assert said((await lane.submit(Order(11))).result) is Reason.SHED
        assert asyncio.get_running_loop().time() == before
        assert ears.refusals == {Reason.SHED: 1}
        assert Later(Reason.SHED).outcome is LaterOutcome.BUSY

        assert await hear(busy + waiting) == ["done"] * 9
        assert 11 not in database.committed

    run_virtual(main())


def test_an_idle_lane_accepts_however_slow_it_was() -> None:
    """A slow flush in the past does not shut out the first command after it."""

    async def main() -> None:
        database = PaperDatabase(takes_s=60.0)
        lane = paper_lane(database, LaneLimits(wait_max_s=0.5, flush_timeout_s=100.0))

        assert await hear(send(lane, Order(1))) == ["done"]
        assert lane.expected_wait_s == 0.0
        assert await hear(send(lane, Order(2))) == ["done"]

    run_virtual(main())


def test_the_queue_has_an_absolute_cap() -> None:
    """Whatever the expected wait, no more than so many commands wait."""

    async def main() -> None:
        database = PaperDatabase()
        lane = paper_lane(database, LaneLimits(waiting_max=3))
        heard = await hear(send(lane, *(Order(n) for n in range(1, 6))))

        assert heard == ["done", "done", "done", Reason.SHED, Reason.SHED]
        assert database.committed == [1, 2, 3]

    run_virtual(main())


def test_a_command_past_its_deadline_is_not_applied() -> None:
    """Whom nobody listens to any more is answered LATER, and nothing is done."""

    async def main() -> None:
        database, ears = PaperDatabase(takes_s=2.0), Ears()
        lane = paper_lane(database, LaneLimits(batch_max=1, deadline_s=3.0), ears)
        heard = await hear(send(lane, *(Order(n) for n in range(1, 5))))

        assert heard == ["done", "done", Reason.OVERDUE, Reason.OVERDUE]
        assert database.committed == [1, 2]
        assert ears.refusals == {Reason.OVERDUE: 2}

    run_virtual(main())


def test_a_deferred_command_goes_to_the_head_of_the_next_batch() -> None:
    """Being put off costs no place: later arrivals still come after."""

    async def main() -> None:
        database, ears = PaperDatabase(), Ears()
        lane = paper_lane(database, LaneLimits(batch_max=2), ears)
        heard = await hear(send(lane, Order(1, defers=2), Order(2), Order(3), Order(4)))

        assert heard == ["done"] * 4
        assert database.calls == [[1, 2], [1, 3], [1, 4]]
        assert database.committed == [2, 3, 1, 4]
        assert ears.deferrals == 2

    run_virtual(main())


def test_deferrals_out_of_both_halves_keep_the_order_of_arrival() -> None:
    """A bisected batch puts off commands one half at a time, and still no one overtakes."""

    async def main() -> None:
        database = PaperDatabase()
        orders = [Order(1, defers=1), Order(2, is_poison=True), Order(3), Order(4, defers=1)]
        heard = await hear(send(paper_lane(database), *orders))

        assert [word for word in heard if isinstance(word, str)] == ["done"] * 3
        assert database.calls[-1] == [1, 4]
        assert database.committed == [3, 1, 4]

    run_virtual(main())


def test_nobody_is_put_off_for_ever() -> None:
    """After so many deferrals a command is answered LATER, with nothing done."""

    async def main() -> None:
        database = PaperDatabase()
        lane = paper_lane(database, LaneLimits(defers_max=3))
        heard = await hear(send(lane, Order(1, defers=3), Order(2, defers=4)))

        assert heard == ["done", Reason.OVERDUE]
        assert database.committed == [1]

    run_virtual(main())


def test_a_flush_that_answers_too_few_is_a_programmers_error() -> None:
    """Results that do not match the commands are never dealt out by guess."""

    class Forgetful:
        def abandon(self) -> None: ...

        async def __call__(
            self, commands: Sequence[Order], _turn: object
        ) -> Sequence[Result | Defer[Order]]:
            return ["done"] * (len(commands) - 1)

    async def main() -> None:
        lane: PaperLane = Lane(Forgetful(), later=Later, fault_of=fault_of)
        lane.start()
        for word in await hear(send(lane, Order(1), Order(2))):
            assert isinstance(word, RuntimeError)

    run_virtual(main())
