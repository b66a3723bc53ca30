"""Whatever happens to a lane, every command has exactly one outcome, and it is the true one."""

import asyncio
from collections.abc import Sequence

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sunseo.core.later import Reason
from sunseo.engine.applying import LaneLimits
from tests.lane_script import (
    Behaviour,
    Ears,
    Ending,
    Order,
    PaperDatabase,
    PoisonError,
    Word,
    paper_lane,
    words,
)
from tests.virtual_loop import run_virtual

LIMITS = LaneLimits(
    batch_max=4,
    waiting_max=14,
    wait_max_s=2.0,
    deadline_s=3.0,
    flush_timeout_s=1.0,
    abandon_grace_s=0.5,
    retry_pause_s=0.05,
    defers_max=3,
)

NOTHING_DONE = {Reason.SHED, Reason.OVERDUE, Reason.STOPPING}


class Arrival(msgspec.Struct, frozen=True):
    """One caller: when it comes, what it asks, and how soon it goes away again, if it does."""

    after_s: float
    is_poison: bool = False
    defers: int = 0
    patience_s: float | None = None


class History(msgspec.Struct):
    database: PaperDatabase
    ears: Ears
    heard: dict[int, Word]


short_s = st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.01, 0.05, 0.4])

arrivals = st.lists(
    st.builds(
        Arrival,
        after_s=short_s,
        is_poison=st.sampled_from([False, False, False, True]),
        defers=st.sampled_from([0, 0, 0, 1, 2, 9]),
        patience_s=st.sampled_from([None, None, 0.0, 0.001, 0.02, 1.0]),
    ),
    max_size=24,
)
scripts = st.lists(
    st.builds(
        Behaviour,
        ending=st.sampled_from([Ending.COMMITS, Ending.COMMITS, *Ending]),
        takes_s=st.sampled_from([0.0, 0.01, 0.3, 0.9, 1.2]),
    ),
    max_size=20,
)


async def live(
    arriving: Sequence[Arrival], script: Sequence[Behaviour], *, lets_follow: bool = False
) -> History:
    """Let callers come and go, then stop the lane and hear what became of each."""
    database, ears = PaperDatabase(script, lets_follow=lets_follow), Ears()
    lane = paper_lane(database, LIMITS, ears)
    loop = asyncio.get_running_loop()
    callers = []
    for number, arrival in enumerate(arriving, 1):
        await asyncio.sleep(arrival.after_s)
        order = Order(number, is_poison=arrival.is_poison, defers=arrival.defers)
        caller = asyncio.ensure_future(lane.submit(order))
        callers.append(caller)
        if arrival.patience_s is not None:
            loop.call_later(arrival.patience_s, caller.cancel)
    await asyncio.sleep(0)
    await lane.stop()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    return History(
        database,
        ears,
        words(answers),
    )


def check_outcomes(history: History, arriving: Sequence[Arrival]) -> None:
    """Each word is the truth about the database."""
    database = history.database
    assert set(history.heard) == set(range(1, len(arriving) + 1))
    for number, word in history.heard.items():
        commits = database.commits[number]
        acks_lost = database.acks_lost[number]
        if isinstance(word, asyncio.CancelledError):
            assert arriving[number - 1].patience_s is not None
        elif isinstance(word, BaseException):
            assert isinstance(word, PoisonError)
            assert word.args == (number,)
            assert arriving[number - 1].is_poison
        elif word == "done":
            assert commits == 1
        elif word == "replayed":
            assert commits == acks_lost + 1 >= 2
        elif word in NOTHING_DONE:
            assert commits == 0
        else:
            assert word is Reason.UNKNOWN
        # A command is sent again only where an acknowledgement was lost.
        assert commits <= acks_lost + 1
        assert not (arriving[number - 1].is_poison and commits)


def check_order(history: History, arriving: Sequence[Arrival]) -> None:
    """First come, first served: within each flush, over all flushes, and in the commits."""
    database = history.database
    for call in database.calls:
        assert call == sorted(call)
        assert len(call) <= LIMITS.batch_max
    first_flushed = list(dict.fromkeys(number for call in database.calls for number in call))
    assert first_flushed == sorted(first_flushed)
    straight = [n for n in database.committed if not arriving[n - 1].defers]
    assert straight == sorted(straight)


@settings(max_examples=400)
@given(arrivals, scripts, st.booleans())
@example(
    [Arrival(0.0, defers=1), Arrival(0.0, is_poison=True), Arrival(0.0), Arrival(0.0, defers=1)],
    [],
    False,
)
@example([Arrival(0.0)] * 20, [Behaviour(Ending.LOSES_ACK)] * 20, False)
@example([Arrival(0.0)] * 14, [Behaviour(Ending.LOSES_ACK, 0.3)] * 20, True)
@example([Arrival(0.0, patience_s=0.0)] * 3 + [Arrival(0.0)], [Behaviour(Ending.HANGS_DEAF)], False)
def test_every_command_has_exactly_one_true_outcome_in_order(
    arriving: list[Arrival], script: list[Behaviour], lets_follow: bool
) -> None:
    """Under data errors, lost connections, lost acknowledgements, hangs and impatient callers.

    It is so whether or not a batch is sent behind the commit of the one in front of it.
    """
    history = run_virtual(live(arriving, script, lets_follow=lets_follow))

    check_outcomes(history, arriving)
    check_order(history, arriving)


@settings(max_examples=100)
@given(arrivals, st.integers(0, 30))
def test_an_outage_costs_two_flushes_a_batch(arriving: list[Arrival], healthy: int) -> None:
    """From the moment the database is gone, every batch is tried at most twice."""
    outage = [Behaviour()] * healthy + [Behaviour(Ending.FAILS, 0.0)] * 200
    history = run_virtual(live(arriving, outage))

    check_outcomes(history, arriving)
    in_outage = history.database.calls[healthy:]
    batches = {number for call in in_outage for number in call}
    assert len(in_outage) <= 2 * len(batches)
    for number in batches:
        assert sum(number in call for call in in_outage) <= 2


@settings(max_examples=100)
@given(st.sets(st.integers(1, 40)), st.integers(1, 40))
def test_bisection_costs_a_logarithm_for_each_poison(poison: set[int], size: int) -> None:
    """A batch of n with p poisons needs at most 2 p log2(n) + 1 flushes, and loses nobody."""

    async def main() -> None:
        database = PaperDatabase()
        lane = paper_lane(database, LaneLimits(batch_max=64))
        orders = [Order(n, is_poison=n in poison) for n in range(1, size + 1)]
        answers = await asyncio.gather(*map(lane.submit, orders), return_exceptions=True)

        at_fault = {n for n, a in enumerate(answers, 1) if isinstance(a, PoisonError)}
        assert at_fault == {n for n in poison if n <= size}
        assert database.committed == [n for n in range(1, size + 1) if n not in poison]
        assert len(database.calls) <= 2 * len(at_fault) * (size - 1).bit_length() + 1

    run_virtual(main())
