"""Batches that are sent behind the commit of the one in front, on a clock that jumps."""

import asyncio

import pytest

from sunseo.engine.applying import LaneLimits
from tests.lane_script import Behaviour, Ears, Ending, Order, PaperDatabase, paper_lane
from tests.unit.test_lane import hear, send
from tests.virtual_loop import run_virtual


def test_a_batch_is_sent_behind_the_commit_of_the_one_in_front() -> None:
    """It begins while that one commits, with all that has gathered; a few wait until it has."""

    async def main() -> None:
        database = PaperDatabase(takes_s=0.02, lets_follow=True)
        lane = paper_lane(database, LaneLimits(batch_max=3))
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(lane.submit(Order(n)) for n in range(1, 8)))

        assert database.calls == [[1, 2, 3], [4, 5, 6], [7]]
        waits = [answer.waited_s for answer in answers]
        assert waits == pytest.approx([0] * 3 + [0.01] * 3 + [0.03])
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.05)

    run_virtual(main())


def test_now_and_then_a_batch_waits_for_the_commit_in_front() -> None:
    """So that another process that waits for the same rows gets its turn."""

    async def main() -> None:
        database = PaperDatabase(takes_s=0.02, lets_follow=True)
        lane = paper_lane(database, LaneLimits(batch_max=1, breath_s=0.025))
        answers = await asyncio.gather(*(lane.submit(Order(n)) for n in range(1, 6)))

        waits = [answer.waited_s for answer in answers]
        assert waits == pytest.approx([0, 0.01, 0.02, 0.04, 0.05])  # the fourth has waited longer

    run_virtual(main())


@pytest.mark.parametrize("ending", [Ending.FAILS, Ending.LOSES_ACK, Ending.HANGS])
def test_what_follows_a_commit_that_fails_goes_back_and_is_tried_behind_it(ending: Ending) -> None:
    """It is decided anew once the batch in front is finished, and does not count as tried."""

    async def main() -> None:
        database, ears = PaperDatabase([Behaviour(ending)], lets_follow=True), Ears()
        lane = paper_lane(database, LaneLimits(batch_max=2, flush_timeout_s=1.0), ears)
        heard = await hear(send(lane, *(Order(n) for n in range(1, 5))))

        first = "replayed" if ending is Ending.LOSES_ACK else "done"
        assert heard == [first] * 2 + ["done"] * 2
        assert database.calls == [[1, 2], [3, 4], [1, 2], [3, 4]]
        assert ears.retries == 1
        assert database.committed == [1, 2, 3, 4]

    run_virtual(main())


def test_what_is_put_off_joins_the_batch_behind() -> None:
    """It is known before the commit, so that the next batch begins with it."""

    async def main() -> None:
        database = PaperDatabase(lets_follow=True)
        lane = paper_lane(database, LaneLimits(batch_max=2))
        orders = [Order(1), Order(2, defers=1), Order(3), Order(4)]

        assert await hear(send(lane, *orders)) == ["done"] * 4
        assert database.calls == [[1, 2], [2, 3], [4]]

    run_virtual(main())


@pytest.mark.parametrize("turns", range(6))
def test_a_lane_that_was_idle_for_long_sheds_nobody(turns: int) -> None:
    """Whoever comes while the first batch is about to begin is told no wait of yesterday."""

    async def main() -> None:
        ears = Ears()
        lane = paper_lane(PaperDatabase(lets_follow=True), meter=ears)
        await hear(send(lane, Order(1)))
        await asyncio.sleep(60)
        tasks = send(lane, Order(2))
        for _ in range(turns):
            await asyncio.sleep(0)

        assert lane.expected_wait_s < 1
        assert await hear([*tasks, *send(lane, Order(3))]) == ["done"] * 2
        assert ears.refusals == {}

    run_virtual(main())


def test_batches_that_follow_each_other_are_parts_of_all_in_the_lane() -> None:
    """So that one part is decided while another commits, however many callers there are."""

    async def main() -> None:
        database = PaperDatabase(lets_follow=True)
        lane = paper_lane(database, LaneLimits(batch_max=20, batch_parts=3, batch_min=4))
        await asyncio.gather(*(lane.submit(Order(n)) for n in range(1, 46)))

        assert [len(call) for call in database.calls] == [15, 15, 10, 5]

    run_virtual(main())
