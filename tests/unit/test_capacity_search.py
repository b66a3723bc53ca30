"""The search for capacity, on systems that are known."""

from collections.abc import Callable
from math import ceil, exp, log, log2
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.rehearsal.capacity.search import PRECISION, Search

PROBES_MAX = 100


def probe(search: Search, holds: Callable[[float], bool]) -> list[float]:
    """Play the search to its end on a system; returns the rates that were tried."""
    tried: list[float] = []
    while (rate := search.next_rate()) is not None:
        tried.append(rate)
        assert len(tried) < PROBES_MAX
        search.note(rate, held=holds(rate))
    return tried


@given(limit=st.floats(2.0, 9_000.0), first=st.floats(1.0, 100.0))
def test_limit_is_found_within_the_precision(limit: float, first: float) -> None:
    """Of a system with a sharp limit, the rate found holds, and a tenth more does not."""
    search = Search(first, ceiling=10_000.0)
    tried = probe(search, lambda rate: rate <= limit)

    found = search.found
    assert found is not None
    assert found <= limit <= found * (1 + PRECISION)
    doublings = abs(log2(limit / first)) + 2
    assert len(tried) <= ceil(2 * doublings + 2 * log2(log(2) / log(1 + PRECISION)) + 4)


def test_queue_is_stopped_where_its_latency_reaches_the_bound() -> None:
    """A queue that serves 200 a second keeps p99 below 100 ms up to 154 arrivals a second."""

    def p99_s(rate: float) -> float:
        return log(100) / (200.0 - rate) if rate < 200 else float("inf")

    search = Search(10.0, ceiling=1_000.0, precision=0.02)
    probe(search, lambda rate: p99_s(rate) <= 0.1)

    exact = 200.0 - log(100) / 0.1
    assert search.found == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_hiccups_do_not_decide(seed: int) -> None:
    """A system that fails one probe in twenty for no reason is not told to be half as good."""
    dice = Random(seed)
    search = Search(10.0, ceiling=10_000.0)
    probe(search, lambda rate: rate <= 300 and dice.random() > 0.05)

    assert search.found is not None
    assert 100 < search.found <= 300


@pytest.mark.parametrize("seed", range(20))
def test_soft_limit_is_found_about_there(seed: int) -> None:
    """Where holding becomes ever less likely, the answer lies where it is about even."""
    dice = Random(seed)
    search = Search(10.0, ceiling=10_000.0)
    probe(search, lambda rate: dice.random() < 1 / (1 + exp((rate - 300) / 15)))

    assert search.found is not None
    assert 220 < search.found < 360


def test_what_is_found_has_held_twice() -> None:
    """A rate that held once by luck is tried again, and given up when it does not hold."""
    answers = {10.0: [True, True], 20.0: [True, False, False], 40.0: [False, False]}
    search = Search(10.0, ceiling=40.0, precision=1.0)
    tried = probe(search, lambda rate: answers[rate].pop(0))

    assert tried == [10.0, 20.0, 40.0, 40.0, 20.0, 20.0, 10.0]
    assert search.found == 10.0
    assert search.lowest_failed == 20.0


def test_ceiling_that_holds_is_the_answer() -> None:
    """Nothing beyond the highest rate is tried; that it held is known, and that none failed."""
    search = Search(10.0, ceiling=35.0)
    tried = probe(search, lambda _: True)

    assert tried == [10.0, 20.0, 35.0, 35.0]
    assert search.found == 35.0
    assert search.lowest_failed is None


def test_server_that_holds_nothing_is_told_so() -> None:
    """Lower and lower rates are tried, and then no more: there is no answer."""
    search = Search(64.0, ceiling=1_000.0)
    tried = probe(search, lambda _: False)

    assert search.found is None
    assert min(tried) == 1.0
    assert len(tried) == 14


def test_first_rate_may_be_too_high() -> None:
    """A search that begins above the limit goes down until something holds."""
    search = Search(100.0, ceiling=1_000.0)
    probe(search, lambda rate: rate <= 7.0)

    assert search.found is not None
    assert search.found <= 7.0 <= search.found * (1 + PRECISION)


@pytest.mark.parametrize(("first", "ceiling", "precision"), [(0, 9, 1), (9, 8, 1), (1, 2, 0)])
def test_nonsense_is_refused(first: float, ceiling: float, precision: float) -> None:
    """A search needs a range to search in."""
    with pytest.raises(ValueError, match=r"rate|precision"):
        Search(first, ceiling, precision)
